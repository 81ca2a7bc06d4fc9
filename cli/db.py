"""`sekisho db`: the file of the record itself, looked through, copied, mended."""

import sqlite3
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.failure import Failed, WrongUse
from cli.looking import Look, Reason
from cli.options import Config, settings_at
from cli.progress import progress

if TYPE_CHECKING:
    from settings.schema import Settings

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
    from storage.upkeep.integrity import looked_through

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
    reason: Reason = None,
) -> None:
    """Copy the record to FILE as it is at this moment, while Sekisho goes on. A file under its final name is whole.

    The copy holds everything that was said: guard it, and delete it in time, since erasing a person here does not reach
    it. The keys under data_dir/keys are not in it.
    """
    from cli.terminal import err, visible
    from storage.sealing.keyring import is_sealed_dir, seal_path
    from storage.sqlite.driver import audit_path, open_for_reading
    from storage.upkeep.backup import back_up

    if file.exists():
        raise WrongUse(f"{file} exists already. Name another file.")
    settings = settings_at(config)
    look = Look(settings, "backup", reason, to=str(file))
    database = open_for_reading(audit_path(settings.data_dir))
    try:
        connection: sqlite3.Connection = database.conn
        look.at_range(1, connection.execute("select max(seq) from exchange").fetchone()[0] or 0)
        pages = connection.execute("pragma page_count").fetchone()[0]
        with progress("backup", pages) as upto:
            back_up(connection, file, lambda done, _of: upto(done))
    finally:
        database.close()
    err().print(f"{visible(str(file))} is a whole copy.")
    if is_sealed_dir(settings.data_dir):
        keys = visible(str(seal_path(settings.data_dir)))
        err().print(f"What is sealed in it opens with the keys in {keys} only: copy that too.")


@app.command()
def rebuild(config: Config = None) -> None:
    """Derive everything again from the exact bytes: usage, cost, the reply as one object, threads, the search index.

    For a Sekisho that reads better than the one that recorded. What was observed, the bytes and the chain stay as they
    are. Sekisho must not run meanwhile; interrupted, it goes on where it stopped when it is run again.
    """
    from storage.sqlite.driver import audit_path, open_for_reading
    from storage.sqlite.lock import in_place_of_the_recorder

    settings = settings_at(config)
    open_for_reading(audit_path(settings.data_dir)).close()  # there is one, and it is no newer
    with in_place_of_the_recorder(settings.data_dir):
        _rebuild(settings, settings.data_dir)


def _rebuild(settings: "Settings", data_dir: Path) -> None:
    from cli.terminal import err
    from recording.rebuild import rebuild as derive_again
    from recording.understanding import READER
    from storage.sealing.vault import Vault, masters_for_writing
    from storage.sqlite.driver import audit_path
    from storage.upkeep.rebuilding import Rebuilding

    dialects = {name: provider.dialect for name, provider in settings.providers.items() if provider.dialect}
    seal = settings.storage.seal
    masters = masters_for_writing(data_dir, seal)
    vault = Vault(data_dir, masters, seal.index) if masters and seal else None
    writer = Rebuilding(audit_path(data_dir), reader_version=READER, vault=vault)
    try:
        last = writer.connection.execute("select max(seq) from exchange").fetchone()[0] or 0
        with progress("rebuild", last) as upto:
            made = derive_again(writer, dialects, lambda done, _of: upto(done))
    except KeyboardInterrupt:
        raise Failed("Stopped; search finds a part only. Run `sekisho db rebuild` to go on.") from None
    finally:
        writer.close()
    said = f"{made.whole} exchanges were derived again"
    if made.indexed:
        said += f", {made.indexed} only made findable again, since their exact bytes are not kept"
    if made.unreadable:
        said += f", {made.unreadable} cannot be read and stay as they are"
    err().print(f"{said}.")


@app.command()
def recover(
    file: Annotated[
        Path | None,
        typer.Argument(metavar="FILE", help="A damaged file that was put aside. Default: the record itself."),
    ] = None,
    to: Annotated[
        Path | None,
        typer.Option("--to", metavar="DIRECTORY", help="Where what FILE still holds goes: a data_dir of its own."),
    ] = None,
    config: Config = None,
) -> None:
    """Write what a damaged record still holds into a new file. The damaged one is kept as audit.db.corrupt-TIME.

    Of the new record the chain says what is lost (`sekisho verify`). Without FILE it takes the record's place; what was
    put aside already is written to DIRECTORY. Sekisho must not run meanwhile.
    """
    from storage.sqlite.driver import audit_path
    from storage.sqlite.lock import in_place_of_the_recorder

    settings = settings_at(config)
    if (file is None) != (to is None):
        raise WrongUse("Give both, FILE and --to DIRECTORY, or neither to mend the record itself.")
    if file is not None and to is not None:
        if audit_path(to).exists():
            raise WrongUse(f"{audit_path(to)} exists already. Name another directory.")
        if not file.is_file():
            raise WrongUse(f"{file} is no file.")
        to.mkdir(parents=True, exist_ok=True, mode=0o700)
        with in_place_of_the_recorder(to):
            _recover(settings, file, to, file)
        return
    with in_place_of_the_recorder(settings.data_dir):
        path = audit_path(settings.data_dir)
        if not path.exists():
            raise Failed(f"There is no record at {path}.")
        _recover(settings, path, settings.data_dir, None)


def _recover(settings: "Settings", damaged: Path, to: Path, aside: Path | None) -> None:
    from cli.terminal import err, visible
    from storage.sealing.keyring import copy_keys, seal_path
    from storage.sealing.vault import SealedReading
    from storage.sqlite.breaks import ranges, shown
    from storage.sqlite.driver import audit_path
    from storage.upkeep.damage import damage_of, known_of, name_aside, put_aside
    from storage.upkeep.salvage import salvage

    reason = damage_of(damaged)
    if reason is None:
        err().print(f"{visible(str(damaged))} is not damaged; nothing to do.")
        return
    now = time.time()
    known = known_of(damaged, settings.storage.heads.file or settings.data_dir / "heads.txt")
    kept = aside or name_aside(damaged, now)
    fresh = to / "audit.db.recovered"
    for part in ("", "-wal", "-shm"):
        fresh.with_name(f"{fresh.name}{part}").unlink(missing_ok=True)
    fresh.touch(mode=0o600)
    opener = SealedReading(settings.data_dir, settings.storage.seal)
    with progress("recover", max(1, known.last_seq)) as upto:
        found = salvage(damaged, fresh, known, reason=reason, kept_as=kept.name, at=now, seen=upto, opener=opener)
    if to != settings.data_dir and seal_path(settings.data_dir).exists():
        copy_keys(settings.data_dir, seal_path(to))
    if aside is None:
        put_aside(damaged, kept)
    fresh.replace(audit_path(to))
    console = err()
    console.print(f"{found.rows.get('exchange', 0)} exchanges were read; the damaged file is {visible(str(kept))}.")
    if found.lost:
        console.print(f"Lost: {shown(found.lost)}.")
    if found.without:
        console.print(f"Without content: {shown(ranges(found.without))}.")
    _rebuild(settings, to)
