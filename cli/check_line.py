"""One check of an identity, as one line for people."""

from typing import TYPE_CHECKING

from cli.terminal import visible

if TYPE_CHECKING:
    from rich.console import Console

    from identities.explain import Check

_MARKS = {True: ("✓", "green"), False: ("✗", "red"), None: ("?", "yellow")}


def print_check(console: "Console", check: "Check") -> None:
    """Its mark, the settings' entry (or `token`, for what concerns no entry), what was looked at, what was found."""
    mark, style = _MARKS[check.passed]
    console.print(
        f"{mark} {visible(check.issuer or 'token')}: {visible(check.name)}: {visible(check.said)}", style=style
    )
