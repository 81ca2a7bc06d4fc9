"""Where words occur in a conversation, with some text around them, for people to see why something was found."""

import unicodedata
from collections.abc import Iterable, Sequence

from rich.text import Text

from cli.terminal import visible
from wire.conversation import Turn

_AROUND = 40  # characters on either side
_MOST = 3  # excerpts of one exchange
_HIT = "bold black on yellow"


def excerpts(turns: Sequence[Turn], words: Iterable[str]) -> list[Text]:
    """An indented line for each of the last turns in which a word occurs, hits highlighted; oldest first."""
    wanted = [folded for word in words for part in word.split() if (folded := "".join(_fold(part)[0]))]
    found: list[Text] = []
    for turn in reversed(turns):
        if len(found) == _MOST:
            break
        if spans := _spans(turn.text, wanted):
            found.append(_excerpt(turn, spans))
    return found[::-1]


def _fold(text: str) -> tuple[list[str], list[int]]:
    """The characters as search compares them (NFKC, lower case), and for each where it stands in the text."""
    characters: list[str] = []
    places: list[int] = []
    for place, character in enumerate(text):
        for each in unicodedata.normalize("NFKC", character).lower():
            characters.append(each)
            places.append(place)
    return characters, places


def _spans(text: str, wanted: Sequence[str]) -> list[tuple[int, int]]:
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


def _excerpt(turn: Turn, spans: Sequence[tuple[int, int]]) -> Text:
    text = turn.text
    begin = max(0, spans[0][0] - _AROUND)
    end = min(len(text), spans[0][1] + 2 * _AROUND)
    line = Text("    ")
    line.append(f"{visible(turn.role)}: ", style="dim")
    line.append("…" if begin else "")
    at = begin
    for start, stop in spans:
        if start >= end:
            break
        line.append(_flat(text[at:start]))
        line.append(_flat(text[start:stop]), style=_HIT)
        at = stop
    if at < end:
        line.append(_flat(text[at:end]))
    line.append("…" if max(at, end) < len(text) else "")
    return line


def _flat(text: str) -> str:
    return visible(text.replace("\n", " ").replace("\t", " "))
