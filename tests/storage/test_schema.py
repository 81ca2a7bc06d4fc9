"""The schema grows by steps, after a copy was made; people who look with their own tools find their way."""

import sqlite3
from pathlib import Path

import pytest
from sqlite_utils import Database

from storage.sqlite.driver import StoreProblem, audit_path, open_for_reading, open_for_writing
from storage.sqlite.migrations import SCHEMA_VERSION, migrations
from storage.sqlite.readable import columns
from storage.sqlite.reading import AuditReader
from storage.sqlite.writing import AuditWriter
from storage.upkeep import upgrade
from storage.upkeep.integrity import of_the_file
from storage.upkeep.upgrade import bring_up_to_date, copy_before
from tests.cli.records import BEGUN, chat, refused, store


def of_version_2(folder: Path) -> Path:
    """A record as the code before the view left it, with one row of a table that exists since."""
    path = audit_path(folder)
    db = open_for_writing(path)
    migrations.apply(db, stop_before="m003_readable")
    db.execute("pragma user_version=2")
    db.execute("insert into person (issuer, subject) values ('own', 'ann')")
    db.close()
    return path


def test_the_number_of_the_schema_is_the_number_of_steps() -> None:
    db = Database(memory=True)
    assert len(migrations.pending(db)) == SCHEMA_VERSION
    db.close()


def test_the_file_is_copied_before_a_step_is_made(tmp_path: Path) -> None:
    path = of_version_2(tmp_path)
    AuditWriter(path, reader_version=1).close()

    copy = sqlite3.connect(copy_before(path, 2))
    assert copy.execute("pragma user_version").fetchone() == (2,)
    assert copy.execute("select subject from person").fetchall() == [("ann",)]
    assert copy.execute("select count(*) from sqlite_schema where name = 'exchange_readable'").fetchone() == (0,)
    copy.close()
    assert copy_before(path, 2).stat().st_mode & 0o777 == 0o600
    now = open_for_reading(path)
    assert now.execute("pragma user_version").fetchone() == (SCHEMA_VERSION,)
    assert now.execute("select count(*) from exchange_readable").fetchone() == (0,)
    now.close()


def test_whoever_reads_an_older_file_is_told_to_start_once(tmp_path: Path) -> None:
    path = of_version_2(tmp_path)
    with pytest.raises(StoreProblem, match=r"older Sekisho .schema 2.*Start this one once"):
        AuditReader(tmp_path)
    AuditWriter(path, reader_version=1).close()
    AuditReader(tmp_path).close()


def test_a_new_file_and_one_that_is_up_to_date_are_not_copied(tmp_path: Path) -> None:
    for _ in range(2):
        AuditWriter(audit_path(tmp_path), reader_version=1).close()
    assert sorted(each.name for each in tmp_path.iterdir()) == ["audit.db"]


def test_a_step_that_fails_leaves_the_record_as_it_was_and_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = of_version_2(tmp_path)

    def broken(db: Database, **_: object) -> None:
        with db.atomic():
            db.execute("create table half (x)")
            db.execute("insert into nowhere values (1)")

    with monkeypatch.context() as patch:
        patch.setattr(migrations, "apply", broken)
        with pytest.raises(StoreProblem, match="cannot be brought up to date"):
            AuditWriter(path, reader_version=1)
    db = sqlite3.connect(path)
    assert db.execute("select count(*) from sqlite_schema where name = 'half'").fetchone() == (0,)
    db.close()
    AuditWriter(path, reader_version=1).close()


def test_nothing_is_changed_where_no_copy_can_be_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = of_version_2(tmp_path)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(upgrade, "back_up", full)
    db = open_for_writing(path)
    with pytest.raises(StoreProblem, match=r"No space left.*Make room"):
        bring_up_to_date(path, db)
    assert next(step.name for step in migrations.pending(db)) == "m003_readable"
    db.close()


def test_older_code_refuses_a_newer_file_for_reading_too(tmp_path: Path) -> None:
    store(tmp_path, chat("a", "b"))
    db = sqlite3.connect(audit_path(tmp_path))
    db.execute(f"pragma user_version={SCHEMA_VERSION + 1}")
    db.close()
    with pytest.raises(StoreProblem, match=rf"newer Sekisho .schema {SCHEMA_VERSION + 1}.*Use that version"):
        open_for_reading(audit_path(tmp_path))
    with pytest.raises(StoreProblem, match="newer Sekisho"):
        AuditWriter(audit_path(tmp_path), reader_version=1)


def test_the_view_says_in_words_what_was_recorded(tmp_path: Path) -> None:
    store(tmp_path, chat("質問", "答え", started_at=BEGUN + 7), refused())
    db = open_for_reading(audit_path(tmp_path))
    db.conn.row_factory = sqlite3.Row
    first, second = (dict(row) for row in db.execute("select * from exchange_readable order by seq"))
    db.close()
    assert first["id"].count("-") == 4
    assert first["started_at"] == "2026-11-18T11:06:40.000007Z"
    assert (first["email"], first["request_model"], first["ttft_ms"], first["raw"]) == (
        "ann@example.com", "gpt-4o", 412.0, "kept",
    )  # fmt: skip
    assert (second["decision"], second["code"], second["end_state"]) == ("deny", "model_not_allowed", "refused")


def test_every_column_of_the_view_has_its_meaning(tmp_path: Path) -> None:
    store(tmp_path)
    db = open_for_reading(audit_path(tmp_path))
    names = [row[1] for row in db.execute("pragma table_info(exchange_readable)")]
    (view,) = db.execute("select sql from sqlite_schema where name = 'exchange_readable'").fetchone()
    db.close()
    assert [name for name, _ in columns(view)] == names


@pytest.mark.parametrize(
    ("said", "damage"),
    [
        (["ok"], []),
        (["malformed inverted index for FTS5 table main.search"], []),
        (["unable to validate the inverted index for FTS5 table main.search: SQL logic error"], []),
        (
            ["Tree 5 page 9: btreeInitPage() returns error code 11"],
            ["Tree 5 page 9: btreeInitPage() returns error code 11"],
        ),
        (["NULL value in body.raw", "malformed inverted index for FTS5 table main.search"], ["NULL value in body.raw"]),
    ],
)
def test_a_search_index_that_does_not_fit_is_no_damage_of_the_file(said: list[str], damage: list[str]) -> None:
    assert of_the_file(said) == damage
