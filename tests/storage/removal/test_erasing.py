"""A person's content is taken out for good: no byte of it is left in any file, and the chain still verifies."""

import json
import sqlite3
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from exchange.call import Text
from exchange.principal import Principal
from exchange.record import Record, Seen
from storage.chain import Way, link
from storage.heads import Head
from storage.query.parsing import parse
from storage.removal.erasing import BUDGET, Counts, Erasure
from storage.removal.holds import add_hold, remove_hold
from storage.removal.tombstones import NODE, Order, Tombstones
from storage.sqlite.driver import audit_path
from storage.sqlite.people import Who, identities_of
from storage.sqlite.reading import AuditReader
from storage.sqlite.transaction import transaction
from storage.sqlite.verifying import Verdict, verify
from storage.sqlite.writing import AuditWriter
from tests.cli.records import BEGUN, chat, streamed, with_tools

BOB = Principal("bob", "bob@example.com", "example.com", "own")
ANN_AGAIN = Principal("00u7", "ann@example.com", "example.com", "corp")
ORDER = Order("0199", "root", "she asked for it", BEGUN + 1)
WORDS = ("秘密", "密鑰", "鑰匙", "canary4711", "紅葉", "セキショ")
SECRET = "秘密鑰匙は canary4711 です。紅葉を見にセキショへ行きました。" * 8


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[AuditWriter]:
    kept = AuditWriter(audit_path(tmp_path), reader_version=1)
    yield kept
    kept.close()


def on_disk(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


def forms(word: str) -> Iterator[bytes]:
    for coding in ("utf-8", "utf-16-le", "utf-16-be"):
        yield word.encode(coding)
    yield word.encode("unicode_escape").replace(b"\\u", b"\\u")


def by(who: Principal, record: Record, **seen: Any) -> Record:
    return replace(record, seen=replace(record.seen, principal=who, **seen))


def erase(writer: AuditWriter, *pairs: tuple[str, str], order: Order = ORDER) -> Counts:
    erasure = Erasure(order, pairs)
    for _ in writer.eraser().erase(erasure):
        pass
    writer._connection.execute("pragma wal_checkpoint(truncate)")
    return erasure.counts


def verdict(folder: Path, *heads: Head) -> Verdict:
    connection = sqlite3.connect(audit_path(folder), isolation_level=None)
    connection.row_factory = sqlite3.Row
    try:
        return verify(connection, heads)
    finally:
        connection.close()


def found(folder: Path, words: str) -> int:
    reader = AuditReader(folder)
    try:
        return len(reader.search(parse(words, datetime.now(tz=UTC))))
    finally:
        reader.close()


def test_no_byte_of_what_was_said_is_left(tmp_path: Path, writer: AuditWriter) -> None:
    writer.store([by(BOB, chat(f"質問 {i} about trains", "answer " * 30)) for i in range(200)], [])
    writer.store([chat(SECRET, SECRET), chat(f"{SECRET} again", "ok"), streamed(list(SECRET)), with_tools()], [])
    writer._connection.execute("pragma wal_checkpoint(truncate)")
    assert found(tmp_path, "秘密鑰匙") == 3
    before = on_disk(tmp_path)
    assert any(form in before for form in forms("密鑰")), "the test would see it"

    counts = erase(writer, ("own", "ann"))
    after = on_disk(tmp_path)

    assert (counts.exchanges, counts.index_entries, counts.still_found, counts.held) == (4, 4, 0, 0)
    assert [word for word in WORDS for form in forms(word) if form in after] == []
    assert [found(tmp_path, words) for words in ("秘密鑰匙", "canary4711", "東京", "user:ann@example.com")] == [0] * 4
    assert found(tmp_path, "trains") == 50
    writer._connection.execute("insert into search (search, rank) values ('integrity-check', 0)")


def test_the_chain_holds_and_names_what_was_erased(tmp_path: Path, writer: AuditWriter) -> None:
    writer.store([by(BOB, chat("質問", "答え")), chat(SECRET, SECRET), by(BOB, chat("質問", "答え"))], [])
    erase(writer, ("own", "ann"))
    head = Tombstones(writer._connection).head()
    assert head is not None

    said = verdict(tmp_path, Head(NODE, *head, "2026-11-24T00:00:00+00:00"))
    assert (said.broken, said.records, said.erased, said.tombstones, said.heads_matched) == (None, 3, 1, 2, 1)


def test_an_erased_exchange_keeps_its_row_and_says_so(tmp_path: Path, writer: AuditWriter) -> None:
    writer.store([chat(SECRET, SECRET)], [])
    erase(writer, ("own", "ann"))
    reader = AuditReader(tmp_path)
    (record,) = (json.loads(line) for _, line in reader.export())
    reader.close()

    assert (record["request"], record["response"], record["raw"]) == (None, None, "expired")
    assert record["erased_at"].endswith("Z")
    assert (record["status"], record["usage"]["output_tokens"], record["request_bytes"] > 0) == (200, 340, True)


def test_path_query_and_client_go_too_and_the_chain_is_over_their_digests(tmp_path: Path, writer: AuditWriter) -> None:
    said = {"path": "/v1/canary4711", "query": "q=秘密鑰匙", "user_agent": "canary4711/1.0"}
    writer.store([chat("a", "b", **said), chat("c", "d", user_agent=None), by(BOB, chat("e", "f"))], [])
    assert verdict(tmp_path).broken is None
    erase(writer, ("own", "ann"))
    reader = AuditReader(tmp_path)
    first, second, third = (json.loads(line) for _, line in reader.export())
    reader.close()

    assert [word for word in WORDS for form in forms(word) if form in on_disk(tmp_path)] == []
    assert (first["path"], first["query"], first["client"]["user_agent"]) == ("", None, None)
    assert second["client"]["user_agent"] is None
    assert third["path"] == "/v1/chat/completions"
    assert verdict(tmp_path).broken is None
    writer.connection.execute("update exchange set query = 'erased:0' where seq = 1")
    assert (verdict(tmp_path).broken or "").startswith("record 1 was altered")


def test_a_record_of_the_way_before_is_erased_too(
    tmp_path: Path, writer: AuditWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    def before(previous: str, seen: Seen, request: str, response: str, way: Way = "s1") -> str:
        del way
        return link(previous, seen, request, response)

    with monkeypatch.context() as patch:
        patch.setattr("storage.sqlite.writing.link", before)
        patch.setattr("storage.sqlite.writing.in_digests", lambda seen, _salt: seen)
        writer.store([chat(SECRET, SECRET)], [])
    assert verdict(tmp_path).broken is None
    erase(writer, ("own", "ann"))

    assert [word for word in WORDS for form in forms(word) if form in on_disk(tmp_path)] == []
    assert verdict(tmp_path).broken is None


@pytest.mark.parametrize(
    "tampering",
    [
        "delete from erased",
        "update tombstone set reason = 'x' where id = 1",
        "update tombstone set detail = '{}' where id = 2",
        "update exchange set salt = x'00' where seq = 1",
        "delete from tombstone where id = 2",
    ],
)
def test_what_is_changed_after_an_erasure_is_named(tmp_path: Path, writer: AuditWriter, tampering: str) -> None:
    writer.store([chat(SECRET, SECRET), by(BOB, chat("質問", "答え"))], [])
    erase(writer, ("own", "ann"))
    head = Tombstones(writer._connection).head()
    assert head is not None
    writer._connection.execute("pragma foreign_keys=off")
    writer._connection.execute(tampering)

    assert verdict(tmp_path, Head(NODE, *head, "")).broken is not None


def test_content_cannot_be_made_to_vanish_in_the_shadow_of_an_erasure(tmp_path: Path, writer: AuditWriter) -> None:
    writer.store([chat(SECRET, SECRET), by(BOB, chat("質問", "答え"))], [])
    erase(writer, ("own", "ann"))
    execute = writer._connection.execute
    execute("update exchange set salt = null where seq = 2")
    execute("update body set request = null, response = null where seq = 2")
    execute("delete from raw_reply where seq = 2")
    execute("insert into erased values (2, 1)")

    assert verdict(tmp_path).broken == "tombstone 1 names 1 erased records, and 2 refer to it"


def test_a_person_is_found_under_every_identity(writer: AuditWriter) -> None:
    writer.store([chat("a", "b"), by(ANN_AGAIN, chat("c", "d")), by(BOB, chat("e", "f"))], [])
    found = identities_of(writer._connection, Who("Ann@Example.com"))

    assert [(one.issuer, one.subject, one.exchanges) for one in found] == [("corp", "00u7", 1), ("own", "ann", 1)]
    assert identities_of(writer._connection, Who("nobody@example.com")) == []


def test_what_is_recorded_afterwards_is_whole_and_shares_nothing(tmp_path: Path, writer: AuditWriter) -> None:
    writer.store([chat(SECRET, SECRET)], [])
    erase(writer, ("own", "ann"))
    writer.store([chat(SECRET, SECRET, started_at=BEGUN + 2)], [])

    assert found(tmp_path, "秘密鑰匙 user:ann@example.com") == 1
    assert verdict(tmp_path).broken is None


def test_what_still_ran_when_it_was_asked_for_goes_in_without_content(tmp_path: Path, writer: AuditWriter) -> None:
    erase(writer, ("own", "ann"))
    writer.store([chat(SECRET, SECRET, started_at=BEGUN, query="q=秘密鑰匙", user_agent="canary4711/1.0")], [])
    writer._connection.execute("pragma wal_checkpoint(truncate)")
    kept = on_disk(tmp_path)

    assert [word for word in WORDS for form in forms(word) if form in kept] == []
    assert found(tmp_path, "user:ann@example.com") == 0
    assert verdict(tmp_path).broken is None


def interrupted_after(writer: AuditWriter, steps: int) -> None:
    work = writer.eraser().erase(Erasure(ORDER, [("own", "ann")]))
    for _ in range(steps):
        next(work, None)
    work.close()


@pytest.mark.parametrize("steps", range(1, 9))
def test_an_erasure_that_was_interrupted_is_carried_on_with(tmp_path: Path, writer: AuditWriter, steps: int) -> None:
    writer.store([chat(f"{SECRET} {i}", SECRET) for i in range(20)] + [by(BOB, chat("質問", "答え"))], [])
    interrupted_after(writer, steps)
    assert verdict(tmp_path).broken is None
    erase(writer, ("own", "ann"))
    after = on_disk(tmp_path)

    assert [word for word in WORDS for form in forms(word) if form in after] == []
    assert verdict(tmp_path).broken is None
    assert writer._connection.execute("select count(*) from tombstone").fetchone() == (2,)
    assert writer._connection.execute("select count(*) from outbox").fetchone() == (1,)


def test_a_held_thread_stays_whole_while_the_rest_goes(tmp_path: Path, writer: AuditWriter) -> None:
    thread = "0199a1b2" * 4
    held = chat(SECRET, SECRET)
    held = replace(held, derived=replace(held.derived, thread_id=thread))
    writer.store([held, chat(SECRET, "other " * 40)], [])
    with transaction(writer._connection):
        add_hold(writer._connection, Order("0198", "root", "a lawsuit", BEGUN), None, thread)
    counts = erase(writer, ("own", "ann"))
    reader = AuditReader(tmp_path)
    body = reader.raw(held.seen.id, "request").content
    reader.close()

    assert (counts.exchanges, counts.held) == (1, 1)
    assert body == held.raw.request
    assert found(tmp_path, "秘密鑰匙 user:ann@example.com") == 1
    assert verdict(tmp_path).broken is None

    writer._connection.execute("delete from hold")
    erase(writer, ("own", "ann"), order=replace(ORDER, uid="0200"))
    after = on_disk(tmp_path)
    assert [word for word in WORDS for form in forms(word) if form in after] == []
    assert writer._connection.execute("select count(*) from chunk").fetchone() == (0,)


def test_an_index_of_an_earlier_version_is_emptied_too(tmp_path: Path, writer: AuditWriter) -> None:
    writer.store([chat(SECRET, SECRET), by(BOB, chat("紅葉の電車", "答え"))], [])
    writer._connection.execute("delete from said")
    counts = erase(writer, ("own", "ann"))

    assert counts.index_entries == 1
    assert found(tmp_path, "秘密") == 0
    assert found(tmp_path, "紅葉") == 1
    after = on_disk(tmp_path)
    assert [word for word in ("密鑰", "canary4711") for form in forms(word) if form in after] == []
    writer._connection.execute("insert into search (search, rank) values ('integrity-check', 0)")


def test_other_stores_are_told_through_the_outbox(writer: AuditWriter) -> None:
    writer.store([chat(SECRET, SECRET)], [])
    erase(writer, ("own", "ann"))
    kind, detail = writer._connection.execute("select kind, detail from outbox").fetchone()

    assert kind == "erase"
    assert json.loads(detail) == {
        "command": "0199", "identities": [{"issuer": "own", "subject": "ann"}],
        "before": BEGUN + 1, "reason": "she asked for it",
    }  # fmt: skip


def test_no_transaction_of_an_erasure_is_long(writer: AuditWriter, monkeypatch: pytest.MonkeyPatch) -> None:
    """Counted in rows, for the clock of a busy machine says nothing: each exchange takes the whole budget here."""
    writer.store([chat(f"{SECRET} {i}", SECRET) for i in range(5)], [])
    clock = iter(range(10_000))
    monkeypatch.setattr(time, "monotonic", lambda: next(clock) * BUDGET * 2)
    steps = [step for step in writer.eraser().erase(Erasure(ORDER, [("own", "ann")])) if step[0] == "exchanges"]

    assert [done for _, done, _ in steps] == [1, 2, 3, 4, 5]


def test_texts_with_any_character_go_in_and_out_again(tmp_path: Path, writer: AuditWriter) -> None:
    odd = ['a"b\\c\n\x00\u2028 ́e', "ＡＢＣ ﾊﾟﾝ 👩‍👩‍👧 ", "ß ſ İ ǆ", "", "   "]
    said = [
        replace(one, derived=replace(one.derived, texts=tuple(Text("tool", t) for t in odd))) for one in [with_tools()]
    ]
    writer.store(said, [])
    erase(writer, ("own", "ann"))

    writer._connection.execute("insert into search (search, rank) values ('integrity-check', 0)")
    assert writer._connection.execute("select count(*) from search_docsize").fetchone() == (0,)


@pytest.mark.parametrize(
    ("sql", "why"),
    [
        ("delete from hold", "hold 1 was taken away or altered"),
        ("update hold set person = 'eve@example.com'", "hold 1 was taken away or altered"),
        ("update hold set id = 7", "hold 1 was taken away or altered"),
        ("update hold set reason = 'none'", "hold 1 was taken away or altered"),
        ("insert into hold values (2, 'eve@example.com', null, null, null, 'x', 'x', 1)", "hold 2 was put in"),
        ("update tombstone set detail = 'x'", "tombstone 1 was altered"),
        ("delete from tombstone", "hold 1 was put in"),
    ],
)
def test_a_hold_that_nobody_ordered_or_lifted_is_named(tmp_path: Path, writer: AuditWriter, sql: str, why: str) -> None:
    writer.store([chat("質問", "答え")], [])
    with transaction(writer.connection):
        add_hold(writer.connection, ORDER, Who(person="ann@example.com"), None)
        lifted = add_hold(writer.connection, Order("0200", "root", None, 1), None, "t1")
        remove_hold(writer.connection, Order("0201", "root", None, 1, "bob"), lifted)
    assert verdict(tmp_path).broken is None
    writer.connection.execute(sql)

    assert why in (verdict(tmp_path).broken or "")


@pytest.mark.parametrize(
    "sql",
    [
        "update body set request = x'0094' where seq = 1",
        "update chunk set content = x'01'",
        "update said set content = x''",
        "delete from chunk",
    ],
)
def test_a_piece_that_cannot_be_read_does_not_keep_a_person_on_record(
    tmp_path: Path, writer: AuditWriter, sql: str
) -> None:
    writer.store([chat(SECRET, SECRET), by(BOB, chat("trains", "走る"))], [])
    writer.connection.execute(sql)
    erase(writer, ("own", "ann"))
    after = on_disk(tmp_path)

    assert [word for word in WORDS for form in forms(word) if form in after] == []
    assert verdict(tmp_path).erased == 1
    writer.connection.execute("insert into search (search, rank) values ('integrity-check', 0)")


def test_an_export_that_is_under_way_shows_nothing_that_was_erased_or_let_go_meanwhile(
    tmp_path: Path, writer: AuditWriter
) -> None:
    writer.store([by(BOB, chat("trains", "走る")), *(chat(f"{SECRET} {i}", SECRET * 3) for i in range(3))], [])
    reader = AuditReader(tmp_path)
    under_way = reader.export()
    assert [next(under_way)[0], next(under_way)[0]] == [1, 2]
    erase(writer, ("own", "ann"))
    writer.connection.execute("pragma foreign_keys=off")
    for table in ("erased", "body", "exchange"):
        writer.connection.execute(f"delete from {table} where seq = 4")
    rest = [json.loads(line) for _, line in under_way]
    reader.close()

    assert [(each["seq"], each["request"], each["raw"]) for each in rest] == [(3, None, "expired")]
