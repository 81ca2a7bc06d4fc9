"""Before content is shown, it is written down who looks at it. Every command that shows any goes through here."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.failure import Failed, WrongUse

if TYPE_CHECKING:
    from settings.schema import Settings

Reason = Annotated[
    str | None,
    typer.Option(
        "--reason",
        metavar="WHY",
        envvar="SEKISHO_REASON",
        show_envvar=False,
        help="Why you look; kept in access.db with who and what. Default: $SEKISHO_REASON.",
    ),
]


class Look:
    """One command's look at content.

    Raises:
        WrongUse: the settings ask for a reason, and there is none.
    """

    def __init__(self, settings: "Settings", action: str, reason: str | None, **asked: Any) -> None:
        if settings.access.reason == "required" and not (reason or "").strip():
            raise WrongUse(
                'Say why you look: add --reason "…", or set SEKISHO_REASON (access.reason is required here).'
            )
        self._data_dir = settings.data_dir
        self._action = action
        self._reason = reason
        self._asked = {name: value for name, value in asked.items() if value is not None}

    def at(self, seqs: Iterable[int]) -> None:
        """Write down that these exchanges are shown now.

        Raises:
            Failed: it cannot be written: then nothing is shown.
        """
        from storage.access import ranges

        self._write(ranges(seqs))

    def at_range(self, first: int, last: int | None) -> None:
        """The same for whatever is found from one seq to another; without a last one, for all that comes."""
        self._write(f"{first}-{'' if last is None else max(last, first)}")

    def _write(self, exchanges: str) -> None:
        from storage.access import AccessUnwritable, write_access

        try:
            write_access(
                self._data_dir, action=self._action, asked=self._asked, exchanges=exchanges, reason=self._reason
            )
        except AccessUnwritable as cannot:
            raise Failed(str(cannot)) from cannot
