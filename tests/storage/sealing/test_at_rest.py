"""Sealed, nothing that was said stands on the disk; with the key everything comes back."""

import json
import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from storage.problem import StoreProblem
from storage.query.terms import Exact, Is, Phrase, Query, Term, Word
from storage.sealing.master import SealProblem
from storage.sqlite.driver import audit_path
from storage.sqlite.reading import AuditReader
from storage.sqlite.verifying import verify
from tests.cli.records import record
from tests.storage.sealing.conftest import (
    ANSWER,
    ARGUMENT,
    CLIENT,
    PATH,
    QUERY,
    QUESTION,
    SAID,
    Place,
    found_in_files,
    sealed,
    told,
)


def query(*conditions: Word | Phrase | Exact | Is) -> Query:
    return Query(tuple(Term(each) for each in conditions))


def test_what_this_looks_for_would_be_found_unsealed(tmp_path: Path) -> None:
    Place(tmp_path / "data", None).write(told())

    found = found_in_files(tmp_path, SAID)

    assert {"あり", "極秘", "zanzibar", "bumblebee", "tangerine"} <= {piece.lower() for piece in found}


def test_no_file_holds_a_word_of_what_was_said(place: Place) -> None:
    place.write(told(), told(question="もう一度 " + QUESTION))

    assert found_in_files(place.data_dir, SAID) == set()
    connection = place.connection()
    for (name,) in connection.execute("select name from tool_use").fetchall():
        assert "ship" not in name
    assert connection.execute("select count(*) from thread_key where key = ?", (b"K" * 16,)).fetchone()[0] == 0
    connection.close()


def test_with_the_key_everything_comes_back(place: Place) -> None:
    place.write(told())
    (found,) = place.records()

    assert found["request"]["messages"][0]["content"] == QUESTION
    assert found["response"]["choices"][0]["message"]["content"] == ANSWER
    assert json.loads(found["response"]["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"]) == {
        "to": ARGUMENT
    }
    assert (found["path"], found["query"], found["client"]["user_agent"]) == (PATH, QUERY, CLIENT)
    reader = place.reader()
    try:
        raw = reader.raw(found["id"], "response")
        assert raw.content.startswith(b"data: {")
        assert raw.arrivals == [(5, len(raw.content))]
    finally:
        reader.close()


def test_the_same_text_of_one_person_is_kept_once_and_of_two_people_apart(place: Place) -> None:
    somebody = told()
    who = somebody.seen.principal
    assert who is not None
    place.write(told(), told(), told())
    connection = place.connection()
    once = connection.execute("select count(*) from chunk").fetchone()[0]
    place.write(replace(told(), seen=replace(told().seen, principal=replace(who, subject="bob"))))
    twice = connection.execute("select count(*), count(distinct digest) from chunk").fetchone()
    connection.close()

    assert tuple(twice) == (2 * once, 2 * once)  # and the addresses of the same text differ


def test_a_restart_goes_on_and_shares_what_was_kept(place: Place) -> None:
    place.write(told())
    place.write(told())
    connection = place.connection()
    chunks, distinct = connection.execute("select count(*), count(distinct digest) from chunk").fetchone()
    connection.close()

    assert chunks == distinct
    assert [each["request"]["messages"][0]["content"] for each in place.records()] == [QUESTION, QUESTION]


def test_no_key_seals_under_the_same_count_twice(place: Place) -> None:
    for _ in range(3):  # three lives of the recorder
        place.write(told(), told())
    connection = place.connection()
    columns = [
        "select content from chunk", "select request from body", "select response from body",
        "select content from raw_reply", "select arrivals from raw_reply", "select salt from exchange",
    ]  # fmt: skip
    blobs = [row[0] for sql in columns for row in connection.execute(sql) if row[0] is not None]
    connection.close()

    assert len({blob[:11] for blob in blobs}) == len(blobs) > 20


@pytest.mark.parametrize(
    ("asked", "finds"),
    [
        (Word("顧客"), True),
        (Word("契約書"), True),
        (Word("名"), True),
        (Word("大阪支社の顧客名簿"), True),
        (Phrase("zanzibar marzipan"), True),
        (Phrase("marzipan zanzibar"), False),
        (Word("ＺＡＮＺＩＢＡＲ"), True),
        (Word("Bumblebee"), True),
        (Word("Zanzi"), False),
        (Word("客顧"), False),
        (Word("京"), False),
        (Exact("Zanzibar marzipan."), True),
        (Exact("Zanzibar marz"), True),
        (Exact("zanzibar marz"), False),
        (Exact("顧客名簿をください"), True),
        (Is("tool", "ship_parcel"), True),
        (Is("tool", "SHIP_parcel"), True),
        (Is("tool", "ship"), False),
    ],
)
def test_a_keyed_index_finds_words_of_any_language(
    place: Place, asked: Word | Phrase | Exact | Is, finds: bool
) -> None:
    place.write(told(), record({"messages": []}, {"choices": []}))
    reader = place.reader()
    try:
        assert len(reader.search(query(asked))) == finds
    finally:
        reader.close()


def test_a_plain_index_finds_as_ever_and_shows_the_words(tmp_path: Path) -> None:
    place = sealed(tmp_path, "plain")
    place.write(told())
    reader = place.reader()
    try:
        assert len(reader.search(query(Word("顧客")))) == 1
        assert len(reader.search(query(Is("tool", "ship_parcel")))) == 1
    finally:
        reader.close()
    shown = found_in_files(place.data_dir, SAID)

    assert {"あり", "Zanzibar"} <= shown  # of some, FTS5 leaves out what they share with the one before
    assert QUESTION not in shown
    assert "極秘" not in shown  # it stands in the path, which is not indexed


def test_an_index_that_is_off_says_so(tmp_path: Path) -> None:
    place = sealed(tmp_path, "off")
    place.write(told())
    reader = place.reader()
    try:
        with pytest.raises(StoreProblem, match="Search for words is off"):
            reader.search(query(Word("顧客")))
        with pytest.raises(StoreProblem, match="off"):
            reader.search(query(Is("tool", "ship_parcel")))
        assert len(reader.search(query(Is("user", "ann@example.com")))) == 1
    finally:
        reader.close()
    connection = place.connection()
    assert connection.execute("select count(*) from tool_use").fetchone()[0] == 0
    assert connection.execute("select count(*) from search_docsize").fetchone()[0] == 0
    connection.close()


def test_what_was_recorded_before_stays_readable_and_is_found(tmp_path: Path) -> None:
    Place(tmp_path / "data", None).write(told(question="昔の話 Antediluvian"))
    place = sealed(tmp_path)
    place.write(told())
    first, second = place.records()
    reader = place.reader()
    try:
        assert [json.loads(line)["seq"] for line in reader.search(query(Word("Antediluvian")))] == [first["seq"]]
        assert [json.loads(line)["seq"] for line in reader.search(query(Word("契約書")))] == [second["seq"]]
        assert len(reader.search(query(Is("tool", "ship_parcel")))) == 2
    finally:
        reader.close()


def test_the_chain_holds_with_the_key_and_without(place: Place) -> None:
    place.write(told(), told())
    connection = place.connection()
    reader = place.reader()
    try:
        with_key = verify(connection, opener=reader._sealed)
        without = verify(connection)
    finally:
        reader.close()
        connection.close()

    assert (with_key.broken, with_key.records, with_key.unopened) == (None, 2, 0)
    assert (without.broken, without.records, without.unopened) == (None, 2, 2)


ALTERED = [
    "update chunk set content = ? where id = (select min(id) from chunk)",
    "update body set request = ?",
    "update body set response = ?",
    "update raw_reply set content = ?",
]


def _read(reader: AuditReader, id_: str) -> None:
    reader.latest(1)
    reader.raw(id_, "response")


@pytest.mark.parametrize("sql", ALTERED)
def test_any_byte_that_was_altered_is_noticed(place: Place, sql: str) -> None:
    place.write(told())
    connection = place.connection()
    column, table = sql.split()[3], sql.split()[1]
    condition = " where id = (select min(id) from chunk)" if table == "chunk" else ""
    blob = connection.execute(f"select {column} from {table}{condition}").fetchone()[0]
    reader = place.reader()
    try:
        id_ = json.loads(reader.latest(1)[0])["id"]
        for at in range(len(blob)):
            altered = bytearray(blob)
            altered[at] ^= 1 << (at % 8)
            connection.execute(sql, (bytes(altered),))
            with pytest.raises(SealProblem, match=r"altered|destroyed"):
                _read(reader, id_)
        connection.execute(sql, (blob,))
        reader.latest(1)
    finally:
        reader.close()
        connection.close()


@pytest.mark.parametrize(
    "swap",
    [
        # two chunks change places, with their addresses and without
        "update chunk set content = (select c.content from chunk c where c.id = 3 - chunk.id) where id in (1, 2)",
        "update chunk set id = id - 3 where id in (1, 2); update chunk set id = -id where id < 0",
        # two exchanges change their bodies
        "update body set request = (select b.request from body b where b.seq = 3 - body.seq)",
        "update body set response = (select b.response from body b where b.seq = 3 - body.seq)",
        "update exchange set path = (select e.path from exchange e where e.seq = 3 - exchange.seq)",
        # a request shown as the reply
        "update body set response = request",
    ],
)
def test_what_was_put_elsewhere_does_not_open(place: Place, swap: str) -> None:
    place.write(told(), told(question="別の質問 " * 40, answer="別の答え " * 40))
    connection = place.connection()
    connection.executescript(swap)
    connection.close()

    with pytest.raises(SealProblem, match="altered, or stands where it does not belong"):
        place.records()


def test_nothing_unsealed_can_be_slipped_into_a_sealed_exchange(place: Place) -> None:
    place.write(told())
    connection = place.connection()
    connection.execute("update body set response = ?", (b"\x00\x91\xc4\x02{}",))
    connection.close()

    with pytest.raises(SealProblem, match="is not sealed itself"):
        place.records()


bodies = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.text(max_size=300),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=40, deadline=None)
@given(request=st.dictionaries(st.sampled_from(["messages", "input", "tools"]), bodies, max_size=3), response=bodies)
def test_generated_bodies_come_back_byte_for_byte(
    tmp_path_factory: pytest.TempPathFactory, request: object, response: object
) -> None:
    place = sealed(tmp_path_factory.mktemp("sealed"))
    made = record(request, response)
    place.write(made)
    reader = place.reader()
    try:
        assert reader.raw(made.seen.id, "request").content == made.raw.request
        assert reader.raw(made.seen.id, "response").content == made.raw.response
    finally:
        reader.close()


def test_a_reader_without_a_key_is_told_so(place: Place) -> None:
    place.write(told())
    without = Place(place.data_dir, None)

    with pytest.raises(SealProblem, match=r"is sealed, and storage\.seal is not set"):
        without.records()
    reader = without.reader()
    with pytest.raises(SealProblem, match=r"storage\.seal is not set"):
        reader.search(query(Word("顧客")))
    reader.close()


def test_a_full_disk_under_the_keys_keeps_no_record_that_could_not_be_opened(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    from storage.sealing.keyring import KeyFile

    committed = KeyFile.commit

    def full(self: KeyFile) -> None:
        if self._connection.in_transaction:
            self._connection.execute("rollback")
            raise sqlite3.OperationalError("database or disk is full")

    place.write(told())
    with monkeypatch.context() as patched:
        from storage.sealing.vault import Vault, masters_for_writing
        from storage.sqlite.writing import AuditWriter

        masters = masters_for_writing(place.data_dir, place.seal)
        assert masters is not None
        writer = AuditWriter(
            audit_path(place.data_dir), reader_version=1, vault=Vault(place.data_dir, masters, "keyed")
        )
        patched.setattr(KeyFile, "commit", full)
        with pytest.raises(sqlite3.OperationalError):
            writer.store([told()], ())
        patched.setattr(KeyFile, "commit", committed)
        writer.store([told()], ())
        writer.close()

    assert len(place.records()) == 2
