"""A reply's bytes become the Reply: decoded, framed, folded. Whatever they are, there is an answer, and no exception.

Kept in memory: what the folder makes of the events, at most STREAM bytes of them, or at most WHOLE bytes of one JSON
body; what is longer is measured and named like a body that is no JSON, and `_extra` says so.
"""

from dataclasses import replace
from typing import Final

from exchange.call import Json, Text
from exchange.reply import Reply
from wire import other
from wire.api import ReplyReader, Route
from wire.bedrock.event_stream import FrameReader
from wire.decoding import ContentDecoder
from wire.framing import EventReader, framing, undecided
from wire.json_array import JsonArray
from wire.json_seq import JsonSequence
from wire.json_text import NotRead, fit, fit_text, read_json
from wire.ndjson import JsonLines
from wire.opaque import Opaque, is_text, media_type
from wire.sse import EventStream

WHOLE: Final = 64 * 1024 * 1024
STREAM: Final = 256 * 1024 * 1024

_COUNTS: Final = ("bad_lines", "bad_text", "bad_frames", "oversized", "garbage", "unread")


def reply_reader(
    route: Route, *, status: int, content_type: str | None, content_encoding: str | None, stream_asked: bool
) -> ReplyReader:
    """Reads one reply. `stream_asked`: the call asked for a stream (Call.stream). Pure, and never raises."""
    return _Reader(route, status, content_type, content_encoding, stream_asked)


class _Reader:
    def __init__(
        self, route: Route, status: int, content_type: str | None, content_encoding: str | None, stream_asked: bool
    ) -> None:
        self._route = route
        self._status = status
        self._content_type = content_type
        self._streamed = stream_asked or bool(route.stream)
        self._decoder = ContentDecoder(content_encoding)
        self._head = b""
        self._body: _Stream | _Whole | _Measured | None = None
        if self._decoder.unknown:
            self._body = _Measured(content_type, text=False, flag="unknown_content_encoding")

    def feed(self, data: bytes) -> None:
        if self._decoder.unknown and self._body is not None:
            self._body.feed(data)
            return
        for piece in self._decoder.feed(data):
            if self._body is not None:
                self._body.feed(piece)
                continue
            self._head += piece
            if not undecided(self._head):
                self._begin().feed(self._head)

    def close(self) -> Reply:
        if self._body is None:
            if not self._head:
                return self._nothing()
            self._begin().feed(self._head)
        if self._body is None:  # for mypy: _begin has set it
            return self._nothing()
        extra: dict[str, Json] = {}
        reply = self._body.close(extra)
        if self._decoder.truncated:
            extra["truncated_encoding"] = True
            if reply.ended == "settled":
                reply = replace(reply, ended="open")
        if self._decoder.broken:
            extra["broken_encoding"] = True
        if self._decoder.oversized:
            extra["oversized_body"] = True
            if reply.ended != "terminal":  # what we did not read may have ended a stream, or not
                reply = replace(reply, ended="open" if isinstance(self._body, _Stream) else "settled")
        return _fit(reply, extra)

    def _begin(self) -> "_Stream | _Whole | _Measured":
        media = media_type(self._content_type)
        api = self._route.api
        kind = framing(
            self._head,
            media,
            status=self._status,
            streamed=self._streamed,
            arrays=api.operation == "generate_content",
        )
        if kind == "json":
            self._body = _Whole(self._route, self._status, self._content_type, self._streamed)
        elif kind == "opaque" or api is other.API:
            self._body = _Measured(self._content_type, text=is_text(media) or not media, answer=self._is_text_answer())
        else:
            readers: dict[str, type[EventStream | JsonLines | JsonArray | FrameReader | JsonSequence]] = {
                "sse": EventStream,
                "sequence": JsonSequence,
                "lines": JsonLines,
                "array": JsonArray,
                "frames": FrameReader,
            }
            self._body = _Stream(self._route, readers[kind]())
        return self._body

    def _is_text_answer(self) -> bool:
        """Transcripts come as plain text, SRT or VTT when that was asked for."""
        return self._route.api.operation == "transcription" and self._status < 400

    def _nothing(self) -> Reply:
        if self._status < 400 and self._streamed and self._route.api is not other.API:
            return self._route.api.folder().close()
        expected = media_type(self._content_type).endswith("json") and self._route.api.operation != "other"
        return Reply(response=None, ended="open" if expected and self._status != 204 else "settled")


class _Stream:
    """Events into the API's folder."""

    def __init__(self, route: Route, reader: EventReader) -> None:
        self._reader = reader
        self._folder = route.api.folder()
        self._left = STREAM

    def feed(self, data: bytes) -> None:
        if self._left <= 0:
            self._left -= len(data)
            return
        self._left -= len(data)
        for event in self._reader.feed(data):
            self._folder.add(event)

    def close(self, extra: dict[str, Json]) -> Reply:
        for event in self._reader.close():
            self._folder.add(event)
        for name in _COUNTS:
            if count := getattr(self._reader, name, 0):
                extra[name] = count
        if getattr(self._reader, "unterminated", False):
            extra["unterminated_last_event"] = True
        if cut := getattr(self._reader, "cut", ""):
            extra["cut_event"] = cut
        if self._left < 0:
            extra["not_folded_bytes"] = -self._left
        return self._folder.close()


class _Whole:
    """One JSON body; or, seen at its end only, JSON lines that were not announced as such."""

    def __init__(self, route: Route, status: int, content_type: str | None, streamed: bool) -> None:
        self._route = route
        self._status = status
        self._streamed = streamed
        self._measured = Opaque(content_type, text=True)
        self._pieces: list[bytes] = []
        self._size = 0

    def feed(self, data: bytes) -> None:
        self._measured.feed(data)
        self._size += len(data)
        if self._size <= WHOLE:
            self._pieces.append(data)
        else:
            self._pieces.clear()

    def close(self, extra: dict[str, Json]) -> Reply:
        if self._size > WHOLE:
            extra["too_large_to_read"] = True
            return Reply(response=self._measured.close(), ended="settled")
        raw = b"".join(self._pieces).removeprefix(b"\xef\xbb\xbf")
        try:
            value = read_json(raw)
        except NotRead:  # that is our limit, and no sign that anything is missing
            extra["not_read"] = True
            return Reply(response=self._measured.close(), ended="settled")
        except ValueError:
            return self._not_one_value(raw, extra)
        if self._status >= 400:
            return Reply(response=value, ended="terminal")
        return self._route.api.whole(value)

    def _not_one_value(self, raw: bytes, extra: dict[str, Json]) -> Reply:
        if self._streamed and self._status < 400 and self._route.api is not other.API and _first_line_is_json(raw):
            lines = _Stream(self._route, JsonLines())
            lines.feed(raw)
            return lines.close(extra)
        return Reply(response=self._measured.close(), ended="open")


class _Measured:
    """What is neither JSON nor a stream."""

    def __init__(self, content_type: str | None, *, text: bool, flag: str = "", answer: bool = False) -> None:
        self._measured = Opaque(content_type, text=text)
        self._flag = flag
        self._answer = answer

    def feed(self, data: bytes) -> None:
        self._measured.feed(data)

    def close(self, extra: dict[str, Json]) -> Reply:
        if self._flag:
            extra[self._flag] = True
        text = self._measured.text() if self._answer else ""
        return Reply(
            response=self._measured.close(), ended="settled", texts=(Text("answer", text),) if text.strip() else ()
        )


def _first_line_is_json(raw: bytes) -> bool:
    line, end, _ = raw.partition(b"\n")
    if not end:
        return False
    try:
        read_json(line)
    except ValueError:
        return False
    return True


def _fit(reply: Reply, extra: dict[str, Json]) -> Reply:
    """What was noticed on the way goes beside what the folder noticed; all strings are made sure to encode."""
    response = reply.response
    if extra and isinstance(response, dict):
        noted = response.get("_extra")
        response = {**response, "_extra": {**(noted if isinstance(noted, dict) else {}), **extra}}
    return replace(
        reply,
        response=fit(response),
        response_model=fit_text(reply.response_model) if reply.response_model else reply.response_model,
        finish_reasons=tuple(reason and fit_text(reason) for reason in reply.finish_reasons),
        texts=tuple(Text(each.kind, fit_text(each.text)) for each in reply.texts),
    )
