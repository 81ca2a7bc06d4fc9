"""Media that came as base64 inside JSON: measured, not kept. The exact bytes are in the raw reply."""

import base64
import binascii
import hashlib

from exchange.call import Json


class MeasuredBase64:
    """Pieces of base64, each decoded on its own when it can be (servers pad them one by one), joined when not."""

    def __init__(self) -> None:
        self._digest = hashlib.sha256()
        self._size = 0
        self._rest = ""

    def add(self, piece: Json) -> None:
        if not isinstance(piece, str):
            return
        text = self._rest + piece
        usable = len(text) - len(text) % 4
        self._rest = text[usable:]
        self._measure(text[:usable])

    def close(self) -> dict[str, Json]:
        """`{"_bytes", "_sha256"}` of what was decoded."""
        if self._rest:
            self._measure(self._rest + "=" * (-len(self._rest) % 4))
            self._rest = ""
        return {"_bytes": self._size, "_sha256": self._digest.hexdigest()}

    def _measure(self, text: str) -> None:
        try:
            data = base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError):
            data = text.encode("utf-8", "replace")  # no base64: the letters themselves are measured
        self._digest.update(data)
        self._size += len(data)
