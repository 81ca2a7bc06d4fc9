"""Which exchanges are one conversation: by what they name, by what they send again, and never across people."""

import itertools
import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.principal import Principal
from exchange.record import Record
from recording.threads import Threads, thread_begun_by
from storage.journal.rows import ReplyHead
from storage.journal.writing import Journal
from storage.query.parsing import parse
from storage.sqlite.driver import audit_path, open_for_writing
from storage.sqlite.reading import AuditReader
from storage.sqlite.thread_index import ThreadIndex, m002_threads
from tests.cli.records import ANN, BEGUN, record, store
from tests.recording.test_recorder import closing, intent, new_id, record_all, records, settle

BOB = Principal("bob", "bob@example.com", "example.com", "own")
USER, ASSISTANT, TOOL, SYSTEM = "user", "assistant", "tool", "system"


def fresh() -> Threads:
    return Threads(lambda _key: None)


def threads(*records: Record) -> list[int]:
    """Which thread each record falls into: numbers in the order of appearance, from 0."""
    linking = fresh()
    ids = [linking.links(one).thread_id for one in records]
    order = list(dict.fromkeys(ids))
    return [order.index(each) for each in ids]


def said(role: str, content: Any, **more: Any) -> dict[str, Any]:
    return {"role": role, "content": content, **more}


def chat(
    *messages: dict[str, Any], answer: dict[str, Any] | str | None = "ok", body: Any = None, **more: Any
) -> Record:
    message = said(ASSISTANT, answer) if isinstance(answer, str) else answer
    reply = None if message is None else {"id": "chatcmpl-1", "choices": [{"index": 0, "message": message}]}
    return record({"model": "gpt-4o", "messages": list(messages), **(body or {})}, reply, **more)


HI, HELLO, MORE = said(USER, "hi"), said(ASSISTANT, "Hello!"), said(USER, "tell me more")


def test_a_history_that_ends_as_an_exchange_ended_goes_on_in_its_thread() -> None:
    first = chat(HI, answer="Hello!")
    second = chat(HI, HELLO, MORE, answer="Well…")
    third = chat(HI, HELLO, MORE, said(ASSISTANT, "Well…"), said(USER, "and?"))
    assert threads(first, second, third) == [0, 0, 0]


def test_two_people_who_both_begin_with_hi_never_share_a_thread() -> None:
    both = [
        chat(*turns, answer=answer, principal=who)
        for turns, answer in (((HI,), "Hello!"), ((HI, HELLO, MORE), "ok"), ((HI, HELLO, said(USER, "other")), "ok"))
        for who in (ANN, BOB)
    ]
    assert threads(*both) == [0, 1, 0, 1, 0, 1]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"principal": None, "credential": "key:1"}, {"principal": None, "credential": "key:2"}),
        ({"principal": replace(ANN, issuer="a")}, {"principal": replace(ANN, issuer="b")}),
        ({"principal": None}, {"principal": None}),
    ],
    ids=["two keys", "two issuers", "nobody known"],
)
def test_what_tells_people_apart_tells_threads_apart(one: dict[str, Any], other: dict[str, Any]) -> None:
    named = {"metadata": {"thread_id": "t1"}}
    assert threads(chat(HI, answer="Hello!", body=named, **one), chat(HI, HELLO, MORE, body=named, **other)) == [0, 1]


def test_people_behind_one_service_are_told_apart_by_whom_it_names() -> None:
    users: list[dict[str, Any]] = [{"user": "u1"}, {"user": "u2"}, {"metadata": {"user_id": "u3"}}]
    begun = [chat(HI, answer="Hello!", body=each) for each in users]
    gone_on = [chat(HI, HELLO, MORE, body=each) for each in users]
    assert threads(*begun, *gone_on) == [0, 1, 2, 0, 1, 2]


def test_a_person_who_begins_twice_has_two_threads() -> None:
    assert threads(chat(HI, answer="Hello!"), chat(HI, answer="Good day.")) == [0, 1]
    assert threads(
        chat(HI, answer="Hello!"),
        chat(HI, answer="Good day."),
        chat(HI, HELLO, MORE),
        chat(HI, said(ASSISTANT, "Good day."), MORE),
    ) == [0, 1, 0, 1]


def test_an_answer_made_again_and_a_question_put_differently_stay_in_the_thread() -> None:
    first = chat(HI, answer="Hello!")
    second = chat(HI, HELLO, MORE, answer="One.")
    again = chat(HI, HELLO, MORE, answer="Two.")
    edited = chat(HI, HELLO, said(USER, "tell me less"))
    on_from_the_first = chat(HI, HELLO, MORE, said(ASSISTANT, "One."), said(USER, "so?"))
    on_from_the_second = chat(HI, HELLO, MORE, said(ASSISTANT, "Two."), said(USER, "so?"))
    assert threads(first, second, again, edited, on_from_the_first, on_from_the_second) == [0] * 6


def test_the_same_question_soon_after_it_got_no_whole_answer_is_a_second_try() -> None:
    cut = chat(HI, answer="Hel", end_state="upstream_cut")
    refused = chat(HI, answer=None, end_state="refused")
    for failed in (cut, refused):
        assert threads(failed, chat(HI, started_at=BEGUN + 5_000_000)) == [0, 0]
        assert threads(failed, chat(HI, started_at=BEGUN + 3_600_000_000)) == [0, 1]
    assert threads(chat(HI), chat(HI, started_at=BEGUN + 5_000_000)) == [0, 1]


def test_an_answer_that_the_caller_cut_off_and_sends_back_is_found() -> None:
    assert threads(chat(HI, answer="Hel", end_state="client_gone"), chat(HI, said(ASSISTANT, "Hel"), MORE)) == [0, 0]


def test_a_history_of_which_only_the_beginning_is_known_belongs_to_it() -> None:
    first = chat(HI, answer="Hello!")
    made_up = [said(ASSISTANT, "Something that no model said"), said(USER, "?"), said(ASSISTANT, "So.")]
    assert threads(first, chat(HI, HELLO, MORE, *made_up, said(USER, "go on"))) == [0, 0]


def test_examples_that_every_call_sends_are_no_conversation() -> None:
    examples = [said(USER, "2+2"), said(ASSISTANT, "4")]
    calls = [chat(*examples, said(USER, f"{n}+1"), answer=str(n + 1)) for n in range(3)]
    assert threads(*calls) == [0, 1, 2]


CALL = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1, "b": [2]}'}}
ASKED = said(USER, "do it")


def text(said: str, **more: Any) -> dict[str, Any]:
    return {"type": "text", "text": said, **more}


SAME = [
    ("white space", said(ASSISTANT, "Line one.\n\nLine two."), said(ASSISTANT, " Line one.\r\nLine two. ")),
    ("parts", said(ASSISTANT, "Line one."), said(ASSISTANT, [text("Line "), text("one.")])),
    ("reasoning dropped", said(ASSISTANT, "So.", reasoning_content="Hm."), said(ASSISTANT, "So.")),
    ("cache marks", said(ASSISTANT, "So."), said(ASSISTANT, [text("So.", cache_control={"type": "ephemeral"})])),
    ("arguments laid out anew, another call id", said(ASSISTANT, None, tool_calls=[CALL]),
     said(ASSISTANT, "", tool_calls=[{**CALL, "id": "x", "function": {"name": "f", "arguments": '{"b":[2],"a":1}'}}])),
    ("picture dropped", said(ASSISTANT, [text("Look"), {"type": "image_url", "image_url": {"url": "https://x/a.png"}}]),
     said(ASSISTANT, "Look")),
]  # fmt: skip


@pytest.mark.parametrize(("answer", "sent_back"), [case[1:] for case in SAME], ids=[case[0] for case in SAME])
def test_what_clients_do_to_a_history_does_not_break_the_thread(
    answer: dict[str, Any], sent_back: dict[str, Any]
) -> None:
    assert threads(chat(ASKED, answer=answer), chat(ASKED, sent_back, MORE)) == [0, 0]


def test_another_system_prompt_is_the_same_conversation() -> None:
    clocks = [said(SYSTEM, "It is 10:00."), said("developer", "It is 10:01.")]
    assert threads(chat(clocks[0], HI, answer="Hello!"), chat(clocks[1], HI, HELLO, MORE)) == [0, 0]


@pytest.mark.parametrize(
    "other",
    [said(ASSISTANT, "Hello."), said(USER, "Hello!"), said(ASSISTANT, None, tool_calls=[CALL])],
    ids=["other words", "another role", "a call"],
)
def test_another_history_is_another_conversation(other: dict[str, Any]) -> None:
    assert threads(chat(HI, answer="Hello!"), chat(HI, other, MORE)) == [0, 1]


def test_an_agent_and_its_tools_are_one_thread() -> None:
    messages = [said(SYSTEM, "Agent."), ASKED]
    road = []
    for n in range(5):
        call = {"id": f"c{n}", "type": "function", "function": {"name": f"tool_{n}", "arguments": f'{{"n":{n}}}'}}
        answer = said(ASSISTANT, None, tool_calls=[call])
        road.append(chat(*messages, answer=answer))
        messages += [answer, said(TOOL, f"result {n}", tool_call_id=f"c{n}")]
    assert threads(*road) == [0] * 5
    assert [fresh().links(one).tools for one in road] == [(f"tool_{n}",) for n in range(5)]


def test_any_of_several_choices_may_be_gone_on_from() -> None:
    reply = {"choices": [{"index": i, "message": said(ASSISTANT, text)} for i, text in enumerate(["One.", "Two."])]}
    first = record({"model": "m", "messages": [HI]}, reply)
    for text in ("One.", "Two."):
        assert threads(first, chat(HI, said(ASSISTANT, text), MORE)) == [0, 0]
    assert threads(first, chat(HI, said(ASSISTANT, "Three."), MORE)) == [0, 1]


def messages(*turns: dict[str, Any], answer: list[dict[str, Any]], body: Any = None) -> Record:
    reply = {"id": "msg_1", "type": "message", "role": ASSISTANT, "content": answer}
    return record({"model": "claude", "messages": list(turns), **(body or {})}, reply, operation="messages")


def test_the_messages_api_is_linked_too() -> None:
    thought = {"type": "thinking", "thinking": "hm", "signature": "s"}
    use = {"type": "tool_use", "id": "t1", "name": "f", "input": {"b": 1, "a": [2]}}
    result = said(USER, [{"type": "tool_result", "tool_use_id": "t1", "content": "done"}])
    first = messages(HI, answer=[thought, {"type": "text", "text": "I will."}, use])
    second = messages(HI, said(ASSISTANT, [{"type": "text", "text": "I will."}, {**use, "input": {"a": [2], "b": 1}}]),
                      result, answer=[{"type": "text", "text": "Done."}])  # fmt: skip
    third = messages(HI, said(ASSISTANT, [{"type": "text", "text": "I will."}, use]), result, said(ASSISTANT, "Done."),
                     MORE, answer=[])  # fmt: skip
    assert threads(first, second, third) == [0, 0, 0]
    assert fresh().links(first).tools == ("f",)


@pytest.mark.parametrize(
    "user_id",
    [
        "user_1_account_2_session_0199aaaa-1111-7222-8333-444455556666",
        '{"device_id":"d","session_id":"0199aaaa-1111-7222-8333-444455556666"}',
    ],
)
def test_an_agents_session_is_one_thread_whatever_it_asks(user_id: str) -> None:
    body = {"metadata": {"user_id": user_id}}
    assert threads(messages(HI, answer=[], body=body), messages(ASKED, answer=[], body=body)) == [0, 0]


def responses(given: Any, id_: str, text: str = "ok", **body: Any) -> Record:
    output = [{"type": "message", "role": ASSISTANT, "content": [{"type": "output_text", "text": text}]}]
    return record({"model": "m", "input": given, **body}, {"id": id_, "output": output}, operation="responses")


def test_a_response_that_follows_another_is_in_its_thread() -> None:
    first = responses("hi", "resp_1")
    second = responses("more", "resp_2", previous_response_id="resp_1")
    branch = responses("other", "resp_3", previous_response_id="resp_1")
    third = responses("and?", "resp_4", previous_response_id="resp_2")
    elsewhere = responses("and?", "resp_5", previous_response_id="resp_unknown")
    assert threads(first, second, branch, third, elsewhere) == [0, 0, 0, 0, 1]


def test_nobody_joins_another_persons_thread_by_its_response_id() -> None:
    first = responses("hi", "resp_1")
    other = responses("more", "resp_2", previous_response_id="resp_1")
    assert threads(first, replace(other, seen=replace(other.seen, principal=BOB))) == [0, 1]


def test_input_items_are_a_history_as_well() -> None:
    first = responses("hi", "resp_1", text="Hello!", store=False)
    output = {"type": "message", "role": ASSISTANT, "content": [{"type": "output_text", "text": "Hello!"}]}
    second = responses([HI, {"type": "reasoning", "summary": []}, output, MORE], "resp_2", store=False)
    assert threads(first, second) == [0, 0]


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"conversation": "conv_1"}, "/v1/responses"),
        ({"conversation": {"id": "conv_1"}}, "/v1/responses"),
        ({"metadata": {"conversation_id": "conv_1"}}, "/v1/responses"),
        ({"metadata": {"session_id": "conv_1"}}, "/v1/responses"),
        ({"thread_id": "conv_1"}, "/v1/responses"),
        ({}, "/v1/conversations/conv_1/items"),
        ({}, "/v1/threads/thread_abc/runs"),
    ],
)
def test_a_conversation_that_is_named_is_one_thread(body: dict[str, Any], path: str) -> None:
    road = [responses(text, f"resp_{text}", **body) for text in ("one", "two")]
    assert threads(*(replace(one, seen=replace(one.seen, path=path)) for one in road)) == [0, 0]


def test_gemini_is_linked_by_its_contents_and_an_interaction_by_its_id() -> None:
    def part(role: str, text: str) -> dict[str, Any]:
        return {"role": role, "parts": [{"text": text}]}

    reply = {"candidates": [{"content": part("model", "Hello!")}], "responseId": "r"}
    first = record({"contents": [part("user", "hi")]}, reply, operation="generate_content")
    second = record({"contents": [part("user", "hi"), part("model", "Hello!"), part("user", "more")]}, reply,
                    operation="generate_content")  # fmt: skip
    assert threads(first, second) == [0, 0]
    begun = record({"input": "hi"}, {"id": "int_1", "outputs": []}, operation="generate_content")
    gone_on = record(
        {"input": "more", "previous_interaction_id": "int_1"}, {"id": "int_2"}, operation="generate_content"
    )
    assert threads(begun, gone_on) == [0, 0]


def test_what_is_no_dialogue_is_a_thread_by_itself() -> None:
    one = record({"model": "m", "input": "hi"}, {"data": []}, operation="embeddings")
    links = fresh().links(one)
    assert threads(one, one) == [0, 0]  # the same exchange has the same thread
    assert threads(one, record({"model": "m", "input": "hi"}, {"data": []}, operation="embeddings")) == [0, 1]
    assert (links.keys, links.tools) == ((), ())


def test_a_threads_id_is_a_uuid_of_its_own_and_the_same_when_derived_again() -> None:
    one = chat(HI)
    thread = fresh().links(one).thread_id
    assert thread == thread_begun_by(one.seen.id) == fresh().links(one).thread_id
    assert thread != one.seen.id
    assert thread[:12] == one.seen.id[:12]
    assert (len(thread), thread[12], thread[16]) == (32, "7", "8")


def test_links_last_in_the_store_and_follow_the_latest_exchange(tmp_path: Path) -> None:
    road = [chat(HI, answer="Hello!"), chat(HI, answer="Hello!"), chat(HI, HELLO, MORE)]
    before = fresh()
    stored = [before.linked(one) for one in road[:2]]
    store(tmp_path, *stored)
    database = open_for_writing(audit_path(tmp_path))
    try:
        if "thread_key" not in database.table_names():
            m002_threads(database)
        index = ThreadIndex(database.conn)
        for seq, one in enumerate(stored, 1):
            index.put(seq, one.derived.thread_keys, one.derived.tools, one.seen.principal)
        after = Threads(index.thread_of)  # a recorder that was started anew
        assert after.links(road[2]).thread_id == stored[1].derived.thread_id != stored[0].derived.thread_id
        index.forget([2])
        assert Threads(index.thread_of).links(road[2]).thread_id == thread_begun_by(road[2].seen.id)
    finally:
        database.close()


NAMES = st.sampled_from(
    ["messages", "input", "contents", "role", "content", "parts", "text", "metadata", "user_id", "conversation", "id"]
)
ODD = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=5),
    max_leaves=25,
)


@given(st.sampled_from(["chat", "responses", "messages", "generate_content", "other"]), ODD, ODD)
def test_no_body_is_too_odd_to_be_linked(operation: str, request_body: Any, response: Any) -> None:
    one = record(request_body, response, operation=operation)
    links = fresh().links(one)
    assert len(links.thread_id) == 32
    assert all(len(key) == 16 for key in links.keys)


@pytest.mark.parametrize("body", [b"", b"{", b"\xff\xfe", b"[" * 100_000, b'{"messages": [' + b"[" * 5000, b"null"])
def test_a_body_that_is_no_json_is_a_thread_by_itself(body: bytes) -> None:
    one = chat(HI)
    broken = replace(one, derived=replace(one.derived, request=body, response=body))
    assert fresh().links(broken).thread_id == thread_begun_by(one.seen.id)


def test_a_fault_in_linking_is_logged_and_loses_no_exchange(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("recording.threads.answers", broken)
    one = chat(HI)
    assert fresh().linked(one).derived.thread_id == thread_begun_by(one.seen.id)
    assert "cannot be linked" in caplog.text


def test_a_long_conversation_stays_one_thread_and_costs_little() -> None:
    turns: list[dict[str, Any]] = []
    linking = fresh()
    found = set()
    for n in itertools.count():
        turns.append(said(USER, f"question {n} " + "x" * 500))
        found.add(linking.links(chat(*turns, answer=f"answer {n}")).thread_id)
        turns.append(said(ASSISTANT, f"answer {n}"))
        if len(json.dumps(turns)) > 100_000:
            break
    assert len(found) == 1


@pytest.mark.parametrize("restart", [False, True])
async def test_the_recorder_links_within_a_batch_and_after_a_restart(tmp_path: Path, restart: bool) -> None:
    journal = Journal(tmp_path, durable=False, file_limit=1 << 20, limit=1 << 30)
    call = {"id": "c1", "type": "function", "function": {"name": "get_weather", "arguments": "{}"}}
    answer = said(ASSISTANT, None, tool_calls=[call])
    for turns, reply in (
        ([HI], answer),
        ([HI, answer, said(TOOL, "晴れ", tool_call_id="c1")], said(ASSISTANT, "It is fine.")),
    ):
        asked = json.dumps({"model": "gpt-4o", "messages": turns}).encode()
        answered = json.dumps({"choices": [{"index": 0, "message": reply}]}).encode()
        id_ = new_id()
        journal.append(id_, intent(stream=False, body_bytes=len(asked)), asked)
        journal.append(id_, closing(body=answered, head=ReplyHead(200, "application/json", None, "r")), answered)
        if restart:
            await settle(journal)
            record_all(tmp_path)
    journal.close()
    record_all(tmp_path)

    found = [one for one in records(tmp_path) if one["request"]]
    assert len(found) == 2
    assert len({one["thread_id"] for one in found}) == 1
    reader = AuditReader(tmp_path)
    try:
        by_tool = reader.search(parse("tool:get_weather", datetime.now(UTC)))
        assert [json.loads(line)["id"] for line in by_tool] == [found[0]["id"]]
        assert len(reader.find(found[0]["thread_id"])) == 2
    finally:
        reader.close()
