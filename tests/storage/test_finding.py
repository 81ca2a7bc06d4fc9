"""A query against a real audit.db: which exchanges are found, in which order, page by page."""

import json
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given

from exchange.call import Text
from exchange.principal import Principal
from exchange.record import Record
from storage.query.parsing import parse
from storage.query.terms import Query
from storage.sqlite.driver import audit_path, open_for_writing
from storage.sqlite.reading import AuditReader
from storage.sqlite.selection import select, unsearchable
from storage.sqlite.thread_index import ThreadIndex, m002_threads
from tests.cli.records import ANN, chat, record, refused, store
from tests.storage.test_query import TEXTS, understood

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
HOUR = 3_600_000_000
BOB = Principal("Bob-7", "bob@sales.example.com", "sales.example.com", "own")
MACHINE = Principal("spiffe://ci", None, None, "mesh")


def at(hours_ago: int) -> int:
    return (NOW - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1) - hours_ago * HOUR


def with_model(one: Record, model: str, answered: str | None = None, **derived: Any) -> Record:
    return replace(one, derived=replace(one.derived, request_model=model, response_model=answered, **derived))


RECORDS = [
    chat("東京の天気は？", "晴れです", started_at=at(100)),  # 1
    chat("京都の見積 draft", "It is café 42.", principal=BOB, started_at=at(50)),  # 2
    with_model(chat("東京で会議", "quarterly report", principal=BOB, started_at=at(30)), "gpt-4o-mini"),  # 3
    replace(refused(), seen=replace(refused().seen, started_at=at(20))),  # 4
    with_model(chat("foo_bar and Foo-Bar", "x", principal=MACHINE, started_at=at(10)), "Claude[1]", "claude-4.5"),  # 5
    with_model(chat("foo bar, 東京", "max_tokens=5", principal=None, host="api.anthropic.com", started_at=at(2)), "o3",
               end_state="upstream_cut", operation="messages", thread_id="0199aaaa" + "0" * 24),  # 6
]  # fmt: skip
TOOLS = {1: ["get_weather"], 6: ["Read_File", "get_weather"]}


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AuditReader]:
    folder = tmp_path_factory.mktemp("finding")
    store(folder, *RECORDS)
    file_tools(folder, TOOLS)
    found = AuditReader(folder)
    yield found
    found.close()


def file_tools(folder: Path, tools: dict[int, list[str]]) -> None:
    """As the writer does once step 2 of the schema is registered; until then the step is taken here."""
    database = open_for_writing(audit_path(folder))
    if "tool_use" not in database.table_names():
        m002_threads(database)
    for seq, one in enumerate(RECORDS, 1):
        ThreadIndex(database.conn).put(seq, [], tools.get(seq, []), one.seen.principal)
    database.close()


def seqs(lines: list[bytes]) -> list[int]:
    return [json.loads(line)["seq"] for line in lines]


TABLE = [
    ("", [6, 5, 4, 3, 2, 1]),
    ("東京", [6, 3, 1]),
    ("京", [6, 3, 2, 1]),
    ("東京 会議", [3]),
    ("東京 -会議", [6, 1]),
    ("-東京", [5, 4, 2]),
    ("-東京 -京都", [5, 4]),
    ("CAFE", [2]),
    ('"quarterly report"', [3]),
    ('"report quarterly"', []),
    ('-"quarterly report" 東京', [6, 1]),
    ('"foo bar"', [6, 5]),
    ("foo_bar", [6, 5]),
    ('exact:"foo_bar"', [5]),
    ("exact:foo_ba", [5]),
    ('exact:"Foo-Bar"', [5]),
    ('exact:"FOO_BAR"', []),
    ('exact:"foo bar"', [6]),
    ('exact:"max_tokens=5" 東京', [6]),
    ('-exact:"foo_bar" "foo bar"', [6]),
    ('-exact:"foo_bar"', [6, 4, 3, 2, 1]),
    ('exact:"京の天"', [1]),
    ("user:ann@example.com", [4, 1]),
    ("user:ANN@example.com", [4, 1]),
    ("user:ann", [4, 1]),
    ("user:ANN", []),
    ("user:Bob-7 東京", [3]),
    ("user:ann user:Bob-7", [4, 3, 2, 1]),
    ("user:*@*example.com", [4, 3, 2, 1]),
    ("user:spiffe://*", [5]),
    ("-user:ann", [6, 5, 3, 2]),
    ("-user:ann -user:Bob-7", [6, 5]),
    ("domain:Example.com", [4, 1]),
    ("domain:*example.com", [4, 3, 2, 1]),
    ("model:gpt-4o", [2, 1]),
    ("model:gpt-4o*", [4, 3, 2, 1]),
    ("model:claude[1]", [5]),
    ("model:claude[1]*", [5]),
    ("model:claude-4.*", [5]),
    ("model:claude?1*", []),
    ("model:o3", [6, 4]),
    ("-model:gpt*", [6, 5]),
    ("host:api.anthropic.com", [6]),
    ("operation:messages operation:responses", [6]),
    ("decision:allow", [6, 5, 3, 2, 1]),
    ("decision:deny", [4]),
    ("decision:model_not_allowed", [4]),
    ("decision:bad_request", []),
    ("-decision:deny", [6, 5, 3, 2, 1]),
    ("end:upstream_cut", [6]),
    ("end:complete", [5, 3, 2, 1]),
    ("-end:complete", [6, 4]),
    ("tool:get_weather", [6, 1]),
    ("tool:read_*", [6]),
    ("-tool:get_weather 東京", [3]),
    ("thread:0199aaaa", [6]),
    ("after:1d", [6, 5, 4]),
    ("before:1d", [3, 2, 1]),
    ("after:60h before:24h", [3, 2]),
    ("-after:1d", [3, 2, 1]),
    ("after:1h", []),
    ("東京 before:2026-11-24T09:00Z", [3, 1]),
    ("!!! 東京", [6, 3, 1]),
    ("!!!", []),
    ("'; drop table exchange; --", []),
    ("user:'or'1'='1", []),
    ('"AND" OR NOT*', []),
]


@pytest.mark.parametrize(("text", "found"), TABLE)
def test_a_query_finds_exactly_what_it_says_newest_first(reader: AuditReader, text: str, found: list[int]) -> None:
    query = parse(text, NOW)

    assert seqs(reader.search(query)) == found
    assert [seq for seq, _ in reader.export(query=query)] == found[::-1]


@pytest.mark.parametrize("text", ["", "東京", "-会議", 'exact:"foo"', "user:*", "after:365d", "-tool:nothing"])
def test_pages_put_together_are_the_whole_and_nothing_comes_twice(reader: AuditReader, text: str) -> None:
    query = parse(text, NOW)
    pages: list[int] = []
    before: int | None = None
    while page := seqs(reader.search(query, 2, before)):
        pages += page
        before = page[-1]

    assert pages == seqs(reader.search(query, 100))


def test_the_export_goes_on_after_a_seq_and_stops_at_one(reader: AuditReader) -> None:
    found = [seq for seq, _ in reader.export(1, parse("東京", NOW), upto=3)]

    assert found == [3]


def test_words_that_the_index_cannot_know_are_named() -> None:
    assert unsearchable(parse('東京 !!! "—" ___ -… 👍', NOW)) == ("!!!", "—", "___", "…", "👍")


def test_a_literal_is_looked_for_in_more_than_one_page_of_candidates(tmp_path: Path) -> None:
    many = [chat(f"foo bar {i}" if i else "foo_bar 0", "x") for i in range(30)]
    store(tmp_path, *many)
    reader = AuditReader(tmp_path)
    try:
        assert seqs(reader.search(parse("exact:foo_bar", NOW), limit=3)) == [1]
    finally:
        reader.close()


def test_a_literal_stands_in_strings_however_the_json_wrote_them(tmp_path: Path) -> None:
    escaped = record(
        {"messages": [{"role": "user", "content": "tab\there, 東京"}]}, None, texts=(Text("user", "tab here, 東京"),)
    )
    asked = json.dumps(json.loads(escaped.raw.request)).encode()  # \u6771\u4eac
    store(
        tmp_path,
        replace(escaped, raw=replace(escaped.raw, request=asked), derived=replace(escaped.derived, request=asked)),
    )
    reader = AuditReader(tmp_path)
    try:
        assert seqs(reader.search(parse('exact:"here, 東京"', NOW))) == [1]
        assert seqs(reader.search(parse("exact:messages", NOW))) == []  # the name of a field is nothing that was said
    finally:
        reader.close()


def test_the_rare_is_found_by_an_index_and_not_by_looking_at_everything(reader: AuditReader) -> None:
    for text, index in [
        ("user:ann@example.com", "exchange_person"),
        ("decision:deny", "exchange_denied"),
        ("end:timed_out", "exchange_unwell"),
        ("thread:0199aaaa", "exchange_thread"),
        ("東京 user:ann", "VIRTUAL TABLE INDEX"),
    ]:
        sql, values = select(parse(text, NOW)).page(1, 100, newest_first=True, limit=50)
        plan = [row["detail"] for row in reader._connection.execute(f"explain query plan {sql}", values)]
        assert any(index in line for line in plan), (text, plan)


def test_ann_is_not_in_the_sql() -> None:
    sql, values = select(parse("user:ann 東京 tool:x* after:1d -bob", NOW)).page(1, 9, newest_first=True, limit=50)
    assert not {"ann", "東", "bob", "x"} & set(sql.replace("exchange", "").replace("max", "").split())
    assert sql.count("?") == len(values)
    assert ANN.subject in values
    assert sqlite3.complete_statement(sql + ";")


@given(TEXTS)
def test_whatever_is_a_query_can_be_asked(reader: AuditReader, text: str) -> None:
    query = understood(text)
    if isinstance(query, Query):
        assert len(reader.search(query, 3)) <= 3
