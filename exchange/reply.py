"""What came back."""

from dataclasses import dataclass
from typing import Literal

from exchange.call import Json, Text

Ended = Literal["terminal", "settled", "failed", "open"]
"""What the bytes themselves say of the end (WIRE §2.3):

terminal  the API's own terminal event came, or an unstreamed body is whole
settled   no terminal event, but nothing is missing either: complete if the connection ended cleanly
failed    an error event came, whatever followed it
open      more should have come
"""


@dataclass(frozen=True, slots=True)
class Usage:
    """Token counts as the provider gave them. `input_tokens` counts all input, cached input included."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_input_tokens: int | None = None
    reasoning_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """The object the API would have returned had `stream` been false; of a cut stream, as far as it came.

    What has no place in that object (error events, unknown events, counts of bad lines) is under
    `response["_extra"]`. `usage` is None when the provider gave none.
    """

    response: Json
    ended: Ended
    response_model: str | None = None
    usage: Usage | None = None
    finish_reasons: tuple[str | None, ...] = ()
    texts: tuple[Text, ...] = ()
