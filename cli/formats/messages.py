"""An exchange as the two HTTP messages that it was, as far as they are kept: no header that could hold a secret is."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import msgspec

from storage.sqlite.reading import AuditReader
from wire.conversation.record import ShownRecord

_JSON: Final = "application/json"

type Headers = list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Message:
    """One side. `content` as it came over the wire, `coding` and all; where the exact bytes are not kept any more it is
    the record's own object, and `exact` is False."""

    content: bytes
    media_type: str | None
    coding: str | None
    exact: bool

    def headers(self, *first: tuple[str, str | None]) -> Headers:
        given = (*first, ("content-type", self.media_type), ("content-encoding", self.coding))
        return [(name, value) for name, value in given if value is not None]


@dataclass(frozen=True, slots=True)
class Messages:
    """Both sides; `response` is None where nothing came back."""

    request: Message
    response: Message | None
    url: str
    began: datetime
    waited: timedelta | None  # from the request's last byte in to the reply's first byte in
    took: timedelta


def messages(record: ShownRecord, reader: AuditReader) -> Messages:
    """The messages of this exchange."""
    asked = _side(record, reader, "request", record.request)
    answered = _side(record, reader, "response", record.response)
    came = record.end_state != "refused" and (bool(answered.content) or record.end_state == "complete")
    query = f"?{record.query}" if record.query is not None else ""
    waited, took = record.timing.ttft_ms, record.timing.duration_ms
    return Messages(
        request=asked,
        response=answered if came else None,
        url=f"https://{record.host}{record.path}{query}",
        began=record.started_at,
        waited=None if waited is None else timedelta(milliseconds=waited),
        took=timedelta(milliseconds=max(took or 0.0, waited or 0.0)),
    )


def _side(record: ShownRecord, reader: AuditReader, which: str, known: object) -> Message:
    if record.raw == "kept":
        body = reader.raw(record.id, which)
        return Message(body.content, body.media_type, body.content_encoding, exact=True)
    return Message(b"" if known is None else msgspec.json.encode(known), _JSON, None, exact=False)
