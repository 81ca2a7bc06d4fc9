"""What the mitm lane asks of whoever keeps the door; the express lane's Lane answers it, so that both lanes agree."""

from collections.abc import Callable, Collection
from typing import Protocol

from mitmproxy import http

from lanes.dialing import Dialer
from lanes.express.limits import Limits
from lanes.express.request_body import Held
from lanes.upload import Upload
from lanes.websocket.relay import Relay
from lanes.websocket.session import Session


class Keeper(Protocol):
    """The door and the limits. None of these raises; codes are those of exchange.decision.CODES."""

    limits: Limits
    bodies: Held
    draining: bool
    dial: Dialer
    now: Callable[[], float]
    """Monotonic seconds."""

    def is_settled(self, flow: http.HTTPFlow) -> bool:
        """After `requestheaders`: is `flow.response` final, so that the request's body need not be read?"""

    def refuse(self, flow: http.HTTPFlow, code: str) -> None:
        """Sets `flow.response` to the refusal; the `response` or `error` hook follows."""

    def again(self, flow: http.HTTPFlow) -> bool:
        """The upstream answered 401, and nobody has seen that yet: is `flow.request` to be sent once more?"""

    def session(self, flow: http.HTTPFlow) -> Session | None:
        """What judges and records the messages of this flow, if it may become a WebSocket."""

    def expelled(self) -> Collection[str]:
        """The ids of flows that passed and may not go on: their caller was revoked meanwhile. Asked with each sweep."""

    def upload(self, flow: http.HTTPFlow) -> Upload | None:
        """What records the body of this flow, which was let pass by its head; None: nobody does, and nothing of it may
        go on."""

    def carry(self, relay: Relay) -> None:
        """A WebSocket has begun: its time is looked after, and its end when we end."""

    def let_go(self, relay: Relay) -> None:
        """It is over."""

    def refusal(self, code: str) -> http.Response:
        """The answer to a fault without a flow: a head that could not be read, or too many connections."""
