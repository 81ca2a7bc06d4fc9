"""What `sekisho doctor` looks at, one function a matter. Nothing is changed, and nothing is sent to anybody else."""

import socket
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from cli.status import Status
    from settings.schema import Settings

_LAG_S = 10.0
_AHEAD_S = 5.0
_FIXED_SQLITE = ((3, 44, 6), (3, 50, 7))  # in their lines; otherwise from 3.51.3 on


@dataclass(frozen=True, slots=True)
class Sign:
    """One thing that was looked at. `note`: nothing is wrong, and it is good to know. `advice`: what to do."""

    what: str
    state: Literal["well", "note", "wrong"] = "well"
    advice: str | None = None


def library_and_record(settings: "Settings") -> Iterator[Sign]:
    """The SQLite in use, its answers to known questions, and the record."""
    import sqlite3

    from storage.sqlite.self_test import findings

    for each in findings(settings.data_dir):
        yield Sign(each.what, "wrong" if each.problem else "well", each.problem)
    if may_lose_commits(sqlite3.sqlite_version_info):
        yield Sign(
            f"SQLite {sqlite3.sqlite_version} has the WAL-reset bug (3.7.0 to 3.51.2)",
            "note",
            "It needs two that write and checkpoint at once. In a record of ours the recorder alone does either; other "
            "programs must not write there. A Python with a newer SQLite, or the package pysqlite3, is free of it.",
        )


def may_lose_commits(version: tuple[int, int, int]) -> bool:
    """Is this SQLite one with the WAL-reset bug (sqlite.org/wal.html#walresetbug)?"""
    fixed = any(version[:2] == line[:2] and version >= line for line in _FIXED_SQLITE)
    return (3, 7, 0) <= version < (3, 51, 3) and not fixed


def processes(settings: "Settings", found: "Status") -> Iterator[Sign]:
    """Do they run, are their ports open, does the recorder keep up, is there room?"""
    if found.running:
        wanted = settings.workers if settings.workers != "auto" else None
        if wanted is not None and found.workers < wanted:
            yield Sign(f"{found.workers} of {wanted} workers run", "wrong", "Look into the log: it says why one ended.")
        else:
            yield Sign(f"{found.workers} worker{'s' if found.workers > 1 else ''} and the recorder run")
        yield from _ports(settings)
    elif found.recorder or found.workers:
        lacking = "the recorder does" if found.workers else "workers do"
        yield Sign(f"{lacking} not run", "wrong", "Start Sekisho again: sekisho serve. The log says why it ended.")
    else:
        yield Sign("Sekisho does not run", "note", "sekisho serve starts it.")
    if found.waiting and found.lag_s > _LAG_S:
        what = f"{found.waiting} exchanges wait to be recorded, the oldest for {found.lag_s:.0f} s"
        if found.recorder:
            yield Sign(what, "wrong", "The recorder is behind: look at its processor and disk, and into the log.")
        else:
            yield Sign(what, "note", "They are recorded when Sekisho runs again.")
    elif found.recorder:
        yield Sign("the recorder keeps up")
    if found.disk_free is not None:
        low = found.disk_free < settings.storage.disk_warn
        what = f"{100 * found.disk_free:.0f} % of the disk under {settings.data_dir} is free"
        yield Sign(what, "wrong" if low else "well", _ROOM if low else None)
    for key in found.provider_keys:
        if key.state != "ready":
            yield Sign(f"key {key.provider} {key.label}: {key.state}", "wrong", key.problem or "Replace this key.")


_ROOM = "Make room, or let go of old exchanges: storage.keep, sekisho retain."


def _ports(settings: "Settings") -> Iterator[Sign]:
    for listener in settings.listen:
        if listener.mode == "wireguard":
            continue  # UDP, and it answers its peer alone
        address = listener.address
        host = {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "::1"}.get(address.host, address.host)  # noqa: S104 - compared
        try:
            socket.create_connection((host, address.port), 3).close()
        except OSError as cannot:
            advice = "The settings were changed since the start, or a firewall is in between: restart, or open it."
            yield Sign(f"{address} ({listener.mode}) is not reachable: {cannot.strerror or cannot}", "wrong", advice)
        else:
            yield Sign(f"{address} ({listener.mode}) takes connections")


def clock(settings: "Settings", now: datetime) -> Iterator[Sign]:
    """Has the clock gone back? The newest exchange began before now."""
    import contextlib

    from storage.sqlite.driver import StoreProblem, audit_path, open_for_reading

    if not audit_path(settings.data_dir).exists():
        return
    with contextlib.suppress(StoreProblem):  # said already, of the record
        record = open_for_reading(audit_path(settings.data_dir)).conn
        try:
            newest = record.execute("select max(started_at) from exchange").fetchone()[0]
        finally:
            record.close()
        if newest is not None:
            ahead = newest / 1e6 - now.timestamp()
            if ahead > _AHEAD_S:
                what = (
                    f"the newest exchange began {ahead:.0f} s in the future: this clock was set back, or was wrong then"
                )
                yield Sign(what, "wrong", "Set the clock by NTP. Identity tokens are judged by it.")
            else:
                yield Sign("the clock is not behind the record")


def authority(settings: "Settings", now: datetime) -> Iterator[Sign]:
    """Is the CA fit for the forward modes, and for how long?"""
    from certificates.authority import days_left
    from certificates.folder import AuthorityFolder
    from certificates.readiness import authority_problems, authority_warnings

    problems = authority_problems(settings, now)
    for problem in problems:
        yield Sign(problem, "wrong")
    if problems or (current := AuthorityFolder(settings.data_dir).current()) is None:
        return
    for warning in authority_warnings(settings, now):
        yield Sign(warning, "wrong")
        return
    yield Sign(f"the CA may sign for every provider's host, and is good for {days_left(current.root, now):.0f} days")


def clients(settings: "Settings", now: datetime) -> Iterator[Sign]:
    """Does each program on this machine trust the CA, in this environment?"""
    from certificates.authority import days_left
    from certificates.folder import AuthorityFolder
    from certificates.readiness import opened_hosts
    from cli.clients.probes import verdicts

    current = AuthorityFolder(settings.data_dir).current()
    hosts = opened_hosts(settings)
    if current is None or not hosts or days_left(current.root, now) <= 0:
        yield Sign(
            "no client was asked whether it trusts the CA: there is none to trust, or no host to ask for", "note"
        )
        return
    for each in verdicts(current, hosts[0]):
        if each.state == "trusted":
            yield Sign(f"{each.name} trusts the CA")
        elif each.state == "not installed":
            yield Sign(f"{each.name} is not installed", "note")
        elif each.state == "not asked":
            yield Sign(f"{each.name} could not be asked: {each.said}", "note", f"To be sure of it, type: {each.advice}")
        else:
            trust = "gave no answer" if each.state == "no answer" else "does not trust the CA"
            state: Literal["note", "wrong"] = "wrong" if each.needed else "note"
            yield Sign(f"{each.name} {trust}: {each.said}", state, f"Type: {each.advice}")
