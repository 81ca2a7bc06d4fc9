"""`sekisho db`: the file of the record itself, looked through, copied, mended."""

import sqlite3
from pathlib import Path
from typing import Annotated

import typer

from cli.failure import WrongUse
from cli.options import Config, settings_at
from cli.progress import progress

app = typer.Typer(no_args_is_help=True, help="The file of the record: look through, copy, mend.")


@app.command()
def check(
    config: Config = None,
    full: Annotated[bool, typer.Option("--full", help="Hold every index against its table too; takes longer.")] = False,
) -> None:
    """Look through audit.db: pages, schema, rows that belong together, the search index. Exits 1 when one is not well.

    The recorder may run; only the search index is left out then. Whether the content is what was recorded, `verify`
    says.
    """
    from cli.terminal import out, visible
    from storage.sqlite.integrity import looked_through

    console = out()
    bad = False
    with progress("check", 4) as upto:
        done = 0
        for what, found in looked_through(settings_at(config).data_dir, full=full):
            if found is None:
                continue
            done += 1
            upto(done)
            bad = bad or found.problem is not None
            console.print(f"{'well    ' if found.problem is None else 'NOT WELL'} {visible(found.what or what)}")
            if found.problem is not None:
                console.print(f"         {visible(found.problem)}")
    if bad:
        raise typer.Exit(1)


@app.command()
def backup(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where the copy goes. It must not exist.")],
    config: Config = None,
) -> None:
    """Copy the record to FILE as it is at this moment, while Sekisho goes on. A file under its final name is whole.

    The copy holds everything that was said: guard it, and delete it in time, since erasing a person here does not reach
    it. The keys under data_dir/keys are not in it.
    """
    from cli.terminal import err, visible
    from storage.sqlite.backup import back_up
    from storage.sqlite.driver import audit_path, open_for_reading

    if file.exists():
        raise WrongUse(f"{file} exists already. Name another file.")
    database = open_for_reading(audit_path(settings_at(config).data_dir))
    try:
        connection: sqlite3.Connection = database.conn
        pages = connection.execute("pragma page_count").fetchone()[0]
        with progress("backup", pages) as upto:
            back_up(connection, file, lambda done, _of: upto(done))
    finally:
        database.close()
    err().print(f"{visible(str(file))} is a whole copy.")
