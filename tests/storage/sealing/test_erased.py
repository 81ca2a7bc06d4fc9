"""Erased under seal: the content goes and its keys with it; what others said, and what a hold keeps, stays."""

import shutil
from dataclasses import replace

import pytest

from storage.query.terms import Query, Term, Word
from storage.removal.erasing import Counts, Erasure
from storage.removal.holds import add_hold
from storage.removal.tombstones import Order
from storage.sealing.keyring import reading_keys
from storage.sealing.vault import KeyGone, Vault, masters_for_writing
from storage.sqlite.driver import audit_path
from storage.sqlite.transaction import transaction
from storage.sqlite.verifying import verify
from storage.sqlite.writing import AuditWriter
from tests.cli.records import ANN
from tests.storage.sealing.conftest import Place, told

BOB = replace(ANN, subject="bob", email="bob@example.com")
ORDER = Order("0199" * 8, "root", "asked for", 1_800_000_000_000_000)


def erase(place: Place, *, hold: str | None = None) -> Counts:
    assert place.seal is not None
    masters = masters_for_writing(place.data_dir, place.seal)
    assert masters is not None
    vault = Vault(place.data_dir, masters, place.seal.index)
    writer = AuditWriter(audit_path(place.data_dir), reader_version=1, vault=vault)
    try:
        if hold is not None:
            with transaction(writer.connection):
                add_hold(writer.connection, replace(ORDER, uid="0200" * 8), None, hold)
        erasure = Erasure(ORDER, [("own", "ann")])
        for _ in writer.eraser().erase(erasure):
            pass
        return erasure.counts
    finally:
        writer.close()


def test_the_content_goes_with_its_keys_and_others_keep_theirs(place: Place) -> None:
    place.write(told(), told(), told(principal=BOB, question="ボブの質問 " * 30))
    shutil.copy(audit_path(place.data_dir), place.data_dir / "audit.copy")
    with reading_keys(place.data_dir) as keys:
        before = sum(keys.masters().values())
    counts = erase(place)

    assert (counts.exchanges, counts.still_found, counts.held) == (2, 0, 0)
    assert counts.index_entries == 2
    with reading_keys(place.data_dir) as keys:
        assert sum(keys.masters().values()) == before - 2
    first, _, third = place.records()
    assert (first["request"], first["path"], first["query"], first["client"]["user_agent"]) == (None, "", None, None)
    assert third["request"]["messages"][0]["content"] == "ボブの質問 " * 30
    connection, reader = place.connection(), place.reader()
    try:
        assert verify(connection, opener=reader._sealed).broken is None
        assert len(reader.search(Query((Term(Word("顧客")),)))) == 1  # Bob's answer has it
    finally:
        connection.close()
        reader.close()
    (place.data_dir / "audit.copy").replace(audit_path(place.data_dir))
    backup = place.reader()
    with pytest.raises(KeyGone, match="was destroyed"):
        backup.raw(first["id"], "request")
    backup.close()


def test_who_comes_back_is_recorded_anew_and_read(place: Place) -> None:
    place.write(told())
    erase(place)
    place.write(told(started_at=ORDER.asked_at + 1))

    assert place.records()[1]["request"] is not None


def test_what_a_hold_keeps_is_still_read(place: Place) -> None:
    kept = told()
    other = replace(told(), derived=replace(told().derived, thread_id="0" * 31 + "2"))
    place.write(kept, other)
    counts = erase(place, hold="0" * 31 + "1")

    assert (counts.exchanges, counts.held) == (1, 1)
    first, second = place.records()
    assert first["request"] is not None
    assert second["request"] is None
