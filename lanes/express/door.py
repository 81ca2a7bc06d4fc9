"""What the lane asks the gate, and a door that stands open for programs without one."""

import json
from collections.abc import Collection
from typing import Final, Protocol

from mitmproxy import http

from exchange.decision import CODES
from lanes.upload import Upload
from lanes.websocket.session import Session

REVOKED: Final = "Revoked: whoever asked may not go on"
"""How a lane says to `error` that it cut what is `expelled`."""


class Door(Protocol):
    """The gate as the lane sees it. Codes are those of exchange.decision.CODES."""

    def settled(self, flow: http.HTTPFlow) -> bool:
        """After `requestheaders`: is `flow.response` final, so that the request's body need not be read?"""

    def refuse(self, flow: http.HTTPFlow, code: str) -> None:
        """A fault found after the head was read: sets `flow.response`. The `response` or `error` hook follows."""

    def again(self, flow: http.HTTPFlow) -> bool:
        """The upstream answered 401, and nobody has seen that yet. True: `flow.request` was changed, and is to be sent
        once more; what comes then is the answer."""

    def session(self, flow: http.HTTPFlow) -> Session | None:
        """Before a request goes on: what judges and records the messages if it becomes a WebSocket. None: it must not
        become one."""

    def upload(self, flow: http.HTTPFlow) -> Upload | None:
        """Before the body of a request goes on as it comes: what records it. None: it must not go on."""

    def refusal(self, code: str) -> http.Response:
        """The answer to a fault without a flow: a head that could not be read, or too many connections."""

    def expelled(self) -> Collection[str]:
        """The ids of flows that passed and may not go on: their caller was revoked meanwhile. Asked with each sweep."""


def answer_for(code: str) -> http.Response:
    """A refusal in the shape of OpenAI's errors, with the header that tells the official SDKs whether to retry."""
    known = CODES[code]
    body = {"error": {"message": known.message, "type": known.type, "code": code, "param": None}}
    return http.Response.make(
        known.status,
        json.dumps(body).encode(),
        {
            "content-type": "application/json",
            "cache-control": "no-store",
            "x-should-retry": "true" if known.retry else "false",
        },
    )


class OpenDoor:
    """Nobody is refused but for faults of form; a response set by any addon is final."""

    def settled(self, flow: http.HTTPFlow) -> bool:
        return flow.response is not None

    def refuse(self, flow: http.HTTPFlow, code: str) -> None:
        flow.response = answer_for(code)

    def again(self, flow: http.HTTPFlow) -> bool:  # noqa: ARG002 - it changes nothing
        return False

    def session(self, flow: http.HTTPFlow) -> Session | None:  # noqa: ARG002 - nobody is there to judge
        return None

    def upload(self, flow: http.HTTPFlow) -> Upload | None:  # noqa: ARG002 - nobody is there to record it
        return None

    def refusal(self, code: str) -> http.Response:
        return answer_for(code)

    def expelled(self) -> Collection[str]:
        return ()
