"""The journal is sealed before the disk has it, and for want of a key nothing is lost."""

import json
import sqlite3
from pathlib import Path

import pytest

from recording.rebuild import rebuild
from recording.recorder import Recorder
from settings.sealing import Seal
from storage.journal.files import journal_dir, journal_files
from storage.journal.reading import JournalFile
from storage.journal.rows import Arrivals, Intent, Piece
from storage.journal.writing import Journal
from storage.query.terms import Query, Term, Word
from storage.sealing.journal import JournalOpener
from storage.sealing.keyring import is_sealed_dir
from storage.sealing.master import SealProblem, master_keys
from storage.sealing.vault import Vault
from storage.sqlite.driver import audit_path
from storage.sqlite.reading import AuditReader
from storage.upkeep.rebuilding import Rebuilding
from tests.recording.test_recorder import HEAD, STREAM, closing, intent, new_id
from tests.storage.sealing.conftest import ANSWER, Place, found_in_files, sealed

SECRET = "極秘の質問 Kumquat persimmon"
BODY = json.dumps({"model": "gpt-4o", "messages": [{"role": "user", "content": SECRET}]}, ensure_ascii=False).encode()
PATH = "/v1/chat/completions"


def journal_of(place: Place) -> Journal:
    assert place.seal is not None
    masters = master_keys(place.seal)
    return Journal(place.data_dir, durable=True, file_limit=1 << 20, limit=1 << 30, masters=masters)


async def put(journal: Journal, *, close: bool = True) -> bytes:
    id_ = new_id()
    await journal.commit(id_, intent(body_bytes=len(BODY), query=f"q={SECRET}"), BODY)
    await journal.commit(id_, Piece(HEAD, Arrivals([1], [len(STREAM)])), STREAM)
    if close:
        await journal.commit(id_, closing(body=b"", head=None), b"")
    return id_


def record_all(place: Place, seal: Seal | None) -> None:
    recorder = Recorder(place.data_dir, seal=seal)
    try:
        while recorder.step():
            pass
        recorder.tidy()
    finally:
        recorder.close()


async def test_no_journal_file_holds_a_word(place: Place) -> None:
    journal = journal_of(place)
    await put(journal, close=False)

    assert journal_files(journal.directory)
    assert found_in_files(place.data_dir, [SECRET, PATH, "晴れです"]) == set()
    journal.close()
    assert found_in_files(place.data_dir, [SECRET, PATH, "晴れです"]) == set()


async def test_the_recorder_opens_it_and_seals_anew(place: Place) -> None:
    journal = journal_of(place)
    for _ in range(3):
        await put(journal)
    await put(journal, close=False)  # its worker dies
    journal.close()
    record_all(place, place.seal)

    found = place.records()
    assert [each["request"]["messages"][0]["content"] for each in found] == [SECRET] * 4
    assert {each["response"]["choices"][0]["message"]["content"] for each in found} == {"晴れです"}
    assert {each["query"] for each in found} == {f"q={SECRET}"}
    assert journal_files(journal.directory) == []
    assert found_in_files(place.data_dir, [SECRET, PATH, "晴れです", ANSWER]) == set()


async def test_a_journal_from_before_is_stored_sealed(place: Place) -> None:
    journal = Journal(place.data_dir, durable=False, file_limit=1 << 20, limit=1 << 30)
    await put(journal)
    journal.close()
    record_all(place, place.seal)

    assert place.records()[0]["request"]["messages"][0]["content"] == SECRET
    assert found_in_files(place.data_dir, [SECRET]) == set()


@pytest.mark.parametrize("key", ["none", "other.key"])
async def test_a_recorder_without_the_right_key_does_not_start_and_loses_nothing(
    place: Place, tmp_path: Path, key: str
) -> None:
    journal = journal_of(place)
    await put(journal)
    journal.close()
    wrong = None if key == "none" else sealed(tmp_path, key=key).seal

    with pytest.raises(SealProblem, match=r"storage\.seal"):
        Recorder(place.data_dir, seal=wrong)
    assert not is_sealed_dir(place.data_dir)  # and left nothing of its own behind
    record_all(place, place.seal)
    assert len(place.records()) == 1


async def test_any_byte_of_a_row_that_was_altered_is_noticed(place: Place) -> None:
    journal = journal_of(place)
    await put(journal)
    journal.close()
    (path,) = journal_files(journal.directory)
    assert place.seal is not None
    masters = master_keys(place.seal)
    file = JournalFile(path, JournalOpener(journal.directory, masters))
    raw = sqlite3.connect(path, isolation_level=None)
    try:
        for no, column in ((1, "head"), (1, "body"), (2, "body"), (3, "head")):
            blob = raw.execute(f"select {column} from row where no = ?", (no,)).fetchone()[0]
            for at in range(len(blob)):
                altered = bytearray(blob)
                altered[at] ^= 1 << (at % 8)
                raw.execute(f"update row set {column} = ? where no = ?", (bytes(altered), no))
                with pytest.raises(LookupError, match="its seal does not hold"):
                    file.row(no)
            raw.execute(f"update row set {column} = ? where no = ?", (blob, no))
            file.row(no)
    finally:
        raw.close()
        file.close()


@pytest.mark.parametrize(
    "swap",
    [
        "update row set no = no + 10; update row set no = case no when 11 then 2 when 12 then 1 else 3 end",
        "update row set exchange = cast(x'00' || substr(exchange, 2) as blob)",
        "update row set body = null where no = 1",
        "update row set body = (select body from row where no = 2) where no = 1",
    ],
)
async def test_a_row_that_was_moved_or_cut_does_not_open(place: Place, swap: str) -> None:
    journal = journal_of(place)
    await put(journal)
    journal.close()
    (path,) = journal_files(journal.directory)
    raw = sqlite3.connect(path, isolation_level=None)
    raw.executescript(swap)
    raw.close()
    assert place.seal is not None
    file = JournalFile(path, JournalOpener(journal.directory, master_keys(place.seal)))
    try:
        with pytest.raises(LookupError, match="its seal does not hold"):
            file.row(1)
    finally:
        file.close()


async def test_rows_that_a_disk_refused_and_then_took_open(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = journal_of(place)
    insert = type(journal.disk)._insert
    refused = 0

    def sometimes(self: object, rows: object) -> None:
        nonlocal refused
        refused += 1
        if refused == 1:
            raise sqlite3.OperationalError("disk I/O error")
        insert(self, rows)  # type: ignore[arg-type]

    monkeypatch.setattr(type(journal.disk), "_insert", sometimes)
    id_ = new_id()
    journal.append(id_, intent(), BODY)
    journal.append(id_, closing(), STREAM)
    journal.close()
    record_all(place, place.seal)

    assert refused > 1
    assert len(place.records()) == 1


async def test_each_life_of_a_worker_has_a_key_of_its_own(place: Place) -> None:
    keys = set()
    for _ in range(3):
        journal = journal_of(place)
        keys.add((journal.directory / "seal").read_text())
        journal.close()

    assert len(keys) == 3


async def test_what_is_not_sealed_stays_as_it_was(tmp_path: Path) -> None:
    journal = Journal(tmp_path, durable=False, file_limit=1 << 20, limit=1 << 30)
    await put(journal)
    journal.close()
    (path,) = journal_files(journal.directory)
    file = JournalFile(path)
    try:
        row, body = file.row(1)
    finally:
        file.close()

    assert isinstance(row, Intent)
    assert body == BODY
    assert not (journal.directory / "seal").exists()
    assert journal.directory.parent == journal_dir(tmp_path)
    record_all(Place(tmp_path, None), None)
    reader = AuditReader(tmp_path)
    assert reader.count() == 1
    reader.close()


async def test_a_rebuild_derives_again_and_seals_again(place: Place) -> None:
    journal = Journal(place.data_dir, durable=False, file_limit=1 << 20, limit=1 << 30)
    await put(journal)
    journal.close()
    record_all(Place(place.data_dir, None), None)  # one from before, unsealed
    journal = journal_of(place)
    await put(journal)
    journal.close()
    record_all(place, place.seal)
    before = place.records()
    assert place.seal is not None
    writer = Rebuilding(
        audit_path(place.data_dir),
        reader_version=2,
        vault=Vault(place.data_dir, master_keys(place.seal), "keyed"),
    )
    made = rebuild(writer, {"openai": "openai"}, lambda _at, _of: None)
    writer.close()

    assert (made.whole, made.unreadable) == (2, 0)
    assert place.records() == before
    connection = place.connection()
    sealed_seqs = connection.execute("select group_concat(seq) from sealed").fetchone()[0]
    first, second = (row[0] for row in connection.execute("select request from body order by seq"))
    connection.close()
    assert (sealed_seqs, first[:1] == b"\x02", second[:1] == b"\x02") == ("2", False, True)
    reader = place.reader()
    assert len(reader.search(Query((Term(Word("質問")),)))) == 2
    reader.close()
