"""What people want changed is carried out by the recorder, in order, once; and reaches the journals too."""

import asyncio
import json
import sqlite3
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from exchange.principal import Principal
from recording.orders import Interrupted
from recording.recorder import Recorder
from storage.commands import Commands, commands_path
from storage.journal.files import journal_files
from storage.journal.writing import Journal
from storage.removal.due import Keeping, Limit
from storage.sqlite.verifying import verify
from tests.recording.test_recorder import BODY, STREAM, closing, exchange, intent, new_id, records, settle

SECRET = json.dumps({"model": "gpt-4o", "messages": [{"role": "user", "content": "秘密鑰匙 canary4711"}]}).encode()
WORDS = (b"canary4711", "秘密".encode(), "密鑰".encode(), rb"\u79d8\u5bc6")


@pytest.fixture
async def journal(tmp_path: Path) -> Any:
    kept = Journal(tmp_path, durable=False, file_limit=1 << 20, limit=1 << 30)
    yield kept
    if kept._thread.is_alive():
        kept.close()


@pytest.fixture
def commands(tmp_path: Path) -> Iterator[Commands]:
    kept = Commands(tmp_path)
    yield kept
    kept.close()


@pytest.fixture
def recorder(tmp_path: Path) -> Iterator[Recorder]:
    kept = Recorder(tmp_path)
    yield kept
    kept.close()


def on_disk(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


def erase(commands: Commands, person: str = "ann@example.com") -> str:
    return commands.ask("erase", {"person": person}, actor="root", reason="she asked for it")


class Beside:
    """A recorder in a thread of its own, so that the worker's loop runs on, as they do in two processes."""

    def __init__(self, folder: Path) -> None:
        self._thread = ThreadPoolExecutor(1)
        self._recorder = self._thread.submit(Recorder, folder).result()

    async def record_all(self) -> None:
        await self._in_thread(lambda: record_all(self._recorder))
        await self._in_thread(self._recorder.tidy)

    async def carry_out(self) -> None:
        await self._in_thread(self._recorder.carry_out)

    async def close(self) -> None:
        await self._in_thread(self._recorder.close)
        self._thread.shutdown()

    async def _in_thread(self, act: Callable[[], object]) -> None:
        await asyncio.get_running_loop().run_in_executor(self._thread, act)


def secret(journal: Journal, number: int, *, ended: bool = True) -> bytes:
    id_ = new_id()
    journal.append(id_, intent(number, body_bytes=len(SECRET)), SECRET)
    if ended:
        journal.append(id_, closing(), STREAM)
    return id_


def record_all(recorder: Recorder) -> None:
    while recorder.step():
        pass


async def test_a_running_workers_journal_holds_nothing_of_it_afterwards(
    tmp_path: Path, journal: Journal, commands: Commands
) -> None:
    secret(journal, 1)
    await settle(journal)
    recorder = Beside(tmp_path)
    await recorder.record_all()
    assert any(word in on_disk(tmp_path) for word in WORDS), "the test would see it"
    uid = erase(commands)
    await recorder.carry_out()
    await recorder.close()

    assert commands.get(uid).state == "done", commands.get(uid).outcome
    assert [word for word in WORDS if word in on_disk(tmp_path)] == []
    exchange(journal, 2)
    await settle(journal)
    journal.close()
    last = Recorder(tmp_path)
    record_all(last)
    last.close()
    assert [one["erased_at"] is None for one in records(tmp_path) if one["request_bytes"]] == [False, True]


async def test_a_stream_of_somebody_else_keeps_its_rows_and_nothing_else(
    tmp_path: Path, journal: Journal, commands: Commands
) -> None:
    bob = Principal("bob", "bob@example.com", "example.com", "own")
    other = new_id()
    journal.append(other, intent(1, principal=bob), BODY)
    secret(journal, 2)
    await settle(journal)
    recorder = Beside(tmp_path)
    await recorder.record_all()
    uid = erase(commands)
    await recorder.carry_out()

    assert commands.get(uid).state == "done"
    assert len(journal_files(journal.directory)) == 2
    assert [word for word in WORDS if word in on_disk(tmp_path)] == []
    journal.append(other, closing(), STREAM)
    journal.close()
    await recorder.record_all()
    await recorder.close()
    (last,) = [one for one in records(tmp_path) if one["principal"] and one["principal"]["subject"] == "bob"]
    assert (last["end_state"], last["request"]) == ("complete", json.loads(BODY))


async def test_what_still_runs_is_recorded_without_content_when_it_ends(
    tmp_path: Path, journal: Journal, commands: Commands
) -> None:
    secret(journal, 1)
    running = secret(journal, 2, ended=False)
    await settle(journal)
    recorder = Beside(tmp_path)
    await recorder.record_all()
    uid = erase(commands)
    await recorder.carry_out()
    assert (commands.get(uid).outcome or {})["running"] == 1
    journal.append(running, closing(), STREAM)
    journal.close()
    await recorder.record_all()
    await recorder.close()

    (late,) = [one for one in records(tmp_path) if one["id"].replace("-", "") == running.hex()]
    assert (late["raw"], late["request"], late["response"], late["status"]) == ("off", None, None, 200)
    assert [word for word in WORDS if word in on_disk(tmp_path)] == []


async def test_what_ran_on_does_not_linger_in_a_running_workers_journal(
    tmp_path: Path, journal: Journal, commands: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("recording.clearing._LINGERING", 0.0)
    secret(journal, 1)
    running = secret(journal, 2, ended=False)
    await settle(journal)
    recorder = Beside(tmp_path)
    await recorder.record_all()
    erase(commands)
    await recorder.carry_out()
    journal.append(running, closing(), STREAM)
    await settle(journal)
    for _ in range(40):
        await recorder.record_all()
        if not any(word in on_disk(tmp_path) for word in WORDS):
            break
        await asyncio.sleep(0.1)
    await recorder.close()

    assert [word for word in WORDS if word in on_disk(tmp_path)] == []


async def test_what_the_journal_alone_knows_is_recorded_first(
    tmp_path: Path, journal: Journal, commands: Commands
) -> None:
    secret(journal, 1)
    journal.close()
    uid = erase(commands)
    recorder = Recorder(tmp_path)
    recorder.carry_out()
    recorder.close()

    outcome = commands.get(uid).outcome
    assert outcome is not None
    assert (outcome["exchanges"], outcome["identities"][0]["emails"]) == (1, ["ann@example.com"])
    assert [word for word in WORDS if word in on_disk(tmp_path)] == []


def test_nobody_of_that_name_is_a_sentence(recorder: Recorder, commands: Commands) -> None:
    uid = erase(commands, "nobody@example.com")
    recorder.carry_out()

    assert commands.get(uid).state == "failed"
    assert "Nobody called nobody@example.com" in str(commands.get(uid).outcome)


async def test_a_hold_on_the_person_forbids_it_until_it_is_removed(
    tmp_path: Path, journal: Journal, commands: Commands
) -> None:
    secret(journal, 1)
    journal.close()
    recorder = Recorder(tmp_path)
    record_all(recorder)
    held = commands.ask("hold", {"person": "ann@example.com"}, actor="root", reason="a lawsuit")
    refused = erase(commands)
    removed = commands.ask("release", {"hold": 1}, actor="root", reason="it is over")
    unknown = commands.ask("release", {"hold": 7}, actor="root", reason="?")
    recorder.carry_out()
    erased = erase(commands)
    recorder.carry_out()
    recorder.close()

    assert [commands.get(uid).state for uid in (held, refused, removed, unknown, erased)] == [
        "done", "failed", "done", "failed", "done",
    ]  # fmt: skip
    assert "hold 1 on ann@example.com forbids it (a lawsuit)" in str(commands.get(refused).outcome)


def test_a_thread_that_is_not_there_cannot_be_held(recorder: Recorder, commands: Commands) -> None:
    uid = commands.ask("hold", {"thread_id": "0" * 32}, actor="root", reason="a lawsuit")
    recorder.carry_out()

    assert "There is no thread" in str(commands.get(uid).outcome)


async def test_a_recorder_that_must_stop_leaves_the_rest_to_the_next(
    tmp_path: Path, journal: Journal, commands: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(1, 40):
        secret(journal, number)
    journal.close()
    uid = erase(commands)
    first = Recorder(tmp_path)
    record_all(first)
    calls = iter(range(100))

    def step(self: Recorder) -> int:
        if next(calls) > 1:
            raise Interrupted
        return 0

    with monkeypatch.context() as patch:
        patch.setattr(Recorder, "step", step)
        first.carry_out()
    assert commands.get(uid).state == "running"
    first.close()
    second = Recorder(tmp_path)
    second.carry_out()
    second.close()

    assert commands.get(uid).state == "done"
    assert [word for word in WORDS if word in on_disk(tmp_path)] == []


def test_a_command_of_a_newer_version_is_answered_with_a_sentence(recorder: Recorder, commands: Commands) -> None:
    uid = commands.ask("dance", {}, actor="root", reason=None)
    recorder.carry_out()

    assert "Nobody knows the command 'dance'" in str(commands.get(uid).outcome)


def test_commands_that_cannot_be_read_stop_no_recording(
    tmp_path: Path, recorder: Recorder, caplog: pytest.LogCaptureFixture
) -> None:
    commands_path(tmp_path).write_bytes(b"no database at all, for longer than a header would be" * 20)
    for _ in range(3):
        recorder.carry_out()

    assert caplog.text.count("commands.db cannot be used") == 1, "not ten times a second"
    assert recorder.step() == 0
    commands_path(tmp_path).unlink()
    fresh = Commands(tmp_path)
    uid = erase(fresh)
    recorder.carry_out()
    assert fresh.get(uid).outcome is not None, "a new file is read without a restart"
    fresh.close()


async def test_a_rule_that_keeps_no_content_leaves_sizes_usage_and_decision(tmp_path: Path, journal: Journal) -> None:
    id_ = new_id()
    journal.append(id_, intent(1, body_bytes=len(SECRET), content_kept=False), SECRET)
    journal.append(id_, closing(), STREAM)
    journal.close()
    recorder = Recorder(tmp_path)
    record_all(recorder)
    recorder.tidy()
    recorder.close()
    (record,) = records(tmp_path)

    assert (record["raw"], record["request"], record["response"], record["erased_at"]) == ("off", None, None, None)
    assert (record["end_state"], record["status"], record["request_bytes"]) == ("complete", 200, len(SECRET))
    assert record["usage"]["source"] == "provider"
    assert record["usage"]["input_tokens"] > 0
    assert record["decision"]["rule"] == "everyone"
    assert [word for word in (*WORDS, "晴れ".encode()) if word in on_disk(tmp_path)] == []


async def test_what_is_not_kept_does_not_linger_in_a_running_workers_journal(
    tmp_path: Path, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("recording.clearing._LINGERING", 0.0)
    id_ = new_id()
    journal.append(id_, intent(1, body_bytes=len(SECRET), content_kept=False), SECRET)
    journal.append(id_, closing(), STREAM)
    await settle(journal)
    recorder = Beside(tmp_path)
    for _ in range(40):
        await recorder.record_all()
        if not any(word in on_disk(tmp_path) for word in WORDS):
            break
        await asyncio.sleep(0.1)
    await recorder.close()

    assert [word for word in WORDS if word in on_disk(tmp_path)] == []


async def test_the_recorder_lets_go_by_itself_while_it_records(
    tmp_path: Path, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("recording.letting_go._SETTLING", 0.0)
    now = time.time_ns() // 1000
    for number, age in enumerate((40, 35, 1), 1):
        id_ = new_id()
        journal.append(id_, intent(number, started_at=now - age * 86_400_000_000), BODY)
        journal.append(id_, closing(), STREAM)
    journal.close()
    recorder = Recorder(tmp_path, keeping=Keeping(Limit(30 * 86_400_000_000)))
    record_all(recorder)
    while recorder.let_go():
        recorder.step()
    assert recorder.let_go() is False, "not again at once"
    recorder.close()

    assert [record["seq"] for record in records(tmp_path)] == [3]


@pytest.mark.parametrize("steps", range(1, 6))
async def test_a_command_in_mid_retention_is_obeyed_by_what_is_left_of_it(
    tmp_path: Path, journal: Journal, commands: Commands, steps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("storage.removal.retention._BUDGET", 0.0)
    monkeypatch.setattr("recording.letting_go._SETTLING", 0.0)
    for number in range(1, 9):
        exchange(journal, number)
    await settle(journal)
    journal.close()
    recorder = Recorder(tmp_path, keeping=Keeping(Limit(0)))
    record_all(recorder)
    for _ in range(steps):
        assert recorder.let_go()
    held = commands.ask("hold", {"person": "ann@example.com"}, actor="root", reason="a lawsuit")
    by_hand = commands.ask("retain", {}, actor="root", reason=None)
    recorder.carry_out()
    left = len(records(tmp_path))
    for _ in range(30):
        recorder.let_go()
    recorder.close()

    assert (commands.get(held).state, commands.get(by_hand).state) == ("done", "done")
    assert len(records(tmp_path)) == left == 8 - steps
    connection = sqlite3.connect(tmp_path / "audit.db")
    connection.row_factory = sqlite3.Row
    assert verify(connection).broken is None
    connection.close()


async def test_a_journal_on_the_second_disk_is_cleared_too(tmp_path: Path, commands: Commands) -> None:
    other = tmp_path / "other"
    other.mkdir()
    journal = Journal(tmp_path, durable=False, file_limit=1 << 20, limit=1 << 30, spill_dir=other)
    assert journal.disk._go_to(1)
    secret(journal, 1)
    await settle(journal)
    assert any(word in on_disk(other) for word in WORDS), "the test would see it"
    recorder = Beside(tmp_path)
    await recorder.record_all()
    uid = erase(commands)
    await recorder.carry_out()
    await recorder.close()
    journal.close()

    assert commands.get(uid).state == "done", commands.get(uid).outcome
    assert [word for word in WORDS if word in on_disk(tmp_path)] == []


async def test_a_second_disk_that_is_away_is_said_and_the_record_is_erased_all_the_same(
    tmp_path: Path, commands: Commands
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    journal = Journal(tmp_path, durable=False, file_limit=1 << 20, limit=1 << 30, spill_dir=other)
    secret(journal, 1)
    await settle(journal)
    recorder = Beside(tmp_path)
    await recorder.record_all()
    other.rename(tmp_path / "away")
    uid = erase(commands)
    await recorder.carry_out()
    await recorder.close()
    journal.close()

    assert "second disk: bring that back" in str(commands.get(uid).outcome)
    assert [one["request"] for one in records(tmp_path) if one["request_bytes"]] == [None]


@pytest.mark.parametrize(
    ("column", "other"),
    [
        *((column, other) for column in ("arguments", "plan") for other in ("", "x", "[1]", "null", "[" * 100_000)),
        ("asked_at", -1),
        ("asked_at", (1 << 63) - 1),
    ],
)
async def test_a_command_that_was_altered_is_not_carried_out_and_holds_up_nothing(
    tmp_path: Path, journal: Journal, commands: Commands, recorder: Recorder, column: str, other: object
) -> None:
    exchange(journal)
    await settle(journal)
    record_all(recorder)
    altered, whole = erase(commands), commands.ask("hold", {"person": "bob@example.com"}, actor="root", reason="x")
    connection = sqlite3.connect(commands_path(tmp_path), isolation_level=None)
    connection.execute(f"update command set {column} = ? where uid = ?", (other, altered))
    connection.close()
    recorder.carry_out()

    assert "commands.db was altered or is damaged" in str(commands.get(altered).outcome)
    assert [commands.get(uid).state for uid in (altered, whole)] == ["failed", "done"]
    assert len(records(tmp_path)) == 1
    assert len(commands.listed(10)) == 2
