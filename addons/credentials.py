"""How the record and the log name the keys of callers and providers without holding them."""

import hmac
from pathlib import Path

from identities.private_file import kept_secret
from upstreams.credential import CREDENTIAL_FIELDS

_SECRET_PARAMETERS = frozenset(
    {"key", "api_key", "api-key", "apikey", "access_token", "token", "auth", "sig", "signature", "x-goog-api-key"}
)


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
    """Names a provider key by a keyed hash: the same key, the same name; the name gives nothing away."""

    def __init__(self, data_dir: Path) -> None:
        """Raises OSError, UnusableKey as `kept_secret`."""
        self._key = kept_secret(data_dir / "keys" / "credential-names.key")

    def of(self, fields: tuple[tuple[bytes, bytes], ...]) -> str | None:
        """The name of the key in these header fields, or None when there is none."""
        for name, value in fields:
            if name.lower() in CREDENTIAL_FIELDS:
                return self._name(value.removeprefix(b"Bearer ").removeprefix(b"bearer ").strip())
        return None

    def name(self, key: str) -> str:
        """The name of this key."""
        return self._name(key.encode("utf-8", "surrogatepass"))

    def _name(self, key: bytes) -> str:
        return "hmac:" + hmac.digest(self._key, key, "sha256").hex()[:16]
