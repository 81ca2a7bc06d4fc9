"""How one record stands in the chain without walking it: itself, its neighbour, and a signed head over it."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from settings.schema import Settings
from storage.heads import public_key, read_heads
from storage.problem import StoreProblem
from storage.sealing.master import SealProblem

_TAIL: Final = 32 << 10  # bytes of heads.txt: a day of them, and more


@dataclass(frozen=True, slots=True)
class Standing:
    """`problem`: why it is not what was recorded. `unknown`: why that cannot be said. `signed_at`: when the latest head
    was signed that stands over it; None where none does yet."""

    problem: str | None = None
    unknown: str | None = None
    signed_at: datetime | None = None


def standing(settings: Settings, ask: Callable[[int], str | None], node: str, seq: int) -> Standing:
    """Of the record of this seq and node; `ask` says what is wrong with it (Store.problem_of)."""
    try:
        problem = ask(seq)
    except (StoreProblem, SealProblem) as cannot:
        return Standing(unknown=str(cannot))
    return Standing(problem=problem, signed_at=None if problem else _signed_at(settings, node, seq))


def _signed_at(settings: Settings, node: str, seq: int) -> datetime | None:
    """What does not verify is no head; `sekisho verify` says more."""
    file = settings.storage.heads.file or settings.data_dir / "heads.txt"
    try:
        key = public_key(settings.data_dir)
        lines = _last_lines(Path(file))
    except OSError:
        return None
    for line in reversed(lines):
        try:
            for head in read_heads(line, key)[0]:
                if head.node == node and head.seq >= seq:
                    return datetime.fromisoformat(head.at).astimezone()
        except ValueError:
            continue
    return None


def _last_lines(path: Path) -> list[str]:
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - _TAIL))
        lines = file.read().decode("ascii", "replace").splitlines()
    return lines[1:] if size > _TAIL else lines
