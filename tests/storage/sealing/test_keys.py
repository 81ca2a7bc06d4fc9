"""The keys: which one wraps which, a wrong one, a missing one, a new one."""

import sqlite3
from pathlib import Path

import pytest
from pydantic import ValidationError

from settings.sealing import MasterKeySource, Seal
from storage.journal.files import journal_dir
from storage.problem import StoreProblem
from storage.sealing.journal import JournalSealer, sealed_by
from storage.sealing.keyring import reading_keys, seal_path, writing_keys
from storage.sealing.master import MasterKey, SealProblem, master_keys, written
from storage.sealing.rotation import rotate, to_wrap_again
from storage.sealing.vault import SealedReading, Vault, masters_for_writing
from storage.sqlite.verifying import verify
from tests.storage.sealing.conftest import QUESTION, Place, sealed, told

KEY = bytes(range(32))


@pytest.mark.parametrize(
    ("text", "usable"),
    [
        (written(KEY), True),
        (written(KEY).replace("+", "-").replace("/", "_"), True),
        (KEY.hex(), True),
        (KEY.hex().upper(), True),
        (f"  {written(KEY)}\n", True),
        (written(KEY[:31]), False),
        (written(KEY + b"x"), False),
        ("correct horse battery staple", False),
        ("鍵", False),
    ],
)
def test_a_master_key_is_32_bytes_in_base64_or_hex(tmp_path: Path, text: str, usable: bool) -> None:
    file = tmp_path / "key"
    file.write_text(text, encoding="utf-8")
    seal = Seal(key=MasterKeySource(file=file))
    if usable:
        assert master_keys(seal).current == MasterKey(KEY)
        return
    with pytest.raises(SealProblem, match=r"storage\.seal\.key is no master key: 32 random bytes") as said:
        master_keys(seal)
    assert text.strip() not in str(said.value)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"file": "/nonexistent/key"}, "names the file /nonexistent/key, which cannot be read"),
        ({"env": "SEKISHO_NO_SUCH_KEY"}, "SEKISHO_NO_SUCH_KEY, which is not set"),
        ({"command": ["/nonexistent/program"]}, "names the program /nonexistent/program, which cannot be run"),
        ({"command": ["false"]}, "names the program false, which ended with status 1"),
        ({"command": ["true"]}, "names the program true, which printed nothing"),
        ({"command": ["echo", "secret"]}, "is no master key"),
    ],
)
def test_a_key_that_cannot_be_had_is_said_by_its_path(given: dict[str, object], says: str) -> None:
    with pytest.raises(SealProblem, match=r"storage\.seal\.key") as said:
        master_keys(Seal(key=MasterKeySource.model_validate(given)))

    assert says in str(said.value)


def test_a_program_may_give_the_key() -> None:
    seal = Seal(key=MasterKeySource(command=("echo", written(KEY))))

    assert master_keys(seal).current == MasterKey(KEY)


@pytest.mark.parametrize(
    "given", [{}, {"env": "A", "file": "b"}, {"env": "A", "command": ["x"]}, {"command": []}, "key"]
)
def test_a_key_has_one_source_and_never_stands_in_the_settings(given: object) -> None:
    with pytest.raises(ValidationError):
        MasterKeySource.model_validate(given)


def test_the_id_of_a_key_tells_keys_apart_and_is_the_same_again() -> None:
    assert MasterKey(KEY).id == MasterKey(KEY).id
    assert MasterKey(KEY).id != MasterKey(KEY[::-1]).id
    assert KEY.hex()[:16] not in repr(MasterKey(KEY))


def test_a_wrapped_key_unwraps_as_itself_only() -> None:
    master = MasterKey(KEY)
    wrapped = master.wrap(b"k" * 32, b"content of ann")

    assert master.unwrap(wrapped, b"content of ann") == b"k" * 32
    with pytest.raises(SealProblem, match="was altered"):
        master.unwrap(wrapped, b"content of bob")
    for at in range(len(wrapped)):
        altered = bytearray(wrapped)
        altered[at] ^= 1
        with pytest.raises(SealProblem, match="was altered"):
            master.unwrap(bytes(altered), b"content of ann")


def test_another_key_is_refused_before_anything_is_written_and_before_anything_is_read(
    place: Place, tmp_path: Path
) -> None:
    place.write(told())
    wrong = sealed(tmp_path, key="other.key")
    needed = master_keys(place.seal).current.id if place.seal else ""

    with pytest.raises(SealProblem, match=rf"storage\.seal\.key is not the key .* {needed} is needed"):
        wrong.write(told())
    with pytest.raises(SealProblem, match=r"storage\.seal\.key is not the key"):
        wrong.records()
    assert len(place.records()) == 1


def test_a_sealed_directory_takes_nothing_unsealed(place: Place) -> None:
    place.write(told())

    with pytest.raises(SealProblem, match="To record unsealed, use another data_dir"):
        masters_for_writing(place.data_dir, None)


def test_data_keys_that_are_missing_are_said(place: Place) -> None:
    place.write(told())
    seal_path(place.data_dir).unlink()

    with pytest.raises(SealProblem, match=r"seal\.db is missing\. Restore it from a backup"):
        place.records()


def test_what_a_destroyed_key_sealed_is_gone_and_the_rest_stays(place: Place) -> None:
    place.write(told())
    keys = writing_keys(place.data_dir)
    assert keys.destroy("own", "ann", keys.last("own", "ann")) == 2
    keys.close()

    with pytest.raises(SealProblem, match="was destroyed: the content was erased"):
        place.records()


def test_each_person_has_a_key_for_each_day(place: Place) -> None:
    day = 86_400_000_000
    first = told()
    began = first.seen.started_at // day * day
    place.write(*(told(started_at=began + hours * day // 24) for hours in (0, 5, 23, 24, 30)))

    with reading_keys(place.data_dir) as keys:
        assert keys.people() == (1, 2)


def chunks(place: Place) -> list[bytes]:
    connection = place.connection()
    try:
        return [row[0] for row in connection.execute("select content from chunk order by id")]
    finally:
        connection.close()


def test_rotation_wraps_keys_anew_and_touches_no_body(place: Place, tmp_path: Path) -> None:
    place.write(told(), told())
    boot = journal_dir(place.data_dir) / "0199"
    boot.mkdir(parents=True)
    (boot / "lock").touch()
    assert place.seal is not None
    JournalSealer(boot, master_keys(place.seal))
    before = chunks(place)
    new = sealed(tmp_path, key="new.key", old=["master.key"])
    assert new.seal is not None
    masters = master_keys(new.seal)
    assert len(new.records()) == 2  # with both keys named it is read meanwhile

    told_so_far: list[int] = []
    total = to_wrap_again(place.data_dir, masters)
    assert rotate(place.data_dir, masters, told_so_far.append) == (total, 1) == (3, 1)
    assert told_so_far == [3]

    assert sealed_by(boot) == masters.current.id
    assert chunks(place) == before
    only_new = sealed(tmp_path, key="new.key")
    assert [each["request"]["messages"][0]["content"] for each in only_new.records()] == [QUESTION] * 2
    only_new.write(told())
    with pytest.raises(SealProblem, match=r"storage\.seal\.key is not the key"):
        place.records()  # the old one alone
    assert rotate(place.data_dir, masters, told_so_far.append) == (0, 0)


def test_rotation_needs_the_key_before(place: Place, tmp_path: Path) -> None:
    place.write(told())
    new = sealed(tmp_path, key="new.key")
    assert new.seal is not None

    with pytest.raises(SealProblem, match=r"under storage\.seal\.old_keys"):
        rotate(place.data_dir, master_keys(new.seal), lambda _: None)
    assert len(place.records()) == 1


def test_rotation_that_was_interrupted_is_gone_on_with(place: Place, tmp_path: Path) -> None:
    assert place.seal is not None
    day = 86_400_000_000
    vault = Vault(place.data_dir, master_keys(place.seal), "keyed")
    for days in range(1200):
        vault.of(told().seen.principal, days * day)
    vault.persist()
    vault.close()
    new = sealed(tmp_path, key="new.key", old=["master.key"])
    assert new.seal is not None
    masters = master_keys(new.seal)

    def die(_done: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        rotate(place.data_dir, masters, die)
    assert 0 < to_wrap_again(place.data_dir, masters) < 1202
    rotate(place.data_dir, masters, lambda _: None)
    assert to_wrap_again(place.data_dir, masters) == 0


def test_nobody_else_may_read_the_keys(place: Place) -> None:
    place.write(told())

    assert seal_path(place.data_dir).stat().st_mode & 0o077 == 0


def make_keys(vault: Vault) -> None:
    for day in range(400):
        vault.of(None, day * 86_400_000_000)
        vault.persist()


def test_a_damaged_key_file_is_no_damaged_record(place: Place) -> None:
    place.write(told())
    assert place.seal is not None
    vault = Vault(place.data_dir, master_keys(place.seal), "keyed")
    path = seal_path(place.data_dir)
    path.write_bytes(b"SQLite format 3\0" + bytes(200) + path.read_bytes()[216:4096] + b"\xff" * 8192)

    with pytest.raises(StoreProblem, match=r"seal\.db cannot be used: .* Restore it from a backup"):
        make_keys(vault)
    vault.close()
    with pytest.raises(StoreProblem, match=r"seal\.db cannot be used"):
        place.records()


def test_keys_that_were_lost_or_are_too_old_are_never_made_anew_in_silence(place: Place) -> None:
    place.write(told())
    path = seal_path(place.data_dir)
    old = path.read_bytes()
    place.write(told())
    path.write_bytes(old)
    with pytest.raises(SealProblem, match=r"seal\.db is older than the record: key 4 is not in it"):
        place.write(told())
    path.unlink()
    for seal in (place.seal, None):
        with pytest.raises(SealProblem, match=r"seal\.db is missing\. Restore it"):
            masters_for_writing(place.data_dir, seal)
    assert not path.exists()


def test_an_exchange_whose_time_is_lost_is_sealed_in_every_life(place: Place) -> None:
    for _ in range(2):
        place.write(told(principal=None, started_at=0))

    assert len(place.records()) == 2


def test_a_key_of_the_index_that_is_gone_is_said_and_rebuilding_mends_it(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    place.write(told())
    assert not caplog.records
    connection = sqlite3.connect(seal_path(place.data_dir), isolation_level=None)
    connection.execute("delete from data_key where kind = 'index'")
    connection.close()
    place.write(told())

    assert "lacks the key of the search index" in caplog.text
    assert "sekisho db rebuild" in caplog.text


@pytest.mark.parametrize(
    ("file", "sql", "why"),
    [
        (
            "seal.db",
            "delete from data_key where kind = 'content'",
            "record 1 lost the key of its content, and no tombst",
        ),
        ("audit.db", "update body set response = (select request from body)", "record 1 cannot be opened: The record"),
        ("audit.db", "update body set response = x'0091c40161'", "record 1 cannot be opened: The record was altered"),
    ],
)
def test_what_was_sealed_and_is_no_more_what_it_was_is_named(place: Place, file: str, sql: str, why: str) -> None:
    place.write(told(), told())
    connection = sqlite3.connect(place.data_dir / file, isolation_level=None)
    connection.execute(sql)
    connection.close()
    audit = place.connection()
    verdict = verify(audit, opener=SealedReading(place.data_dir, place.seal))
    audit.close()

    assert (verdict.broken or "").startswith(why)
    assert not (verdict.broken or "").endswith(".")
