"""How a command says that it could not do what it was asked: one sentence for a person, and the exit code."""

import sqlite3


class Failed(Exception):  # noqa: N818 - said to a person
    """It did not work; exit code 1."""


class WrongUse(Exception):  # noqa: N818 - said to a person
    """It was asked in a way that makes no sense; exit code 2."""


def told(problem: Exception) -> tuple[str, int] | None:
    """What to say and the exit code (RECORD.md: 1 failed, 2 wrong use or settings); None for a fault of ours."""
    from certificates.authority import UnusableAuthority
    from certificates.bundle import NoSystemRoots
    from settings.reading import SettingsProblems
    from storage.sqlite.driver import StoreProblem

    if isinstance(problem, SettingsProblems | WrongUse):
        return str(problem), 2
    if isinstance(problem, StoreProblem | UnusableAuthority | NoSystemRoots | Failed):
        return str(problem), 1
    if isinstance(problem, sqlite3.Error):
        return f"The record cannot be read: {problem}.", 1
    if isinstance(problem, OSError) and problem.strerror:
        where = f"{problem.filename}: " if problem.filename else ""
        return f"{where}{problem.strerror}.", 1
    return None
