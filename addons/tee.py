"""A copy of every reply, with arrival times. The copy may fail; the caller's answer may not."""

import asyncio
import logging
import math
import time
from collections.abc import Callable
from functools import partial

from mitmproxy import http

from addons.flows import OpenExchange, OpenExchanges
from storage.journal.rows import Arrivals, Piece, ReplyHead
from storage.journal.writing import Journal

log = logging.getLogger(__name__)

_HEAD_AFTER = 0.1  # seconds; most replies that are no streams are over by then

_REQUEST_IDS = frozenset(
    {b"x-request-id", b"request-id", b"apim-request-id", b"x-amzn-requestid", b"x-goog-request-id"}
)


class StreamTee:
    """Copies reply bytes into the journal: every `flush_after` seconds or `flush_bytes`, and what is left at the end.

    `capture_limit` bounds what is copied of one reply; the caller gets all of it.
    """

    def __init__(
        self,
        open_exchanges: OpenExchanges,
        journal: Journal,
        *,
        flush_after: float,
        flush_bytes: int,
        capture_limit: int,
    ) -> None:
        self._open = open_exchanges
        self._journal = journal
        self._flush_after = flush_after
        self._flush_bytes = flush_bytes
        self._capture_limit = capture_limit
        self._ticker: asyncio.TimerHandle | None = None

    def running(self) -> None:
        self._tick()

    def done(self) -> None:
        if self._ticker is not None:
            self._ticker.cancel()

    def responseheaders(self, flow: http.HTTPFlow) -> None:
        seen = self._open.get(flow.id)
        if seen is None or not seen.committed or seen.settled or flow.response is None:
            return  # what we say ourselves is no reply of a provider
        data = flow.response.data
        content_type = content_encoding = request_id = None
        for name, value in data.headers.fields:
            low = name.lower()
            if low == b"content-type":
                content_type = value.decode("latin-1")
            elif low == b"content-encoding":
                content_encoding = value.decode("latin-1")
            elif low in _REQUEST_IDS and request_id is None:
                request_id = value.decode("latin-1")
        seen.head = ReplyHead(data.status_code, content_type, content_encoding, request_id)
        seen.last_flush = time.perf_counter()
        flow.response.stream = copying(partial(self.keep, seen), partial(_gave_up, seen))

    def keep(self, seen: OpenExchange, chunk: bytes) -> None:
        """Take a copy of this, as it came."""
        if not chunk:
            return
        now = time.perf_counter()
        if seen.first_byte is None:
            seen.first_byte = now
        seen.response_bytes += len(chunk)
        if seen.response_bytes > self._capture_limit:
            seen.truncated = True
            return
        seen.chunks.append(chunk)
        seen.at.append(int((now - (seen.asked or seen.began)) * 1e6))
        seen.length.append(len(chunk))
        seen.kept += len(chunk)
        if seen.kept >= self._flush_bytes:
            self.flush(seen, now)

    def flush(self, seen: OpenExchange, now: float) -> None:
        """Hand over what is kept of this reply so far."""
        head = None if seen.head_written else seen.head
        self._journal.append(seen.id, Piece(head, Arrivals(seen.at, seen.length)), b"".join(seen.chunks))
        seen.head_written = True
        seen.chunks, seen.at, seen.length, seen.kept = [], [], [], 0
        seen.last_flush = now

    def _tick(self) -> None:
        wait = min(self._flush_after / 2, _HEAD_AFTER)  # first of all: a fault below must not be the last tick
        self._ticker = asyncio.get_running_loop().call_later(wait, self._tick)
        now = time.perf_counter()
        for seen in self._open.values():
            if seen.head is not None and now - seen.last_flush >= self._patience(seen):
                self.flush(seen, now)

    def _patience(self, seen: OpenExchange) -> float:
        """Seconds that what there is may wait for more. A head waits for a short reply's end only: it may be long
        until a word comes, and the record of a worker that dies has the status all the same."""
        if not seen.head_written:
            return min(self._flush_after, _HEAD_AFTER)
        return self._flush_after if seen.kept else math.inf


def _gave_up(seen: OpenExchange) -> None:
    seen.truncated = True


def copying(keep: Callable[[bytes], None], gave_up: Callable[[], None]) -> Callable[[bytes], bytes]:
    """A stream hook that keeps a copy and always hands on the original, the very same object."""
    keeping = True

    def tee(chunk: bytes) -> bytes:
        nonlocal keeping
        if keeping:
            try:
                keep(chunk)
            except Exception:
                keeping = False
                gave_up()  # the record will say capture_truncated
                log.exception("Cannot keep a copy of this reply; passing it on.")
        return chunk

    return tee
