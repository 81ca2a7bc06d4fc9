"""Text → query. Whoever is wrong is told where, and what to write instead; nothing is guessed, nothing left out."""

import unicodedata
from collections.abc import Callable
from datetime import datetime
from typing import Final, get_args

from exchange.call import Operation
from exchange.decision import CODES
from exchange.record import EndState
from storage.query.terms import FIELDS, After, Before, Condition, Exact, Field, Is, Phrase, Query, Term, Word
from storage.query.times import instant

LONGEST: Final = 2_000
"""Characters in a query, at most. What is longer was pasted by mistake, and costs more than it finds."""

_MOST_TERMS: Final = 100
_COLONS: Final = ":："
_MINUS: Final = "-－−"  # ASCII, full-width, and the sign that some Japanese keyboards give; never ー, a vowel
_QUOTES: Final = {'"': '"＂', "＂": '"＂', "“": "”“", "”": "”“", "„": "”“", "「": "」", "『": "』"}
"""What opens a quotation, and what then closes it."""

VALUES: Final[dict[Field, tuple[str, ...]]] = {
    "operation": get_args(Operation),
    "decision": ("allow", "deny", *CODES),
    "end": get_args(EndState),
}
_KEYS: Final = (*FIELDS, "after", "before", "exact")
_EXAMPLES: Final = {
    "user": "user:ann@example.com",
    "domain": "domain:example.com",
    "model": "model:gpt-4o*",
    "host": "host:api.openai.com",
    "operation": "operation:chat",
    "decision": "decision:deny",
    "end": "end:upstream_cut",
    "tool": "tool:get_weather",
    "thread": "thread:ID",
    "after": "after:7d",
    "before": "before:2026-11-01",
    "exact": 'exact:"max_tokens"',
}


class QueryProblem(ValueError):  # noqa: N818 - said to a person
    """The query cannot be understood. The message is a sentence with the remedy; `position` counts from 1."""

    def __init__(self, said: str, position: int) -> None:
        super().__init__(said)
        self.position = position


def parse(text: str, now: datetime, *, local: Callable[[datetime], datetime] | None = None) -> Query:
    """Read a query.

    `now` is aware. `local` makes a time without a zone an aware one; by default it is taken in the zone of `now`.

    Raises:
        QueryProblem: it cannot be understood.
    """
    if len(text) > LONGEST:
        raise QueryProblem(
            f"The query has {len(text)} characters, and {LONGEST} is the most. Look for its rarest words.", LONGEST + 1
        )
    half = next((i for i, character in enumerate(text) if "\ud800" <= character <= "\udfff"), None)
    if half is not None:
        raise QueryProblem(f"The character at {half + 1} is not valid Unicode. Type it anew.", half + 1)
    terms = _Reader(text, now, local or (lambda at: at.replace(tzinfo=now.tzinfo))).terms()
    if len(terms) > _MOST_TERMS:
        raise QueryProblem(f"The query has {len(terms)} terms, and {_MOST_TERMS} is the most. Leave some out.", 1)
    return Query(tuple(terms))


class _Reader:
    """Goes through the text once, from left to right."""

    def __init__(self, text: str, now: datetime, local: Callable[[datetime], datetime]) -> None:
        self._text = text
        self._now = now
        self._local = local
        self._at = 0

    def terms(self) -> list[Term]:
        found: list[Term] = []
        while self._skip_space():
            found.append(self._term())
        return found

    def _skip_space(self) -> bool:
        while self._at < len(self._text) and self._text[self._at].isspace():
            self._at += 1
        return self._at < len(self._text)

    def _term(self) -> Term:
        following = self._text[self._at + 1 : self._at + 2]
        negated = self._text[self._at] in _MINUS and bool(following) and not following.isspace()
        if negated:
            self._at += 1
        return Term(self._condition(), negated)

    def _condition(self) -> Condition:
        start = self._at
        if self._text[start] in _QUOTES:
            return Phrase(self._quotation("A quotation"))
        if (key := self._key()) is None:
            return Word(self._run())
        at = self._at
        bare = at == len(self._text) or self._text[at].isspace()
        if bare:
            raise QueryProblem(
                f"{key}: at {start + 1} has nothing after it. Write for example {_EXAMPLES[key]}.", start + 1
            )
        value = self._quotation(f"{key}:") if self._text[at] in _QUOTES else self._run()
        return self._named(key, value, start + 1, at + 1)

    def _run(self) -> str:
        """Up to the next space."""
        start = self._at
        while self._at < len(self._text) and not self._text[self._at].isspace():
            self._at += 1
        return self._text[start : self._at]

    def _quotation(self, what: str) -> str:
        opened = self._at
        closers = _QUOTES[self._text[opened]]
        said: list[str] = []
        self._at += 1
        while self._at < len(self._text):
            character = self._text[self._at]
            self._at += 1
            if character in closers:
                if not "".join(said).strip():
                    raise QueryProblem(
                        f"{what} at {opened + 1} is empty. Write something between the quotes, or leave them out.",
                        opened + 1,
                    )
                return "".join(said)
            if character == "\\" and self._text[self._at : self._at + 1] in ("\\", *closers):
                character = self._text[self._at]
                self._at += 1
            said.append(character)
        raise QueryProblem(
            f"The quote at {opened + 1} is never closed. Add {closers[0]} where it ends, or leave it out.", opened + 1
        )

    def _key(self) -> str | None:
        """The name before a colon. Anything that looks like one and is none is a question to the person: a misspelt
        condition that is taken for a word finds nothing, and says nothing."""
        end = self._at
        while end < len(self._text) and self._text[end] not in _COLONS and not self._text[end].isspace():
            end += 1
        if end == len(self._text) or self._text[end] not in _COLONS:
            return None
        name = unicodedata.normalize("NFKC", self._text[self._at : end]).lower()
        if name in _KEYS:
            self._at = end + 1
            return name
        follows = self._text[end + 1 : end + 2]
        looks_like_one = name.isascii() and name.replace("_", "").isalpha()
        if looks_like_one and follows and not follows.isspace() and follows not in "/\\:":
            raise QueryProblem(
                f"There is no {name}: (at {self._at + 1}). There are {', '.join(f'{key}:' for key in _KEYS)}. "
                "To look for these characters themselves, put them in quotes.",
                self._at + 1,
            )
        return None

    def _named(self, key: str, value: str, start: int, at: int) -> Condition:
        if key == "exact":
            if not any(map(str.isalnum, value)):
                raise QueryProblem(
                    f"exact: at {start} has no letter and no digit, and the index knows nothing else. "
                    "Add the word beside it.",
                    start,
                )
            return Exact(value)
        value = unicodedata.normalize("NFKC", value).strip()
        if key in ("after", "before"):
            if (microseconds := instant(value, self._now, self._local)) is None:
                raise QueryProblem(
                    f"{value!r} at {at} is no time. Write a date ({key}:2026-11-01), a time "
                    f"({key}:2026-11-01T09:30 or {key}:09:30, today), or how long ago ({key}:7d, {key}:12h).",
                    at,
                )
            return After(microseconds) if key == "after" else Before(microseconds)
        field: Field = next(each for each in FIELDS if each == key)
        if not value:
            raise QueryProblem(f"{key}: at {start} is empty. Write for example {_EXAMPLES[key]}.", start)
        return Is(field, _known(field, value, at))


def _known(field: Field, value: str, at: int) -> str:
    """The value, where the field has a list of them one of the list."""
    if field == "thread":
        hex_digits = value.replace("-", "").lower()
        if not 4 <= len(hex_digits) <= 32 or set(hex_digits) - set("0123456789abcdef"):
            raise QueryProblem(f"{value!r} at {at} is no thread's id. Copy one from `sekisho show ID`.", at)
        return hex_digits
    if field not in VALUES:
        return value
    allowed = VALUES[field]
    if value.lower() not in allowed:
        more = " or a refusal's code (docs/codes.md)" if field == "decision" else ""
        listed = ", ".join(allowed[:2] if field == "decision" else allowed)
        raise QueryProblem(f"{value!r} at {at} is no {field}. There are {listed}{more}.", at)
    return value.lower()
