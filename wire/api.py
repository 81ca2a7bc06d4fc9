"""What every API of every provider has in common: a row of functions, one such row in each API's file."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import msgspec

from exchange.call import Json, Operation, Text
from exchange.reply import Reply

Dialect = Literal["openai", "azure", "anthropic", "gemini", "bedrock", "ollama", "cohere"]


class Event(msgspec.Struct, frozen=True, gc=False):  # a stream has hundreds; these are made quickly
    """One event of a stream, whatever its framing: SSE event, JSON line, array element, binary frame.

    `name` is the SSE `event:` field or the binary frame's `:event-type`; empty when there is none.
    `field` is "error" for the SSE field of that name, which some servers send in place of `data`.
    """

    data: str
    name: str = ""
    field: Literal["data", "error"] = "data"

    @property
    def is_done(self) -> bool:
        """Is it the mark `[DONE]`, with which OpenAI and many others end a body?"""
        return self.field == "data" and self.data.lstrip().startswith("[DONE]")


class Folder(Protocol):
    """Events in, the unstreamed object out. `add` never raises for what came over the wire."""

    def add(self, event: Event) -> None: ...

    def close(self) -> Reply: ...


@dataclass(frozen=True, slots=True)
class Turn:
    """What was asked and answered over a WebSocket, once: `request` stands where a request's body would."""

    request: Json
    reply: Reply
    texts: tuple[Text, ...] = ()  # what was said to the model
    model: str | None = None  # that was asked for


@dataclass(frozen=True, slots=True)
class Api:
    """One API. `whole` reads an unstreamed body that is JSON; `texts` gives what is new in a request body.

    `streams` says whether a call with this body asks for a stream (most APIs: `"stream": true`).
    `models` is set where a body names models elsewhere than in `model`; what stands there and is no name is "".
    `turn` is set where the API speaks over a WebSocket too: the caller's messages and the provider's, as a turn.
    """

    operation: Operation
    folder: Callable[[], Folder]
    whole: Callable[[Json], Reply]
    texts: Callable[[Json], tuple[Text, ...]]
    streams: Callable[[Mapping[str, Json]], bool]
    media: Literal["json", "multipart", "any"] = "json"
    turn: Callable[[Sequence[bytes], Sequence[Event]], Turn] | None = None
    models: Callable[[Json], Sequence[str]] | None = None


@dataclass(frozen=True, slots=True)
class Route:
    """Where a path leads. `model` and `stream` are set where the path itself says so (Gemini, Azure, Bedrock).

    `path_decides`: a model in the body beside that in the path means nothing. Of a server that merely has such paths
    nobody knows which of the two it takes.
    """

    api: Api
    model: str | None = None
    stream: bool | None = None
    path_decides: bool = True


class ReplyReader(Protocol):
    """Reply bytes as they came over the wire, in any cuts; then the reply. Memory is bounded."""

    def feed(self, data: bytes) -> None: ...

    def close(self) -> Reply: ...


class BodyProblem(ValueError):  # noqa: N818 (what is wrong lies with the caller; nothing here failed)
    """A request body that cannot be accepted; `code` is one of exchange.decision.CODES."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code
