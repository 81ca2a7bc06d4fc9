"""The rows of an exchange: its intent, and its closing, exactly once, whichever way it ends. Appending never waits."""

import asyncio
import time
from collections.abc import Mapping
from typing import Final

from mitmproxy import flow as mitmproxy_flow
from mitmproxy import http

from addons.credentials import shown_query
from addons.flows import OpenExchange, OpenExchanges
from exchange.decision import CODES, Allow
from storage.journal.rows import Arrivals, Closing, Intent, Observed
from storage.journal.writing import Journal

_MESSAGES: Final[tuple[tuple[str, Observed], ...]] = (
    ("Client disconnected", "client_gone"),
    ("Upstream timed out", "timed_out"),
    ("Upstream unreachable", "unreachable"),
    ("Proxy shutting down", "proxy_died"),
)
"""How mitmproxy and our lane say what happened, by the first words of `flow.error.msg`."""

_STATUS: Final[Mapping[Observed, int]] = {"unreachable": 502, "upstream_cut": 502, "timed_out": 504}
"""What a caller got when the provider sent no head."""


_MODES: Final = {"express": "reverse", "checkpoint": "reverse", "regular": "forward"}
"""RECORD.md's words for mitmproxy's names of proxy modes, where they differ."""


class ExchangeCloser:
    """Writes what the worker saw. Whether that was `complete` is for the recorder, which reads the terminal event."""

    def __init__(self, open_exchanges: OpenExchanges, journal: Journal, *, node: str, policy: str) -> None:
        self._open = open_exchanges
        self._journal = journal
        self._node = node
        self._policy = policy

    # -- the intent -------------------------------------------------------------------------------------------------

    def commit_intent(self, flow: http.HTTPFlow, seen: OpenExchange) -> asyncio.Future[None]:
        """The row that must be on disk before anything is forwarded.

        Raises (from the future):
            JournalUnavailable: it is not.
        """
        seen.journaled = True
        body = flow.request.raw_content
        return self._journal.commit(seen.id, self._intent(flow, seen, body), body)

    def append_intent(self, flow: http.HTTPFlow, seen: OpenExchange) -> None:
        """The same row, on its way."""
        seen.journaled = True
        body = flow.request.raw_content
        self._journal.append(seen.id, self._intent(flow, seen, body), body)

    def _intent(self, flow: http.HTTPFlow, seen: OpenExchange, body: bytes | None) -> Intent:
        request, headers, destination, call = flow.request, flow.request.headers, seen.destination, seen.call
        assert destination is not None
        allowed = isinstance(seen.decision, Allow)
        peer = flow.client_conn.peername
        mode = flow.client_conn.proxy_mode.type_name
        return Intent(
            number=seen.number,
            started_at=seen.started_at,
            node=self._node,
            principal=seen.principal,
            credential=seen.credential,
            address=peer[0] if peer else None,
            user_agent=headers.get("user-agent"),
            mode=_MODES.get(mode, mode),
            outcome="allow" if allowed else "deny",
            code=getattr(seen.decision, "code", None),
            rule=seen.decision.rule,
            reason=getattr(seen.decision, "reason", None),
            policy=self._policy,
            provider=destination.provider,
            dialect=destination.dialect,
            method=request.method,
            host=destination.host,
            path=destination.path,
            query=shown_query(destination.query),
            content_type=headers.get("content-type"),
            content_encoding=headers.get("content-encoding"),
            body_bytes=len(body or b""),
            body_kept=body is not None,
            operation=call.operation if call else seen.route.api.operation if seen.route else "other",
            request_model=call.request_model if call else None,
            stream=call.stream if call else False,
        )

    # -- the closing ------------------------------------------------------------------------------------------------

    def response(self, flow: http.HTTPFlow) -> None:
        if flow.websocket is None:  # a WebSocket ends in websocket_end
            self._close(flow, "response_ended", None)

    def error(self, flow: http.HTTPFlow) -> None:
        said = flow.error.msg if flow.error else ""
        seen = self._open.get(flow.id)
        observed: Observed = next((o for words, o in _MESSAGES if said.startswith(words)), "upstream_cut")
        if observed == "upstream_cut" and seen is not None and seen.head is None and _never_connected(flow):
            observed = "unreachable"
        self._close(flow, observed, said)

    def _close(self, flow: http.HTTPFlow, observed: Observed, error: str | None) -> None:
        seen = self._open.pop(flow.id, None)
        if seen is None:
            return
        if not seen.committed:
            if observed in ("response_ended", "proxy_died"):
                observed = "refused"
            error = getattr(seen.decision, "code", None)
        if not seen.journaled:
            self.append_intent(flow, seen)
        now = time.perf_counter()
        asked = seen.asked
        self._journal.append(
            seen.id,
            Closing(
                observed=observed,
                status=self._status(flow, seen, observed),
                head=None if seen.head_written else seen.head,
                arrivals=Arrivals(seen.at, seen.length),
                response_bytes=seen.response_bytes,
                truncated=seen.truncated,
                error=error,
                overhead=int(seen.spent * 1e6),
                ttft=int((seen.first_byte - asked) * 1e6) if seen.first_byte and asked else None,
                duration=int((now - seen.began) * 1e6),
            ),
            b"".join(seen.chunks),
        )

    @staticmethod
    def _status(flow: http.HTTPFlow, seen: OpenExchange, observed: Observed) -> int | None:
        if seen.head is not None:
            return seen.head.status
        if observed == "refused" and flow.response is not None:
            return flow.response.status_code
        if observed == "refused":
            return CODES[getattr(seen.decision, "code", "checkpoint_error")].status
        if observed == "response_ended" and flow.response is not None:
            return flow.response.status_code
        return _STATUS.get(observed)


def _never_connected(flow: mitmproxy_flow.Flow) -> bool:
    server = flow.server_conn
    return server is None or server.timestamp_tcp_setup is None or bool(server.error)
