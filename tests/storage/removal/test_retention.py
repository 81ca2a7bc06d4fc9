"""What is old or too much goes by itself, in short steps; what is gone is named, and the chain holds over it."""

import os
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from exchange.call import Text
from exchange.record import Record
from settings.schema import Rule
from settings.storage import Keep
from storage.heads import Head
from storage.removal.due import Keeping, Limit
from storage.removal.holds import add_hold
from storage.removal.retention import Let, keeping_from
from storage.removal.tombstones import NODE, Order, Tombstones
from storage.sqlite.driver import audit_path
from storage.sqlite.people import Who
from storage.sqlite.reading import AuditReader
from storage.sqlite.transaction import transaction
from storage.sqlite.verifying import Verdict, verify
from storage.sqlite.writing import AuditWriter
from tests.cli.records import BEGUN, chat, streamed
from tests.storage.removal.test_erasing import BOB, by, found, on_disk

DAY = 86_400_000_000
NOW = BEGUN + 100 * DAY
ORDER = Order("0199", "root", "by hand", NOW)


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[AuditWriter]:
    kept = AuditWriter(audit_path(tmp_path), reader_version=1)
    yield kept
    kept.close()


def aged(days: float, words: str, **seen: Any) -> Record:
    return chat(words, "答え", started_at=NOW - int(days * DAY), **seen)


def retain(writer: AuditWriter, keeping: Keeping, *, order: Order = ORDER, now: int = NOW) -> Let:
    let = Let()
    for _ in writer.retention().run(keeping, order, now, let):
        pass
    return let


def days(number: float, **more: Any) -> Keeping:
    return Keeping(Limit(int(number * DAY)), **more)


def verdict(folder: Path, *heads: Head) -> Verdict:
    connection = sqlite3.connect(audit_path(folder), isolation_level=None)
    connection.row_factory = sqlite3.Row
    try:
        return verify(connection, heads)
    finally:
        connection.close()


def seqs(writer: AuditWriter) -> list[int]:
    return [row[0] for row in writer.connection.execute("select seq from exchange order by seq")]


def test_what_is_older_than_the_days_said_goes_and_is_named(tmp_path: Path, writer: AuditWriter) -> None:
    writer.store([aged(age, f"古い canary{age}") for age in (40, 35, 31, 29, 1)], [])
    let = retain(writer, days(30))

    assert (let.exchanges, seqs(writer)) == (3, [4, 5])
    assert (found(tmp_path, "canary40"), found(tmp_path, "canary29")) == (0, 1)
    said = verdict(tmp_path)
    assert (said.broken, said.pruned, said.records, said.first_seq) == (None, ["1 to 3"], 2, 4)
    for table in ("body", "raw_reply", "said", "search_docsize"):
        assert writer.connection.execute(f"select count(*) from {table}").fetchone() == (2,), table
    writer.connection.execute("insert into search (search, rank) values ('integrity-check', 0)")


def test_a_rule_may_keep_longer_or_shorter_than_the_rest(tmp_path: Path, writer: AuditWriter) -> None:
    rules = ["everyone", "short", "long", None]
    writer.store([aged(40, "x", rule=rule) for rule in rules] + [aged(5, "x", rule=rule) for rule in rules], [])
    retain(writer, days(30, rules={"short": Limit(3 * DAY), "long": Limit(365 * DAY)}))

    assert seqs(writer) == [3, 5, 7, 8]
    assert verdict(tmp_path).broken is None
    assert verdict(tmp_path).pruned == ["1 to 2", "4", "6"]


def test_of_a_rule_the_newest_bytes_are_kept(writer: AuditWriter) -> None:
    writer.store([aged(10 - i, "x", rule="r", request_bytes=60, response_bytes=40) for i in range(10)], [])
    writer.store([aged(50, "x", rule="other", request_bytes=10_000, response_bytes=0)], [])
    retain(writer, Keeping(rules={"r": Limit(bytes=350)}))

    assert seqs(writer) == [8, 9, 10, 11]


def test_the_oldest_go_until_the_file_is_as_small_as_was_said(tmp_path: Path, writer: AuditWriter) -> None:
    writer.store([aged(1, f"{i} " + f"{i * 7919} words of its own " * 300) for i in range(200)], [])
    writer.connection.execute("pragma wal_checkpoint(truncate)")
    before = audit_path(tmp_path).stat().st_size
    limit = before // 2
    retain(writer, Keeping(Limit(bytes=limit)))
    writer.connection.execute("pragma wal_checkpoint(truncate)")

    assert audit_path(tmp_path).stat().st_size <= limit
    assert 20 < len(seqs(writer)) < 200
    assert seqs(writer)[-1] == 200
    assert verdict(tmp_path).broken is None


def test_what_a_hold_keeps_stays_and_is_counted(tmp_path: Path, writer: AuditWriter) -> None:
    thread = "0199a1b2" * 4
    held = aged(40, "held thread")
    writer.store(
        [aged(40, "ann"), by(BOB, aged(40, "bob")), replace(held, derived=replace(held.derived, thread_id=thread))], []
    )
    with transaction(writer.connection):
        add_hold(writer.connection, replace(ORDER, uid="1"), Who("bob@example.com"), None)
        add_hold(writer.connection, replace(ORDER, uid="2"), None, thread)
    let = retain(writer, days(30, raw=10 * DAY))

    assert (let.exchanges, let.held, seqs(writer)) == (1, 2, [2, 3])
    assert writer.connection.execute("select distinct raw from body").fetchall() == [("kept",)]
    assert verdict(tmp_path).broken is None


def test_raw_replies_go_first_and_the_object_stays(tmp_path: Path, writer: AuditWriter) -> None:
    import json

    old = streamed(["晴", "れ"])
    writer.store([replace(old, seen=replace(old.seen, started_at=NOW - 31 * DAY)), aged(1, "new")], [])
    let = retain(writer, Keeping(raw=30 * DAY))
    reader = AuditReader(tmp_path)
    first, second = (json.loads(line) for _, line in reader.export())
    reader.close()

    assert (let.raw, first["raw"], second["raw"]) == (1, "expired", "kept")
    assert first["response"]["choices"][0]["message"]["content"] == "晴れ"
    assert verdict(tmp_path).broken is None
    retain(writer, Keeping(raw=30 * DAY), order=replace(ORDER, uid="2"))
    assert writer.connection.execute("select count(*) from tombstone").fetchone() == (2,)


def test_bytes_that_vanish_before_their_time_are_named(tmp_path: Path, writer: AuditWriter) -> None:
    writer.store([aged(31, "old"), aged(1, "new")], [])
    retain(writer, Keeping(raw=30 * DAY))
    writer.connection.execute("delete from raw_reply where seq = 2")
    writer.connection.execute("update body set raw = 'expired', response = null where seq = 2")

    assert verdict(tmp_path).broken == "record 2 lost its content, and no tombstone says why"


def test_a_request_under_expired_bytes_cannot_be_changed(tmp_path: Path, writer: AuditWriter) -> None:
    writer.store([aged(31, "old"), aged(31, "older")], [])
    retain(writer, Keeping(raw=30 * DAY))
    writer.connection.execute("update body set request = (select request from body where seq = 2) where seq = 1")

    assert verdict(tmp_path).broken == "record 1 has another request than was recorded"


def test_pieces_that_a_kept_exchange_needs_stay_and_the_others_go(tmp_path: Path, writer: AuditWriter) -> None:
    import json

    history = "a long message that both have in common, word for word " * 20
    old, new = aged(40, history), aged(1, history)
    alone = aged(40, "only the old one said this canary4711 " * 20)
    writer.store([old, alone, new], [])
    retain(writer, days(30))
    reader = AuditReader(tmp_path)
    (kept,) = (json.loads(line) for _, line in reader.export())
    reader.close()

    assert kept["request"]["messages"][0]["content"] == history
    assert b"canary4711" not in on_disk(tmp_path) or _in_pages(writer)
    assert writer.connection.execute("select count(*) from unswept").fetchone() == (0,)
    assert verdict(tmp_path).broken is None


def _in_pages(writer: AuditWriter) -> bool:
    """Is it only in pages that are written anew in time: the index's, and the write-ahead log?"""
    packed = [row[0] for row in writer.connection.execute("select content from chunk")]
    return not any(b"canary4711" in content for content in packed)


def test_a_piece_that_comes_into_use_meanwhile_stays(tmp_path: Path, writer: AuditWriter) -> None:
    words = "said long ago, and again while its pieces are being removed " * 20
    writer.store([aged(40, words)], [])
    again = aged(0, words)
    for what, _, _ in writer.retention().run(days(30), ORDER, NOW, Let()):
        if what.startswith("exchanges"):
            writer.store([again], [])
    reader = AuditReader(tmp_path)
    body = reader.raw(again.seen.id, "request").content
    reader.close()

    assert body == again.raw.request
    assert verdict(tmp_path).broken is None


def test_of_whom_nothing_is_left_nothing_is_known(writer: AuditWriter) -> None:
    writer.store([aged(40, "ann"), by(BOB, aged(1, "bob"))], [])
    retain(writer, days(30))

    assert writer.connection.execute("select subject from identity").fetchall() == [("bob",)]
    assert writer.connection.execute("select subject from person").fetchall() == [("bob",)]


def test_the_chain_goes_on_when_everything_was_let_go(tmp_path: Path, writer: AuditWriter) -> None:
    writer.store([aged(40, "a", number=1, boot="b"), aged(40, "b", number=2, boot="b")], [])
    retain(writer, days(30))
    writer.close()
    again = AuditWriter(audit_path(tmp_path), reader_version=1)
    again.store([aged(1, "c", number=3, boot="b")], [])
    again.close()

    said = verdict(tmp_path)
    assert (said.broken, said.first_seq, said.pruned, said.gaps) == (None, 3, ["1 to 2"], [])


@pytest.mark.parametrize(
    "tampering",
    [
        "delete from pruned",
        "update pruned set hash = 's1:' || hex(randomblob(32))",
        "update pruned set last = 3",
        "update pruned set prev_hash = 's1:' || hex(randomblob(32))",
        "update tombstone set detail = '{}' where id = 2",
    ],
)
def test_what_was_let_go_cannot_be_told_otherwise_later(tmp_path: Path, writer: AuditWriter, tampering: str) -> None:
    writer.store([aged(40, "a"), aged(40, "b"), aged(1, "c"), aged(1, "d")], [])
    retain(writer, days(30))
    head = Tombstones(writer.connection).head()
    assert head is not None
    assert verdict(tmp_path, Head(NODE, *head, "")).broken is None
    writer.connection.execute("pragma foreign_keys=off")
    writer.connection.execute(tampering)

    assert verdict(tmp_path, Head(NODE, *head, "")).broken is not None


def test_records_that_vanish_without_a_run_are_named(tmp_path: Path, writer: AuditWriter) -> None:
    writer.store([aged(40, "a"), aged(1, "b"), aged(1, "c")], [])
    for table in ("thread_key", "tool_use", "said", "body", "raw_reply", "exchange"):
        writer.connection.execute(f"delete from {table} where seq = 1")

    assert verdict(tmp_path).broken == "records 1 to 1 are missing"


def test_a_head_that_was_signed_before_is_held_against_what_is_gone(tmp_path: Path, writer: AuditWriter) -> None:
    writer.store([aged(40, "a"), aged(40, "b"), aged(1, "c")], [])
    node, seq, hash_ = writer.connection.execute("select node, seq, hash from exchange where seq = 2").fetchone()
    retain(writer, days(30))

    assert verdict(tmp_path, Head(node, seq, hash_, "")).broken is None
    assert "signed head" in (verdict(tmp_path, Head(node, seq, "s1:0", "")).broken or "")


@pytest.mark.parametrize("steps", range(1, 7))
def test_a_run_that_was_interrupted_is_carried_on_with(
    tmp_path: Path, writer: AuditWriter, steps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("storage.removal.retention._BUDGET", 0.0)
    writer.store([aged(40, f"a {i} " * 50) for i in range(4)] + [aged(1, "b")], [])
    work = writer.retention().run(days(30, raw=DAY // 2), ORDER, NOW, Let())
    for _ in range(steps):
        next(work, None)
    del work
    assert verdict(tmp_path).broken is None
    retain(writer, days(30, raw=DAY // 2), order=replace(ORDER, uid="2"))

    assert seqs(writer) == [5]
    assert verdict(tmp_path).broken is None
    assert verdict(tmp_path).pruned == ["1 to 4"]
    ended = "select count(*) from tombstone where kind in ('pruned', 'expired')"
    begun = "select count(*) from tombstone where kind in ('prune', 'expire')"
    assert writer.connection.execute(ended).fetchone() == writer.connection.execute(begun).fetchone()


def test_nothing_that_is_due_leaves_no_trace(writer: AuditWriter) -> None:
    writer.store([aged(1, "a")], [])
    retain(writer, days(30, raw=30 * DAY))

    assert writer.connection.execute("select count(*) from tombstone").fetchone() == (0,)


def work_of(writer: AuditWriter, keeping: Keeping, uid: str) -> int:
    """How much SQLite does for a run, in tens of its machine's instructions."""
    done = 0

    def count() -> int:
        nonlocal done
        done += 1
        return 0

    writer.connection.set_progress_handler(count, 10)
    retain(writer, keeping, order=replace(ORDER, uid=uid))
    writer.connection.set_progress_handler(None, 0)
    return done


def test_what_is_kept_is_not_gone_through_to_find_what_is_due(writer: AuditWriter) -> None:
    keeping = days(30, rules={"short": Limit(3 * DAY), "long": Limit(365 * DAY)})
    kept = [aged(1, "short", rule="short"), aged(5, "x"), aged(40, "long", rule="long")]
    writer.store(kept, [])
    few = work_of(writer, keeping, "few")
    for _ in range(10):
        writer.store([replace(one, seen=replace(one.seen, id=os.urandom(16).hex())) for one in kept * 20], [])
    many = work_of(writer, keeping, "many")

    assert many <= 2 * few, "what is kept has grown six hundred times"


def test_ranges_apart_cost_no_more_the_more_there_are(writer: AuditWriter) -> None:
    def one_in_two(count: int) -> int:
        writer.store([aged(40, "x", rule=rule) for rule in ("short", "long") * count], [])
        return work_of(writer, Keeping(rules={"short": Limit(3 * DAY)}), str(count))

    one_in_two(30)
    few, many = one_in_two(30), one_in_two(300)

    assert len(seqs(writer)) == 360
    assert many < 15 * few, "ten times as many"


def test_every_step_ends_within_its_time_whatever_it_takes(
    writer: AuditWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("storage.removal.retention._BUDGET", 0.0)
    writer.store([aged(40, f"a {i}") for i in range(5)], [])
    done = [done for what, done, _ in writer.retention().run(days(30), ORDER, NOW, Let()) if "exchanges" in what]

    assert done == [1, 2, 3, 4, 5]


def test_the_settings_say_it_in_days_bytes_and_durations() -> None:
    keep = Keep.model_validate({"days": 365, "bytes": "1 GiB", "raw": "30 d"})
    rule = Rule.model_validate({"name": "r", "keep": {"days": 1, "bytes": "1 KiB"}})

    assert keeping_from(keep, [rule, Rule(name="other")]) == Keeping(
        Limit(365 * DAY, 1 << 30), 30 * DAY, {"r": Limit(DAY, 1024)}
    )
    assert keeping_from(Keep.model_validate({"raw": None}), []).is_for_ever()


def test_an_index_without_texts_is_pruned_too(tmp_path: Path, writer: AuditWriter) -> None:
    old = aged(40, "古い言葉")
    writer.store([replace(old, derived=replace(old.derived, texts=(Text("user", "古い言葉"),))), aged(1, "新しい")], [])
    writer.connection.execute("delete from said")
    retain(writer, days(30))

    assert found(tmp_path, "古い") == 0
    writer.connection.execute("insert into search (search, rank) values ('integrity-check', 0)")


@pytest.mark.parametrize("table", ["body set request", "chunk set content"])
def test_a_piece_that_cannot_be_read_does_not_hold_up_retention(
    tmp_path: Path, writer: AuditWriter, table: str
) -> None:
    writer.store([aged(age, f"古い canary{age}" * 40) for age in (40, 35, 1)], [])
    writer.connection.execute(f"update {table} = x'0094' where rowid = 1")

    assert retain(writer, Keeping(Limit(None), raw=20 * DAY)).raw == 2
    assert retain(writer, days(38)).exchanges == 1


def test_a_range_that_was_altered_is_named(tmp_path: Path, writer: AuditWriter) -> None:
    writer.store([aged(age, "x") for age in (40, 35, 1)], [])
    retain(writer, days(30))
    for other in ("x", "{}", "null", '{"a": 1}', '{"a": [[1]]}'):
        writer.connection.execute("update pruned set numbers = ?", (other,))
        assert "altered" in (verdict(tmp_path).broken or ""), other
