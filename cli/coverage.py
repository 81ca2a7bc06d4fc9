"""`sekisho coverage`: which AI services are used that are not read?"""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from cli.failure import WrongUse
from cli.options import Config, settings_at

if TYPE_CHECKING:
    from storage.sqlite.coverage import Unseen

_WORDS = {
    "passed": "passes by agreement",
    "noted": "passes, noted",
    "blocked": "blocked",
    "tls_refused_by_client": "did not take our certificate",
    "tls_failed": "TLS came to nothing",
    "unused": "asked nothing after TLS",
    "unreachable": "not reachable",
}


def coverage(
    config: Config = None,
    since: Annotated[str, typer.Option("--since", metavar="WHEN", help="A date, or how long ago: 7d, 12h.")] = "30d",
    every: Annotated[
        bool,
        typer.Option("--all", help="Every host, not only those of known AI services, and what passes by agreement."),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, one object a line.")] = False,
) -> None:
    """Say which AI services were used through the forward mode without being read, by whom, how much, and why.

    Only what came this way is counted: a machine that reaches a service past this proxy is not seen by it.
    """
    from datetime import UTC, datetime

    import msgspec

    from cli.terminal import err, out, write_json
    from storage.query.times import instant
    from storage.sqlite.coverage import coverage as asked
    from storage.sqlite.driver import audit_path, open_for_reading

    after = instant(since, datetime.now(UTC), lambda naive: naive.astimezone())
    if after is None:
        raise WrongUse(f"--since {since!r} is no time. Write a date (2026-11-24), or how long ago (7d, 12h).")
    record = open_for_reading(audit_path(settings_at(config).data_dir)).conn
    try:
        known = record.execute("select 1 from sqlite_schema where name = 'coverage'").fetchone()
        found = asked(record, after, services=not every, agreed=every) if known else []
    finally:
        record.close()
    console = out()
    for each in found:
        if as_json:
            write_json(msgspec.json.encode(asdict(each)))
        else:
            for line in _lines(each):
                console.print(line, overflow="ignore", highlight=False, markup=False)
    if not found:
        err().print("Nothing that was not read." if every else "No AI service that was not read. --all: every host.")


def _lines(each: "Unseen") -> list[str]:
    from cli.terminal import one_line

    service = f"{each.service}: " if each.service else ""
    why = ", ".join(f"{_WORDS.get(why, why)} ×{count}" for why, count in each.why.items())
    who = f"{_count(each.people, 'person', 'people')}, {_count(each.addresses, 'machine', 'machines')}"
    return [
        f"{one_line(service + each.host)}  {_count(each.connections, 'connection', 'connections')}, {who}",
        f"    {why}",
        f"    {_size(each.sent)} sent, {_size(each.received)} received, {each.first_at[:16]} to {each.last_at[:16]}",
    ]


def _count(number: int, one: str, more: str) -> str:
    return f"{number} {one if number == 1 else more}"


def _size(count: int) -> str:
    size = float(count)
    for unit in ("bytes", "KiB", "MiB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} GiB"
