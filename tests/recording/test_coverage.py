"""Connections that are not read: from the journal into the record, once each."""

import asyncio
from pathlib import Path

import uuid_utils

from exchange.principal import Principal
from recording.recorder import Recorder
from storage.journal.rows import Unread
from storage.journal.writing import Journal
from storage.sqlite.coverage import Unseen, coverage, forget_unread
from storage.sqlite.driver import audit_path, open_for_reading
from storage.sqlite.writing import AuditWriter

ANN = Principal("u-ann", "ann@example.com", "example.com", "own")
AT = 1_764_000_000_000_000


def row(host: str, why: str = "noted", **more: object) -> Unread:
    known: dict[str, object] = {
        "started_at": AT, "ended_at": None, "node": "gw", "principal": ANN, "address": "10.0.0.1", "user_agent": None,
        "mode": "forward", "host": host, "port": 443, "name": host, "service": None, "rule": "hosts.unknown",
        "why": why, "detail": None, "sent": 0, "received": 0,
    }  # fmt: skip
    return Unread(**(known | more))  # type: ignore[arg-type]


def stored(data_dir: Path, *, agreed: bool = False, services: bool = False) -> list[Unseen]:
    db = open_for_reading(audit_path(data_dir))
    try:
        return coverage(db.conn, 0, services=services, agreed=agreed)
    finally:
        db.close()


def record(data_dir: Path) -> None:
    recorder = Recorder(data_dir)
    try:
        while recorder.step():
            pass
    finally:
        recorder.close()


async def written(data_dir: Path, *rows: tuple[bytes, Unread]) -> None:
    journal = Journal(data_dir, durable=False, file_limit=1 << 20, limit=1 << 30)
    for id_, one in rows:
        journal.append(id_, one)
    await asyncio.sleep(0)
    journal.close()


def new() -> bytes:
    return uuid_utils.uuid7().bytes


async def test_a_connection_is_one_row_whose_end_counts(tmp_path: Path) -> None:
    one, begun = new(), row("chatgpt.com", service="OpenAI")
    await written(tmp_path, (one, begun), (one, begun.over(AT + 7_000_000, 1000, 20_000)))
    await asyncio.to_thread(record, tmp_path)

    (found,) = stored(tmp_path)
    assert (found.connections, found.sent, found.received, found.people) == (1, 1000, 20_000, 1)
    assert (found.service, found.why, found.last_at[17:19]) == ("OpenAI", {"noted": 1}, f"{(AT // 10**6 + 7) % 60:02}")


async def test_a_connection_whose_worker_died_is_known_without_its_end(tmp_path: Path) -> None:
    await written(tmp_path, (new(), row("chatgpt.com")))
    await asyncio.to_thread(record, tmp_path)
    assert [found.connections for found in stored(tmp_path)] == [1]


async def test_an_end_that_is_read_in_a_later_life_of_the_recorder_counts(tmp_path: Path) -> None:
    one, begun = new(), row("chatgpt.com")
    await written(tmp_path, (one, begun))
    await asyncio.to_thread(record, tmp_path)
    await written(tmp_path, (one, begun.over(AT + 5, 10, 20)), (one, begun))
    await asyncio.to_thread(record, tmp_path)
    (found,) = stored(tmp_path)
    assert (found.connections, found.sent) == (1, 10)


async def test_hosts_are_grouped_and_what_is_agreed_is_left_out(tmp_path: Path) -> None:
    bob = Principal("u-bob", "bob@example.com", "example.com", "own")
    rows = [
        row("claude.ai", service="Anthropic", sent=5, ended_at=AT),
        row("claude.ai", service="Anthropic", sent=6, ended_at=AT, principal=bob, why="blocked"),
        row("claude.ai", service="Anthropic", ended_at=AT, principal=None, address="10.0.0.2"),
        row("pypi.example", ended_at=AT, sent=100),
        row("intranet.example", "passed", ended_at=AT),
    ]
    await written(tmp_path, *((new(), one) for one in rows))
    await asyncio.to_thread(record, tmp_path)

    found = stored(tmp_path)
    assert [(one.host, one.connections, one.people, one.addresses, one.sent) for one in found] == [
        ("pypi.example", 1, 1, 1, 100),
        ("claude.ai", 3, 2, 2, 11),
    ]
    assert found[1].why == {"blocked": 1, "noted": 2}
    assert [one.host for one in stored(tmp_path, services=True)] == ["claude.ai"]
    assert len(stored(tmp_path, agreed=True)) == 3


def test_connections_go_with_their_age_and_with_their_person_unless_they_are_held(tmp_path: Path) -> None:
    bob = Principal("u-bob", "bob@example.com", "example.com", "own")
    writer = AuditWriter(audit_path(tmp_path), reader_version=1)
    rows = [
        (new().hex(), row("claude.ai", started_at=AT + number, principal=who))
        for number, who in enumerate([ANN, bob, None] * 400)
    ]
    writer.store([], [], unread=rows)

    def left() -> list[tuple[str | None, int]]:
        asked = "select subject, count(*) from coverage group by subject order by subject"
        return writer.connection.execute(asked).fetchall()

    assert list(forget_unread(writer.connection, before=AT + 600))[-1] == 600
    assert left() == [(None, 200), ("u-ann", 200), ("u-bob", 200)]
    writer.connection.execute(
        "insert into hold (person, reason, actor, at) values ('bob@example.com', 'a case', 'root', 0)"
    )
    for pair in (("own", "u-ann"), ("own", "u-bob")):
        list(forget_unread(writer.connection, person=pair))
    list(forget_unread(writer.connection, before=AT + 10_000))
    assert left() == [("u-bob", 200)]
    writer.close()
