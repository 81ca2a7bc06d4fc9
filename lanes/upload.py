"""What a lane asks of whoever records the body of a request that goes on as it comes."""

from typing import Protocol


class Upload(Protocol):
    """Of one request, whose head may pass."""

    async def record(self, data: bytes) -> str | None:
        """The next part. None: it is on record and may go on; else a code of exchange.decision.CODES: the request is
        refused for it. Asked for one after the other. What it raises is a fault of ours, which refuses, too."""

    def ended(self) -> None:
        """That was all."""
