"""What the search box offers while somebody writes: names of fields, then their values."""

from dataclasses import dataclass
from typing import Final

from storage.query.parsing import VALUES
from storage.query.terms import FIELDS
from storage.sqlite.facets import Facets

_MOST: Final = 8
MEANINGS: Final = {
    "user": "an address, or a subject",
    "domain": "a mail domain",
    "model": "asked for or answered; * is anything",
    "host": "the provider's host",
    "operation": "chat, responses, messages, …",
    "decision": "allow, deny, or a refusal's code",
    "end": "how it ended",
    "tool": "the model called this tool",
    "thread": "one conversation, by its id",
    "after": "2026-11-01, 09:30, or 7d ago",
    "before": "2026-11-01, 09:30, or 7d ago",
    "exact": "these very characters",
}
"""Keys of the catalogue."""

_TIMES: Final = ("today", "1h", "24h", "7d", "30d")


@dataclass(frozen=True, slots=True)
class Offer:
    """What would replace the last word, and what is said beside it."""

    text: str
    note: str


def last_word(text: str) -> str:
    """What is being written: from the last space on, unless that is in quotes."""
    return "" if text.count('"') % 2 else text[max(text.rfind(" "), text.rfind("　")) + 1 :]


def offers(text: str, facets: Facets | None) -> list[Offer]:
    """At most eight."""
    word = last_word(text)
    minus = word[:1] if word[:1] == "-" else ""
    name, colon, value = word.removeprefix("-").partition(":")
    if not colon:
        begun = name.lower()
        keys = [*FIELDS, "after", "before", "exact"]
        return [Offer(f"{minus}{key}:", MEANINGS[key]) for key in keys if begun and key.startswith(begun)][:_MOST]
    key = name.lower()
    known: list[tuple[str, str]] = []
    if key in ("after", "before"):
        known = [(each, "") for each in _TIMES]
    else:
        field = next((each for each in FIELDS if each == key), None)
        if field is None:
            return []
        counted = facets.values.get(field, []) if facets else []
        known = [(each, f"{count:,}") for each, count in counted]
        known += [(each, "") for each in VALUES.get(field, ()) if each not in dict(counted)]
    fitting = [(each, note) for each, note in known if value.lower() in each.lower() and each.lower() != value.lower()]
    return [Offer(f"{minus}{key}:{quoted_if_needed(each)}", note) for each, note in fitting[:_MOST]]


def quoted_if_needed(value: str) -> str:
    """As it must stand in a query."""
    bare = value and not any(each.isspace() or each in '"＂“”„「」\\' for each in value)
    return value if bare else '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
