"""Who calls, told to OpenAI as a keyed hash in the request's body: the `safety_identifier` of a provider's settings."""

from collections.abc import Mapping
from pathlib import Path

from addons.flows import OpenExchange
from exchange.decision import Deny
from identities.private_file import kept_secret
from settings.schema import Provider
from wire.openai.safety_identifier import NAME, safety_identifier, takes_safety_identifier, with_safety_identifier

CHANGED = (NAME,)
"""What the record says of a request that got one (RECORD.md, `changed`)."""

_UNCOMPRESSED = frozenset({"", "identity"})


class SafetyIdentifiers:
    """Puts the caller's identifier into bodies that take one. The record keeps the body as it came.

    A compressed body holds none that we could put in, and may hold one that the caller made up: a gateway refuses it
    (the SDKs send none). A laptop never refuses a body; there it goes on as it came, and `changed` stays empty.

    Args:
        named: the providers that are told.
        key: of the hash; 32 bytes.
        strict: a gateway.
    """

    def __init__(self, named: frozenset[str], key: bytes, *, strict: bool) -> None:
        self._named = named
        self._key = key
        self._strict = strict

    def tells(self, provider: str) -> bool:
        """Is this provider told who calls?"""
        return provider in self._named

    def put_in(self, seen: OpenExchange, method: str, body: bytes) -> Deny | None:
        """Fills in `seen.onward_body` where this call is to carry one. Walks the whole body: a large one is for a
        thread. The answer is why the call may not pass, if it may not."""
        head, principal = seen.head_in, seen.principal
        assert head is not None
        assert principal is not None
        destination = head.destination
        if not body or destination.provider not in self._named:
            return None
        if not takes_safety_identifier(method, destination.path):
            return None
        if (head.content_encoding or "").strip().lower() not in _UNCOMPRESSED:
            said = "the body is compressed, so no safety_identifier can be put in"
            return Deny("content_encoding_not_supported", reason=said) if self._strict else None
        onward = with_safety_identifier(body, safety_identifier(self._key, principal.subject, principal.issuer))
        if onward is body:
            return Deny("checkpoint_error", reason="safety_identifier could not be put in") if self._strict else None
        seen.onward_body = onward
        return None


def safety_identifiers_from(
    providers: Mapping[str, Provider], data_dir: Path, *, strict: bool
) -> SafetyIdentifiers | None:
    """None when no provider is to be told. The key is made at the first start, under `data_dir/keys`.

    Raises:
        OSError: it cannot be made or read.
        UnusableKey: the file holds something else.
    """
    named = frozenset(name for name, provider in providers.items() if provider.safety_identifier)
    if not named:
        return None
    return SafetyIdentifiers(named, kept_secret(data_dir / "keys" / "safety-identifier.key"), strict=strict)
