"""One message being put together out of its events."""

from typing import Final

from exchange.call import Json
from wire.cut_json import put_arguments
from wire.extra import Extra
from wire.fields import Object, index, items, mapping, string

_GROWING: Final = {"text_delta": "text", "thinking_delta": "thinking", "input_json_delta": "partial_json"}
"""Delta types that bring a piece of text, and the field it stands in."""

_STARTS: Final = {
    "text_delta": "text",
    "citations_delta": "text",
    "thinking_delta": "thinking",
    "signature_delta": "thinking",
    "input_json_delta": "tool_use",
    "compaction_delta": "compaction",
}
"""The block a delta belongs to, where no `content_block_start` came before it."""


class Block:
    """A content block: as its start gave it, and the pieces that came since."""

    __slots__ = ("_pieces", "fields", "position")

    def __init__(self, position: int, fields: Object) -> None:
        self.position = position
        self.fields = fields
        self._pieces: dict[str, list[str]] = {}

    def grow(self, field: str, piece: str) -> None:
        pieces = self._pieces.get(field)
        if pieces is None:
            pieces = self._pieces[field] = []
        pieces.append(piece)

    def whole(self) -> Object:
        """The block with its pieces joined.

        Tool input is parsed at the end: no text leaves the `input` of the start; text that broke off gives what is
        certain of it, with the text kept beside it.
        """
        for field, pieces in self._pieces.items():
            joined = "".join(pieces)
            if field == "partial_json":
                put_arguments(self.fields, "input", joined)
            else:
                self.fields[field] = string(self.fields.get(field)) + joined
        self._pieces.clear()
        return self.fields


class Message:
    """`message_start.message` is the beginning; blocks and deltas are added by index, never by "the last block"."""

    def __init__(self, start: Object) -> None:
        self.fields = start
        self.stopped = False
        self._blocks: list[Block] = [Block(at, mapping(each)) for at, each in enumerate(items(start.get("content")))]
        self._at: dict[int, Block] = {block.position: block for block in self._blocks}

    def open_block(self, event: Object) -> None:
        """`content_block_start`. An index that comes again opens a further block: nothing is overwritten."""
        position = index(event.get("index"))
        if position is None:
            position = max(self._at, default=-1) + 1
        block = Block(position, mapping(event.get("content_block")))
        self._blocks.append(block)
        self._at[position] = block
        if block.fields.get("type") == "fallback":
            model = mapping(block.fields.get("to")).get("model")
            if model:  # the model that served the answer: the unstreamed message carries its name
                self.fields["model"] = model

    def add_delta(self, event: Object, extra: Extra) -> None:
        """`content_block_delta`."""
        delta = mapping(event.get("delta"))
        kind = string(delta.get("type"))
        start = _STARTS.get(kind)
        if start is None:
            extra.keep("unknown_events", event)
            return
        position = index(event.get("index"))
        block = self._at.get(position) if position is not None else (self._blocks[-1] if self._blocks else None)
        if block is None:
            block = Block(position or 0, {"type": start})
            self._blocks.append(block)
            self._at[block.position] = block
            extra.count("blocks_without_start")
        field = _GROWING.get(kind)
        if field is not None:
            block.grow(field, string(delta.get(field)))
            if "estimated_tokens" in delta:
                extra.put("estimated_tokens", delta["estimated_tokens"])
        elif kind == "signature_delta":
            block.fields["signature"] = delta.get("signature")
        elif kind == "citations_delta":
            citations = block.fields.get("citations")
            if not isinstance(citations, list):
                citations = block.fields["citations"] = []
            citations.append(delta.get("citation"))
        else:  # compaction_delta: each brings the whole
            _overwrite(block.fields, {key: value for key, value in delta.items() if key != "type"})

    def change(self, event: Object) -> None:
        """`message_delta`. Its usage is cumulative: it overwrites key by key, and is never added."""
        _overwrite(self.fields, mapping(event.get("delta")))
        _overwrite(self.fields, {k: v for k, v in event.items() if k not in ("type", "delta", "usage")})
        told = mapping(event.get("usage"))
        if told:
            usage = self.fields.get("usage")
            self.fields["usage"] = usage = dict(mapping(usage))
            _overwrite(usage, told)

    def whole(self) -> Object:
        """The message as it would have come unstreamed, as far as it came."""
        content: list[Json] = [block.whole() for block in sorted(self._blocks, key=lambda block: block.position)]
        return {**self.fields, "content": content} if content or "content" in self.fields else self.fields


def _overwrite(fields: Object, told: Object) -> None:
    """What is told last holds, except that null takes nothing back."""
    for key, value in told.items():
        if value is not None or key not in fields:
            fields[key] = value
