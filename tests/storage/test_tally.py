"""What is kept beside the exchanges agrees with them, whatever is done to them; and finds are where it says."""

import sqlite3
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exchange.principal import Principal
from exchange.record import Record
from recording.rebuild import rebuild
from recording.recorder import Recorder
from storage.query.parsing import parse
from storage.query.terms import After, Before, Query, Term
from storage.removal.due import Keeping, Limit
from storage.removal.erasing import Erasure
from storage.removal.retention import Let
from storage.removal.tombstones import Order
from storage.sqlite.driver import audit_path
from storage.sqlite.reading import AuditReader
from storage.sqlite.selection import select
from storage.sqlite.summary import Dimension, Group, Steps, _from_exchanges, _together, summaries
from storage.sqlite.tally import DAY, SUMS, tally_anew, tally_zone, unnamed_kind
from storage.sqlite.transaction import transaction
from storage.sqlite.whereabouts import EVERYWHERE, stretches
from storage.sqlite.writing import AuditWriter
from storage.upkeep.integrity import looked_through
from storage.upkeep.rebuilding import Rebuilding
from tests.cli.records import ANN, chat, refused, store

ORDER = Order("0199", "root", "by hand", time.time_ns() // 1000)
BEGUN = 20_000 * DAY
BOB = Principal("Bob-7", "bob@sales.example.com", "sales.example.com", "own")
MACHINE = Principal("spiffe://ci", None, None, "mesh")
NOW = datetime(2026, 11, 24, tzinfo=UTC)
BY: tuple[tuple[Dimension, ...], ...] = (("step",), ("person",), ("model",), ("domain", "end_state"), ("code", "rule"))


def made(number: int) -> Record:
    """Everything a kind is made of, in many mixtures; a clock that goes back, too."""
    who = (ANN, BOB, MACHINE, None)[number % 4]
    one = chat(f"東京 {number}", "はい", principal=who) if number % 7 else refused()
    seen = replace(
        one.seen, started_at=BEGUN + (number * 5 % 13) * DAY // 2, ttft=None if number % 5 == 0 else 10 ** (number % 9),
        status=(200, 429, None)[number % 3], host=("api.openai.com", "api.anthropic.com")[number % 2],
    )  # fmt: skip
    derived = replace(
        one.derived, request_model=("gpt-4o", None, "o3")[number % 3], cost_usd=(0.25, None)[number % 2],
        end_state=("complete", "client_gone", "upstream_error")[number % 3] if number % 7 else "refused",
    )  # fmt: skip
    return replace(one, seen=seen, derived=derived)


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tally")
    store(folder, *[made(number) for number in range(120)])
    return folder


@pytest.fixture
def writer(full: Path, tmp_path: Path) -> Iterator[AuditWriter]:
    path = audit_path(tmp_path)
    source = sqlite3.connect(audit_path(full))
    target = sqlite3.connect(path)
    source.backup(target)
    source.close()
    target.close()
    kept = AuditWriter(path, reader_version=1)
    yield kept
    kept.close()


COLUMNS = unnamed_kind("e")


def kept(connection: sqlite3.Connection) -> list[tuple[Any, ...]]:
    sums = ", ".join(f"t.{name}" for name in ("count", *SUMS))
    rows = connection.execute(
        f"select t.day, {', '.join(f'k.{name}' for name in COLUMNS)}, k.count, {sums} "
        "from tally t join tally_kind k on k.id = t.kind order by 1, k.id"
    ).fetchall()
    return sorted((tuple(row) for row in rows), key=repr)


def counted(connection: sqlite3.Connection) -> list[tuple[Any, ...]]:
    """The same, by looking at every exchange."""
    zone = int(connection.execute("select value from meta where name = 'tally_zone'").fetchone()[0])
    columns = ", ".join(COLUMNS.values())
    sums = ", ".join(f"sum({how.format(e='e')})" for how in SUMS.values())
    same = " and ".join(
        f"{other} is {one}" for one, other in zip(COLUMNS.values(), unnamed_kind("x").values(), strict=True)
    )
    rows = connection.execute(
        f"select (e.started_at + ?) / {DAY} as day, {columns}, (select count(*) from exchange x where {same}), "
        f"count(*), {sums} from exchange e group by day, {columns}",
        (zone,),
    ).fetchall()
    return sorted((tuple(row) for row in rows), key=repr)


def erase_ann(writer: AuditWriter) -> None:
    for _ in writer.eraser().erase(Erasure(ORDER, [("own", "ann")])):
        pass


def let_go(writer: AuditWriter) -> None:
    for _ in writer.retention().run(Keeping(Limit(3 * DAY)), ORDER, BEGUN + 6 * DAY, Let()):
        pass


def let_all_go(writer: AuditWriter) -> None:
    for _ in writer.retention().run(Keeping(Limit(0)), ORDER, BEGUN + 60 * DAY, Let()):
        pass


def change_what_was_derived(writer: AuditWriter) -> None:
    writer.connection.execute("update exchange set request_model = 'gpt-5', cost_usd = 0.5 where seq % 3 = 0")


def delete_the_newest(writer: AuditWriter) -> None:
    for seq in range(90, 121):
        for table in ("raw_reply", "body", "said", "exchange"):
            writer.connection.execute(f"delete from {table} where seq = ?", (seq,))


@pytest.mark.parametrize(
    "change", [erase_ann, let_go, let_all_go, change_what_was_derived, delete_the_newest, lambda _: None],
    ids=["erased", "retention", "retention of all", "derived again", "the newest gone", "as recorded"],
)  # fmt: skip
def test_the_tally_is_what_a_look_at_every_exchange_says(
    writer: AuditWriter, change: Callable[[AuditWriter], None]
) -> None:
    change(writer)
    connection = writer.connection
    assert kept(connection) == counted(connection)
    places = connection.execute(
        "select count(*) from exchange e join tally_kind k on k.last_seq >= e.seq and k.first_seq <= e.seq "
        f"and {' and '.join(f'k.{name} is {value}' for name, value in COLUMNS.items())}"
    ).fetchone()
    assert places == connection.execute("select count(*) from exchange").fetchone()


def test_nobody_is_named_in_it_of_whom_nothing_is_on_record(writer: AuditWriter) -> None:
    let_all_go(writer)
    assert writer.connection.execute("select count(*) from tally_kind").fetchone() == (0,)
    assert writer.connection.execute("select count(*) from tally").fetchone() == (0,)


@pytest.mark.parametrize("zone", [9 * 3_600_000_000, -(3 * 3_600_000_000 + 1_800_000_000)])
def test_days_are_those_of_the_zone(writer: AuditWriter, zone: int) -> None:
    with transaction(writer.connection):
        tally_anew(writer.connection, zone)
    assert kept(writer.connection) == counted(writer.connection)
    writer.store([made(500)], [])
    assert kept(writer.connection) == counted(writer.connection)


QUERIES = [
    "", "user:ann@example.com", "model:gpt-4o", "model:GPT*", "-model:o3", "domain:sales.example.com", "decision:deny",
    "decision:model_not_allowed", "decision:allow", "end:client_gone", "-end:complete", "host:api.anthropic.com",
    "operation:chat", "user:bob* -decision:deny", "model:nothing", "domain:*", "-user:ann",
]  # fmt: skip


BOUNDS: list[tuple[After | Before, ...]] = [
    (), (After(BEGUN + DAY),), (After(BEGUN + DAY), Before(BEGUN + 4 * DAY)), (Before(BEGUN + 90 * DAY + 7),),
]  # fmt: skip


def rounded(groups: list[Group]) -> list[Any]:
    """Without what is looked at only where it is by step, and where a place is a bound."""
    return sorted(repr(replace(g, slow=g.slow if g.step is not None else (), last_seq=0)) for g in groups)


@pytest.mark.parametrize("asked", QUERIES)
def test_a_summary_from_the_tally_is_one_of_the_exchanges(full: Path, asked: str) -> None:
    reader = AuditReader(full)
    try:
        terms = parse(asked, NOW).terms
        for bounds in BOUNDS:
            query = Query((*terms, *(Term(each) for each in bounds)))
            steps = Steps(DAY, reader._zone or 0)
            found = reader.summaries(query, steps, BY)
            every: list[Dimension] = list(dict.fromkeys(each for one in BY for each in one))
            looked = _from_exchanges(reader._asked, select(query), EVERYWHERE, steps, every)
            for grouping, groups in zip(BY, found, strict=True):
                assert rounded(groups) == rounded(_together(looked, every, grouping)), (query, grouping)
    finally:
        reader.close()


@pytest.mark.parametrize("asked", ["東京", "after:2026-11-20T01:00", "thread:0199", "exact:東"])
def test_what_the_tally_does_not_know_is_not_asked_of_it(full: Path, asked: str) -> None:
    reader = AuditReader(full)
    told: list[str] = []
    try:
        summaries(
            lambda sql, *values: told.append(sql) or reader._asked(sql, *values),  # type: ignore[func-returns-value]
            parse(asked, NOW), select(parse(asked, NOW)), lambda: (1, 120), Steps(DAY, 0), BY, 0,
        )  # fmt: skip
    finally:
        reader.close()
    assert not any("from tally t" in sql for sql in told)


TERMS = st.sampled_from([*QUERIES[1:], "東京", "-東京", '-"東京 7"', "tool:x", "after:2024-10-05", "before:2024-10-06",
                         "-after:2024-10-05", "exact:東京"])  # fmt: skip


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(TERMS, max_size=3), st.integers(1, 7), st.booleans())
def test_page_by_page_nothing_is_missed_and_nothing_comes_twice(
    full: Path, terms: list[str], page: int, newest_first: bool
) -> None:
    reader = AuditReader(full)
    try:
        query = parse(" ".join(terms), NOW)
        selection = select(query)
        sql, values = selection.page(0, 1 << 40, newest_first=newest_first, limit=1000)
        expected = [row[0] for row in reader._asked(sql, *values)]
        assert list(reader._seqs(query, newest_first=newest_first, page=page)) == expected
        found = reader.facets(query, 1000)
        assert found.looked_at == len(expected) or not found.all_of_them
        places = stretches(reader._asked, query, reader._zone)
        assert all(low <= high for low, high in places)
        assert places == sorted(places, reverse=True)
    finally:
        reader.close()


def test_the_recorder_counts_days_as_this_machine_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store(tmp_path, *[made(number) for number in range(30)])
    monkeypatch.setattr("storage.sqlite.writing.zone_here", lambda: 9 * 3_600_000_000)
    recorder = Recorder(tmp_path)
    try:
        connection = recorder._writer.connection
        assert tally_zone(connection) == 9 * 3_600_000_000
        assert kept(connection) == counted(connection)
    finally:
        recorder.close()


def problem(folder: Path) -> str | None:
    found = dict(each for each in looked_through(folder) if each[1] is not None)["the tally of days"]
    return found.problem if found else "not looked at"


def test_a_tally_that_is_wrong_is_found_by_the_check_and_mended_by_a_rebuild(tmp_path: Path) -> None:
    store(tmp_path, *[made(number) for number in range(30)])
    writer = Rebuilding(audit_path(tmp_path), reader_version=2)
    writer.connection.execute("update tally set count = count + 1")
    assert "says is wrong" in str(problem(tmp_path))
    rebuild(writer, {"openai": "openai"}, lambda _done, _upto: None)
    assert problem(tmp_path) is None
    writer.close()


def test_a_rebuild_leaves_it_right(full: Path, tmp_path: Path) -> None:
    store(tmp_path, *[made(number) for number in range(30)])
    writer = Rebuilding(audit_path(tmp_path), reader_version=2)
    before = kept(writer.connection)
    rebuild(writer, {"openai": "openai"}, lambda _done, _upto: None)
    assert kept(writer.connection) == counted(writer.connection) != before
    writer.close()
