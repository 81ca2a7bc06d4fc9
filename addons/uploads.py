"""The body of a call that goes on as it comes (gRPC): each part is on record before, and of somebody who still may."""

import logging
import time
from typing import TYPE_CHECKING

from mitmproxy import http

from addons.flows import OpenExchange
from storage.journal.rows import RequestPiece
from storage.journal.writing import Journal, JournalUnavailable

if TYPE_CHECKING:
    from addons.gate import AccessGate

log = logging.getLogger(__name__)


class Recording:
    """Of one exchange, from the moment its door opened. Asked for one part after the other.

    Args:
        still: seconds for which its caller is taken to be who they were.
    """

    def __init__(
        self,
        flow: http.HTTPFlow,
        seen: OpenExchange,
        *,
        gate: "AccessGate",
        journal: Journal,
        waits_for_disk: bool,
        still: float,
    ) -> None:
        self._flow, self._seen = flow, seen
        self._gate = gate
        self._journal = journal
        self._waits_for_disk = waits_for_disk
        self._still = still
        self._proven = time.perf_counter()

    async def record(self, data: bytes) -> str | None:
        """See lanes/upload.py."""
        if time.perf_counter() - self._proven > self._still:
            denied = await self._gate.still(self._flow, self._seen)
            if denied is not None:
                return denied.code
            self._proven = time.perf_counter()
        row = RequestPiece(int((time.perf_counter() - self._seen.began) * 1e6))
        if not self._waits_for_disk:
            self._journal.append(self._seen.id, row, data)
            return None
        try:
            await self._journal.commit(self._seen.id, row, data)
        except JournalUnavailable as unavailable:
            log.error("Refused the rest of a call that cannot be recorded: %s", unavailable)
            return "audit_unavailable"
        return None

    def ended(self) -> None:
        """The request's last byte is in, unless the answer has begun already."""
        if self._seen.first_byte is None:
            self._seen.asked = time.perf_counter()
