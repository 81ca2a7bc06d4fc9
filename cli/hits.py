"""Where words occur in a conversation, with some text around them, for people to see why something was found."""

from collections.abc import Iterable, Sequence

from rich.text import Text

from cli.terminal import visible
from wire.conversation import Turn
from wire.conversation.hits import folded_words, spans_of

_AROUND = 40  # characters on either side
_MOST = 3  # excerpts of one exchange
_HIT = "bold black on yellow"


def excerpts(turns: Sequence[Turn], words: Iterable[str]) -> list[Text]:
    """An indented line for each of the last turns in which a word occurs, hits highlighted; oldest first."""
    sought = folded_words(words)
    found: list[Text] = []
    for turn in reversed(turns):
        if len(found) == _MOST:
            break
        if spans := spans_of(turn.text, sought):
            found.append(_excerpt(turn, spans))
    return found[::-1]


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
