"""What is asked."""

from dataclasses import dataclass
from typing import Literal

type Json = dict[str, Json] | list[Json] | str | int | float | bool | None

Operation = Literal[
    "chat",
    "responses",
    "text_completion",
    "embeddings",
    "generate_content",
    "messages",
    "transcription",
    "speech",
    "image_generation",
    "realtime",
    "moderation",
    "other",
]

TextKind = Literal["user", "answer", "tool"]


@dataclass(frozen=True, slots=True)
class Text:
    """A piece of what was said, for search and for policies that read: by the caller, the model, or a tool."""

    kind: TextKind
    text: str


@dataclass(frozen=True, slots=True)
class Call:
    """One request, understood. `inspected` is False when the body could not be read: never guessed.

    `other_models` are those that the provider may take in place of `request_model`: fallbacks that the caller names,
    and a name in the body beside the one in the path. A rule must let all of them pass.
    `stream` is what was asked for (in the body, or by the path); `body` is the request as parsed JSON, or for
    multipart and other media an object that names parts and sizes; None when it could not be read.
    """

    operation: Operation
    request_model: str | None
    stream: bool
    inspected: bool
    body: Json = None
    other_models: tuple[str, ...] = ()
