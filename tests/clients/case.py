"""One client as these tests drive it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

KEY: Final = "sk-client-canary-1207"
SAID: Final = "晴れです"

EITHER: Final = ("reverse", "forward", "both")
"""The modes of `sekisho run`; the last is what it does by itself."""


@dataclass(frozen=True)
class Case:
    """How it is started, in an empty home, and which operation is on record afterwards. `files` are written into the
    home first, by their paths there: what its documentation says to set, where that is more than variables. `command`
    skips the test where the client is not here."""

    command: Callable[[], list[str]]
    operation: str = "chat"
    modes: tuple[str, ...] = EITHER
    files: tuple[tuple[str, str], ...] = ()
