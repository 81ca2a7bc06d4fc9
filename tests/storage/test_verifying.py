"""Altering the record shows: whatever is changed, removed, moved or cut off."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from exchange.record import Record, Seen
from storage.heads import Head, HeadSigner, public_key, read_heads
from storage.sqlite.breaks import ChainBreak, write_break
from storage.sqlite.driver import audit_path
from storage.sqlite.verifying import Verdict, verify
from tests.cli.records import record, store

OBSERVED = [name for name in Seen.__dataclass_fields__ if name != "principal"] + [
    "issuer",
    "subject",
    "email",
    "domain",
    "groups",
]


def asked(question: str) -> Record:
    messages = [{"role": "user", "content": question}]
    answer = {"choices": [{"index": 0, "message": {"role": "assistant", "content": f"{question}の答え" * 40}}]}
    return record({"model": "gpt-4o", "messages": messages}, answer)


@pytest.fixture
def audit(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    store(tmp_path, *(asked(f"質問 {i}") for i in range(6)))
    connection = sqlite3.connect(audit_path(tmp_path), isolation_level=None)
    connection.row_factory = sqlite3.Row
    yield connection
    connection.close()


def head_of(connection: sqlite3.Connection, seq: int) -> Head:
    row = connection.execute("select node, hash from exchange where seq = ?", (seq,)).fetchone()
    return Head(row["node"], seq, row["hash"], "2026-11-24T00:00:00+00:00")


def test_an_untouched_record_holds(audit: sqlite3.Connection) -> None:
    assert verify(audit, [head_of(audit, 6)]) == Verdict(1, 6, 6, None, 1, [])


@pytest.mark.parametrize("column", OBSERVED)
def test_a_change_in_any_observed_column_is_named(audit: sqlite3.Connection, column: str) -> None:
    value = audit.execute(f"select {column} from exchange where seq = 3").fetchone()[0]
    other: Any = {int: 7 if value != 7 else 8, str: '["x"]' if column in ("groups", "changed") else "altered"}.get(
        type(value), 9 if column in ("overhead", "ttft", "duration", "status") else "x"
    )
    audit.execute("pragma foreign_keys=off")
    audit.execute(f"update exchange set {column} = ? where seq = 3", (other,))

    broken = verify(audit).broken or ""
    assert broken.startswith("record 3") or (column == "node" and "follow" in broken)


@pytest.mark.parametrize("column", ["prev_hash", "hash", "request_digest", "response_digest"])
def test_a_change_in_the_chain_itself_is_named(audit: sqlite3.Connection, column: str) -> None:
    audit.execute(f"update exchange set {column} = 's1:' || hex(randomblob(32)) where seq = 3")

    assert (verify(audit).broken or "").startswith("record 3")


@pytest.mark.parametrize("table", ["chunk", "body"])
def test_another_content_under_the_same_row_is_named(audit: sqlite3.Connection, table: str) -> None:
    if table == "body":
        audit.execute("update body set request = (select request from body where seq = 2) where seq = 4")
    else:
        audit.execute("update chunk set content = x'0091c40161'")

    assert verify(audit).broken is not None


def test_a_removed_record_is_named(audit: sqlite3.Connection) -> None:
    for table in ("body", "raw_reply", "exchange"):
        audit.execute(f"delete from {table} where seq = 4")

    assert verify(audit).broken == "records 4 to 4 are missing"


def test_records_in_another_order_are_named(audit: sqlite3.Connection) -> None:
    audit.execute("pragma foreign_keys=off")
    for old, new in ((2, 100), (3, 2), (100, 3)):
        for table in ("body", "raw_reply", "exchange"):
            audit.execute(f"update {table} set seq = ? where seq = ?", (new, old))

    assert "does not follow" in (verify(audit).broken or "")


def test_a_tail_that_was_cut_off_shows_against_a_signed_head_alone(audit: sqlite3.Connection) -> None:
    head = head_of(audit, 6)
    for table in ("body", "raw_reply", "exchange"):
        audit.execute(f"delete from {table} where seq > 4")

    assert verify(audit).broken is None
    assert verify(audit, [head]).broken == "records 5 to 6 are cut off: a signed head names the last of them"


def test_a_record_that_was_made_anew_shows_against_a_signed_head(audit: sqlite3.Connection, tmp_path: Path) -> None:
    head = head_of(audit, 6)
    other = tmp_path / "other"
    store(other, *(asked(f"別の質問 {i}") for i in range(6)))
    connection = sqlite3.connect(audit_path(other))
    connection.row_factory = sqlite3.Row

    assert "made anew" in (verify(connection, [head]).broken or "")
    connection.close()


def test_content_that_is_gone_without_a_tombstone_is_named(audit: sqlite3.Connection) -> None:
    audit.execute("update exchange set salt = null where seq = 3")
    audit.execute("update body set request = null, response = null, raw = 'expired' where seq = 3")
    audit.execute("delete from raw_reply where seq = 3")

    assert verify(audit).broken == "record 3 lost its content, and no tombstone says why"


def test_exchanges_that_a_worker_counted_and_nobody_recorded_are_printed(tmp_path: Path) -> None:
    numbers = (1, 2, 5, 6, 8)
    store(tmp_path, *(record({"model": "m"}, {}, boot="0199aaaa", number=number) for number in numbers))
    connection = sqlite3.connect(audit_path(tmp_path))
    connection.row_factory = sqlite3.Row
    verdict = verify(connection)
    connection.close()

    assert verdict.broken is None
    assert verdict.gaps == [
        "worker 0199aaaa counted 3 to 4, not recorded (yet): open, or lost",
        "worker 0199aaaa counted 7, not recorded (yet): open, or lost",
    ]


def test_a_signed_head_comes_back_and_a_forged_one_does_not(tmp_path: Path) -> None:
    head = Head("gw-1", 41, "s1:abc", "2026-11-24T00:00:00+00:00")
    line = HeadSigner(tmp_path).line(head)
    key = public_key(tmp_path)

    assert list(read_heads(line + "\n\n", key)) == [head]
    with pytest.raises(ValueError, match="does not verify"):
        list(read_heads(line.replace(" 41 ", " 42 "), key))
    with pytest.raises(ValueError, match="no signed head"):
        list(read_heads("sekisho/1 gw-1", key))
    assert HeadSigner(tmp_path).line(head) == line, "the key is made once"


def broken_after(connection: sqlite3.Connection, after: int, lost: tuple[tuple[int, int], ...]) -> None:
    """A break as `recover` writes it: records are gone from the middle, and what follows is linked anew."""
    heads = dict(connection.execute("select node, hash from exchange order by seq desc limit 1").fetchall())
    connection.execute("begin")
    write_break(connection, ChainBreak(after, 1, "a page is bad", "audit.db.corrupt-x", lost, (), heads))
    connection.execute("commit")


def test_lost_records_that_a_break_names_are_said_and_the_rest_holds(audit: sqlite3.Connection, tmp_path: Path) -> None:
    audit.execute("pragma foreign_keys=off")
    audit.execute("delete from exchange where seq in (3, 4)")
    broken_after(audit, 6, ((3, 4),))
    store(tmp_path, asked("after"))

    verdict = verify(audit)
    assert (verdict.broken, verdict.records, verdict.last_seq) == (None, 5, 7)
    assert ["records 3 to 4 are not in this file" in said for said in verdict.breaks] == [True]


@pytest.mark.parametrize(
    "sql",
    [
        "update chain_break set reason = 'nothing'",
        "update chain_break set lost = '[[1, 5]]'",
        "update chain_break set at = 2",
        "delete from chain_break",
        "delete from exchange where seq = 6",
        "delete from exchange where seq = 2",
        "update exchange set status = 418 where seq = 5",
        "update chain_break set hash = 's1:' || hex(randomblob(32))",
    ],
)
def test_a_break_hides_nothing(audit: sqlite3.Connection, tmp_path: Path, sql: str) -> None:
    audit.execute("pragma foreign_keys=off")
    audit.execute("delete from exchange where seq in (3, 4)")
    broken_after(audit, 6, ((3, 4),))
    store(tmp_path, asked("after"))
    audit.execute(sql)

    assert verify(audit).broken is not None


def test_a_tail_that_a_break_does_not_name_is_cut_off(audit: sqlite3.Connection) -> None:
    head = head_of(audit, 6)
    audit.execute("pragma foreign_keys=off")
    audit.execute("delete from exchange where seq > 4")
    broken_after(audit, 6, ((5, 6),))
    assert verify(audit, [head]).broken is None  # named, though nobody can look at it any more
    audit.execute("delete from chain_break")
    assert "cut off" in (verify(audit, [head]).broken or "")


def test_damage_comes_twice(audit: sqlite3.Connection, tmp_path: Path) -> None:
    audit.execute("pragma foreign_keys=off")
    audit.execute("delete from exchange where seq > 4")
    broken_after(audit, 6, ((5, 6),))
    store(tmp_path, *(asked(f"later {i}") for i in range(4)))
    audit.execute("delete from exchange where seq in (7, 8)")
    broken_after(audit, 10, ((7, 8),))
    store(tmp_path, asked("last"))

    verdict = verify(audit)
    assert (verdict.broken, verdict.records, len(verdict.breaks)) == (None, 7, 2)
    audit.execute("delete from exchange where seq = 9")
    assert verify(audit).broken == "records 9 to 9 are missing"
