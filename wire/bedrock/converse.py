"""Amazon Bedrock Converse and ConverseStream.

Unstreamed: `{output: {message: {role, content}}, stopReason, usage, metrics, …}`. Streamed: `messageStart`,
`contentBlockStart|Delta|Stop` by `contentBlockIndex`, `messageStop`, `metadata`. Each event's `p` is padding against
guessing sizes. Source: Amazon Bedrock Runtime API reference, ConverseStream.
"""

from collections.abc import Mapping

from exchange.call import Json, Text
from exchange.reply import Ended, Reply, Usage
from wire.api import Api, Event
from wire.bedrock.content import Content
from wire.extra import Extra
from wire.fields import Object, compact, count, index, items, mapping, string, total
from wire.json_text import fit
from wire.turns import called, kept, new_turns

KINDS = ("messageStart", "contentBlockStart", "contentBlockDelta", "contentBlockStop", "messageStop", "metadata")


class ConverseFolder:
    """Events in, one Converse response out. Terminal is `messageStop`; `metadata` with the usage follows it."""

    def __init__(self, extra: Extra | None = None) -> None:
        self._fields: Object = {}
        self._role: Json = None
        self._content: dict[int, Content] = {}
        self._stopped = False
        self._extra = extra or Extra()

    def add(self, event: Event) -> None:
        if event.field == "error":
            self._extra.failed(exception_of(event))
            return
        payload = self._extra.payload(event)
        if payload is not None:
            self.add_payload(payload, event.name)

    def add_payload(self, payload: Object, name: str = "") -> None:
        """One event. InvokeModel's streams of Amazon Nova carry the same events, wrapped under their name."""
        match name:
            case "contentBlockDelta":
                self._block(payload).add(mapping(payload.get("delta")), self._extra)
            case "contentBlockStart":
                self._start(payload)
            case "contentBlockStop":
                pass  # no content; a block without its stop is kept as it is
            case "messageStart":
                self._role = payload.get("role") or self._role
            case "messageStop":
                self._stopped = True
                self._tell(payload)
            case "metadata":
                self._tell(payload)
            case "" if len(payload) == 1 and next(iter(payload)) in KINDS:
                kind, inner = next(iter(payload.items()))
                self.add_payload(mapping(inner), kind)
            case _:
                self._extra.keep("unknown_events", {"name": name, "payload": payload} if name else payload)

    def _tell(self, payload: Object) -> None:
        for key, value in payload.items():
            if key != "p" and value is not None:
                self._fields[key] = value

    def _start(self, payload: Object) -> None:
        at = self._position(payload)
        replaced = self._content.get(at)
        if replaced is not None:
            self._extra.keep("replaced_blocks", replaced.whole())
        self._content[at] = Content(dict(mapping(payload.get("start"))))

    def _position(self, payload: Object) -> int:
        at = index(payload.get("contentBlockIndex"))
        return max(self._content, default=0) if at is None else at

    def _block(self, payload: Object) -> Content:
        at = self._position(payload)
        block = self._content.get(at)
        if block is None:
            block = self._content[at] = Content({})
        return block

    def close(self) -> Reply:
        response: Object = {}
        if self._role is not None or self._content:
            content: list[Json] = [each for at in sorted(self._content) for each in self._content[at].whole()]
            message: Object = {"role": self._role or "assistant", "content": content}
            response["output"] = {"message": message}
        response.update(self._fields)
        ended: Ended = "failed" if self._extra.errors else "terminal" if self._stopped else "open"
        return reply_of(mapping(fit(self._extra.on(response))), ended)


def exception_of(event: Event) -> Object:
    """An exception frame as an object: `type` is the exception's, beside what its payload says."""
    said = Extra().payload(Event(event.data))
    return {"type": event.name, **({"message": event.data} if said is None else said)}


def reply_of(response: Object, ended: Ended) -> Reply:
    """A Converse response, whole or as far as it came, as a Reply. The model stands in the path, not here."""
    message = mapping(mapping(response.get("output")).get("message"))
    reason = response.get("stopReason")
    return Reply(
        response=response,
        ended=ended,
        usage=usage_of(response.get("usage")),
        finish_reasons=(reason if isinstance(reason, str) else None,) if message or reason else (),
        texts=kept("answer", (_said(mapping(each)) for each in items(message.get("content")))),
    )


def usage_of(value: Json) -> Usage | None:
    """`usage`. As at Anthropic, `inputTokens` leaves out what was read from or written to the cache."""
    told = mapping(value)
    read = count(told.get("cacheReadInputTokens"))
    usage = Usage(
        input_tokens=total(count(told.get("inputTokens")), read, count(told.get("cacheWriteInputTokens"))),
        output_tokens=count(told.get("outputTokens")),
        cached_input_tokens=read,
    )
    return None if usage == Usage() else usage


def _said(block: Object) -> str:
    tool = mapping(block.get("toolUse"))
    if tool:
        return called(tool.get("name"), tool.get("input", {}))
    cited = items(mapping(block.get("citationsContent")).get("content"))
    return string(block.get("text")) or "".join(string(mapping(each).get("text")) for each in cited)


def whole(body: Json) -> Reply:
    """An unstreamed response, or an error body (`{"message": …}`)."""
    if not isinstance(body, dict) or "output" not in body:
        return Reply(response=body, ended="terminal")
    return reply_of(body, "terminal")


def texts(body: Json) -> tuple[Text, ...]:
    """What is new in a request: the caller's text, and what tools gave back."""
    found: list[Text] = []
    for turn in new_turns(mapping(body).get("messages")):
        for each in items(turn.get("content")):
            block = mapping(each)
            found += kept("user", (string(block.get("text")),))
            for result in items(mapping(block.get("toolResult")).get("content")):
                told = mapping(result)
                found += kept("tool", (string(told.get("text")) or (compact(told["json"]) if "json" in told else ""),))
    return tuple(found)


def streams(_: Mapping[str, Json]) -> bool:
    """Never by the body: the path's method says so."""
    return False


API = Api(operation="chat", folder=ConverseFolder, whole=whole, texts=texts, streams=streams)
