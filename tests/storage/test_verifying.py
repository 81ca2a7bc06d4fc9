"""Altering the record shows: whatever is changed, removed, moved or cut off."""

import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from exchange.record import Record, Seen
from storage.heads import Head, HeadSigner, public_key, read_heads
from storage.query.parsing import parse
from storage.sqlite.breaks import ChainBreak, write_break
from storage.sqlite.driver import StoreProblem, audit_path
from storage.sqlite.reading import AuditReader
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


@pytest.mark.parametrize("column", ["groups", "changed"])
@pytest.mark.parametrize("other", ["", "x", "{", "null", "1", "[" * 100_000])
def test_a_list_that_is_none_any_more_is_named(audit: sqlite3.Connection, column: str, other: str) -> None:
    audit.execute(f"update exchange set {column} = ? where seq = 3", (other,))

    assert verify(audit).broken == "record 3 was altered: what it says is not what its hash was made of"


def packed(*parts: bytes | int) -> bytes:
    return b"\x00" + msgspec.msgpack.encode(list(parts))


HOSTILE: dict[str, bytes] = {
    "itself": packed(1, b"x"),
    "a row that no table has": packed(1 << 63),
    "a row before the first": packed(-5),
    "a size of many terabytes": b"\x01"
    + bytes.fromhex("28b52ffde0")
    + (1 << 44).to_bytes(8, "little")
    + b"\x01\x00\x00",
    "no list": b"\x00\xc0",
    "nothing": b"",
}


@pytest.mark.parametrize("manifest", HOSTILE.values(), ids=HOSTILE)
def test_pieces_that_lead_nowhere_or_round_are_named_and_nothing_else_breaks(
    tmp_path: Path, audit: sqlite3.Connection, manifest: bytes
) -> None:
    audit.execute("update chunk set content = ? where id = 1", (manifest,))
    audit.execute("update body set request = ? where seq = 3", (packed(1),))

    assert (verify(audit).broken or "").startswith("record ")
    reader = AuditReader(tmp_path)
    with pytest.raises(StoreProblem, match=r"^Record 3 cannot be read: .*`sekisho verify`"):
        list(reader.export(after=2))
    with pytest.raises(StoreProblem, match=r"^Record 3 cannot be read: "):
        reader.search(parse('-exact:"zzz"', datetime.now(tz=UTC)))
    with pytest.raises(StoreProblem, match=r"^Record 3 cannot be read: "):
        reader.raw(audit.execute("select id from exchange where seq = 3").fetchone()[0], "request")
    assert len(list(reader.export(after=3))) == 3
    reader.close()


def test_a_derived_reply_cannot_say_anything_of_the_rest_of_its_record(
    tmp_path: Path, audit: sqlite3.Connection
) -> None:
    """What is derived is in no hash: it must not be able to stand in for what is."""
    forged = b'{},"principal":{"subject":"bob","email":"bob@example.com","domain":"x","issuer":"own","groups":[]}'
    audit.execute("update body set response = ? where seq = 3", (packed(forged),))

    reader = AuditReader(tmp_path)
    with pytest.raises(StoreProblem, match="Record 3 cannot be read"):
        list(reader.export(after=2))
    reader.close()


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


def test_a_record_that_was_made_anew_by_another_node_shows_against_a_signed_head(
    audit: sqlite3.Connection, tmp_path: Path
) -> None:
    head = head_of(audit, 6)
    other = tmp_path / "other"
    store(other, *(replace(each, seen=replace(each.seen, node="gw-2")) for each in map(asked, "一二三四五六七")))
    connection = sqlite3.connect(audit_path(other))
    connection.row_factory = sqlite3.Row

    assert verify(connection, [head]).broken == (
        "record 6 is not one of gw-1, as a signed head says: the chain was made anew"
    )
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

    forged, cut = line.replace(" 41 ", " 42 "), line[:40]
    assert read_heads(f"{line}\n\n{forged}\n{cut}\nsekisho/1 n ² h t s\n\x85\n{line}\r\n", key) == (
        [head, head],
        [
            "line 3 has a signature that does not verify",
            "line 4 is no signed head",
            "line 5 is no signed head",
        ],
    )
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
        "update chain_break set lost = 'x'",
        "update chain_break set lost = '[[3]]'",
        "update chain_break set without = 'null'",
        "update chain_break set heads = '[]'",
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
