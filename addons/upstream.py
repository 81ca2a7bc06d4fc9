"""What leaves for the provider: no identity, no cookie, the provider's key, the right address."""

from collections.abc import Mapping

from mitmproxy import http

from addons.credentials import ALL_KEY_HEADERS, key_field
from addons.flows import Destination, OpenExchange
from settings.schema import Provider
from wire.api import Dialect

_NEVER = frozenset({b"cookie", b"proxy-authorization", b"proxy-connection"})


class UpstreamRouter:
    """Turns a call that may pass into the request the provider gets. Asked by the gate, just before the door opens.

    Args:
        providers: the settings' providers; their keys are read here, once.
        strip: header names (lower-case) that carry an identity for any issuer, or look as if they did.
        own_keys_pass: callers may bring their own provider key (the local profile, or a provider without one here).
    """

    def __init__(self, providers: Mapping[str, Provider], strip: frozenset[bytes], *, own_keys_pass: bool) -> None:
        self._keys = {name: self._field(provider) for name, provider in providers.items()}
        self._strip = (strip - ALL_KEY_HEADERS) | _NEVER
        self._own_keys_pass = own_keys_pass

    @staticmethod
    def _field(provider: Provider) -> tuple[bytes, bytes] | None:
        dialect: Dialect | None = provider.dialect
        if provider.api_key is None or dialect is None:
            return None
        return key_field(dialect, provider.api_key.read())

    def direct(self, flow: http.HTTPFlow, seen: OpenExchange) -> None:
        """Point the flow at its provider, with the headers it may carry."""
        assert seen.destination is not None
        destination = seen.destination
        request = flow.request
        if not destination.known:
            return  # a host of nobody's settings: passed as it was asked for
        kept = self._kept(request.headers.fields, seen)
        if (key := self._key(destination, kept, seen)) is not None:
            kept = [field for field in kept if field[0].lower() not in ALL_KEY_HEADERS]
            kept.append(key)
        request.headers = http.Headers(kept)
        request.scheme = destination.scheme
        request.data.host = destination.host
        request.data.port = destination.port
        request.data.authority = b""
        request.data.path = destination.target.encode("utf-8", "surrogateescape")
        request.headers["host"] = _authority(destination)

    def _kept(self, fields: tuple[tuple[bytes, bytes], ...], seen: OpenExchange) -> list[tuple[bytes, bytes]]:
        identity = seen.identified.header if seen.identified else None
        kept = []
        for field in fields:
            low = field[0].lower().replace(b"_", b"-")
            if low == identity or low in self._strip:
                continue
            if identity is not None and low in ALL_KEY_HEADERS and self._carries(field[1], fields, identity):
                continue
            kept.append(field)
        return kept

    @staticmethod
    def _carries(value: bytes, fields: tuple[tuple[bytes, bytes], ...], identity: bytes) -> bool:
        """Is this the identity token once more, in another key header? Some SDKs send it in two."""
        token = next((v for n, v in fields if n.lower() == identity), b"").rpartition(b" ")[2]
        return bool(token) and value.rpartition(b" ")[2] == token

    def _key(
        self, destination: Destination, kept: list[tuple[bytes, bytes]], seen: OpenExchange
    ) -> tuple[bytes, bytes] | None:
        ours = self._keys[destination.provider]
        if ours is None or not self._own_keys_pass or seen.identified is not None:
            return ours
        # On a laptop the caller's own key goes through as it came; ours helps out where there is none.
        return None if any(name.lower() in ALL_KEY_HEADERS for name, _ in kept) else ours


def _authority(destination: Destination) -> str:
    host = f"[{destination.host}]" if ":" in destination.host else destination.host
    usual = 443 if destination.scheme == "https" else 80
    return host if destination.port == usual else f"{host}:{destination.port}"
