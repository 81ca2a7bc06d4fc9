"""What leaves for the provider: no identity, no cookie, the provider's key, the right address."""

from collections.abc import Mapping

from mitmproxy import http

from addons.credentials import ALL_KEY_HEADERS, key_field
from addons.flows import Destination, OpenExchange
from addons.heads import Fields, Head, framing
from identities.presented import one_name
from settings.schema import Provider


class UpstreamRouter:
    """Turns a call that may pass into the request the provider gets. Asked by the gate, just before the door opens.

    Args:
        providers: the settings' providers; their keys are read here, once.
        own_keys_pass: callers without an identity may bring their own provider key (the local profile).
    """

    def __init__(self, providers: Mapping[str, Provider], *, own_keys_pass: bool) -> None:
        self._keys = {name: _key_of(provider) for name, provider in providers.items()}
        self._own_keys_pass = own_keys_pass

    def direct(self, flow: http.HTTPFlow, seen: OpenExchange) -> None:
        """Point the flow at its provider, with the headers it may carry."""
        assert seen.head_in is not None
        head, destination = seen.head_in, seen.head_in.destination
        if not destination.known:
            return  # a host of nobody's settings: passed as it was asked for
        carriers = seen.identified.carriers or (seen.identified.header,) if seen.identified else ()
        onward = head.onward.get(carriers)
        if onward is None:
            onward = head.onward[carriers] = self._onward(head, carriers)
        data = flow.request.data
        data.headers.fields = onward + framing(data.headers.fields)
        data.scheme = destination.scheme.encode()
        data.host = destination.host
        data.port = destination.port
        data.authority = b""
        data.path = destination.target.encode("utf-8", "surrogateescape")

    def _onward(self, head: Head, carriers: tuple[bytes, ...]) -> Fields:
        kept = [f for f in head.fields if (name := one_name(f[0])) not in carriers and name != b"host"]
        if (key := self._key(head.destination, kept, identified=bool(carriers))) is not None:
            kept = [field for field in kept if field[0].lower() not in ALL_KEY_HEADERS]
            kept.append(key)
        return ((b"Host", _authority(head.destination)), *kept)

    def _key(
        self, destination: Destination, kept: list[tuple[bytes, bytes]], *, identified: bool
    ) -> tuple[bytes, bytes] | None:
        ours = self._keys[destination.provider]
        if ours is None or identified or not self._own_keys_pass:
            return ours
        # On a laptop the caller's own key goes through as it came; ours helps out where there is none.
        return None if any(name.lower() in ALL_KEY_HEADERS for name, _ in kept) else ours


def _key_of(provider: Provider) -> tuple[bytes, bytes] | None:
    if provider.api_key is None or provider.dialect is None:
        return None
    return key_field(provider.dialect, provider.api_key.read())


def _authority(destination: Destination) -> bytes:
    host = f"[{destination.host}]" if ":" in destination.host else destination.host
    usual = 443 if destination.scheme == "https" else 80
    return (host if destination.port == usual else f"{host}:{destination.port}").encode()
