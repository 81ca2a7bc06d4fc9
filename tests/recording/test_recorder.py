"""What workers wrote becomes the record: once, in order, whatever dies in between."""

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import uuid_utils

import recording.recorder
import recording.understanding
from exchange.principal import Principal
from recording.recorder import Recorder
from storage.chain import GENESIS
from storage.journal.files import journal_dir, journal_files
from storage.journal.rows import Arrivals, Closing, Intent, Observed, Piece, ReplyHead
from storage.journal.writing import Journal
from storage.sqlite.driver import StoreProblem
from storage.sqlite.reading import AuditReader
from storage.sqlite.writing import AuditWriter
from tests.journeys.provider import chat_chunks, sse

ANN = Principal("ann", "ann@example.com", "example.com", "own")
BODY = json.dumps({"model": "gpt-4o", "stream": True, "messages": [{"role": "user", "content": "天気は？"}]}).encode()
STREAM = b"".join(sse(*chat_chunks(["晴れ", "です"])))
HEAD = ReplyHead(200, "text/event-stream", None, "req_1")


def intent(number: int = 1, **more: Any) -> Intent:
    fields: dict[str, Any] = {
        "number": number, "started_at": 1_760_000_000_000_000, "node": "gw-1", "principal": ANN, "credential": None,
        "address": "10.0.0.1", "user_agent": "test", "mode": "reverse", "outcome": "allow", "code": None,
        "rule": "everyone", "reason": None, "policy": "sha256:0", "provider": "openai", "dialect": "openai",
        "method": "POST", "host": "api.openai.com", "path": "/v1/chat/completions", "query": None,
        "content_type": "application/json", "content_encoding": None, "body_bytes": len(BODY), "body_kept": True,
        "operation": "chat", "request_model": "gpt-4o", "stream": True,
    }  # fmt: skip
    return Intent(**{**fields, **more})


def closing(observed: Observed = "response_ended", body: bytes = STREAM, **more: Any) -> Closing:
    fields: dict[str, Any] = {
        "observed": observed, "status": 200, "head": HEAD, "arrivals": Arrivals([900], [len(body)]),
        "response_bytes": len(body), "truncated": False, "error": None, "overhead": 100, "ttft": 900, "duration": 5000,
    }  # fmt: skip
    return Closing(**{**fields, **more})


BIG = json.dumps({"model": "gpt-4o", "messages": [{"role": "user", "content": "x" * (3 << 19)}]}).encode()


def new_id() -> bytes:
    return bytes(uuid_utils.uuid7().bytes)


@pytest.fixture
async def journal(tmp_path: Path) -> Any:
    kept = Journal(tmp_path, durable=False, file_limit=20_000, limit=1 << 30)
    yield kept
    if kept._thread.is_alive():
        kept.close()


async def settle(journal: Journal) -> None:
    """Until everything that was appended is in the files."""
    await journal.commit(new_id(), Piece(None, Arrivals([], [])))


def record_all(folder: Path) -> None:
    recorder = Recorder(folder)
    while recorder.step():
        pass
    recorder.tidy()
    recorder.close()


def records(folder: Path) -> list[dict[str, Any]]:
    reader = AuditReader(folder)
    found = [json.loads(line) for _, line in reader.export()]
    reader.close()
    return found


def exchange(journal: Journal, number: int = 1) -> bytes:
    id_ = new_id()
    journal.append(id_, intent(number), BODY)
    journal.append(id_, closing(), STREAM)
    return id_


async def test_a_whole_exchange_becomes_one_record(tmp_path: Path, journal: Journal) -> None:
    exchange(journal)
    journal.close()
    record_all(tmp_path)
    (record,) = records(tmp_path)

    assert record["request"] == json.loads(BODY)
    assert record["response"]["choices"][0]["message"]["content"] == "晴れです"
    assert record["end_state"] == "complete"
    assert record["timing"] == {"ttft_ms": 0.9, "duration_ms": 5.0, "overhead_ms": 0.1}
    assert record["prev_hash"] == GENESIS


async def test_reading_the_journal_again_stores_nothing_twice(
    tmp_path: Path, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(1, 30):
        exchange(journal, number)
    await settle(journal)
    first = Recorder(tmp_path)
    while first.step():
        pass
    first.close()  # as if killed: no file was removed, and the cursor is all that is known
    monkeypatch.setattr(AuditWriter, "cursors", lambda _: {})  # not even that
    journal.close()
    record_all(tmp_path)

    assert len(records(tmp_path)) == 30  # and the row of `settle`, whose worker is dead
    assert journal_files(journal.directory) == []


async def test_interleaved_exchanges_over_several_files_come_out_whole(tmp_path: Path, journal: Journal) -> None:
    long_ids = [new_id() for _ in range(3)]
    for id_ in long_ids:
        journal.append(id_, intent(), BODY)
    for i in range(40):
        for id_ in long_ids:
            piece = b'data: {"id":"c","choices":[{"index":0,"delta":{"content":"%d "}}]}\n\n' % i
            journal.append(id_, Piece(HEAD if i == 0 else None, Arrivals([i], [len(piece)])), piece)
        exchange(journal, i)
        await settle(journal)
        if i == 20:
            record_all(tmp_path)  # and again from where this left off
    assert len(journal_files(journal.directory)) > 2
    for id_ in long_ids:
        journal.append(id_, closing(body=b"", head=None), b"data: [DONE]\n\n")
    journal.close()
    record_all(tmp_path)

    by_id = {record["id"].replace("-", ""): record for record in records(tmp_path)}
    for id_ in long_ids:
        content = by_id[id_.hex()]["response"]["choices"][0]["message"]["content"]
        assert content == "".join(f"{i} " for i in range(40))
    assert sum(record["end_state"] == "complete" for record in by_id.values()) == 43


async def test_what_a_dead_worker_had_open_is_proxy_died_with_what_was_flushed(
    tmp_path: Path, journal: Journal
) -> None:
    id_ = new_id()
    journal.append(id_, intent(), BODY)
    half = STREAM[: STREAM.index("です".encode()) - 40]
    journal.append(id_, Piece(HEAD, Arrivals([700], [len(half)])), half)
    await settle(journal)
    living = Recorder(tmp_path)
    living.step()
    living.close()
    alive = [record for record in records(tmp_path) if record["request"]]
    journal.close()
    record_all(tmp_path)
    (record,) = [record for record in records(tmp_path) if record["request"]]

    assert alive == []
    assert record["end_state"] == "proxy_died"
    assert record["response"]["choices"][0]["message"]["content"] == "晴れ"
    assert record["response_bytes"] == len(half)


async def test_a_reader_that_fails_leaves_the_bytes_to_speak_for_themselves(
    tmp_path: Path, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("broken on purpose")

    monkeypatch.setattr(recording.understanding, "reply_reader", broken)
    id_ = exchange(journal)
    journal.close()
    record_all(tmp_path)
    (record,) = records(tmp_path)
    reader = AuditReader(tmp_path)

    assert reader.raw(id_.hex(), "response").content == STREAM
    assert record["operation"] == "other"
    reader.close()


async def test_a_store_that_refuses_is_asked_again_until_it_takes_the_records(
    tmp_path: Path, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusals = iter([sqlite3.OperationalError("database or disk is full")] * 2)
    store = AuditWriter.store

    def sometimes(self: Any, *arguments: Any, **more: Any) -> None:
        if (refused := next(refusals, None)) is not None:
            raise refused
        store(self, *arguments, **more)

    monkeypatch.setattr(AuditWriter, "store", sometimes)
    monkeypatch.setattr(recording.recorder, "_BACK_OFF", 0.01)
    exchange(journal)
    journal.close()
    record_all(tmp_path)

    assert len(records(tmp_path)) == 1


async def test_a_refusal_after_the_intent_is_a_refusal(tmp_path: Path, journal: Journal) -> None:
    id_ = new_id()
    journal.append(id_, intent(), BODY)
    journal.append(id_, intent(outcome="deny", code="audit_unavailable"), BODY)
    journal.append(id_, closing("refused", b"", status=503, head=None, error="audit_unavailable"))
    journal.close()
    record_all(tmp_path)
    (record,) = records(tmp_path)

    assert record["end_state"] == "refused"
    assert record["decision"]["outcome"] == "deny"
    assert record["decision"]["code"] == "audit_unavailable"
    assert record["response"] is None


async def test_a_stream_that_was_cut_since_its_person_was_revoked_is_refused_with_what_came_until_then(
    tmp_path: Path, journal: Journal
) -> None:
    came = STREAM[: STREAM.index(b"data: [DONE]")]
    id_ = new_id()
    journal.append(id_, intent(), BODY)
    journal.append(id_, closing("refused", came, error="invalid_token"), came)
    journal.close()
    record_all(tmp_path)
    (record,) = records(tmp_path)

    assert (record["decision"]["outcome"], record["decision"]["code"]) == ("deny", "invalid_token")
    assert (record["end_state"], record["status"]) == ("refused", 200)
    assert record["response"]["choices"][0]["message"]["content"] == "晴れです"


async def test_each_record_commits_to_the_one_before(tmp_path: Path, journal: Journal) -> None:
    for number in range(5):
        exchange(journal, number)
    journal.close()
    record_all(tmp_path)
    found = records(tmp_path)

    assert [record["prev_hash"] for record in found] == [GENESIS, *(record["hash"] for record in found[:-1])]
    assert [record["seq"] for record in found] == [1, 2, 3, 4, 5]


async def test_only_one_recorder_works_on_a_record(tmp_path: Path, journal: Journal) -> None:
    first = Recorder(tmp_path)
    with pytest.raises(StoreProblem, match="Another Sekisho records into"):
        Recorder(tmp_path)
    first.close()
    assert journal_dir(tmp_path).exists()


async def test_a_record_of_a_newer_sekisho_is_refused_with_a_sentence(tmp_path: Path, journal: Journal) -> None:
    record_all(tmp_path)
    connection = sqlite3.connect(tmp_path / "audit.db")
    connection.execute("pragma user_version=99")
    connection.close()

    with pytest.raises(StoreProblem, match="written by a newer Sekisho"):
        Recorder(tmp_path)


def pairs() -> Iterator[tuple[Observed, str]]:
    yield from (("client_gone", "client_gone"), ("upstream_cut", "upstream_cut"), ("timed_out", "timed_out"))


@pytest.mark.parametrize(("observed", "state"), list(pairs()))
@pytest.mark.parametrize("whole", [False, True])
async def test_an_end_that_came_after_the_terminal_event_lost_nothing(
    tmp_path: Path, journal: Journal, observed: Observed, state: str, whole: bool
) -> None:
    id_ = new_id()
    body = STREAM if whole else STREAM[:-40]
    journal.append(id_, intent(), BODY)
    journal.append(id_, closing(observed, body), body)
    journal.close()
    record_all(tmp_path)
    (record,) = records(tmp_path)

    assert record["end_state"] == ("complete" if whole else state)


@pytest.mark.parametrize(
    "content", [b"this is no database, whatever its name says " * 200, b"SQLite format 3\0" + b"\xff" * 5000]
)
def test_a_file_that_is_no_record_is_refused_with_the_remedy(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "audit.db").write_bytes(content)

    with pytest.raises(StoreProblem, match="Move it away to begin a new one"):
        Recorder(tmp_path)
    assert (tmp_path / "audit.db").read_bytes() == content


async def test_usage_that_the_provider_did_not_give_is_estimated_and_says_so(tmp_path: Path, journal: Journal) -> None:
    without = b"".join(sse(*chat_chunks(["晴れ", "です"])[:-1]))
    id_ = new_id()
    journal.append(id_, intent(), BODY)
    journal.append(id_, closing(body=without), without)
    journal.close()
    record_all(tmp_path)
    (record,) = records(tmp_path)

    assert record["usage"]["source"] == "estimated"
    assert record["usage"]["output_tokens"] > 0
    assert record["cost_usd"] > 0


async def test_a_body_that_kills_its_reader_is_kept_as_it_is_and_holds_up_nobody(
    tmp_path: Path, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    id_ = new_id()
    journal.append(id_, intent(body_bytes=len(BIG)), BIG)
    journal.append(id_, closing(), STREAM)
    exchange(journal, 2)
    journal.close()

    def killed(journaled: recording.understanding.Journaled, *more: Any) -> Any:
        if journaled.request == BIG:
            raise KeyboardInterrupt  # as sudden as being killed, for what the test can see
        return recording.understanding.understand(journaled, *more)

    monkeypatch.setattr(recording.recorder, "understand", killed)
    for _ in range(2):
        recorder = Recorder(tmp_path)
        with pytest.raises(KeyboardInterrupt):
            recorder.step()
        recorder.close()
    record_all(tmp_path)

    big, small = records(tmp_path)
    assert big["request"] == {"_media_type": "application/json", "_bytes": len(BIG)}
    assert big["operation"] == "other"
    assert small["end_state"] == "complete"
    reader = AuditReader(tmp_path)
    assert reader.raw(big["id"], "request").content == BIG
    reader.close()


async def test_large_bodies_are_stored_a_few_at_a_time_and_each_once(
    tmp_path: Path, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(1, 31):
        id_ = new_id()
        journal.append(id_, intent(number, body_bytes=len(BIG)), BIG)
        journal.append(id_, closing(), STREAM)
    journal.close()
    sizes: list[int] = []
    store = AuditWriter.store

    def counted(self: AuditWriter, stored: Any, *more: Any, **named: Any) -> None:
        sizes.append(sum(len(record.raw.request) for record in stored))
        store(self, stored, *more, **named)

    monkeypatch.setattr(AuditWriter, "store", counted)
    record_all(tmp_path)

    assert max(sizes) < 20 << 20
    assert len(records(tmp_path)) == 30
    assert json.loads((journal_dir(tmp_path) / "attempts.json").read_text()) == {}


async def test_counts_that_make_no_sense_cost_nothing_and_hide_nothing(tmp_path: Path, journal: Journal) -> None:
    usage = {"prompt_tokens": -5, "completion_tokens": 7, "total_tokens": 2}
    said = {"id": "c", "model": "gpt-4o", "choices": [], "usage": usage}
    body = json.dumps(said).encode()
    journal.append(id_ := new_id(), intent(), BODY)
    journal.append(id_, closing(body=body, head=ReplyHead(200, "application/json", None, None)), body)
    journal.close()
    record_all(tmp_path)

    (record,) = records(tmp_path)
    assert record["cost_usd"] is None
    assert record["response"]["usage"] == usage


@pytest.mark.parametrize("status", [204, 304, 302])
async def test_a_reply_that_can_have_no_body_lacks_none(tmp_path: Path, journal: Journal, status: int) -> None:
    journal.append(id_ := new_id(), intent(), BODY)
    journal.append(id_, closing(body=b"", status=status, head=ReplyHead(status, None, None, None)), b"")
    journal.close()
    record_all(tmp_path)

    (record,) = records(tmp_path)
    assert record["end_state"] == "complete"


async def test_a_piece_that_was_lost_shows(tmp_path: Path, journal: Journal) -> None:
    journal.append(id_ := new_id(), intent(), BODY)
    journal.append(id_, closing(response_bytes=len(STREAM) + 100), STREAM)
    journal.close()
    record_all(tmp_path)

    (record,) = records(tmp_path)
    assert record["capture_truncated"] is True
