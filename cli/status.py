"""`sekisho status`: does it run, and how much is still to be recorded?"""

import sqlite3
import time
import uuid
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.options import Config, settings_at

if TYPE_CHECKING:
    from rich.text import Text

    from storage.journal.reading import JournalFile
    from upstreams.standing import CredentialState


@dataclass(slots=True)
class BootStatus:
    """What is in one worker's journal and not yet in the record. `lag_s`: since the oldest finished one ended."""

    boot: str
    alive: bool
    files: int = 0
    bytes: int = 0
    rows: int = 0
    open: int = 0  # exchanges that still run
    waiting: int = 0  # exchanges that are over, and not recorded yet
    lag_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Status:
    """The instance as its data directory shows it."""

    running: bool
    recorder: bool
    workers: int
    last_seq: int
    record_bytes: int
    waiting: int
    lag_s: float
    ca_days_left: float | None  # until the CA of the forward modes expires; null: there is none
    disk_free: float | None  # share of the disk under data_dir, 0 to 1; null: it does not say
    journal: list[BootStatus]
    provider_keys: list["CredentialState"]  # as the worker that sees them worst says


def status(
    config: Config = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Say whether Sekisho runs, how far the record is, how much of the journal waits to be recorded, and how
    much of the disk is free.

    Provider keys that cannot be read, or that the provider refuses, are named.
    """
    import msgspec

    from cli.terminal import out, write_json

    settings = settings_at(config)
    found = status_of(settings.data_dir)
    if as_json:
        write_json(msgspec.json.encode(asdict(found)))
        return
    console = out()
    for line in _page(found, settings.data_dir):
        console.print(line)


def status_of(data_dir: Path) -> Status:
    """Look, and change nothing.

    Raises:
        StoreProblem: there is a record, and it cannot be read.
    """
    from storage.journal.files import bytes_of, is_alive, is_held, journal_dir
    from storage.journal.reading import boots
    from storage.sqlite.driver import audit_path, open_for_reading

    path = audit_path(data_dir)
    record = open_for_reading(path).conn if path.exists() else None
    try:
        last = record.execute("select max(seq) from exchange").fetchone()[0] if record is not None else None
        journal = [_boot(boot, record) for boot in boots(journal_dir(data_dir))]
    finally:
        if record is not None:
            record.close()
    workers = sum(boot.alive for boot in journal)
    recorder = is_held(path.with_name(f"{path.name}.lock"))
    return Status(
        running=recorder and workers > 0,
        recorder=recorder,
        workers=workers,
        last_seq=last or 0,
        record_bytes=bytes_of(path),
        waiting=sum(boot.waiting for boot in journal),
        lag_s=max((boot.lag_s for boot in journal), default=0.0),
        ca_days_left=_ca_days_left(data_dir),
        disk_free=_disk_free(data_dir),
        journal=journal,
        provider_keys=_provider_keys([directory for directory in boots(journal_dir(data_dir)) if is_alive(directory)]),
    )


def _ca_days_left(data_dir: Path) -> float | None:
    from datetime import UTC, datetime

    from certificates.authority import UnusableAuthority
    from certificates.standing import standing_of

    try:
        found = standing_of(data_dir, datetime.now(UTC)).authorities
    except UnusableAuthority:
        return None  # `check`, `doctor` and the start say what is wrong with it
    return next((each.days_left for each in found if each.role == "signing"), None)


def _disk_free(data_dir: Path) -> float | None:
    from storage.room import DiskRoom

    try:
        return round(DiskRoom(data_dir).free(), 4)
    except OSError:
        return None


_BY_GRAVITY = ("ready", "refused", "missing")


def _provider_keys(running: list[Path]) -> "list[CredentialState]":
    from upstreams.standing import FILE, read_standing

    worst: dict[tuple[str, str], CredentialState] = {}
    for directory in running:
        for found in read_standing(directory / FILE):
            known = worst.get(where := (found.provider, found.label))
            if known is None or _gravity(found) > _gravity(known):
                worst[where] = found
    return list(worst.values())


def _gravity(found: "CredentialState") -> tuple[int, bool]:
    return _BY_GRAVITY.index(found.state), found.problem is not None


def _boot(directory: Path, record: sqlite3.Connection | None) -> BootStatus:
    from storage.journal.files import bytes_of, is_alive, journal_files
    from storage.journal.reading import JournalFile

    found = BootStatus(directory.name, is_alive(directory))
    marks: dict[str, int] = {}
    if record is not None:
        marks = dict(
            record.execute("select file, low_water from journal_cursor where boot = ?", (directory.name,)).fetchall()
        )
    running: set[bytes] = set()
    for path in journal_files(directory):
        try:
            file = JournalFile(path)
        except sqlite3.Error:
            continue  # recorded whole and removed while we looked
        try:
            found.files += 1
            found.bytes += bytes_of(path)
            _count(found, file, marks.get(path.name, 0), running, record)
        finally:
            file.close()
    found.open = len(running)
    if not found.alive:  # nobody will end them: they are over, and become proxy_died
        found.waiting, found.open = found.waiting + found.open, 0
        found.lag_s = max([found.lag_s, *(_age(exchange) for exchange in running)])
    return found


def _count(
    found: BootStatus, file: "JournalFile", after: int, running: set[bytes], record: sqlite3.Connection | None
) -> None:
    """Adds a file's rows. An exchange runs until its closing row; then it waits until the record has it."""
    from storage.journal.rows import CLOSING, UNREAD

    while rows := file.after(after, 10_000):
        for after, exchange, kind in rows:
            found.rows += 1
            if kind == UNREAD:
                continue  # a connection, no exchange
            if kind != CLOSING:
                running.add(exchange)
                continue
            running.discard(exchange)
            if _is_recorded(record, exchange):
                continue
            found.waiting += 1
            if found.lag_s == 0.0:  # rows are in order: the first that waits has waited longest
                found.lag_s = round(max(0.001, _age(exchange) - _lasted(file, after)), 3)


def _lasted(file: "JournalFile", no: int) -> float:
    """Seconds that the exchange of this closing row ran. Where it is sealed it counts as 0: a status needs no key."""
    from storage.journal.rows import Closing
    from storage.sealing.master import SealProblem

    try:
        row, _ = file.row(no)
    except SealProblem:
        return 0.0
    return row.duration / 1e6 if isinstance(row, Closing) else 0.0


def _is_recorded(record: sqlite3.Connection | None, exchange: bytes) -> bool:
    if record is None:
        return False
    return record.execute("select 1 from exchange where id = ?", (exchange.hex(),)).fetchone() is not None


def _age(exchange: bytes) -> float:
    """Seconds since an exchange began: a UUIDv7 begins with its milliseconds since 1970 (RFC 9562 §5.7)."""
    return max(0.0, time.time() - (uuid.UUID(bytes=exchange).int >> 80) / 1000)


def _page(found: Status, data_dir: Path) -> "list[Text]":
    from rich.text import Text

    from cli.terminal import visible

    if found.running:
        head = Text(f"Sekisho runs: {found.workers} worker{'s' if found.workers > 1 else ''}, recorder.", style="green")
    elif found.recorder or found.workers:
        what = "the recorder does not run" if found.workers else "no worker runs"
        head = Text(f"Sekisho runs in part: {what}.", style="red")
    else:
        head = Text("Sekisho does not run.", style="yellow")
    lines = [
        head,
        Text(f"  data_dir  {visible(str(data_dir.absolute()))}"),
        Text(f"  record    last seq {found.last_seq}, {_size(found.record_bytes)}"),
        Text(
            f"  to record {found.waiting} exchange{'' if found.waiting == 1 else 's'}"
            + (f", {found.lag_s:.1f} s behind" if found.waiting else "")
        ),
        *([_ca_line(found.ca_days_left)] if found.ca_days_left is not None else []),
        *([Text(f"  disk      {100 * found.disk_free:.0f} % free")] if found.disk_free is not None else []),
    ]
    for key in found.provider_keys:
        if key.state != "ready" or key.problem is not None:
            why = key.problem or {"refused": "the provider answers 401, and another key is used"}.get(key.state, "")
            lines.append(
                Text(
                    f"  key       {key.provider} {key.label}: {key.state}" + (f", {visible(why)}" if why else ""), "red"
                )
            )
    for boot in found.journal:
        alive = "worker alive" if boot.alive else "worker gone"
        lines.append(
            Text(
                f"  journal   {boot.boot[:18]} ({alive}): {boot.open} open, {boot.waiting} to record, "
                f"{boot.rows} rows, {_size(boot.bytes)} in {boot.files} file{'' if boot.files == 1 else 's'}"
                + (f", {boot.lag_s:.1f} s behind" if boot.waiting else "")
            )
        )
    return lines


def _ca_line(days: float) -> "Text":
    from rich.text import Text

    from certificates.readiness import WARN_DAYS

    if days <= 0:
        return Text("  CA        expired: sekisho ca rotate", "red")
    return Text(f"  CA        expires in {days:.0f} days", "yellow" if days <= WARN_DAYS else "")


def _size(number: int) -> str:
    size = float(number)
    for unit in ("bytes", "KiB", "MiB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} GiB"
