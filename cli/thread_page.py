"""A thread for reading: the conversation once, with a line where each exchange begins.

Clients send the whole history each time, so of every exchange only what was not shown before is shown.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from rich.text import Text

from cli.exchange_line import seconds, short_id
from cli.exchange_page import refusal_lines, turn_lines
from cli.record import ShownRecord
from cli.terminal import visible
from recording.history import steps
from wire.conversation import Turn, conversation


def thread_page(records: Sequence[ShownRecord]) -> Iterator[Text]:
    """The page, line by line or paragraph by paragraph. `records`: the exchanges of one thread, oldest first."""
    yield Text(f"Thread {visible(records[0].thread_id or records[0].id)}", style="bold")
    for name, said in _facts(records):
        yield Text.assemble((f"  {name:<10}", "dim"), visible(said))
    shown = _Shown()
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


@dataclass(slots=True)
class _Shown:
    """What is on the page already, as hashes of the conversation up to each turn."""

    tips: set[bytes] = field(default_factory=set)
    last: list[bytes] = field(default_factory=list)  # the turns of the latest exchange, its whole history among them
    instructions: set[str] = field(default_factory=set)

    def new(self, asked: Sequence[Turn]) -> tuple[list[Turn], bool]:
        """The turns of a request that were not shown, and whether they follow what was shown last."""
        turns = _keys(asked)
        known = sum(1 for tip in _tips(turns) if tip in self.tips)
        follows = not known or known == len(self.last)
        known = known or _overlap(self.last, turns)
        new: list[Turn] = []
        for turn in asked:
            if turn.role in ("system", "developer"):
                if turn.text not in self.instructions:
                    new.append(turn)
            elif not known:
                new.append(turn)
            elif _keys([turn]):
                known -= 1
        return new, follows

    def add(self, asked: Sequence[Turn], answered: Sequence[Turn]) -> None:
        self.last = _keys([*asked, *answered])
        self.tips.update(_tips(self.last))
        self.instructions |= {turn.text for turn in asked if turn.role in ("system", "developer")}


def _keys(turns: Sequence[Turn]) -> list[bytes]:
    """What is compared: one hash a turn. Pictures and reasoning do not come again as they were."""
    return [step.digest for turn in turns for step in steps([turn])]


def _tips(turns: Sequence[bytes]) -> Iterator[bytes]:
    chain = hashlib.blake2b(digest_size=16)
    for turn in turns:
        chain.update(turn)
        yield chain.copy().digest()


def _overlap(last: Sequence[bytes], turns: Sequence[bytes]) -> int:
    """How many turns at the beginning are those that the latest exchange ended with: some clients leave out the
    oldest part of a long history."""
    return next((n for n in range(min(len(last), len(turns)), 0, -1) if last[-n:] == turns[:n]), 0)
