"""Clients send the whole history each time. Of each exchange of a thread, what was not on the page before."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from wire.conversation.steps import steps
from wire.conversation.turn import Turn


@dataclass(slots=True)
class Unrepeated:
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
