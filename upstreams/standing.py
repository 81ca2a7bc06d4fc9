"""How the credentials stand, written beside a worker's journal so that `sekisho status` can tell."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec

from files.whole import write_whole
from upstreams.background import Background

log = logging.getLogger(__name__)

FILE = "provider-keys.json"
LOOK_S = 2.0
_AFTER_A_FAILURE_S = 60.0


@dataclass(frozen=True, slots=True)
class CredentialState:
    """One credential. `name` tells versions of it apart, and is nothing of it; `problem` is for people."""

    provider: str
    label: str
    name: str | None
    state: Literal["ready", "refused", "missing"]  # refused: by the provider, and another is shown in its place
    problem: str | None = None


class Standing:
    """Writes `state()` into the file whenever it changed, from a thread of its own."""

    def __init__(self, state: Callable[[], tuple[CredentialState, ...]], file: Path) -> None:
        self._state = state
        self._file = file
        self._written: tuple[CredentialState, ...] | None = None
        self._work = Background("status of provider keys", self._write)

    def start(self) -> None:
        self._work.start()

    def stop(self) -> None:
        self._work.stop()

    def _write(self) -> float:
        if (state := self._state()) == self._written:
            return LOOK_S
        try:
            write_whole(self._file, msgspec.json.encode(state))
        except OSError as cannot:
            log.warning("The status of the provider keys cannot be written: %s.", cannot)
            return _AFTER_A_FAILURE_S
        self._written = state
        return LOOK_S


def read_standing(file: Path) -> tuple[CredentialState, ...]:
    """What a worker wrote; empty when it wrote nothing.

    Raises:
        ValueError: the file is not one of ours.
    """
    try:
        return msgspec.json.decode(file.read_bytes(), type=tuple[CredentialState, ...])
    except FileNotFoundError:
        return ()
