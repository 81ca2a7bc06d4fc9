"""What is recorded of one person, for that person: never of anybody else, whatever is asked."""

import json
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from settings.schema import Settings
from storage.access import ranges, write_access
from storage.problem import NoSuchId
from storage.query.terms import After, Is, Query, Term
from storage.sqlite.reading import AuditReader
from storage.sqlite.summary import Dimension, Steps

_PATIENCE: Final = 10.0  # seconds
_DAY: Final = 86_400_000_000  # microseconds
_BODIES: Final = 256 << 10  # bytes of an exchange that a list shows words of

_BY: Final[tuple[Dimension, ...]] = ("person", "model")

type Record = dict[str, Any]
"""As docs/record.md."""


@dataclass(slots=True)
class Use:
    """What some exchanges come to."""

    count: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    cost_usd: float = 0.0


class Mine:
    """The record, as one person may see it.

    Raises (every method):
        StoreProblem, SealProblem, sqlite3.Error: it cannot be read.
        AccessUnwritable: a look at content cannot be written down; then nothing is shown.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    @contextmanager
    def _record(self) -> Iterator[AuditReader]:
        reader = AuditReader(self._settings.data_dir, self._settings.storage.seal, _PATIENCE)
        try:
            yield reader
        finally:
            reader.close()

    def use(self, email: str, days: int) -> dict[str, Use]:
        """By model, of the last so many days."""
        since = int(time.time() * 1e6) - days * _DAY
        found: dict[str, Use] = defaultdict(Use)
        with self._record() as record:
            (groups,) = record.summaries(_of(email, Term(After(since))), Steps(_DAY, 0), [_BY])
            for group in groups:
                if group.person != email:
                    continue  # `*` in an address would be a pattern
                use = found[group.model or "–"]
                use.count += group.count
                use.tokens_in += group.input_tokens
                use.tokens_out += group.output_tokens
                use.cost_usd += group.cost_usd
        return dict(sorted(found.items(), key=lambda each: -each[1].count))

    def latest(self, email: str, limit: int) -> list[Record]:
        """The newest, without what was said."""
        with self._record() as record:
            return _only(email, record.listed(_of(email), limit))

    def one(self, email: str, given: str) -> list[Record]:
        """This exchange, or this thread, with what was said; empty where it is nobody's, or another's."""
        with self._record() as record:
            try:
                found = _only(email, record.find(given))
            except NoSuchId:
                return []  # also where the id of another's exchange begins like it: that is not told
        self._looked(email, "show", found, id=given)
        return found

    def chats(self, email: str, limit: int) -> list[Record]:
        """The newest exchange of each of the newest chats, with what was said in them."""
        with self._record() as record:
            query = _of(email, Term(Is("operation", "chat")))
            found = _only(email, record.listed(query, limit * 5, bodies=_BODIES))
        newest = {
            str(one["thread_id"] or one["id"]): one for one in reversed(found) if one["client"]["mode"] == "front"
        }
        shown = sorted(newest.values(), key=lambda one: -int(one["seq"]))[:limit]
        self._looked(email, "chats", shown)
        return shown

    def _looked(self, email: str, action: str, shown: list[Record], **asked: str) -> None:
        if shown:
            write_access(
                self._settings.data_dir,
                action=action,
                asked=asked,
                exchanges=ranges(int(one["seq"]) for one in shown),
                reason="one's own",
                who=f"{email} (their own)",
            )


def _of(email: str, *terms: Term) -> Query:
    return Query((Term(Is("user", email)), *terms))


def _only(email: str, lines: list[bytes]) -> list[Record]:
    found: list[Record] = [json.loads(line) for line in lines]
    return [one for one in found if one["principal"] is not None and one["principal"]["email"] == email]
