"""What a query says, term by term. Frozen; printed, a query is text that reads as the same query."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Literal, get_args

Field = Literal["user", "domain", "model", "host", "operation", "decision", "end", "tool", "thread"]
FIELDS: Final[tuple[Field, ...]] = get_args(Field)

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Word:
    """A word, in any form that full-text search takes for the same (case, width). Any length, any script."""

    text: str

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class Phrase:
    """These words, one after the other."""

    text: str

    def __str__(self) -> str:
        return quoted(self.text)


@dataclass(frozen=True, slots=True)
class Exact:
    """These very characters: case, width, punctuation and spaces count."""

    text: str

    def __str__(self) -> str:
        return f"exact:{quoted(self.text)}"


@dataclass(frozen=True, slots=True)
class Is:
    """A field of the record has this value. `*` stands for any characters, where the field is not one of a list."""

    field: Field
    value: str

    def __str__(self) -> str:
        return f"{self.field}:{quoted(self.value)}"


@dataclass(frozen=True, slots=True)
class After:
    """Begun at this time or later: microseconds since 1970."""

    at: int

    def __str__(self) -> str:
        return f"after:{_time(self.at)}"


@dataclass(frozen=True, slots=True)
class Before:
    """Begun earlier than this: microseconds since 1970."""

    at: int

    def __str__(self) -> str:
        return f"before:{_time(self.at)}"


type Condition = Word | Phrase | Exact | Is | After | Before


@dataclass(frozen=True, slots=True)
class Term:
    """A condition that must hold, or must not."""

    condition: Condition
    negated: bool = False

    def __str__(self) -> str:
        return f"-{self.condition}" if self.negated else str(self.condition)


@dataclass(frozen=True, slots=True)
class Query:
    """All terms must hold; of one field's several values, any does. Without terms it is every exchange."""

    terms: tuple[Term, ...] = ()

    def __str__(self) -> str:
        return " ".join(map(str, self.terms))

    def texts(self) -> tuple[str, ...]:
        """What is looked for in the conversation itself: for highlighting."""
        wanted = [term.condition for term in self.terms if not term.negated]
        return tuple(each.text for each in wanted if isinstance(each, Word | Phrase | Exact))


def quoted(text: str) -> str:
    """In quotes, as the parser reads them back."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _time(microseconds: int) -> str:
    return (EPOCH + timedelta(microseconds=microseconds)).isoformat().replace("+00:00", "Z")
