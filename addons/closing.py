"""The rows of an exchange: its intent, and its closing, exactly once, whichever way it ends. Appending never waits."""

import asyncio
import logging
import time
from collections.abc import Mapping
from typing import Final

import msgspec
from mitmproxy import flow as mitmproxy_flow
from mitmproxy import http
from mitmproxy.connection import Client

from addons.flows import Destination, OpenExchange, OpenExchanges
from addons.heads import Head, bare_head
from addons.safety import CHANGED
from exchange.decision import CODES, Decision, Deny
from policies.rules import RuleBook
from storage.journal.rows import Arrivals, Closing, Intent, Observed
from storage.journal.writing import Journal
from wire.grpc import is_message_type, status_of
from wire.json_seq import MEDIA_TYPE as JSON_SEQUENCE

log = logging.getLogger(__name__)

_SHOWN: Final = 2048
"""Characters of a refused request's path, query and header values that are kept: anybody can send long ones."""

_MESSAGES: Final[tuple[tuple[str, Observed], ...]] = (
    ("Client disconnected", "client_gone"),
    ("stream reset by client", "client_gone"),
    ("HTTP/2 connection closed", "client_gone"),
    ("HTTP/2 protocol error", "client_gone"),
    ("Too many resets", "client_gone"),
    ("Upstream timed out", "timed_out"),
    ("Upstream unreachable", "unreachable"),
    ("Proxy shutting down", "proxy_died"),
    ("Revoked", "refused"),
    ("Refused: ", "refused"),
)
"""How mitmproxy and our lane say what happened, by the first words of `flow.error.msg`."""

_STATUS: Final[Mapping[Observed, int]] = {"unreachable": 502, "upstream_cut": 502, "timed_out": 504}
"""What a caller got when the provider sent no head."""


_MODES: Final = {
    "express": "reverse",
    "checkpoint": "reverse",
    "regular": "forward",
    "diverted": "transparent",
    "tunnelled": "wireguard",
    "captured": "local",
}
"""RECORD.md's words for mitmproxy's names of proxy modes, where they differ."""


def mode_of(client: Client) -> str:
    """How a connection came in, in RECORD.md's words."""
    name = client.proxy_mode.type_name
    return _MODES.get(name, name)


class ExchangeCloser:
    """Writes what the worker saw. Whether that was `complete` is for the recorder, which reads the terminal event."""

    def __init__(self, open_exchanges: OpenExchanges, journal: Journal, *, node: str, rules: RuleBook) -> None:
        self._open = open_exchanges
        self._journal = journal
        self._node = node
        self._rules = rules
        self._number = 0
        self.passed_over = 0  # refusals that got no rows since the journal was last crowded

    # -- the intent -------------------------------------------------------------------------------------------------

    def commit_intent(self, flow: http.HTTPFlow, seen: OpenExchange) -> asyncio.Future[None]:
        """The row that must be on disk before anything is forwarded.

        Raises (from the future):
            JournalUnavailable: it is not.
        """
        seen.journaled = True
        body = flow.request.data.content
        return self._journal.commit(seen.id, self._intent(flow, seen, body), body)

    def append_intent(self, flow: http.HTTPFlow, seen: OpenExchange) -> None:
        """The same row, on its way. Of a call that was refused by its head the body is not kept, if it came at all."""
        seen.journaled = True
        body = flow.request.data.content if seen.asked is not None else None
        self._journal.append(seen.id, self._intent(flow, seen, body), body)

    def _intent(self, flow: http.HTTPFlow, seen: OpenExchange, body: bytes | None) -> Intent:
        call, decision, peer = seen.call, seen.decision, flow.client_conn.peername
        head = seen.head_in or _unread(flow)
        destination = head.destination
        denied = decision if type(decision) is Deny else None
        if not seen.number:
            self._number += 1
            seen.number = self._number
        agent, path, query = head.user_agent, head.shown_path, head.shown_query
        content_type, content_encoding = head.content_type, head.content_encoding
        model = call.request_model if call else None
        if denied:
            path = _short(path)
            agent, query, model = _short(agent), _short(query), _short(model)
            content_type, content_encoding = _short(content_type), _short(content_encoding)
        return Intent(
            seen.number,
            seen.started_at,
            self._node,
            seen.principal,
            seen.credential,
            peer[0] if peer else None,
            agent,
            "front" if head.front is not None else mode_of(flow.client_conn),
            "deny" if denied else "allow",
            denied.code if denied else None,
            decision.rule,
            denied.reason if denied else None,
            self._rules.digest,
            destination.provider,
            destination.dialect,
            flow.request.data.method.decode("ascii", "replace"),
            destination.host,
            path,
            query,
            content_type,
            content_encoding,
            len(body or b""),
            body is not None,
            call.operation if call else head.route.api.operation,
            model,
            call.stream if call else False,
            () if denied else head.changed + (CHANGED if seen.onward_body is not None else ()),
            self._rules.keeps_content(decision.rule),
            seen.connection,
        )

    # -- turns of a WebSocket ---------------------------------------------------------------------------------------

    def turn(
        self, flow: http.HTTPFlow, seen: OpenExchange, message: bytes | None
    ) -> tuple[bytes, Intent, bytes | None]:
        """The intent of a turn, ready for the journal: `message` asks for it, None where nothing did."""
        seen.journaled = True
        intent = self._intent(flow, seen, message)
        kind = JSON_SEQUENCE if message is None else "application/json"
        return seen.id, msgspec.structs.replace(intent, content_type=kind, content_encoding=None), message

    # -- the closing ------------------------------------------------------------------------------------------------

    def response(self, flow: http.HTTPFlow) -> None:
        if flow.websocket is None:  # a WebSocket ends in websocket_end
            self._close(flow, "upstream_cut" if _lacks_status(flow) else "response_ended", None)

    def error(self, flow: http.HTTPFlow) -> None:
        said = flow.error.msg if flow.error else ""
        seen = self._open.get(flow.id)
        observed: Observed = next((o for words, o in _MESSAGES if said.startswith(words)), "upstream_cut")
        if observed == "upstream_cut" and seen is not None and seen.head is None and _never_connected(flow):
            observed = "unreachable"
        self._close(flow, observed, said)

    def _close(self, flow: http.HTTPFlow, observed: Observed, error: str | None) -> None:
        if (seen := self._open.pop(flow.id, None)) is not None:
            self.end(flow, seen, observed, error)

    def end(self, flow: http.HTTPFlow, seen: OpenExchange, observed: Observed, error: str | None) -> None:
        """The closing of an exchange that was open; `error` is a code, or what the lane said."""
        if not seen.committed:
            if observed in ("response_ended", "proxy_died"):
                observed = "refused"
            error = getattr(seen.decision, "code", None)
            if not seen.journaled and self.passes_over(seen):
                return
        elif observed == "refused":
            # Cut in the middle: the record has what came until then.
            said = (error or "").removeprefix("Refused: ")
            error = said if said in CODES else "invalid_token"
        elif observed == "response_ended" and seen.head is None and (code := _our_code(seen.decision)):
            observed, error = "refused", code  # allowed, and then we closed the road
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
                grpc_status=_grpc_status(flow) if seen.committed else None,
            ),
            b"".join(seen.chunks),
        )

    def passes_over(self, seen: OpenExchange) -> bool:
        """Whether this refusal is only counted. Nobody may fill the journal, and so shut the door to all, by being
        refused: strangers' refusals get no rows once it is half full, and nobody's once it is full."""
        if not (self._journal.full or (self._journal.crowded and seen.principal is None)):
            if self.passed_over and not self._journal.crowded:
                log.warning("%d refusals were not recorded while the journal was crowded.", self.passed_over)
                self.passed_over = 0
            return False
        if not self.passed_over:
            log.error("The journal, or its disk, is filling up: refusals are counted, not recorded, until it is not.")
        self.passed_over += 1
        return True

    @staticmethod
    def _status(flow: http.HTTPFlow, seen: OpenExchange, observed: Observed) -> int | None:
        if seen.head is not None:
            return seen.head.status
        if observed == "refused" and flow.response is not None and flow.response.status_code != 101:
            return flow.response.status_code
        if observed == "refused":
            return CODES[getattr(seen.decision, "code", "checkpoint_error")].status
        if observed == "response_ended" and flow.response is not None:
            return flow.response.status_code
        return _STATUS.get(observed)


def _our_code(decision: Decision) -> str | None:
    """The code of a refusal that is ours, and not our word for what the provider did."""
    return decision.code if isinstance(decision, Deny) and not decision.code.startswith("upstream_") else None


def _grpc_status(flow: http.HTTPFlow) -> int | None:
    """What the trailers of a reply say of the call, or its head where it has nothing else; None where it says nothing,
    or is no reply of gRPC."""
    response = flow.response
    if response is None or not is_message_type(response.headers.get("content-type")):
        return None
    trailers = response.trailers.fields if response.trailers is not None else ()
    return status_of((*trailers, *response.data.headers.fields))


def _lacks_status(flow: http.HTTPFlow) -> bool:
    """A reply of gRPC whose trailers do not say how the call ended is not over. HTTP/1.1 brought none to us."""
    response = flow.response
    return (
        response is not None
        and response.status_code == 200
        and response.http_version == "HTTP/2.0"
        and is_message_type(response.headers.get("content-type"))
        and _grpc_status(flow) is None
    )


def _short[T: (str, str | None)](text: T) -> T:
    return text if text is None or len(text) <= _SHOWN else text[:_SHOWN] + "…"


def _never_connected(flow: mitmproxy_flow.Flow) -> bool:
    server = flow.server_conn
    return server is None or server.timestamp_tcp_setup is None or bool(server.error)


def _unread(flow: http.HTTPFlow) -> Head:
    """What stands for a head when reading it failed: a fault of ours, and the refusal is owed a row all the same."""
    path, mark, query = flow.request.path.partition("?")
    nowhere = Destination("", "openai", "", "", 0, "", path, query if mark else None, known=False)
    return bare_head(nowhere, None)
