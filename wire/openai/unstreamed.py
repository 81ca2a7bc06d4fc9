"""For APIs that do not stream: should one ever, its last payload is what counts."""

from collections.abc import Callable

from exchange.call import Json
from exchange.reply import Reply
from wire.api import Event
from wire.extra import Extra


class LastPayload:
    """Keeps the last JSON object that came."""

    def __init__(self, whole: Callable[[Json], Reply]) -> None:
        self._whole = whole
        self._last: dict[str, Json] | None = None
        self._extra = Extra()

    def add(self, event: Event) -> None:
        payload = self._extra.payload(event)
        if payload is None:
            return
        if self._last is not None:
            self._extra.count("earlier_events")
        self._last = payload

    def close(self) -> Reply:
        if self._last is None:
            return Reply(response=self._extra.on({}), ended="failed" if self._extra.errors else "open")
        reply = self._whole(self._last)
        response = reply.response
        return Reply(
            response=self._extra.on(response) if isinstance(response, dict) else response,
            ended="failed" if self._extra.errors else "settled",
            response_model=reply.response_model,
            usage=reply.usage,
            texts=reply.texts,
        )
