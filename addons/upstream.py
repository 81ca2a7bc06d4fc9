"""What leaves for the provider: no identity, no cookie, the provider's key, the right address."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from mitmproxy import http

from addons.flows import Destination, OpenExchange
from addons.heads import Fields, Head, framing
from exchange.decision import Deny
from identities.presented import one_name
from settings.web_address import is_loopback
from upstreams.credential import CREDENTIAL_FIELDS, Credential, CredentialUnavailable, Outgoing
from upstreams.provider_credentials import Upstreams
from wire.same_site import strange_name, strange_page

_LARGE = 256 << 10  # bytes; a larger body is hashed off the event loop


class UpstreamRouter:
    """Turns a call that may pass into the request the provider gets. Asked by the gate, just before the door opens.

    Args:
        upstreams: what the providers are shown.
        own_keys_pass: callers without an identity may bring their own provider key (the local profile).
        origins: whose pages may call with ours there, beside this machine's own.
    """

    def __init__(self, upstreams: Upstreams, *, own_keys_pass: bool, origins: Sequence[str] = ()) -> None:
        self._upstreams = upstreams
        self._own_keys_pass = own_keys_pass
        self._origins = frozenset(origins)

    def equip(self, flow: http.HTTPFlow, seen: OpenExchange) -> Deny | None:
        """Choose what the provider is shown; a refusal when that cannot be had, or must not be."""
        head = seen.head_in
        assert head is not None
        destination = head.destination
        if not destination.known:
            return None  # a host of nobody's settings: it is shown nothing
        # On a laptop the caller's own key goes through as it came, and ours helps out where there is none; but what it
        # signed for our address cannot stand at the provider's.
        owns = self._own_keys_pass and seen.identified is None and head.brings_key
        if owns and not self._upstreams.signs(destination.provider):
            return None
        domain = seen.principal.domain if seen.principal is not None else None
        try:
            shown = self._upstreams.choose(destination.provider, domain, seen.decision.rule, seen.started_at / 1e6)
        except CredentialUnavailable as unavailable:
            return Deny(unavailable.code, reason=str(unavailable))
        if shown is not None and shown.sign is not None and not head.target.isascii():
            return Deny("bad_path", reason="nobody can say which bytes a signature should cover here")
        if shown is not None and seen.identified is None and (stranger := self._stranger(flow, head)) is not None:
            return Deny("cross_site", reason=f"{stranger} may not call with this machine's key")
        seen.shown = shown
        return None

    def _stranger(self, flow: http.HTTPFlow, head: Head) -> str | None:
        """Who asks in the place of this laptop's user: a web site that is open in a browser on it reaches loopback."""
        fields = flow.request.data.headers.fields
        if (page := strange_page(fields, self._origins)) is not None:
            return f"a page of {page[:200]}"
        here = flow.client_conn.sockname
        if head.proxied is None and here and is_loopback(here[0]):
            host = flow.request.data.headers.get("host", "")
            if strange_name(host):
                return f"a page of {host[:200]}, a name that was made to lead here,"
        return None

    def direct(self, flow: http.HTTPFlow, seen: OpenExchange) -> Awaitable[None] | None:
        """Point the flow at its provider, with the headers it may carry and what was chosen to be shown. Call it when
        nothing of the request will change any more: it may be signed, and what is given back awaited."""
        assert seen.head_in is not None
        head, destination, shown = seen.head_in, seen.head_in.destination, seen.shown
        if not destination.known:
            return None  # a host of nobody's settings: passed as it was asked for
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
        return self._sign(data, destination, shown.sign) if shown is not None and shown.sign is not None else None

    async def _sign(self, data: http.RequestData, destination: Destination, sign: Callable[[Outgoing], Fields]) -> None:
        outgoing = Outgoing(
            method=data.method.decode("ascii"),
            scheme=destination.scheme,
            authority=_authority(destination).decode("ascii"),
            target=data.path.decode("ascii"),
            fields=data.headers.fields,
            body=data.content or b"",
        )
        if len(outgoing.body) > _LARGE:
            added = await asyncio.get_running_loop().run_in_executor(None, sign, outgoing)
        else:
            added = sign(outgoing)
        # The length stays last, where the lane looks for it.
        data.headers.fields = (*added, *data.headers.fields)

    def redirect(self, flow: http.HTTPFlow, seen: OpenExchange) -> bool:
        """The provider answered 401 before anything of it was passed on: show it the next key, once a call. False when
        there is none."""
        if seen.shown is None or seen.refused is not None or seen.head_in is None:
            return False
        provider = seen.head_in.destination.provider
        instead = self._upstreams.instead_of(provider, seen.shown, seen.started_at / 1e6)
        if instead is None:
            return False
        if instead.sign is not None:
            return False  # signing may wait, and keys that are refused in turn are no signatures
        seen.refused, seen.shown = seen.shown, instead
        self.direct(flow, seen)
        return True

    def answered(self, seen: OpenExchange, status: int) -> None:
        """The head of the answer that the caller gets is here, and it is a 401, or came of a second try."""
        if seen.shown is not None and seen.head_in is not None:
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
