"""What a lane needs of whoever judges and records the messages of a WebSocket."""

from typing import Literal, Protocol

from wire.websocket.verdict import Verdict

Observed = Literal["response_ended", "client_gone", "upstream_cut", "timed_out", "proxy_died", "refused"]


class Session(Protocol):
    """Of one connection. None of these raises but `judge`, whose fault ends the connection."""

    @property
    def is_answering(self) -> bool:
        """Is a response under way?"""

    def is_expelled(self) -> bool:
        """May whoever opened it go on no more? Asked with each sweep."""

    def begin(self, upstream_request_id: str | None) -> None:
        """The provider has switched protocols."""

    async def judge(self, message: bytes) -> Verdict:
        """May this message of the caller go on? Asked for one after the other."""

    def told(self, message: bytes | None) -> None:
        """A copy of a message of the provider, which has gone on; None for one that was too large to be copied."""

    def end(self, observed: Observed, *, clean: bool, code: str | None = None) -> None:
        """The connection is over: by a close frame (`clean`), or not; by us, for what the caller sent, or for who they
        are no more (`code`)."""
