"""One content block of a Converse message being put together."""

from exchange.call import Json
from wire.cut_json import put_arguments
from wire.extra import Extra
from wire.fields import Object, items, mapping, string


class Content:
    """Deltas of one `contentBlockIndex`. Which kind of block it is, its deltas tell; only tool use, tool results and
    images have a start."""

    def __init__(self, start: Object) -> None:
        self._start = start
        self._pieces: dict[str, list[str]] = {}
        self._citations: list[Json] = []
        self._results: list[Json] = []

    def add(self, delta: Object, extra: Extra) -> None:
        for kind, value in delta.items():
            told = mapping(value)
            match kind:
                case "text":
                    self._grow("text", value)
                case "toolUse":
                    self._grow("input", told.get("input"))
                case "reasoningContent":
                    self._reasoning(told, extra)
                case "citation":
                    self._citations.append(value)
                case "toolResult":
                    self._results.extend(items(value))
                case "image":
                    image = self._start.setdefault("image", {})
                    mapping(image).update(told)
                case _:
                    extra.keep("unknown_events", {kind: value})

    def _reasoning(self, told: Object, extra: Extra) -> None:
        for key, value in told.items():
            if key == "text":
                self._grow("reasoning", value)
            elif key == "signature":
                self._grow("signature", value)
            elif key == "redactedContent":
                self._grow("redacted", value)
            else:
                extra.keep("unknown_events", {"reasoningContent": {key: value}})

    def _grow(self, name: str, piece: Json) -> None:
        self._pieces.setdefault(name, []).append(string(piece))

    def _joined(self, name: str) -> str | None:
        pieces = self._pieces.get(name)
        return None if pieces is None else "".join(pieces)

    def whole(self) -> list[Json]:
        """The block as it would have come unstreamed; a list, since one index may have brought text besides."""
        found: list[Json] = []
        reasoning, signature = self._joined("reasoning"), self._joined("signature")
        if reasoning is not None or signature is not None:
            inner: Object = {"text": reasoning or ""}
            if signature is not None:
                inner["signature"] = signature
            found.append({"reasoningContent": {"reasoningText": inner}})
        redacted = self._joined("redacted")
        if redacted is not None:
            found.append({"reasoningContent": {"redactedContent": redacted}})
        text = self._joined("text")
        if self._citations:
            found.append({"citationsContent": {"content": [{"text": text or ""}], "citations": self._citations}})
        elif text is not None:
            found.append({"text": text})
        if "toolUse" in self._start or "input" in self._pieces:
            found.append({"toolUse": self._tool_use()})
        if "toolResult" in self._start or self._results:
            found.append({"toolResult": {**mapping(self._start.get("toolResult")), "content": self._results}})
        for kind, value in self._start.items():
            if kind not in ("toolUse", "toolResult"):
                found.append({kind: value})
        return found

    def _tool_use(self) -> Object:
        tool = dict(mapping(self._start.get("toolUse")))
        put_arguments(tool, "input", self._joined("input") or "")
        return tool
