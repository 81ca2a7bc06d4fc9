"""What a stream carried that has no place in the object it becomes."""

from exchange.call import Json
from wire.api import Event
from wire.fields import Object
from wire.json_text import read_json

KEPT = 256
"""Events of each kind that are kept whole; of the rest only the number is."""


class Extra:
    """Collected while folding, put under `response["_extra"]` at the end when there is anything.

    `errors`: error events as they came; `unknown_events`: events and pieces of them that no rule places;
    `bad_events`: payloads that are no JSON object; everything else are flags and counts that a folder names itself.
    """

    def __init__(self) -> None:
        self.errors: list[Json] = []
        self._lists: dict[str, list[Json]] = {}
        self._counts: dict[str, int] = {}
        self._values: Object = {}

    def payload(self, event: Event) -> Object | None:
        """The event's payload as an object. None when it is none: then it has been dealt with here.

        An event of the SSE field `error` (llama.cpp) is an error whatever it holds. The mark `[DONE]`, with which
        servers of many APIs end a body, says nothing; a folder for which it does looks for it first.
        """
        data = event.data
        if event.field == "error":
            self.failed(_lenient(data))
            return None
        try:
            value = read_json(data)
        except ValueError:
            if data and not data.isspace() and not event.is_done:
                self.keep("bad_events", data)
            return None
        if isinstance(value, dict):
            return value
        self.keep("bad_events", value)
        return None

    def failed(self, error: Json) -> None:
        """An error event came."""
        if len(self.errors) < KEPT:
            self.errors.append(error)
        else:
            self.count("errors_not_kept")

    def other(self, kind: str, payload: Object) -> None:
        """An event of none of the kinds that a folder knows: an error, or kept as unknown."""
        if kind == "error" or payload.get("error") is not None:
            self.failed(payload.get("error") or payload)
        else:
            self.keep("unknown_events", payload)

    def keep(self, name: str, value: Json) -> None:
        """Keep a value in the list of that name."""
        kept = self._lists.setdefault(name, [])
        if len(kept) < KEPT:
            kept.append(value)
        else:
            self.count(f"{name}_not_kept")

    def count(self, name: str, by: int = 1) -> None:
        """Count something that happened."""
        self._counts[name] = self._counts.get(name, 0) + by

    def put(self, name: str, value: Json) -> None:
        """Keep a value under a name of its own; the last one stays."""
        self._values[name] = value

    def on(self, response: Object) -> Object:
        """The response with `_extra` beside its own fields, when there is anything to put there."""
        extra: Object = {}
        if self.errors:
            extra["errors"] = list(self.errors)
        extra.update(self._lists)
        extra.update(self._counts)
        extra.update(self._values)
        return {**response, "_extra": extra} if extra else response


def _lenient(data: str) -> Json:
    try:
        return read_json(data)
    except ValueError:
        return data
