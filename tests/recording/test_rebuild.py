"""A better reader changes the derived view, and nothing else."""

import json
import sqlite3
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import recording.rebuild
import recording.understanding
from exchange.record import Derived
from recording.rebuild import Rebuilt, rebuild
from storage.journal.rows import Arrivals, ReplyHead, RequestPiece
from storage.journal.writing import Journal
from storage.query.parsing import parse
from storage.sqlite.driver import audit_path
from storage.sqlite.reading import AuditReader
from storage.sqlite.verifying import verify
from storage.upkeep.rebuilding import Rebuilding
from tests.cli.records import chat, refused, store, with_tools
from tests.recording.test_recorder import closing, exchange, intent, journal, new_id, record_all, records
from tests.storage.test_query import NOW

__all__ = ["journal"]  # the fixture


def rebuilt(folder: Path, upto: Any = lambda _done, _of: None, version: int = 2) -> Rebuilt:
    writer = Rebuilding(audit_path(folder), reader_version=version)
    try:
        return rebuild(writer, {"openai": "openai"}, upto)
    finally:
        writer.close()


def found(folder: Path, query: str) -> list[int]:
    reader = AuditReader(folder)
    try:
        return sorted(json.loads(line)["seq"] for line in reader.search(parse(query, NOW)))
    finally:
        reader.close()


def observed(folder: Path) -> list[tuple[Any, ...]]:
    """The chain, and what it is made of."""
    connection = sqlite3.connect(audit_path(folder))
    connection.row_factory = sqlite3.Row
    try:
        assert verify(connection).broken is None
        columns = "seq, id, started_at, observed, status, salt, request_digest, response_digest, prev_hash, hash"
        return [tuple(row) for row in connection.execute(f"select {columns} from exchange order by seq")]
    finally:
        connection.close()


async def test_a_fixed_reader_changes_the_derived_view_only(
    tmp_path: Path, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = recording.understanding._derive

    def wrong(*given: Any) -> Derived:
        return replace(right(*given), texts=(), response_model="misread", response=b'{"misread":true}')

    exchange(journal)
    id_ = new_id()
    journal.append(id_, intent(2), b"")
    journal.append(id_, closing("unreachable", b"", status=502, head=None))
    journal.close()
    with monkeypatch.context() as patch:
        patch.setattr(recording.understanding, "_derive", wrong)
        record_all(tmp_path)
    before, chain = records(tmp_path), observed(tmp_path)
    assert before[0]["response"] == {"misread": True}
    assert found(tmp_path, "天気") == []

    assert rebuilt(tmp_path) == Rebuilt(whole=2)
    after = records(tmp_path)
    assert after[0]["response"]["choices"][0]["message"]["content"] == "晴れです"
    assert after[0]["response_model"] != "misread"
    assert found(tmp_path, "天気") == [1]
    assert observed(tmp_path) == chain
    reader = AuditReader(tmp_path)
    raw = reader.raw(after[0]["id"], "response")
    reader.close()
    assert raw.content.startswith(b"data: ")
    assert raw.arrivals == [(900, len(raw.content))]
    connection = sqlite3.connect(audit_path(tmp_path))
    assert connection.execute("select distinct reader from exchange").fetchall() == [(2,)]
    connection.close()


async def test_the_same_reader_changes_nothing(tmp_path: Path, journal: Journal) -> None:
    for number in range(1, 4):
        exchange(journal, number)
    id_ = new_id()
    journal.append(id_, intent(4, outcome="deny", code="model_not_allowed"), b"{}")
    journal.append(id_, closing("refused", b"", status=403, head=None))
    id_ = new_id()
    journal.append(id_, intent(5), b'{"model":"gpt-4o"')  # cut short: no JSON
    journal.append(id_, closing("client_gone", b"data: {", status=200))
    journal.close()
    record_all(tmp_path)
    before = records(tmp_path)
    for _ in range(2):
        rebuilt(tmp_path)
        assert records(tmp_path) == before


def test_threads_and_tools_are_found_again(tmp_path: Path) -> None:
    store(tmp_path, chat("hi", "ho"), with_tools())
    rebuilt(tmp_path)
    assert found(tmp_path, "東京") == [2]
    threads = {record["thread_id"] for record in records(tmp_path)}
    assert len(threads) == 2
    rebuilt(tmp_path)
    assert {record["thread_id"] for record in records(tmp_path)} == threads


def test_an_interrupted_rebuild_goes_on_where_it_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording.rebuild, "_BATCH", 10)
    store(tmp_path, *(chat(f"word{i}", "x") for i in range(45)))

    def stop(done: int, _of: int) -> None:
        if done >= 20:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        rebuilt(tmp_path, stop)
    assert found(tmp_path, "word5 ") == [6]
    assert found(tmp_path, "word40") == []
    store(tmp_path, chat("afterwards", "x"))  # the recorder ran meanwhile
    assert rebuilt(tmp_path).whole == 25
    assert found(tmp_path, "word40") == [41]
    assert found(tmp_path, "afterwards") == [46]
    connection = sqlite3.connect(audit_path(tmp_path))
    connection.execute("insert into search (search, rank) values ('integrity-check', 0)")
    connection.close()


def test_what_has_no_bytes_any_more_stays_as_it_is_and_is_found_again(tmp_path: Path) -> None:
    store(tmp_path, chat("鯨の歌", "y"), refused(), chat("消された", "z"))
    connection = sqlite3.connect(audit_path(tmp_path))
    connection.execute("update body set raw = 'expired' where seq = 1")
    connection.execute("delete from raw_reply where seq = 1")
    connection.execute("update body set request = null, request_json = null, response = null where seq = 3")
    connection.execute("update body set raw = 'expired' where seq = 3")
    connection.execute("update exchange set salt = null where seq in (1, 3)")
    connection.execute("delete from raw_reply where seq = 3")
    connection.commit()
    connection.close()
    before = records(tmp_path)

    assert rebuilt(tmp_path) == Rebuilt(whole=1, indexed=1)
    assert records(tmp_path)[0] == before[0]
    assert (found(tmp_path, "鯨の歌"), found(tmp_path, "消された")) == ([1], [])


def test_a_body_that_cannot_be_read_is_left_and_counted(tmp_path: Path) -> None:
    store(tmp_path, chat("a" * 500, "y"), chat("good", "z"))
    connection = sqlite3.connect(audit_path(tmp_path))
    connection.execute("delete from chunk where id = 1")
    connection.commit()
    connection.close()
    assert rebuilt(tmp_path) == Rebuilt(whole=1, unreadable=1)
    assert found(tmp_path, "good") == [2]


@pytest.mark.parametrize(
    ("status", "response", "end"),
    [(0, b"\0\0\0\0\1b", "complete"), (5, b"", "upstream_error"), (None, b"\0\0\0\0\1b", "complete")],
)
async def test_a_call_of_grpc_is_whole_in_its_parts_and_its_status_outlives_a_rebuild(
    tmp_path: Path, journal: Journal, status: int | None, response: bytes, end: str
) -> None:
    kind = "application/grpc+proto"
    id_ = new_id()
    journal.append(id_, intent(path="/a.B/C", content_type=kind, body_bytes=0, operation="other"), b"")
    journal.append(id_, RequestPiece(10), b"\0\0\0\0\1")
    journal.append(id_, RequestPiece(20), b"a")
    head = ReplyHead(200, kind, None, None)
    arrived = Arrivals([900], [len(response)]) if response else Arrivals([], [])
    ended = closing("response_ended", response, head=head, arrivals=arrived, grpc_status=status)
    journal.append(id_, ended, response)
    journal.close()
    record_all(tmp_path)
    before = records(tmp_path)
    assert (before[0]["request"]["_bytes"], before[0]["request_bytes"]) == (6, 6)
    assert before[0]["end_state"] == end
    noted = before[0]["response"].get("_extra") if before[0]["response"] else None
    assert noted == (None if status is None else {"grpc_status": status})
    assert rebuilt(tmp_path).whole == 1
    assert records(tmp_path) == before


async def test_parts_of_a_request_whose_worker_died_are_on_record_as_far_as_they_came(
    tmp_path: Path, journal: Journal
) -> None:
    id_ = new_id()
    journal.append(id_, intent(path="/a.B/C", content_type="application/grpc", body_bytes=0, operation="other"), b"")
    journal.append(id_, RequestPiece(10), b"abc")
    journal.close()
    record_all(tmp_path)
    (record,) = records(tmp_path)
    assert (record["end_state"], record["request"]["_bytes"]) == ("proxy_died", 3)
