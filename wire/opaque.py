"""A body that is not JSON: named by its media type, size and digest (RECORD.md), and its text if it is text."""

import hashlib
from typing import Final

from exchange.call import Json

TEXT: Final = 1024 * 1024
"""Bytes of a textual body that are kept as `_text`."""


class Opaque:
    """Measures bytes as they come; keeps the beginning of them when they are text."""

    def __init__(self, content_type: str | None, *, text: bool) -> None:
        self._media_type = media_type(content_type)
        self._charset = charset(content_type)
        self._digest = hashlib.sha256()
        self._size = 0
        self._text: bytearray | None = bytearray() if text else None

    def feed(self, data: bytes) -> None:
        self._digest.update(data)
        self._size += len(data)
        if self._text is not None and len(self._text) < TEXT:
            self._text += data[: TEXT - len(self._text)]

    def text(self) -> str:
        """The beginning of a textual body."""
        return _decoded(bytes(self._text or b""), self._charset)

    def close(self) -> dict[str, Json]:
        """`{"_media_type", "_bytes", "_sha256"}`, and `_text` when there is any."""
        body: dict[str, Json] = {
            "_media_type": self._media_type,
            "_bytes": self._size,
            "_sha256": self._digest.hexdigest(),
        }
        if self._text:
            body["_text"] = self.text()
        return body


def opaque(content_type: str | None, data: bytes, *, text: bool = False) -> dict[str, Json]:
    """The same for bytes that are all there."""
    body = Opaque(content_type, text=text)
    body.feed(data)
    return body.close()


def media_type(content_type: str | None) -> str:
    """`type/subtype` in lower case, without parameters; empty when none was sent (RFC 9110 §8.3.1)."""
    return (content_type or "").partition(";")[0].strip().lower()


def charset(content_type: str | None) -> str:
    """The `charset` parameter; UTF-8 when there is none."""
    for parameter in (content_type or "").split(";")[1:]:
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "charset":
            return value.strip().strip('"').lower()
    return "utf-8"


def is_text(media: str) -> bool:
    """Whether people can read such a body as it is."""
    return media.startswith("text/") or media.endswith(("xml", "json", "yaml", "x-subrip", "x-www-form-urlencoded"))


def _decoded(data: bytes, name: str) -> str:
    try:
        return data.decode(name, "replace")
    except (LookupError, UnicodeError):  # a charset nobody knows, or one that is no text encoding
        return data.decode("utf-8", "replace")
