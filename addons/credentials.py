"""Keys that callers and providers carry: which header is whose, and how the record names one without holding it."""

import hmac
import os
import secrets
from collections.abc import Mapping
from pathlib import Path

from wire.api import Dialect

KEY_HEADERS: Mapping[Dialect, bytes] = {
    "openai": b"authorization",
    "azure": b"api-key",
    "anthropic": b"x-api-key",
    "gemini": b"x-goog-api-key",
    "bedrock": b"authorization",
    "ollama": b"authorization",
    "cohere": b"authorization",
}
"""The header in which each API expects its key."""

ALL_KEY_HEADERS = frozenset({b"authorization", b"x-api-key", b"api-key", b"x-goog-api-key"})

_SECRET_PARAMETERS = frozenset(
    {"key", "api_key", "api-key", "apikey", "access_token", "token", "auth", "sig", "signature", "x-goog-api-key"}
)


def key_field(dialect: Dialect, key: str) -> tuple[bytes, bytes]:
    """The header field that presents this key to the provider."""
    name = KEY_HEADERS[dialect]
    value = key.encode("ascii", "strict")
    return name, b"Bearer " + value if name == b"authorization" else value


def shown_query(query: str | None) -> str | None:
    """The query as it may be kept: values of parameters that hold secrets become `…`."""
    if query is None or not any(name in query.lower() for name in _SECRET_PARAMETERS):
        return query
    parts = []
    for part in query.split("&"):
        name, equals, _ = part.partition("=")
        parts.append(f"{name}=…" if equals and name.lower() in _SECRET_PARAMETERS else part)
    return "&".join(parts)


class CredentialNames:
    """Names a caller's own provider key by a keyed hash: the same key, the same name; the name gives nothing away."""

    def __init__(self, data_dir: Path) -> None:
        path = data_dir / "keys" / "credential-names.key"
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            self._key = path.read_bytes()
        else:
            self._key = secrets.token_bytes(32)
            with os.fdopen(descriptor, "wb") as file:
                file.write(self._key)

    def of(self, fields: tuple[tuple[bytes, bytes], ...]) -> str | None:
        """The name of the key in these header fields, or None when there is none."""
        for name, value in fields:
            if name.lower() in ALL_KEY_HEADERS:
                key = value.removeprefix(b"Bearer ").removeprefix(b"bearer ").strip()
                return "hmac:" + hmac.digest(self._key, key, "sha256").hex()[:16]
        return None
