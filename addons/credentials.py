"""How the record and the log name the keys of callers and providers without holding them."""

import hmac
import re
from pathlib import Path
from urllib.parse import unquote_plus

from identities.private_file import kept_secret
from upstreams.credential import SECRET_FIELDS

_SECRET_PARAMETERS = frozenset(
    {
        "key",
        "api_key",
        "api-key",
        "apikey",
        "x-api-key",
        "x-goog-api-key",
        "subscription-key",
        "ocp-apim-subscription-key",
        "access_token",
        "id_token",
        "refresh_token",
        "token",
        "auth",
        "authorization",
        "client_secret",
        "secret",
        "password",
        "passwd",
        "pwd",
        "code",
        "sig",
        "signature",
        "x-amz-signature",
        "x-amz-security-token",
        "x-amz-credential",
        "x-goog-signature",
        "x-goog-credential",
    }
)

_SIGNED_TOKEN = re.compile(r"eyJ[\w-]{8,}\.[\w-]{8,}(?:\.[\w-]*)*", re.ASCII)
"""The compact form of JWS and JWE (RFC 7515 §3.1): a JSON object in base64url begins like this."""


def shown_query(query: str | None) -> str | None:
    """The query as it may be kept: values of parameters that hold secrets, and signed tokens anywhere, become `…`."""
    if query is None:
        return None
    parts = []
    for part in query.split("&"):
        name, equals, _ = part.partition("=")
        parts.append(f"{name}=…" if equals and unquote_plus(name).strip().lower() in _SECRET_PARAMETERS else part)
    return shown_path("&".join(parts))


def shown_path(path: str) -> str:
    """The path as it may be kept: a signed token in it becomes `…`."""
    return _SIGNED_TOKEN.sub("…", path)


class CredentialNames:
    """Names a provider key by a keyed hash: the same key, the same name; the name gives nothing away."""

    def __init__(self, data_dir: Path) -> None:
        """Raises OSError, UnusableKey as `kept_secret`."""
        self._key = kept_secret(data_dir / "keys" / "credential-names.key")

    def of(self, fields: tuple[tuple[bytes, bytes], ...]) -> str | None:
        """The name of the key in these header fields, or None when there is none."""
        for name, value in fields:
            if name.lower() in SECRET_FIELDS:
                return self._name(value.removeprefix(b"Bearer ").removeprefix(b"bearer ").strip())
        return None

    def name(self, key: str) -> str:
        """The name of this key."""
        return self._name(key.encode("utf-8", "surrogatepass"))

    def _name(self, key: bytes) -> str:
        return "hmac:" + hmac.digest(self._key, key, "sha256").hex()[:16]
