"""What mitmproxy's own tools show of a body: the conversation that it is, and the events of a stream.

mitmproxy offers a view for what its `render_priority` claims; bodies that are none of ours keep mitmproxy's views. What
a stranger wrote is shown with its hidden characters named; control characters mitmproxy escapes itself.
"""

import re
from typing import Final

from mitmproxy import contentviews, http
from mitmproxy.contentviews import Contentview, Metadata

from exchange.call import Json
from wire.api import Route
from wire.conversation import Turn, conversation
from wire.conversation.hidden import HIDDEN
from wire.json_text import read_json
from wire.opaque import media_type
from wire.replies import reply_reader
from wire.routes import route
from wire.sse import EventStream

_LARGEST: Final = 8 << 20  # bytes, past which mitmproxy's own views are quicker
_TALKS: Final = frozenset({"chat", "responses", "messages", "generate_content"})
_EVENTS: Final = "text/event-stream"


class Conversation(Contentview):
    """A request or a reply of Chat, Responses, Messages or generateContent, streamed or not, as people read it."""

    @property
    def name(self) -> str:
        return "Conversation"

    def prettify(self, data: bytes, metadata: Metadata) -> str:
        """Turn by turn.

        Raises:
            ValueError: it is no conversation.
        """
        found = _where(metadata)
        if found is None:
            raise ValueError("This is no request to a chat API, and no reply of one.")
        flow, at = found
        if metadata.http_message is flow.response:
            return _laid_out(conversation(at.api.operation, None, _reply(flow, at, data)))
        return _laid_out(conversation(at.api.operation, read_json(data), None))

    def render_priority(self, data: bytes, metadata: Metadata) -> float:
        return 2 if data and len(data) <= _LARGEST and _where(metadata) is not None else -1


class ServerSentEvents(Contentview):
    """Any other stream of events (WHATWG HTML, 9.2): each with its type, and JSON laid out."""

    @property
    def name(self) -> str:
        return "SSE"

    def prettify(self, data: bytes, metadata: Metadata) -> str:  # noqa: ARG002 - mitmproxy's signature
        """Event by event."""
        reader = EventStream()
        events = [*reader.feed(data), *reader.close()]
        return "\n\n".join(_named(f"event: {each.name or 'message'}\n{each.data}") for each in events)

    def render_priority(self, data: bytes, metadata: Metadata) -> float:
        return 1 if data and media_type(metadata.content_type) == _EVENTS else -1


def install() -> None:
    """Make both known to the tool that we run in."""
    for view in (Conversation(), ServerSentEvents()):
        contentviews.add(view)


def _where(metadata: Metadata) -> tuple[http.HTTPFlow, Route] | None:
    """The flow, and the API that it is about; None where that is no conversation."""
    flow = metadata.flow
    if not isinstance(flow, http.HTTPFlow) or metadata.http_message not in (flow.request, flow.response):
        return None
    at = route("openai", flow.request.method, flow.request.path)
    return (flow, at) if at.api.operation in _TALKS else None


def _reply(flow: http.HTTPFlow, at: Route, data: bytes) -> Json:
    """The object that the reply would have been unstreamed. `data` is decoded already."""
    assert flow.response is not None
    kind = flow.response.headers.get("content-type")
    streamed = media_type(kind) == _EVENTS
    reader = reply_reader(
        at, status=flow.response.status_code, content_type=kind, content_encoding=None, stream_asked=streamed
    )
    reader.feed(data)
    return reader.close().response


def _laid_out(turns: list[Turn]) -> str:
    return "\n\n".join(f"── {_title(turn)} ──\n{_named(turn.text)}" for turn in turns) or "Nothing is said here."


def _title(turn: Turn) -> str:
    kind = "" if turn.kind in ("text", "error") else f" · {turn.kind.replace('_', ' ')}"
    return _named(f"{turn.role}{kind}{f' · {turn.name}' if turn.name else ''}")


def _named(text: str) -> str:
    """Characters that nobody would see, by their code points."""
    return HIDDEN.sub(_code_point, text)


def _code_point(found: "re.Match[str]") -> str:
    return f"<U+{ord(found[0]):04X}>"
