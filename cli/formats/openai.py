"""Files that OpenAI's API takes: examples for fine-tuning, and requests for the Batch API.

Sources: platform.openai.com/docs/guides/supervised-fine-tuning (chat format, tools), …/docs/guides/batch (input file).
"""

from typing import Final

import msgspec

from wire.conversation.as_chat import as_chat
from wire.conversation.record import ShownRecord, read_record

_encode = msgspec.json.Encoder().encode


class FineTuning:
    """`{"messages": […], "tools": […]}` a line: the conversation as it was sent, and the answer as its last message.

    Other APIs' conversations are said in the words of Chat Completions; reasoning has no place there.
    """

    continues = True
    needs = "a whole conversation of texts and tool calls"

    def begin(self) -> bytes:
        return b""

    def add(self, line: bytes) -> bytes | None:
        record = read_record(line)
        if record.end_state != "complete":
            return None
        example = as_chat(record.operation, record.request, record.response)
        return None if example is None else _encode(example) + b"\n"

    def end(self) -> bytes:
        return b""


_URLS: Final = {
    "chat": ("/chat/completions", "/v1/chat/completions"),
    "responses": ("/responses", "/v1/responses"),
    "text_completion": ("/completions", "/v1/completions"),
    "embeddings": ("/embeddings", "/v1/embeddings"),
    "moderation": ("/moderations", "/v1/moderations"),
    "image_generation": ("/images/generations", "/v1/images/generations"),
}
"""operation → (how its path ends, whatever stands before it; the `url` that the Batch API takes)."""


class BatchInput:
    """`{"custom_id", "method", "url", "body"}` a line; `custom_id` is the exchange's id. What asks for a stream is left
    out of the body: a batch has none."""

    continues = True
    needs = "a request to an OpenAI API that has batches"

    def begin(self) -> bytes:
        return b""

    def add(self, line: bytes) -> bytes | None:
        record = read_record(line)
        url = _url(record)
        if url is None or not isinstance(record.request, dict) or "_media_type" in record.request:
            return None
        body = {key: value for key, value in record.request.items() if key not in ("stream", "stream_options")}
        if record.request_model is not None:  # Azure has it in the path
            body.setdefault("model", record.request_model)
        return _encode({"custom_id": record.id, "method": "POST", "url": url, "body": body}) + b"\n"

    def end(self) -> bytes:
        return b""


def _url(record: ShownRecord) -> str | None:
    path, url = _URLS.get(record.operation, ("", None))
    return url if url is not None and record.method == "POST" and record.path.endswith(path) else None
