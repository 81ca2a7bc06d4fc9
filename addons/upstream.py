"""What leaves for the provider: no identity, no cookie, the provider's key, the right address."""

from mitmproxy import http

from addons.flows import Destination, OpenExchange
from addons.heads import Fields, Head, framing
from exchange.decision import Deny
from identities.presented import one_name
from upstreams.credential import CREDENTIAL_FIELDS, Credential, CredentialUnavailable
from upstreams.provider_credentials import Upstreams


class UpstreamRouter:
    """Turns a call that may pass into the request the provider gets. Asked by the gate, just before the door opens.

    Args:
        upstreams: what the providers are shown.
        own_keys_pass: callers without an identity may bring their own provider key (the local profile).
    """

    def __init__(self, upstreams: Upstreams, *, own_keys_pass: bool) -> None:
        self._upstreams = upstreams
        self._own_keys_pass = own_keys_pass

    def equip(self, seen: OpenExchange) -> Deny | None:
        """Choose what the provider is shown; a refusal when that cannot be had."""
        head = seen.head_in
        assert head is not None
        if self._own_keys_pass and seen.identified is None and head.brings_key:
            return None  # on a laptop the caller's own key goes through as it came; ours helps out where there is none
        domain = seen.principal.domain if seen.principal is not None else None
        try:
            seen.shown = self._upstreams.choose(
                head.destination.provider, domain=domain, rule=seen.decision.rule, now=seen.started_at / 1e6
            )
        except CredentialUnavailable as unavailable:
            return Deny(unavailable.code, reason=str(unavailable))
        return None

    def direct(self, flow: http.HTTPFlow, seen: OpenExchange) -> None:
        """Point the flow at its provider, with the headers it may carry and what was chosen to be shown."""
        assert seen.head_in is not None
        head, destination, shown = seen.head_in, seen.head_in.destination, seen.shown
        if not destination.known:
            return  # a host of nobody's settings: passed as it was asked for
        carriers = seen.identified.carriers or (seen.identified.header,) if seen.identified else ()
        known = head.onward.get(carriers)
        if known is None or known[0] is not shown:
            known = head.onward[carriers] = shown, _onward(head, carriers, shown)
        data = flow.request.data
        if seen.onward_body is None:
            data.headers.fields = known[1] + framing(data.headers.fields)
        else:
            data.content = seen.onward_body
            data.headers.fields = (*known[1], (b"Content-Length", b"%d" % len(seen.onward_body)))
        data.scheme = head.scheme
        data.host = destination.host
        data.port = destination.port
        data.authority = b""
        data.path = head.target

    def redirect(self, flow: http.HTTPFlow, seen: OpenExchange) -> bool:
        """The provider answered 401 before anything of it was passed on: show it the next key, once a call. False when
        there is none."""
        if seen.shown is None or seen.refused is not None or seen.head_in is None:
            return False
        provider = seen.head_in.destination.provider
        instead = self._upstreams.instead_of(provider, seen.shown, seen.started_at / 1e6)
        if instead is None:
            return False
        seen.refused, seen.shown = seen.shown, instead
        self.direct(flow, seen)
        return True

    def answered(self, seen: OpenExchange, status: int) -> None:
        """The head of the answer that the caller gets is here."""
        if seen.shown is not None and seen.head_in is not None and (status == 401 or seen.refused is not None):
            provider = seen.head_in.destination.provider
            self._upstreams.answered(provider, seen.shown, status, seen.started_at / 1e6, after=seen.refused)


def _onward(head: Head, carriers: tuple[bytes, ...], shown: Credential | None) -> Fields:
    kept = [f for f in head.fields if (name := one_name(f[0])) not in carriers and name != b"host"]
    if shown is not None:
        kept = [field for field in kept if field[0].lower() not in CREDENTIAL_FIELDS]
        kept += shown.fields
    return ((b"Host", _authority(head.destination)), *kept)


def _authority(destination: Destination) -> bytes:
    host = f"[{destination.host}]" if ":" in destination.host else destination.host
    usual = 443 if destination.scheme == "https" else 80
    return (host if destination.port == usual else f"{host}:{destination.port}").encode()
