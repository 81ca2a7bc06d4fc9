"""One line per exchange: when, which, who, what, how it went, and what was asked."""

from datetime import datetime

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from cli.terminal import one_line, visible
from wire.conversation.record import ShownRecord

_COLOURS = {"complete": "green", "client_gone": "yellow", "timed_out": "yellow"}


def exchange_line(record: ShownRecord, *, colour: bool = True) -> Text:
    """The line. Columns are padded, never cut: a long model name pushes the rest to the right."""
    usage = record.usage
    spent = "-" if usage.source == "none" else f"{_count(usage.input_tokens)}→{_count(usage.output_tokens)}"  # in → out
    line = Text(end="")
    line.append(f"{when(record.started_at.astimezone(), datetime.now().astimezone())}  ")
    line.append(f"{short_id(record.id)}  ", style="dim" if colour else "")
    line.append(_column(record.person, 20))
    line.append(_column(record.operation, 9))
    line.append(_column(record.model, 12))
    line.append(_column(record.outcome, 4), style=_COLOURS.get(record.end_state, "red") if colour else "")
    line.append(_column(spent, 8))
    line.append(_column(seconds(record.timing.duration_ms), 6))
    line.append(one_line(record.question(), 100))
    line.rstrip()
    return line


def when(at: datetime, now: datetime) -> str:
    """A time as a list shows it: of today its time, of another day that day as well. Both of one zone; one word."""
    if at.date() == now.date():
        return f"{at:%H:%M:%S}"
    return f"{at:%m-%dT%H:%M}" if at.year == now.year else f"{at:%Y-%m-%d}"


def short_id(given: str) -> str:
    """As much of a UUIDv7 as tells exchanges apart: its milliseconds, and the counter within one of them."""
    return given[:28]


def seconds(milliseconds: float | None) -> str:
    """A duration as people say it."""
    if milliseconds is None:
        return "-"
    if milliseconds < 1000:
        return f"{milliseconds:.0f}ms"
    if milliseconds < 100_000:
        return f"{milliseconds / 1000:.1f}s"
    return f"{milliseconds / 60_000:.1f}min"


def _column(given: str, width: int) -> str:
    text = visible(given)
    return (text if cell_len(text) >= width else set_cell_size(text, width)) + "  "


def _count(tokens: int | None) -> str:
    return "?" if tokens is None else str(tokens)
