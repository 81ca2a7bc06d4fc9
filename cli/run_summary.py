"""What one captured command called: a line for each exchange, tokens and cost. Nothing of what was said is in it."""

from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class RunSummary:
    """`exchanges` as columns of `exchange_readable`, in order; `unread`: hosts that were connected to and not read.
    Tokens and cost are of the exchanges where they are known."""

    exit_code: int
    input_tokens: int
    output_tokens: int
    cost_usd: float
    exchanges: list[dict[str, Any]]
    unread: list[str]


_COLUMNS = (
    "seq, id, started_at, mode, provider, operation, host, path, request_model, stream, status, end_state, code, "
    "input_tokens, output_tokens, cost_usd, duration_ms"
)


def last_seq(data_dir: Path) -> int:
    """The end of the record so far; 0 where there is none."""
    from storage.sqlite.driver import audit_path, open_for_reading

    if not audit_path(data_dir).exists():
        return 0
    record = open_for_reading(audit_path(data_dir)).conn
    try:
        return int(record.execute("select max(seq) from exchange").fetchone()[0] or 0)
    finally:
        record.close()


def summary_of(data_dir: Path, after: int, began: datetime, exit_code: int) -> RunSummary:
    """What came after this seq and began after this moment: an earlier life's leftovers are recorded late."""
    from storage.sqlite.driver import audit_path, open_for_reading

    record = open_for_reading(audit_path(data_dir)).conn
    try:
        found = record.execute(
            f"select {_COLUMNS} from exchange_readable where seq > ? order by seq",  # noqa: S608 - ours
            (after,),
        )
        names = [each[0] for each in found.description]
        rows = [dict(zip(names, row, strict=True)) for row in found]
        unread = _unread(record, began)
    finally:
        record.close()
    rows = [each for each in rows if datetime.fromisoformat(each["started_at"]) >= began]
    return RunSummary(
        exit_code=exit_code,
        input_tokens=sum(each["input_tokens"] or 0 for each in rows),
        output_tokens=sum(each["output_tokens"] or 0 for each in rows),
        cost_usd=round(sum(each["cost_usd"] or 0.0 for each in rows), 6),
        exchanges=rows,
        unread=unread,
    )


def _unread(record: Any, began: datetime) -> list[str]:
    found = record.execute(
        "select host, why, count(*) from coverage where started_at >= ? group by host, why order by min(started_at)",
        (int(began.timestamp() * 1e6),),
    )
    return [f"{host} ({why}{f', {count} times' if count > 1 else ''})" for host, why, count in found]


def print_summary(summary: RunSummary, data_dir: Path, look: Path | None, *, as_json: bool) -> None:
    """On stderr: the standard output is the command's. `look`: the settings file by which the record is found."""
    import shlex

    import msgspec

    from cli.exchange_line import seconds
    from cli.terminal import err, visible

    console = err()
    if as_json:
        console.print(visible(msgspec.json.encode(asdict(summary)).decode()))
        return
    for each in summary.exchanges:
        ended = each["code"] or (each["status"] if each["end_state"] == "complete" else each["end_state"])
        spent = "-" if each["input_tokens"] is None else f"{each['input_tokens']}→{each['output_tokens']} tokens"
        cost = "" if each["cost_usd"] is None else f"  ${each['cost_usd']:.4f}"
        line = (
            f"{each['id'][:28]}  {each['mode']:<8} {each['operation']:<9} {each['request_model'] or each['path']}  "
            f"{ended}  {spent}  {seconds(each['duration_ms'])}{cost}"
        )
        console.print(visible(line), style="" if each["end_state"] == "complete" else "yellow")
    if summary.unread:
        console.print(visible(f"Connected to and not read: {', '.join(summary.unread)}."))
    count = len(summary.exchanges)
    how = "" if look is None else f" --config {shlex.quote(str(look))}"
    console.print(
        visible(
            f"{count} exchange{'' if count == 1 else 's'}, {summary.input_tokens}→{summary.output_tokens} tokens, "
            f"${summary.cost_usd:.4f}. On record in {data_dir}: sekisho show ID{how}"
        )
    )
