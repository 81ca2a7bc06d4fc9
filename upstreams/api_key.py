"""A key as the provider issued it, in the header field its API expects."""

from collections.abc import Mapping

from settings.schema import Dialect
from upstreams.credential import Fields

KEY_FIELDS: Mapping[Dialect, bytes] = {
    "openai": b"authorization",
    "azure": b"api-key",
    "anthropic": b"x-api-key",
    "gemini": b"x-goog-api-key",
    "bedrock": b"authorization",
    "ollama": b"authorization",
    "cohere": b"authorization",
}
"""The field in which each API expects its key."""


def key_fields(dialect: Dialect, secret: str) -> Fields:
    """What presents this key to an API of this dialect. `secret` must be `usable`."""
    name, value = KEY_FIELDS[dialect], secret.encode("ascii")
    return ((name, b"Bearer " + value if name == b"authorization" else value),)
