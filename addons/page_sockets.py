"""A WebSocket between a page of the chat UI and the UI itself: a page and no exchange, so nothing of it is kept.

It lasts as long as its session does, whatever `identity.cut_revoked` says: a page that stays open would else go on for
whoever is signed out.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final

from identities.refusal import IdentityRefused
from storage.journal.rows import Observed
from wire.websocket.verdict import PASS, Verdict

log = logging.getLogger(__name__)


class PageSocket:
    """See lanes.websocket.session.Session, whose methods these are.

    Args:
        recall: does the session still prove somebody, as far as is remembered? Look-ups only.
        prove: the same by full verification. Raises IdentityRefused.
    """

    is_answering: Final = False

    def __init__(self, recall: Callable[[], bool], prove: Callable[[], Awaitable[object]]) -> None:
        self._recall = recall
        self._prove = prove
        self._proving: asyncio.Task[None] | None = None
        self._is_over = False

    def is_expelled(self) -> bool:
        """Is the session over: signed out, revoked, expired, or signed by a key that is gone? What was merely forgotten
        is proven anew, which takes no network and so is mostly done at once."""
        if not self._is_over and self._proving is None and not self._recall():
            task = asyncio.Task(self._prove_anew(), loop=asyncio.get_running_loop(), eager_start=True)
            self._proving = None if task.done() else task
        return self._is_over

    async def _prove_anew(self) -> None:
        try:
            await self._prove()
        except IdentityRefused:
            self._is_over = True
        except Exception:
            log.exception("The session behind a WebSocket could not be looked at; it is closed.")
            self._is_over = True
        finally:
            self._proving = None

    def begin(self, upstream_request_id: str | None) -> None:
        """The UI has switched protocols."""

    async def judge(self, message: bytes) -> Verdict:  # noqa: ARG002 - it is the UI's affair
        """Whatever a page says to its UI."""
        return PASS

    def told(self, message: bytes | None) -> None:
        """Nothing is kept."""

    def end(self, observed: Observed, *, clean: bool, code: str | None = None) -> None:
        """Nothing is owed."""
