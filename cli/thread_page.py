"""A thread for reading: the conversation once, with a line where each exchange begins.

Clients send the whole history each time, so of every exchange only what was not shown before is shown.
"""

from collections.abc import Iterator, Sequence

from rich.text import Text

from cli.exchange_line import seconds, short_id
from cli.exchange_page import refusal_lines, turn_lines
from cli.terminal import visible
from wire.conversation import conversation
from wire.conversation.record import ShownRecord
from wire.conversation.unrepeated import Unrepeated


def thread_page(records: Sequence[ShownRecord]) -> Iterator[Text]:
    """The page, line by line or paragraph by paragraph. `records`: the exchanges of one thread, oldest first."""
    yield Text(f"Thread {visible(records[0].thread_id or records[0].id)}", style="bold")
    for name, said in _facts(records):
        yield Text.assemble((f"  {name:<10}", "dim"), visible(said))
    shown = Unrepeated()
    for record in records:
        asked = conversation(record.operation, record.request, None)
        answered = conversation(record.operation, None, record.response)
        new, follows = shown.new(asked)
        yield Text("")
        yield _heading(record)
        if not follows:
            yield Text("  goes on from an earlier point of the conversation", style="dim")
        for turn in [*new, *answered]:
            yield from turn_lines(turn)
        yield from refusal_lines(record)
        shown.add(asked, answered)


def _heading(record: ShownRecord) -> Text:
    """Which exchange this is, and how it went."""
    usage = record.usage
    spent = "" if usage.source == "none" else f"{usage.input_tokens or 0}→{usage.output_tokens or 0} tokens"
    said = [
        f"{record.started_at.astimezone():%H:%M:%S}",
        short_id(record.id),
        record.person,
        record.model,
        record.outcome,
        spent,
        seconds(record.timing.duration_ms),
    ]
    return Text(f"━━ {'  '.join(visible(each) for each in said if each)} ━━", style="dim")


def _facts(records: Sequence[ShownRecord]) -> Iterator[tuple[str, str]]:
    first, last = records[0].started_at.astimezone(), records[-1].started_at.astimezone()
    yield "when", f"{first:%Y-%m-%d %H:%M:%S} – {last:%Y-%m-%d %H:%M:%S}"
    yield "who", ", ".join(dict.fromkeys(record.person for record in records))
    yield "exchanges", str(len(records))
    yield "model", ", ".join(dict.fromkeys(record.model for record in records))
    counted = [record.usage for record in records if record.usage.source != "none"]
    spent = sum(each.input_tokens or 0 for each in counted), sum(each.output_tokens or 0 for each in counted)
    yield "usage", f"{spent[0]} in, {spent[1]} out"
    cost = [record.cost_usd for record in records if record.cost_usd is not None]
    if cost:
        yield "cost", f"${sum(cost):.6f}"
