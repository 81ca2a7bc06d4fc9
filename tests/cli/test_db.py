"""`sekisho db`: what an administrator does with the file itself."""

import sqlite3
import threading

import pytest

from storage.removal.erased_columns import erase_columns
from storage.removal.tombstones import Order, Tombstones
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
        assert said.stdout.count("well  ") == 7


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
    looks = sqlite3.connect(desk.data_dir / "access.db")
    assert looks.execute("select action from access").fetchall() == [("backup",)]
    looks.close()


def test_a_backup_overwrites_nothing(desk: Desk) -> None:
    desk.store(chat("a", "b"))
    target = desk.folder / "copy.db"
    target.write_text("mine")
    said = desk.sekisho("db", "backup", str(target))
    assert said.exit_code == 2
    assert "exists already" in said.stderr
    assert target.read_text() == "mine"


# -- rebuild ----------------------------------------------------------------------------------------------------------


def test_rebuild_says_what_it_did(desk: Desk) -> None:
    desk.store(chat("質問", "答え"))
    said = desk.sekisho("db", "rebuild")
    assert said.exit_code == 0, said.output
    assert "1 exchanges were derived again." in said.stderr
    assert "質問" in desk.sekisho("search", "質問").stdout


@pytest.mark.parametrize("command", [["rebuild"], ["recover"]])
def test_nobody_writes_beside_the_recorder(desk: Desk, command: list[str]) -> None:
    desk.store(chat("a", "b"))
    with in_place_of_the_recorder(desk.data_dir):
        said = desk.sekisho("db", *command)
    assert said.exit_code == 1
    assert "Stop it, run this again" in " ".join(said.stderr.split())


@pytest.mark.parametrize("command", [["check"], ["backup", "x"], ["rebuild"], ["recover"]])
def test_where_there_is_no_record_that_is_said(desk: Desk, command: list[str]) -> None:
    desk.data_dir.mkdir()
    said = desk.sekisho("db", *command)
    assert said.exit_code == 1
    assert "no record" in said.stderr


# -- recover ----------------------------------------------------------------------------------------------------------


def many(desk: Desk) -> None:
    desk.store(*(chat(f"質問 {i} " + chr(0x4E00 + i) * 300, f"答え {i}") for i in range(400)))


def pages_of(desk: Desk, table: str) -> list[int]:
    """The leaf pages of a table: found by damaging one after the other would take long, so SQLite is asked."""
    connection = sqlite3.connect(audit_path(desk.data_dir))
    connection.execute("pragma wal_checkpoint(truncate)")
    try:
        rows = connection.execute(
            "select pageno from dbstat where name = ? and pagetype = 'leaf' order by pageno", (table,)
        ).fetchall()
    except sqlite3.OperationalError:
        pytest.skip("this SQLite was built without dbstat")
    finally:
        connection.close()
    return [row[0] for row in rows]


@pytest.mark.parametrize(
    ("table", "lost"), [("exchange", True), ("body", False), ("chunk", False), ("search_data", False)]
)
def test_recover_saves_what_a_damaged_file_still_holds(desk: Desk, table: str, lost: bool) -> None:
    many(desk)
    pages = pages_of(desk, table)
    damage(desk, pages[len(pages) // 2])
    assert desk.sekisho("db", "check").exit_code == 1

    said = desk.sekisho("db", "recover")
    assert said.exit_code == 0, said.output
    assert ("Lost:" in said.stderr) == lost
    assert ("Without content:" in said.stderr) == (table in ("body", "chunk"))
    [aside] = [path for path in desk.data_dir.glob("audit.db.corrupt-*") if not path.name.endswith(("-wal", "-shm"))]
    assert aside.name in said.stderr
    checked = desk.sekisho("db", "check", "--full")
    assert checked.exit_code == 0, checked.output
    verified = desk.sekisho("verify")
    assert verified.exit_code == 0, verified.output
    assert aside.name in verified.stdout
    kept = len(desk.sekisho("export").stdout.splitlines())
    assert (350 < kept < 400) if lost else kept == 400
    if table == "search_data":
        assert len(desk.sekisho("export", "--query", "質問 答え").stdout.splitlines()) == 400
    desk.store(chat("after", "it"))
    assert desk.sekisho("verify").exit_code == 0


def test_what_a_lost_tombstone_explained_is_named_by_the_break(desk: Desk) -> None:
    many(desk)
    connection = sqlite3.connect(audit_path(desk.data_dir), isolation_level=None)
    order = Order("u1", "root", "asked for", 1)
    number = Tombstones(connection).add("erase", order, {"identities": [], "before": 1})
    Tombstones(connection).add("erased", order, {"of": number, "exchanges": 1, "chunks": 0, "held": 0})
    connection.execute("update body set request=null, request_json=null, response=null, raw='expired' where seq=3")
    connection.execute("delete from raw_reply where seq = 3")
    erase_columns(connection, 3)
    connection.execute("update exchange set salt = null where seq = 3")
    connection.execute("insert into erased values (3, ?)", (number,))
    connection.close()
    assert desk.sekisho("verify").exit_code == 0
    [page, *_] = pages_of(desk, "tombstone")
    damage(desk, page)

    said = desk.sekisho("db", "recover")
    assert said.exit_code == 0, said.output
    assert "Without content: 3." in said.stderr
    verified = desk.sekisho("verify")
    assert verified.exit_code == 0, verified.output
    assert "of records 3 the content is lost" in verified.stdout


def test_what_was_put_aside_goes_to_a_directory_of_its_own(desk: Desk) -> None:
    many(desk)
    pages = pages_of(desk, "exchange")
    damage(desk, pages[-1])
    aside = desk.folder / "audit.db.corrupt-x"
    audit_path(desk.data_dir).rename(aside)
    target = desk.folder / "old"
    said = desk.sekisho("db", "recover", str(aside), "--to", str(target))
    assert said.exit_code == 0, said.output
    assert aside.exists()
    other = desk.folder / "other.yaml"
    other.write_text(f"data_dir: {target}\n", encoding="utf-8")
    assert "records" in desk.sekisho("verify", "--config", str(other)).stdout
    again = desk.sekisho("db", "recover", str(aside), "--to", str(target))
    assert (again.exit_code, "exists already" in again.stderr) == (2, True)


def test_a_file_that_is_not_damaged_is_left_alone(desk: Desk) -> None:
    desk.store(chat("a", "b"))
    before = audit_path(desk.data_dir).stat().st_ino
    said = desk.sekisho("db", "recover")
    assert (said.exit_code, "not damaged" in said.stderr) == (0, True)
    assert audit_path(desk.data_dir).stat().st_ino == before


def test_recover_takes_a_file_and_a_directory_or_neither(desk: Desk) -> None:
    assert desk.sekisho("db", "recover", "x").exit_code == 2
    assert desk.sekisho("db", "recover", "--to", "x").exit_code == 2
    assert desk.sekisho("db", "recover", "x", "--to", "y").exit_code == 2


@pytest.mark.parametrize(
    ("sql", "said", "mended"),
    [
        ("delete from identity", "An identity is missing of ann of own", True),
        ("update identity set email = 'eve@example.com'", "An identity is missing of ann of own", True),
        ("delete from person", "pieces of bodies belong to nobody", False),
        ("update chunk set scope = 7", "pieces of bodies belong to nobody", False),
        ("delete from search_docsize", "1 exchanges are not in the index", True),
    ],
)
def test_what_erasing_and_search_would_miss_is_said(desk: Desk, sql: str, said: str, mended: bool) -> None:
    desk.store(chat("質問 " * 100, "答え"))
    connection = sqlite3.connect(audit_path(desk.data_dir), isolation_level=None)
    connection.execute(sql)
    connection.close()
    found = desk.sekisho("db", "check")

    assert found.exit_code == 1
    assert said in found.stdout
    if mended:
        assert "Stop Sekisho and run `sekisho db rebuild`." in found.stdout
        desk.sekisho("db", "rebuild")
        assert desk.sekisho("db", "check").exit_code == 0


def test_a_record_that_is_none_any_more_stops_a_rebuild_with_a_sentence(desk: Desk) -> None:
    desk.store(chat("質問", "答え"))
    connection = sqlite3.connect(audit_path(desk.data_dir), isolation_level=None)
    connection.execute("update exchange set groups = 'x'")
    connection.close()
    said = desk.sekisho("db", "rebuild")

    assert (said.exit_code, said.exception.__class__) == (1, SystemExit)
    assert "Record 1 cannot be read" in said.stderr
