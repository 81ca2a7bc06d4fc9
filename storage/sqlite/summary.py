"""What a query's finds come to: counts, tokens and costs by time, person, model and ending."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from storage.sqlite.selection import Selection

FIRST_BYTE: Final = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0)
"""Seconds until the first byte: the upper edges by which `Group.slow` counts; the last count is of all beyond."""


@dataclass(frozen=True, slots=True)
class Group:
    """Exchanges of one step of time, one identity, one model and one ending. Times in microseconds since 1970."""

    step: int  # started_at, in whole steps since 1970 of the zone that was asked for
    issuer: str | None
    subject: str | None
    person: str | None  # address, else subject
    domain: str | None
    model: str | None
    outcome: str
    code: str | None
    rule: str | None
    end_state: str
    failed: int  # of these, answered with a status of 400 or more
    count: int
    input_tokens: int
    output_tokens: int
    cost_usd: float
    unpriced: int  # of these, without a known cost though there was usage
    last_at: int
    last_id: str
    reason: str | None  # of one of them
    slow: tuple[int, ...]


def summary(asked: Callable[..., list[Any]], selection: Selection, step: int, offset: int) -> list[Group]:
    """All groups. `step`: microseconds; `offset`: of the zone whose days are meant, east of Greenwich."""
    edges = [0.0, *FIRST_BYTE]
    slow = [
        f"sum(e.ttft >= {int(low * 1e6)} and e.ttft < {int(high * 1e6)})"
        for low, high in zip(edges, FIRST_BYTE, strict=False)
    ]
    slow.append(f"sum(e.ttft >= {int(FIRST_BYTE[-1] * 1e6)})")
    sql = (
        "select (e.started_at + ?) / ? as step, e.issuer, e.subject, coalesce(nullif(e.email, ''), e.subject), "  # noqa: S608 - ours
        "e.domain, coalesce(e.request_model, e.response_model) as model, e.outcome, e.code, e.rule, e.end_state, "
        "sum(coalesce(e.status, 0) >= 400), count(*), sum(coalesce(e.input_tokens, 0)), "
        "sum(coalesce(e.output_tokens, 0)), sum(coalesce(e.cost_usd, 0)), "
        "sum(e.cost_usd is null and e.usage_source <> 'none'), max(e.started_at), e.id, e.reason, "
        f"{', '.join(slow)} from {selection.source} where {selection.where} "
        "group by step, e.issuer, e.subject, model, e.outcome, e.code, e.rule, e.end_state order by step"
    )
    rows = asked(sql, offset, step, *selection.values)
    return [Group(*(*tuple(row)[:19], tuple(each or 0 for each in tuple(row)[19:]))) for row in rows]
