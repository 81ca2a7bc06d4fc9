"""Full text: what is indexed, and how a word that a person types finds it.

FTS5's own tokenisers find next to nothing in Japanese (unicode61) or nothing under three characters (trigram). So
text is cut before it is indexed: a run of Han, kana or Hangul becomes its overlapping pairs, plus its last character
alone; other text is left to unicode61. A word of any length is then a phrase, and one character is a prefix.
"""

import re
import unicodedata
from collections.abc import Iterable
from typing import Final

TOKENS_VERSION: Final = "1"
"""Changes whenever `tokens` does: what stands in the index must be cut the same way to be taken out again."""

_CJK = (
    "\u1100-\u11ff\u3005\u3007\u3040-\u30ff\u3130-\u318f\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff"
    "\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff"
)
RUN: Final = re.compile(f"[{_CJK}]+")
"""A run of Han, kana or Hangul."""

_WORDS = re.compile(r"\w+")


def folded(text: str) -> str:
    """As it is compared: half-width kana, full-width letters and capitals become what people type."""
    return text.lower() if text.isascii() else unicodedata.normalize("NFKC", text).lower()


def pairs(run: str) -> list[str]:
    """Its overlapping pairs."""
    return [run[i : i + 2] for i in range(len(run) - 1)]


def _cut(run: re.Match[str]) -> str:
    found = run[0]
    return f" {' '.join(pairs(found))} {found[-1]} "


def tokens(text: str) -> str:
    """The text as it is indexed."""
    said = folded(text)
    return said if said.isascii() else RUN.sub(_cut, said)


def match_expression(words: str) -> str | None:
    """What to ask FTS5 for, so that all these words must occur; None when there is nothing to look for."""
    return all_of(terms) if (terms := [term for word in words.split() if (term := phrase(word))]) else None


def all_of(phrases: Iterable[str], none_of: Iterable[str] = ()) -> str:
    """The expression for all these phrases, of which there is one at least, without any of the others."""
    wanted = " AND ".join(phrases)
    unwanted = " OR ".join(none_of)
    return f"({wanted}) NOT ({unwanted})" if unwanted else wanted


def phrase(text: str, *, begun: bool = False) -> str | None:
    """What to ask FTS5 for, so that this text must occur; None when it has nothing that is indexed.

    Everything is quoted: no word of a person is ever an operator. With `begun`, its last word may go on.
    """
    said = folded(text).strip()
    parts: list[str] = []
    prefix = "*" if begun and said[-1:].isalnum() else ""
    end = 0
    for run in RUN.finditer(said):
        parts += _WORDS.findall(said[end : run.start()])
        found, end = run[0], run.end()
        last = end == len(said)
        parts += pairs(found)
        if len(found) == 1 and last:
            prefix = "*"
        if len(found) == 1 or not last:
            parts.append(found[-1])
    parts += _WORDS.findall(said[end:])
    return f'"{" ".join(parts)}"{prefix}' if any(part.strip("_") for part in parts) else None
