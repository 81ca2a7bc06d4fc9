"""HAR 1.2, for browsers' developer tools and whatever reads them (w3c.github.io/web-performance/specs/HAR).

Bodies are as they came, content coding undone; a stream is its text. What HAR has no word for is under `_sekisho`.
"""

import base64
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import parse_qsl

import msgspec

from cli.formats.messages import Headers, Message, messages
from storage.sqlite.reading import AuditReader
from wire.conversation.record import ShownRecord, read_record
from wire.decoding import ContentDecoder

_encode = msgspec.json.Encoder().encode

_UNKNOWN: Final = -1  # HAR's word for a size or time that is not known
_PROTOCOL: Final = "HTTP/1.1"


class HttpArchive:
    continues = False
    needs = "anything"

    def __init__(self, reader: AuditReader) -> None:
        self._reader = reader
        self._first = True

    def begin(self) -> bytes:
        from importlib.metadata import version

        creator = _encode({"name": "Sekisho", "version": version("sekisho")})
        return b'{"log":{"version":"1.2","creator":%b,"entries":[\n' % creator

    def add(self, line: bytes) -> bytes:
        comma, self._first = (b"" if self._first else b",\n"), False
        return comma + _encode(self._entry(read_record(line)))

    def end(self) -> bytes:
        return b"\n]}}\n"

    def _entry(self, record: ShownRecord) -> dict[str, Any]:
        both = messages(record, self._reader)
        took = both.took.total_seconds() * 1000
        waited = took if both.waited is None else both.waited.total_seconds() * 1000
        return {
            "startedDateTime": both.began.isoformat().replace("+00:00", "Z"),
            "time": took,
            "request": {
                "method": record.method,
                "url": both.url,
                "httpVersion": _PROTOCOL,
                "cookies": [],
                "headers": _pairs(
                    both.request.headers(("host", record.host), ("user-agent", record.client.user_agent))
                ),
                "queryString": _pairs(parse_qsl(record.query or "", keep_blank_values=True)),
                **({"postData": _post_data(both.request)} if both.request.content else {}),
                "headersSize": _UNKNOWN,
                "bodySize": record.request_bytes,
            },
            "response": _response(record, both.response),
            "cache": {},
            "timings": {"send": 0, "wait": waited, "receive": max(0.0, took - waited)},
            "comment": record.outcome,
            "_sekisho": {
                "id": record.id,
                "seq": record.seq,
                "person": record.person,
                "end_state": record.end_state,
                "decision": record.decision.outcome,
                "thread_id": record.thread_id,
                "exact": both.request.exact,
            },
        }


def _response(record: ShownRecord, came: Message | None) -> dict[str, Any]:
    status = record.status or 0  # 0, as browsers write it: none came
    body, encoding = _decoded(came) if came is not None else ("", None)
    size = len(base64.b64decode(body)) if encoding else len(body.encode("utf-8", "surrogatepass"))
    content: dict[str, Any] = {"size": size, "mimeType": (came and came.media_type) or "x-unknown", "text": body}
    if encoding is not None:
        content["encoding"] = encoding
    return {
        "status": status,
        "statusText": HTTPStatus(status).phrase if status in HTTPStatus else "",
        "httpVersion": _PROTOCOL,
        "cookies": [],
        "headers": _pairs(came.headers()) if came is not None else [],
        "content": content,
        "redirectURL": "",
        "headersSize": _UNKNOWN,
        "bodySize": record.response_bytes if came is not None else _UNKNOWN,
    }


def _post_data(asked: Message) -> dict[str, Any]:
    text, encoding = _decoded(asked)
    said: dict[str, Any] = {"mimeType": asked.media_type or "", "params": [], "text": text}
    return said if encoding is None else {**said, "_encoding": encoding}  # HAR has no word for it on this side


def _decoded(message: Message) -> tuple[str, str | None]:
    """The body without its content coding, as text, or else in base64. What cannot be undone stays as it came."""
    decoder = ContentDecoder(message.coding)
    body = message.content if decoder.unknown else b"".join(decoder.feed(message.content))
    if decoder.broken or decoder.oversized:
        body = message.content
    try:
        return body.decode(), None
    except UnicodeDecodeError:
        return base64.b64encode(body).decode("ascii"), "base64"


def _pairs(headers: Headers) -> list[dict[str, str]]:
    return [{"name": name, "value": value} for name, value in headers]
