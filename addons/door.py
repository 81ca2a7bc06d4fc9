"""What a lane may ask the gate (lanes/express/door.py says what each question means)."""

from collections.abc import Callable, Collection

from mitmproxy import http

from addons.flows import OpenExchanges
from addons.front_pages import FrontPages
from addons.gate import AccessGate
from addons.page_sockets import PageSocket
from addons.refusals import refusal
from addons.sessions import Session
from addons.tee import StreamTee
from addons.uploads import Recording
from exchange.decision import Deny
from identities.verifier import Identified
from storage.journal.writing import Journal


class LaneDoor:
    """Is this refused for good; refuse it for a fault in what followed the head; may it become a WebSocket?"""

    def __init__(
        self,
        gate: AccessGate,
        open_exchanges: OpenExchanges,
        tee: StreamTee,
        journal: Journal,
        pages: FrontPages | None = None,
        *,
        has_revoked: Callable[[Identified], bool] | None = None,
    ) -> None:
        self._gate = gate
        self._has_revoked = has_revoked  # None: streams of who is revoked go on to their end
        self._pages = pages
        self._open = open_exchanges
        self._tee = tee
        self._journal = journal

    def settled(self, flow: http.HTTPFlow) -> bool:
        """Is `flow.response` final, so that the body need not be read?"""
        seen = self._open.get(flow.id)
        if seen is None and self._pages is not None and self._pages.waits_for_body(flow):
            return False
        return flow.response is not None and (seen is None or seen.settled)

    def refuse(self, flow: http.HTTPFlow, code: str) -> None:
        """Refuse the flow with this code; the `response` hook that follows records it."""
        seen = self._open.get(flow.id)
        if seen is None and self._pages is not None and self._pages.is_open(flow):
            self._pages.refuse(flow, code)
        elif seen is None:
            flow.response = refusal(Deny(code), "openai", "")
        else:
            self._gate.refuse(flow, seen, Deny(code))

    def again(self, flow: http.HTTPFlow) -> bool:
        """The provider answered 401, and nobody has seen that yet. True: `flow.request` shows it another key now, and
        is to be sent once more."""
        seen = self._open.get(flow.id)
        return seen is not None and self._gate.shows_another_key(flow, seen)

    def session(self, flow: http.HTTPFlow) -> Session | PageSocket | None:
        """What judges and records the messages of this WebSocket; None when the gate let pass no such thing."""
        seen = self._open.get(flow.id)
        if seen is None:
            return self._pages.socket(flow) if self._pages is not None else None
        return self._gate.session(
            flow, seen, self._tee, self._journal, is_expelled=lambda: self._is_expelled(seen.identified)
        )

    def upload(self, flow: http.HTTPFlow) -> Recording | None:
        """What records the body of this call as it goes on; None when the gate let pass no such thing."""
        seen = self._open.get(flow.id)
        return None if seen is None else self._gate.upload(flow, seen, self._journal)

    def expelled(self) -> Collection[str]:
        """Flows of people who were revoked since they passed."""
        if self._has_revoked is None:
            return ()
        expelled = [flow for flow, seen in self._open.items() if seen.committed and self._is_expelled(seen.identified)]
        return expelled if self._pages is None else expelled + self._pages.expelled(self._is_expelled)

    def _is_expelled(self, known: Identified | None) -> bool:
        return known is not None and self._has_revoked is not None and self._has_revoked(known)

    def refusal(self, code: str) -> http.Response:
        """The answer to a fault without a flow: a head that could not be read, or too many connections."""
        return refusal(Deny(code), "openai", "")
