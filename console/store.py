"""What the pages ask of a store. SQLite answers today; whatever answers the same can serve them unchanged."""

from collections.abc import Callable, Sequence
from typing import Final, Protocol

from settings.schema import Settings
from storage.query.terms import Query
from storage.removal.holds import Hold
from storage.sqlite.coverage import Unseen
from storage.sqlite.facets import Facets
from storage.sqlite.people import Identity, Who
from storage.sqlite.reading import AuditReader, RawBody
from storage.sqlite.summary import Dimension, Group, Steps

_PATIENCE: Final = 20.0  # seconds for one page's questions together


class Store(Protocol):
    """Records as lines of JSON (docs/record.md), read-only. Opened for one page, closed after it.

    Raises (every method):
        StoreProblem: it cannot be read, or took too long; the message says what to do.
        SealProblem: it is sealed, and cannot be opened.
    """

    def listed(
        self,
        query: Query = ...,
        limit: int = ...,
        *,
        before_seq: int | None = ...,
        after_seq: int | None = ...,
        bodies: int = ...,
    ) -> list[bytes]:
        """Newest first, or with `after_seq` what came next; without bodies where they are larger than `bodies`."""
        ...

    def facets(self, query: Query, upto: int) -> Facets:
        """What the newest so many have in common."""
        ...

    def head(self, id_hex: str) -> bytes | None:
        """One exchange without its bodies; None where there is none."""
        ...

    def find(self, given: str) -> list[bytes]:
        """The exchange, or the exchanges of the thread, of this id."""
        ...

    def raw(self, id_hex: str, which: str) -> RawBody:
        """The exact bytes of a request or a response."""
        ...

    def summaries(self, query: Query, steps: Steps, by: Sequence[Sequence[Dimension]]) -> list[list[Group]]:
        """What the finds come to, grouped in each of these ways."""
        ...

    def last_of(self, seqs: Sequence[int]) -> dict[int, tuple[str, int, str | None]]:
        """Of these exchanges: id, when they began (microseconds since 1970), and why it was decided so."""
        ...

    def first_seen(self, issuer: str, subject: str) -> int | None:
        """When the first exchange of this identity began: microseconds since 1970."""
        ...

    def begun(self) -> int:
        """When the first exchange began: microseconds since 1970."""
        ...

    def places(self, limit: int) -> list[tuple[int, int]]:
        """(seq, when it began in microseconds since 1970) of the newest so many, newest first."""
        ...

    def holds(self) -> list[Hold]:
        """What must stay as it is."""
        ...

    def identities(self, who: Who) -> list[Identity]:
        """All identities that this may be, of which anything is on record and not erased."""
        ...

    def has_thread(self, thread_id: str) -> bool:
        """Is anything of this conversation on record? Its whole id, 32 hex digits."""
        ...

    def unseen(self, since: int) -> list[Unseen]:
        """AI services that were used without being read."""
        ...

    def problem_of(self, seq: int) -> str | None:
        """Why this record is not what was recorded; None when it is."""
        ...

    def last_seq(self) -> int:
        """The newest; 0 where there is none."""
        ...

    def close(self) -> None: ...


type OpenStore = Callable[[str | None], Store]
"""Opens it, for one address's exchanges alone when one is given."""


def sqlite_store(settings: Settings) -> OpenStore:
    """How audit.db is opened, for each page anew: it may be moved away and begun again meanwhile."""
    return lambda only: AuditReader(settings.data_dir, settings.storage.seal, _PATIENCE, only)
