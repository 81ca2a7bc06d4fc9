"""What was erased is counted on, under nobody's name: in the tally and where exchanges are looked at one by one."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from exchange.principal import Principal
from exchange.record import Record
from storage.query.parsing import parse
from storage.query.terms import Query
from storage.removal.erasing import Erasure
from storage.removal.holds import add_hold
from storage.removal.tombstones import Order
from storage.sqlite.driver import audit_path, open_for_writing
from storage.sqlite.migrations import migrations
from storage.sqlite.people import Who, identities_of
from storage.sqlite.reading import AuditReader
from storage.sqlite.summary import ERASED, Steps
from storage.sqlite.tally import DAY
from storage.sqlite.transaction import transaction
from storage.sqlite.writing import AuditWriter
from tests.cli.records import ANN, BEGUN, chat
from tests.storage.test_tally import NOW, counted, kept

BOB = Principal("bob", "bob@example.com", "example.com", "own")
ORDER = Order("0199", "root", "she asked for it", BEGUN + 1)
THREAD = "0" * 31 + "7"
ASKED = ["", "東京", "thread:0000", "model:gpt-4o"]  # from the tally, and from the exchanges


def by(who: Principal, *, later: int = 0, content: bool = True, thread: str | None = None) -> Record:
    one = chat("東京", "はい", principal=who, started_at=BEGUN + later)
    return replace(one, content=content, derived=replace(one.derived, thread_id=thread))


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[AuditWriter]:
    kept = AuditWriter(audit_path(tmp_path), reader_version=1)
    yield kept
    kept.close()


def erase(writer: AuditWriter, order: Order = ORDER) -> None:
    for _ in writer.eraser().erase(Erasure(order, [("own", "ann")])):
        pass


def people(folder: Path, asked: str) -> dict[str | None, int]:
    with closing(AuditReader(folder)) as reader:
        (groups,) = reader.summaries(parse(asked, NOW), Steps(DAY, 0), [("person",)])
        return {group.person: group.count for group in groups}


def users(folder: Path, asked: str) -> dict[str, int]:
    with closing(AuditReader(folder)) as reader:
        return dict(reader.facets(parse(asked, NOW), 100).values["user"])


@pytest.mark.parametrize("asked", ASKED)
def test_they_are_counted_together_and_named_nowhere(tmp_path: Path, writer: AuditWriter, asked: str) -> None:
    writer.store([by(ANN, thread=THREAD), by(BOB, thread=THREAD), by(ANN, thread=THREAD)], [])
    assert people(tmp_path, asked) == {ANN.email: 2, BOB.email: 1}
    erase(writer)
    left = {BOB.email: 1} if asked == "東京" else {ERASED: 2, BOB.email: 1}  # no word leads there any more
    assert people(tmp_path, asked) == left
    assert users(tmp_path, asked) == {BOB.email: 1}
    assert kept(writer.connection) == counted(writer.connection)


def test_exchanges_of_which_never_any_content_was_kept_name_nobody_either(tmp_path: Path, writer: AuditWriter) -> None:
    writer.store([by(ANN), by(ANN, content=False), by(BOB)], [])
    erase(writer)
    assert people(tmp_path, "") == {ERASED: 2, BOB.email: 1}
    assert identities_of(writer.connection, Who(None, "own", "ann")) == []


def test_an_exchange_that_ran_meanwhile_names_nobody_either(tmp_path: Path, writer: AuditWriter) -> None:
    writer.store([by(ANN)], [])
    erase(writer)
    writer.store([by(ANN, later=1)], [])
    assert people(tmp_path, "") == {ERASED: 2}
    assert kept(writer.connection) == counted(writer.connection)


def test_who_comes_back_is_named_for_what_is_new_alone(tmp_path: Path, writer: AuditWriter) -> None:
    writer.store([by(ANN), by(ANN)], [])
    erase(writer)
    writer.store([by(ANN, later=DAY)], [])
    assert people(tmp_path, "") == {ERASED: 2, ANN.email: 1}
    assert people(tmp_path, "user:ann@example.com") == {ANN.email: 1}
    with closing(AuditReader(tmp_path)) as reader:
        assert reader.first_seen("own", "ann") == BEGUN + DAY
        assert len(reader.search(parse("user:ann@example.com", NOW))) == 1


def test_what_a_hold_keeps_is_named_on(tmp_path: Path, writer: AuditWriter) -> None:
    writer.store([by(ANN), by(ANN, thread=THREAD), by(ANN, content=False, thread=THREAD)], [])
    with transaction(writer.connection):
        add_hold(writer.connection, ORDER, None, THREAD)
    erase(writer)
    assert people(tmp_path, "") == {ERASED: 1, ANN.email: 2}


def test_what_was_erased_before_this_was_known_loses_its_name_with_the_new_schema(tmp_path: Path) -> None:
    writer = AuditWriter(audit_path(tmp_path), reader_version=1)
    writer.store([by(ANN), by(ANN, content=False), by(BOB)], [])
    erase(writer)
    writer.store([by(ANN, later=1)], [])
    writer.close()
    _as_of_version_10(audit_path(tmp_path))
    with closing(sqlite3.connect(audit_path(tmp_path))) as before:
        named = before.execute("select count(*) from tally_kind where email = 'ann@example.com'").fetchone()
    assert named != (0,)
    AuditWriter(audit_path(tmp_path), reader_version=1).close()
    assert people(tmp_path, "") == {ERASED: 3, BOB.email: 1}
    assert users(tmp_path, "") == {BOB.email: 1}


def _as_of_version_10(path: Path) -> None:
    """The same record, as the code before left it."""
    old = path.with_name("old.db")
    db = open_for_writing(old)
    migrations.apply(db, stop_before="m011_unnamed")
    db.execute("pragma user_version=10")
    db.execute("pragma foreign_keys=off")
    db.execute(f"attach '{path}' as now")
    for table in ("exchange", "person", "identity", "chunk", "body", "raw_reply", "tombstone", "erased", "said"):
        columns = ", ".join(row[1] for row in db.execute(f"pragma main.table_info({table})"))
        db.execute(f"insert or ignore into main.{table} ({columns}) select {columns} from now.{table}")
    db.execute("detach now")
    db.close()
    for each in (path, path.with_name("audit.db-wal"), path.with_name("audit.db-shm")):
        each.unlink(missing_ok=True)
    old.rename(path)


def test_retention_takes_them_out_of_the_sums_again(tmp_path: Path, writer: AuditWriter) -> None:
    writer.store([by(ANN), by(BOB)], [])
    erase(writer)
    for table in ("raw_reply", "body", "erased", "exchange"):
        writer.connection.execute(f"delete from {table} where seq = 1")
    assert people(tmp_path, "") == {BOB.email: 1}
    assert kept(writer.connection) == counted(writer.connection)


def test_nothing_else_of_the_query_is_lost(tmp_path: Path, writer: AuditWriter) -> None:
    writer.store([by(ANN), by(BOB)], [])
    erase(writer)
    with closing(AuditReader(tmp_path)) as reader:
        found = reader.facets(Query(), 100)
        assert (found.looked_at, found.values["domain"]) == (2, [("example.com", 2)])
        assert len(reader.search(parse("-user:ann@example.com", NOW))) == 2
