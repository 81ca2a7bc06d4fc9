"""One person's own record: no question that is asked of it is about anybody else."""

import json
import sqlite3
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Literal

import pytest

from exchange.principal import Principal
from exchange.record import Record
from storage.problem import StoreProblem
from storage.query.parsing import parse
from storage.removal.holds import Hold
from storage.sqlite.people import Who
from storage.sqlite.reading import AuditReader
from storage.sqlite.summary import Steps
from storage.sqlite.tally import DAY
from tests.cli.records import chat, store
from tests.storage.sealing.conftest import sealed, told

ANN = Principal("ann", "ann@example.com", "example.com", "own")
ANN_ELSEWHERE = Principal("u-1", "ann@example.com", "example.com", "google")
QUOTED = Principal("q", "o'ann@example.com", "example.com", "own")
ZELDA = Principal(
    "ann@example.com", "zelda@example.com", "example.com", "other"
)  # a subject that looks like an address


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("narrowed")
    people = (ANN, ZELDA, ANN_ELSEWHERE, QUOTED)
    store(folder, *[of(who, chat(f"question of {who.issuer}", "answer")) for who in people])
    return folder


def of(who: Principal, record: Record) -> Record:
    return replace(record, seen=replace(record.seen, principal=who))


def seqs(reader: AuditReader, text: str) -> list[int]:
    query = parse(text, datetime.now().astimezone(), local=datetime.astimezone)
    return [seq for seq, _ in reader.export(query=query)]


@pytest.mark.parametrize(
    ("email", "query", "found"),
    [
        ("ann@example.com", "", [1, 3]),
        ("ann@example.com", "question", [1, 3]),
        ("ann@example.com", "-question", []),
        ("ann@example.com", "user:zelda@example.com", []),
        ("ann@example.com", "user:ann@example.com user:zelda@example.com", [1, 3]),
        ("ann@example.com", "user:*", [1, 3]),
        ("ann@example.com", "-user:nobody", [1, 3]),
        ("ann@example.com", 'exact:"question of o"', [1]),
        ("zelda@example.com", "", [2]),
        ("o'ann@example.com", "", [4]),
        ("Ann@example.com", "", []),
        ("' or 1=1 --", "", []),
        ("%", "", []),
    ],
)
def test_a_question_finds_ones_own_alone(data_dir: Path, email: str, query: str, found: list[int]) -> None:
    reader = AuditReader(data_dir, only=email)
    assert seqs(reader, query) == found
    if not query:
        assert [seq for seq, _ in reader.places(10)] == found[::-1]
    reader.close()


def test_everything_else_that_can_be_asked_is_about_oneself_too(data_dir: Path) -> None:
    everybody, mine = AuditReader(data_dir), AuditReader(data_dir, only="zelda@example.com")
    ann, hers = [json.loads(each)["id"] for seq, each in everybody.export() if seq < 3]
    assert mine.find(ann) == []
    assert mine.head(ann.replace("-", "")) is None
    assert mine.head(hers.replace("-", "")) is not None
    with pytest.raises(LookupError):
        mine.raw(ann, "request")
    assert mine.raw(hers, "request").content
    with pytest.raises(LookupError):
        mine.problem_of(1)
    assert mine.problem_of(2) is None
    assert (mine.count(), mine.last_seq(), len(mine.latest(9))) == (1, 2, 1)
    assert mine.first_seen("own", "ann") is None
    assert mine.identities(Who("ann@example.com")) == []
    assert mine.unseen(0) == []
    nothing: list[Hold] = []
    assert mine.holds() == nothing
    assert mine.facets(parse("", datetime.now().astimezone()), 9).values["user"] == [("zelda@example.com", 1)]
    (groups,) = mine.summaries(parse("", datetime.now().astimezone()), Steps(DAY, 0), (("person",),))
    assert [(group.person, group.count) for group in groups] == [("zelda@example.com", 1)]
    assert seqs(mine, "domain:example.com model:gpt-4o after:2020-01-01") == [2]
    for reader in (everybody, mine):
        reader.close()


@pytest.mark.parametrize(
    "sql",
    [
        "select count(*) from main.exchange",
        "select * from main.exchange e join body b on b.seq = e.seq",
        "select * from coverage",
        "select * from thread_key",
        "select * from person",
        "select count(*) from tally",
        "select * from tally_kind",
        "select sql from sqlite_schema",
        "delete from body",
        "drop view temp.exchange",
        "create temp view other as select 1",
        "attach ':memory:' as other",
        "pragma query_only=off",
    ],
)
def test_what_would_lead_round_it_is_refused_by_sqlite_itself(data_dir: Path, sql: str) -> None:
    reader = AuditReader(data_dir, only="ann@example.com")
    with pytest.raises((sqlite3.DatabaseError, StoreProblem), match=r"prohibited|authorized|cannot be read"):
        reader._asked(sql)
    reader.close()


@pytest.mark.parametrize("index", ["keyed", "plain"])
def test_a_sealed_record_is_narrowed_as_well(tmp_path: Path, index: Literal["keyed", "plain"]) -> None:
    place = sealed(tmp_path, index)
    place.write(of(ANN, told("the question of ann")), of(ZELDA, told("the question of zelda")))
    reader = AuditReader(place.data_dir, place.seal, only="ann@example.com")
    assert seqs(reader, "") == [1]
    assert seqs(reader, "question") == [1]
    assert seqs(reader, "zelda") == []
    assert seqs(reader, "tool:ship_parcel") == [1]
    assert "question of ann" in reader.latest(1)[0].decode()
    assert reader.problem_of(1) is None
    reader.close()


def test_an_own_record_without_an_address_is_none(data_dir: Path) -> None:
    with pytest.raises(ValueError, match="needs an address"):
        AuditReader(data_dir, only="")
