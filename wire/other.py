"""What no row of `routes` knows: recorded with its JSON, or its size and digest; nothing is folded."""

from collections.abc import Mapping

from exchange.call import Json, Text
from exchange.reply import Reply
from wire.api import Api, Event


class EventCounter:
    """Never asked to fold a stream (replies keeps it opaque); counts, should somebody ask."""

    def __init__(self) -> None:
        self._events = 0

    def add(self, _: Event) -> None:
        self._events += 1

    def close(self) -> Reply:
        return Reply(response={"_extra": {"events": self._events}}, ended="settled")


def whole(body: Json) -> Reply:
    """The body itself."""
    return Reply(response=body, ended="terminal")


def texts(_: Json) -> tuple[Text, ...]:
    """None: what an unknown body means is not guessed."""
    return ()


def streams(body: Mapping[str, Json]) -> bool:
    """As nearly everywhere: `"stream": true`."""
    return body.get("stream") is True


API = Api(operation="other", folder=EventCounter, whole=whole, texts=texts, streams=streams, media="any")
