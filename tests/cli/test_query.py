"""search, tail and export speak one language; show tells a thread once; doctor asks the SQLite in use."""

import json
import signal
import sqlite3
from dataclasses import replace
from typing import Any

import pytest

import cli.status
from cli.query import GRAMMAR
from exchange.record import Record
from recording.threads import Threads
from storage.query.parsing import parse
from storage.sqlite import self_test
from tests.cli.conftest import Desk
from tests.cli.records import EVIL, chat, record, refused, store
from tests.storage.test_query import NOW


def seqs(said: str) -> list[int]:
    return [json.loads(line)["seq"] for line in said.splitlines()]


@pytest.fixture
def three(desk: Desk) -> Desk:
    desk.store(chat("東京 draft", "x"), refused(), chat("東京 final -note", "x", host="api.anthropic.com"))
    return desk


@pytest.mark.parametrize(
    ("query", "found"),
    [
        (["東京"], [3, 1]),
        (["東京", "-draft"], [3]),
        (["-draft", "東京"], [3]),
        (["-n5", "東京", "-note"], [1]),
        (["-n", "1", "東京"], [3]),
        (["東京　－ｄｒａｆｔ"], [3]),
        (["decision:deny"], [2]),
        (["東京", "host:api.anthropic.com"], [3]),
        (["before:2020-01-01"], []),
        (["--before", "3", "東京"], [1]),
        (["--", "東京", "-draft"], [3]),
    ],
)
def test_search_speaks_the_query_language(three: Desk, query: list[str], found: list[int]) -> None:
    said = three.sekisho("search", "--json", *query)
    assert (said.exit_code, seqs(said.stdout)) == (0, found)


@pytest.mark.parametrize(
    "arguments", [["search"], ["tail", "--no-follow", "--query"], ["tail", "--query"], ["export", "--query"]]
)
def test_a_broken_query_exits_2_with_a_sentence_that_says_where(desk: Desk, arguments: list[str]) -> None:
    said = desk.sekisho(*arguments, '東京 "open')
    assert (said.exit_code, said.stdout) == (2, "")
    assert (
        said.stderr
        == 'The query cannot be used. The quote at 4 is never closed. Add " where it ends, or leave it out.\n'
    )


def test_a_query_cannot_steer_the_terminal(desk: Desk) -> None:
    desk.store(chat("a", "b"))
    for query in (f"xx:{EVIL}", f"{EVIL} !\x1b["):
        said = desk.sekisho("search", query.replace("\x00", ""))
        assert [c for c in "\x1b\x07\x9b\u202e" if c in said.output] == []


def test_the_help_shows_the_grammar_with_examples_that_work(desk: Desk) -> None:
    said = desk.sekisho("search", "--help")
    assert GRAMMAR in said.output
    examples = [line.split("'")[1] for line in GRAMMAR.splitlines() if line.startswith("  sekisho search '")]
    examples += [line[2:27].strip() for line in GRAMMAR.splitlines() if line[:2] == "  " and line[2:9] != "sekisho"]
    assert len(examples) > 15
    for example in examples:
        assert parse(example, NOW).terms


def test_search_says_that_there_is_more_and_what_it_left_out(three: Desk) -> None:
    said = three.sekisho("search", "-n", "1", "東京", "!!!")
    assert "There may be more: add --before 3." in said.stderr
    assert "Left out, for the index knows letters and digits only: !!!" in said.stderr
    assert "There may be more" not in three.sekisho("search", "東京").stderr


def test_export_takes_a_query_and_goes_on_after_a_seq(three: Desk) -> None:
    assert seqs(three.sekisho("export", "--query", "東京").stdout) == [1, 3]
    assert seqs(three.sekisho("export", "-q", "東京", "--after", "1").stdout) == [3]


def test_tail_shows_only_what_the_query_finds_old_and_new(three: Desk) -> None:
    assert seqs(three.sekisho("tail", "--no-follow", "--json", "-n", "1", "-q", "東京").stdout) == [3]
    tail = three.start("tail", "--json", "--query", "東京 -draft", "-n", "5")
    assert tail.stdout is not None
    try:
        assert json.loads(tail.stdout.readline())["seq"] == 3
        store(three.data_dir, chat("大阪", "x"), chat("東京 again", "x"))
        assert json.loads(tail.stdout.readline())["seq"] == 5
        tail.send_signal(signal.SIGINT)
        assert tail.communicate(timeout=10) == (b"", b"")
    finally:
        tail.kill()
        tail.communicate()


# -- threads ----------------------------------------------------------------------------------------------------------


def turn(role: str, content: Any, **more: Any) -> dict[str, Any]:
    return {"role": role, "content": content, **more}


def asked(*messages: dict[str, Any], answer: str | None, **more: Any) -> Record:
    reply = None if answer is None else {"choices": [{"index": 0, "message": turn("assistant", answer)}]}
    return record({"model": "gpt-4o", "messages": list(messages)}, reply, **more)


def kept(desk: Desk, *records: Record) -> str:
    """Link them and store them; the id of their one thread."""
    linking = Threads(lambda _key: None)
    linked = [linking.linked(one) for one in records]
    desk.store(*linked)
    assert len({one.derived.thread_id for one in linked}) == 1
    return linked[0].derived.thread_id or ""


SYSTEM = turn("system", "INSTRUCTIONS")
ROAD = [
    turn("user", "QUESTION-1"),
    turn("assistant", "ANSWER-1"),
    turn("user", "QUESTION-2"),
    turn("assistant", "ANSWER-2"),
]


def test_a_thread_is_shown_once_and_not_as_often_as_it_was_sent(desk: Desk) -> None:
    thread = kept(
        desk,
        asked(SYSTEM, *ROAD[:1], answer="ANSWER-1"),
        asked(SYSTEM, *ROAD[:3], answer="ANSWER-2"),
        asked(SYSTEM, *ROAD, turn("user", "QUESTION-3"), answer="ANSWER-3"),
    )
    said = desk.sekisho("show", thread).stdout
    words = ["INSTRUCTIONS", "QUESTION-1", "ANSWER-1", "QUESTION-2", "ANSWER-2", "QUESTION-3", "ANSWER-3"]
    assert [said.count(word) for word in words] == [1] * 7
    assert sorted(words, key=said.index) == words
    assert said.startswith(f"Thread {thread[:8]}-")
    assert "exchanges 3" in said
    assert "36 in, 1020 out" in said
    assert "earlier point" not in said
    assert len(desk.sekisho("show", thread, "--json").stdout.splitlines()) == 3


def test_an_exchange_of_a_thread_is_still_shown_by_itself(desk: Desk) -> None:
    first, second = asked(*ROAD[:1], answer="ANSWER-1"), asked(*ROAD[:3], answer="ANSWER-2")
    kept(desk, first, second)
    for one in (first, second):
        assert desk.sekisho("show", one.seen.id).stdout.startswith("Exchange ")
        assert len(desk.sekisho("show", one.seen.id, "--json").stdout.splitlines()) == 1


def test_a_thread_of_one_exchange_is_a_thread(desk: Desk) -> None:
    thread = kept(desk, asked(*ROAD[:1], answer="ANSWER-1"))
    assert desk.sekisho("show", thread).stdout.startswith("Thread ")
    assert desk.sekisho("show", thread[:28]).stdout.startswith("Thread ")


def test_a_branch_a_retry_and_a_refusal_are_told_apart(desk: Desk) -> None:
    thread = kept(
        desk,
        asked(*ROAD[:1], answer="ANSWER-1"),
        asked(*ROAD[:3], answer="ANSWER-2"),
        asked(*ROAD[:3], answer="ANSWER-AGAIN"),
        replace(asked(*ROAD[:2], turn("user", "FORBIDDEN"), answer=None, end_state="refused", outcome="deny",
                      code="model_not_allowed", status=403)),
    )  # fmt: skip
    said = desk.sekisho("show", thread).stdout
    for word in ("QUESTION-1", "ANSWER-1", "QUESTION-2", "ANSWER-2", "ANSWER-AGAIN", "FORBIDDEN", "refused here"):
        assert said.count(word) == 1, word
    assert said.count("goes on from an earlier point") == 2


def test_the_oldest_part_of_a_history_may_be_left_out(desk: Desk) -> None:
    named = {"metadata": {"thread_id": "t1"}}
    long = [turn("user" if i % 2 == 0 else "assistant", f"TURN-{i:02}") for i in range(11)]
    road = [record({"messages": messages, **named}, {"choices": [{"message": turn("assistant", answer)}]})
            for messages, answer in ((long[:9], "TURN-09"), (long[4:], "TURN-11"))]  # fmt: skip
    said = desk.sekisho("show", kept(desk, *road)).stdout
    assert [said.count(f"TURN-{i:02}") for i in range(12)] == [1] * 12


def test_a_thread_can_be_exported(desk: Desk) -> None:
    thread = kept(desk, asked(*ROAD[:1], answer="ANSWER-1"), asked(*ROAD[:3], answer="ANSWER-2"))
    desk.store(chat("other", "x"))
    assert seqs(desk.sekisho("export", "-q", f"thread:{thread}").stdout) == [1, 2]


# -- doctor -----------------------------------------------------------------------------------------------------------


def test_doctor_proves_that_this_sqlite_answers_in_japanese(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli.status, "_disk_free", lambda _: 0.5)
    said = desk.sekisho("doctor")
    assert said.exit_code == 0
    assert f"SQLite {sqlite3.sqlite_version}" in said.stdout
    assert "well     full-text search" in said.stdout
    desk.store(chat("a", "b"))
    assert "audit.db: 1 exchanges" in desk.sekisho("doctor").stdout


def test_doctor_says_what_is_not_well_and_exits_1(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.data_dir.mkdir()
    (desk.data_dir / "audit.db").write_bytes(b"this is no database" * 1000)
    monkeypatch.setattr(self_test, "tokens", lambda text: text)  # as if words were left to FTS5's own tokeniser
    monkeypatch.setattr(self_test, "OLDEST", (99, 0, 0))
    said = desk.sekisho("doctor")
    assert said.exit_code == 1
    for words in ("older than 99.0.0", "Wrong answers to 東京", "cannot be read"):
        assert words in said.stdout
