"""`sekisho doctor`: is what Sekisho stands on as it should be?"""

import typer

from cli.options import Config, settings_at


def doctor(config: Config = None) -> None:
    """Ask the SQLite in use questions whose answers are known, in Japanese too, and look at the record's version.

    Nothing is written. Exits 1 when something is not well, and says what to do.
    """
    from cli.terminal import out, visible
    from storage.sqlite.self_test import findings

    console = out()
    found = findings(settings_at(config).data_dir)
    for each in found:
        console.print(f"{'well    ' if each.problem is None else 'NOT WELL'} {visible(each.what)}")
        if each.problem is not None:
            console.print(f"         {visible(each.problem)}")
    if any(each.problem for each in found):
        raise typer.Exit(1)
