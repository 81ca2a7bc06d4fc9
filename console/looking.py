"""Before content is shown, it is written down who looks at it. Every page that shows any goes through here."""

from collections.abc import Iterable
from typing import Any

from starlette.exceptions import HTTPException

from console.roles import may
from console.sessions import Session
from settings.schema import Settings
from storage.access import ranges, write_access


def actor_of(session: Session) -> str:
    """How the record names whoever acts or looks here."""
    return f"{session.who} (console)"


class ReasonMissing(Exception):  # noqa: N818 - a page asks for it
    """The settings ask for a reason, and this person has not given one."""


class Looking:
    """The looks of this console, written to access.db."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def may(self, session: Session) -> bool:
        """May they see what was said, and is there a reason where one is asked for?"""
        return may(session.role, "content") and (bool(session.reason) or not self.needs_reason(session))

    def needs_reason(self, session: Session) -> bool:
        """Of whoever looks at others by their role, always; of people at their own record, never."""
        if session.role == "self":
            return False
        return self._settings.access.reason == "required" or session.principal is not None

    def at(self, session: Session, action: str, seqs: Iterable[int], **asked: Any) -> None:
        """Write down that these exchanges are shown now. Returns once the disk has it.

        Raises:
            ReasonMissing: a reason is asked for first.
            HTTPException: 403, their role shows no content.
            AccessUnwritable: it is not written: then nothing may be shown.
        """
        self._write(session, action, ranges(seqs), asked)

    def from_here_on(self, session: Session, action: str, first: int, **asked: Any) -> None:
        """The same for all that comes from this seq on."""
        self._write(session, action, f"{first}-", asked)

    def _write(self, session: Session, action: str, exchanges: str, asked: dict[str, Any]) -> None:
        if not may(session.role, "content"):
            raise HTTPException(403)
        if not self.may(session):
            raise ReasonMissing
        write_access(
            self._settings.data_dir,
            action=action,
            asked={name: value for name, value in asked.items() if value not in (None, "")},
            exchanges=exchanges,
            reason=session.reason,
            who=actor_of(session),
        )
