"""What Gemini's streams carry that is not in the object, and why. A test holds this against the official SDK."""

from typing import Final

UNFOLDED: Final[dict[str, str]] = {
    "error": "no object has it: under `errors`, and the reply is failed",
    "event_id": "a token to resume the stream with: the last one is under `last_event_id`",
    "step.delta.metadata": "usage up to here, which the interaction's own usage replaces: under `metadata`",
    "step.stop.usage": "usage of one step; steps have no such field: under `step_usage`",
    "step.stop.step_usage": "the same",
}
"""Event type or field of the Interactions API → the reason."""

NOT_ON_THE_WIRE: Final[dict[str, str]] = {
    "GenerateContentResponse.sdk_http_response": "the SDK's own: the HTTP response's headers",
    "GenerateContentResponse.automatic_function_calling_history": "the SDK's own: calls it made by itself",
    "GenerateContentResponse.parsed": "the SDK's own: the text read by the caller's schema",
}
"""Fields of the SDK's types that no server sends."""
