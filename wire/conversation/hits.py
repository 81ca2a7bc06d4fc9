"""Where words occur in a text, compared as search compares them."""

import unicodedata
from collections.abc import Iterable, Sequence


def folded_words(words: Iterable[str]) -> list[str]:
    """What to look for, each word by itself."""
    return [folded for word in words for part in word.split() if (folded := "".join(_fold(part)[0]))]


def _fold(text: str) -> tuple[list[str], list[int]]:
    """The characters as search compares them (NFKC, lower case), and for each where it stands in the text."""
    characters: list[str] = []
    places: list[int] = []
    for place, character in enumerate(text):
        for each in unicodedata.normalize("NFKC", character).lower():
            characters.append(each)
            places.append(place)
    return characters, places


def has_any(text: str, wanted: Sequence[str]) -> bool:
    """Is there any hit? A thousand times faster than where."""
    folded = unicodedata.normalize("NFKC", text).lower()
    return any(word in folded for word in wanted)


def spans_of(text: str, wanted: Sequence[str]) -> list[tuple[int, int]]:
    """(start, end) of every hit, in order; overlapping ones are one."""
    characters, places = _fold(text)
    folded = "".join(characters)
    spans: list[tuple[int, int]] = []
    for word in wanted:
        start = folded.find(word)
        while start >= 0:
            spans.append((places[start], places[start + len(word) - 1] + 1))
            start = folded.find(word, start + len(word))
    spans.sort()
    joined: list[tuple[int, int]] = []
    for start, end in spans:
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], end))
        else:
            joined.append((start, end))
    return joined
