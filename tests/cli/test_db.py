"""`sekisho db`: what an administrator does with the file itself."""

import sqlite3
import threading

import pytest

from storage.sqlite.driver import audit_path
from storage.sqlite.lock import in_place_of_the_recorder
from storage.sqlite.writing import AuditWriter
from tests.cli.conftest import Desk
from tests.cli.records import chat


def damage(desk: Desk, page: int = 3) -> None:
    """Overwrite a page of the file, as a failing disk does."""
    path = audit_path(desk.data_dir)
    with path.open("r+b") as file:
        file.seek((page - 1) * 4096)
        file.write(b"\xa5" * 4096)


def test_a_record_that_is_well_is_called_so(desk: Desk) -> None:
    desk.store(chat("質問", "答え"))
    for arguments in (["db", "check"], ["db", "check", "--full"]):
        said = desk.sekisho(*arguments)
        assert said.exit_code == 0, said.output
        assert said.stdout.count("well  ") == 4


def test_check_leaves_the_index_out_while_the_recorder_runs(desk: Desk) -> None:
    desk.store(chat("a", "b"))
    with in_place_of_the_recorder(desk.data_dir):
        said = desk.sekisho("db", "check")
    assert said.exit_code == 0
    assert "not looked at" in said.stdout


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        ("pragma user_version=1", "Start it once"),
        ("delete from body", "exchange 1 has no body row"),
        ("update body set seq = 99", "names a row of exchange that is not there"),
        ("delete from search_data where id > 10", "db rebuild"),
    ],
)
def test_check_says_what_does_not_fit_and_what_to_do(desk: Desk, sql: str, words: str) -> None:
    desk.store(chat("質問", "答え"))
    connection = sqlite3.connect(audit_path(desk.data_dir))
    connection.execute(sql)
    connection.commit()
    connection.close()
    said = desk.sekisho("db", "check")
    assert said.exit_code == 1
    assert words in said.stdout


def test_check_finds_a_damaged_page(desk: Desk) -> None:
    desk.store(*(chat(f"質問 {i} " * 50, "答え") for i in range(50)))
    damage(desk)
    said = desk.sekisho("db", "check")
    assert said.exit_code == 1
    assert "db recover" in said.stdout
    assert "Traceback" not in said.output


def test_a_backup_is_whole_and_private_and_of_one_moment_while_the_recorder_writes(desk: Desk) -> None:
    desk.store(*(chat(f"質問 {i} " * 100, "答え") for i in range(300)))
    stop = threading.Event()

    def record() -> None:
        writer = AuditWriter(audit_path(desk.data_dir), reader_version=1)
        while not stop.is_set():
            writer.store([chat("more " * 100, "x")], [])
        writer.close()

    recorder = threading.Thread(target=record)
    recorder.start()
    target = desk.folder / "copy.db"
    try:
        said = desk.sekisho("db", "backup", str(target))
    finally:
        stop.set()
        recorder.join()
    assert said.exit_code == 0, said.output
    assert target.stat().st_mode & 0o777 == 0o600
    copy = sqlite3.connect(target)
    (exchanges,) = copy.execute("select count(*) from exchange").fetchone()
    assert exchanges >= 300
    assert copy.execute("select count(*) from body").fetchone() == (exchanges,)
    copy.close()
    assert [path.name for path in desk.folder.glob("copy*")] == ["copy.db"]


def test_a_backup_overwrites_nothing(desk: Desk) -> None:
    desk.store(chat("a", "b"))
    target = desk.folder / "copy.db"
    target.write_text("mine")
    said = desk.sekisho("db", "backup", str(target))
    assert said.exit_code == 2
    assert "exists already" in said.stderr
    assert target.read_text() == "mine"
