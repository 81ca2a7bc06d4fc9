"""Which large exchanges were begun on and not finished: a body that kills its reader must not do so for ever."""

import json
import logging
from pathlib import Path
from typing import Final

from files.whole import write_whole

log = logging.getLogger(__name__)

LARGE: Final = 1 << 20
"""Bytes of an exchange from which on it is noted: smaller ones cannot take the memory that gets a process killed."""

_TRIES: Final = 2


class Attempts:
    """Counts tries at understanding an exchange across the recorder's lives, in a file beside the journal.

    A process that the system kills for its memory has no last word; what it was at is known from what it wrote before.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._counts = _read(path)

    def begin(self, exchange: bytes) -> bool:
        """Note another try. False when there were enough: this exchange is kept without being understood."""
        tries = self._counts.get(exchange.hex(), 0) + 1
        if tries > _TRIES:
            log.error("Exchange %s ended its reader %d times; its bytes are kept as they are.", exchange.hex(), _TRIES)
            return False
        self._counts[exchange.hex()] = tries
        self._write()
        return True

    def stored(self, exchanges: list[bytes]) -> None:
        """These are in the store: nothing of them is tried again."""
        noted = [exchange.hex() for exchange in exchanges if exchange.hex() in self._counts]
        for exchange in noted:
            del self._counts[exchange]
        if noted:
            self._write()

    def _write(self) -> None:
        try:
            write_whole(self._path, json.dumps(self._counts).encode())
        except OSError as cannot:  # a full disk: then only the guard against such bodies is missing
            log.error("%s cannot be written: %s", self._path, cannot)


def _read(path: Path) -> dict[str, int]:
    try:
        counts = json.loads(path.read_text(encoding="utf-8"))
        return {str(exchange): int(tries) for exchange, tries in counts.items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, AttributeError, TypeError) as broken:
        log.error("%s cannot be read, counting begins anew: %s", path, broken)
        return {}
