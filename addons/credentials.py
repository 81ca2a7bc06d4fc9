"""How the record and the log name the keys of callers and providers without holding them."""

import hmac
import re
from itertools import pairwise
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

_RUN = re.compile(r"[\w.-]+", re.ASCII)
_BEGINS, _LEAST = "eyJ", 8
"""The compact form of JWS and JWE (RFC 7515 §3.1): base64url parts joined by dots, and a JSON object begins like this.
A part has so many characters more, at least."""


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
    """The path as it may be kept: a signed token in it becomes `…`. Takes time in proportion to its length: everybody
    may send a long one, before anybody asked who they are."""
    return _RUN.sub(_without_token, path) if _BEGINS in path else path


def _without_token(run: re.Match[str]) -> str:
    parts = run[0].split(".")
    for i, (part, following) in enumerate(pairwise(parts)):
        at = part.find(_BEGINS)
        if at >= 0 and len(part) - at >= len(_BEGINS) + _LEAST and len(following) >= _LEAST:
            return ".".join([*parts[:i], part[:at]]) + "…"
    return run[0]


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
