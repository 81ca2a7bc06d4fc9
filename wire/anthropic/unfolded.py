"""What Anthropic's streams carry that is not in the message, and why. A test holds this against the official SDK."""

from typing import Final

UNFOLDED: Final[dict[str, str]] = {
    "ping": "keeps the connection open; says nothing, so nothing of it is kept",
    "error": "no message has it: under `errors`, and the reply is failed",
    "content_block_stop": "closes a block; says nothing but its index (more than that is under `unknown_events`)",
    "message_stop": "the terminal event; says nothing of its own (Bedrock's metrics in it are under their own name)",
    "thinking_delta.estimated_tokens": "an estimate for progress bars, no field of a block: under `estimated_tokens`",
}
"""Event type, or delta type and field → the reason."""
