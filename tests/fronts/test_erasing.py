"""A person is erased: what the fronts knew of them goes too, by the hand of the one process that writes there."""

import asyncio
import contextlib
import os
import sqlite3
import time
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jwt
import pytest

import recording.people
from exchange.scope import Scope
from fronts.running import CannotServe, run
from fronts.tokens import Tokens
from identities.revoked import revocations
from recording.recorder import Recorder
from storage.book import Book, BookReader, book_lock, book_path
from storage.commands import Commands
from storage.journal.files import hold_lock
from tests.fronts.asking import ORIGIN, Browser, fronts, settings

SESSION = "__Host-sekisho"
ANN, BOB = "ann@example.com", "bob@example.com"


@contextlib.contextmanager
def held(path: Path) -> Iterator[None]:
    """The process of the fronts runs: somebody holds its lock."""
    descriptor = hold_lock(path)
    try:
        yield
    finally:
        os.close(descriptor)


def known(data_dir: Path) -> dict[str, tuple[int, int, int]]:
    """By address: how many sessions, tokens and devices the book has."""
    book = BookReader(data_dir)
    return {
        email: (len(found.sessions), len(found.tokens), len(found.devices))
        for email in (ANN, BOB)
        for found in [book.held([email], time.time() + 1)]
    }


def on_disk(data_dir: Path) -> bytes:
    return b"".join(path.read_bytes() for path in data_dir.glob("fronts.db*"))


@dataclass
class Signed:
    """Somebody who signed in, made a token, and let a terminal in."""

    browser: Browser
    token: str

    @property
    def number(self) -> str:
        return str(jwt.decode(self.browser.cookies[SESSION], options={"verify_signature": False})["jti"])


def signed_in(browser: Browser, email: str) -> Signed:
    mine = replace(browser, cookies={}).sign_in(email)
    said = jwt.decode(mine.cookies[SESSION], options={"verify_signature": False})
    book = Book(browser.data_dir)
    book.begin_session(said["jti"], email, ORIGIN, said["exp"], f"Firefox of {email}")
    made = Tokens(settings(browser.data_dir), book).make(email, f"laptop of {email}", 1, Scope(), ())
    device, code = book.begin_device(f"terminal of {email}")
    assert device
    assert book.answer_device(code, email, (), approved=True)
    return Signed(mine, made.token)


def ask(data_dir: Path, person: str = ANN) -> str:
    with contextlib.closing(Commands(data_dir)) as commands:
        return commands.ask("erase", {"person": person}, actor="root", reason="ticket 12")


def outcome(data_dir: Path, uid: str) -> dict[str, Any]:
    with contextlib.closing(Commands(data_dir)) as commands:
        found = commands.get(uid)
    assert found.state in ("done", "failed")
    return found.outcome or {}


async def carried_out(data_dir: Path) -> None:
    """By a recorder in a thread of its own, beside the process of the fronts."""

    def carry_out() -> None:
        recorder = Recorder(data_dir)
        try:
            recorder.carry_out()
        finally:
            recorder.close()

    with ThreadPoolExecutor(1) as thread:
        await asyncio.get_running_loop().run_in_executor(thread, carry_out)


@contextlib.asynccontextmanager
async def town(data_dir: Path, *, runs: bool = True) -> AsyncIterator[tuple[Signed, Signed]]:
    """Ann and Bob. `runs`: the process of the fronts does, else only its pages are asked."""
    async with fronts(settings(data_dir)) as browser:
        both = signed_in(browser, ANN), signed_in(browser, BOB)
        with held(book_lock(data_dir)) if runs else contextlib.nullcontext():
            yield both


async def test_what_the_fronts_know_of_a_person_goes_and_what_is_open_of_it_ends(tmp_path: Path) -> None:
    async with town(tmp_path) as (ann, bob):
        assert known(tmp_path) == {ANN: (1, 1, 1), BOB: (1, 1, 1)}
        assert ANN.encode() in on_disk(tmp_path), "the test would see it"
        uid = ask(tmp_path)
        await carried_out(tmp_path)
        done = outcome(tmp_path, uid)
        began = time.monotonic()
        while (await ann.browser.get("/me")).status == 200:
            assert time.monotonic() - began < 4
            await asyncio.sleep(0.1)
        bobs = await bob.browser.get("/me")

    assert done["fronts"] == {"sessions": 1, "tokens": 1, "devices": 1}
    assert known(tmp_path) == {ANN: (0, 0, 0), BOB: (1, 1, 1)}
    assert ANN.encode() not in on_disk(tmp_path)
    assert bobs.status == 200
    token = jwt.decode(ann.token, options={"verify_signature": False})["jti"]
    revoked = {(one.kind, one.value, one.reason) for one in revocations(tmp_path)}
    assert revoked == {("token", ann.number, "erased"), ("token", token, "erased")}
    assert ANN not in (tmp_path / "keys" / "revoked.json").read_text()


async def test_where_no_process_of_the_fronts_runs_the_recorder_writes_in_its_place(tmp_path: Path) -> None:
    async with town(tmp_path, runs=False):
        pass  # it ran once
    uid = ask(tmp_path)
    await carried_out(tmp_path)

    assert outcome(tmp_path, uid)["fronts"] == {"sessions": 1, "tokens": 1, "devices": 1}
    assert known(tmp_path) == {ANN: (0, 0, 0), BOB: (1, 1, 1)}
    assert ANN.encode() not in on_disk(tmp_path)
    with held(book_lock(tmp_path)):
        pass  # and has let go of it


async def test_a_process_that_does_not_answer_fails_the_erasure_and_asking_again_finishes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording.people, "_PATIENCE", 0.3)
    async with town(tmp_path, runs=False):
        pass
    with held(book_lock(tmp_path)):
        uid = ask(tmp_path)
        await carried_out(tmp_path)
        failed = outcome(tmp_path, uid)
        assert known(tmp_path)[ANN] == (1, 1, 1)
    again = ask(tmp_path)
    await carried_out(tmp_path)

    assert str(book_path(tmp_path)) in failed["error"]
    assert "restart Sekisho" in failed["error"]
    assert outcome(tmp_path, again)["fronts"]["sessions"] == 1
    assert known(tmp_path)[ANN] == (0, 0, 0)


async def test_a_book_of_before_is_brought_up_to_date_by_whoever_writes_in_it(tmp_path: Path) -> None:
    async with town(tmp_path, runs=False):
        pass
    with contextlib.closing(sqlite3.connect(book_path(tmp_path))) as book:
        book.execute("drop table erasure")
        book.execute("alter table device drop column groups")
    uid = ask(tmp_path)
    await carried_out(tmp_path)

    assert outcome(tmp_path, uid)["fronts"] == {"sessions": 1, "tokens": 1, "devices": 1}
    assert known(tmp_path) == {ANN: (0, 0, 0), BOB: (1, 1, 1)}


async def test_a_damaged_book_is_said_and_nothing_is_pretended(tmp_path: Path) -> None:
    book_path(tmp_path).write_bytes(b"no database at all, and longer than a header of one, which has 100 bytes" * 2)
    uid = ask(tmp_path)
    await carried_out(tmp_path)

    assert str(book_path(tmp_path)) in outcome(tmp_path, uid)["error"]


async def test_nobody_known_anywhere_is_nobody(tmp_path: Path) -> None:
    async with town(tmp_path):
        uid = ask(tmp_path, "carol@example.com")
        await carried_out(tmp_path)

    assert "Nobody called carol@example.com" in outcome(tmp_path, uid)["error"]
    assert known(tmp_path) == {ANN: (1, 1, 1), BOB: (1, 1, 1)}


async def test_who_signs_in_after_they_were_to_be_erased_is_not_signed_out_by_it(tmp_path: Path) -> None:
    async with town(tmp_path) as (ann, _):
        uid = ask(tmp_path)
        await asyncio.sleep(1.1)  # the book knows whole seconds
        later = signed_in(ann.browser, ANN)
        await carried_out(tmp_path)
        assert outcome(tmp_path, uid)["fronts"]["sessions"] == 1
        await asyncio.sleep(0.8)
        assert (await later.browser.get("/me")).status == 200

    assert known(tmp_path)[ANN] == (1, 1, 1)


async def test_what_is_over_and_shown_no_more_does_not_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with town(tmp_path):
        pass
    later = time.time() + 200 * 86400
    monkeypatch.setattr("storage.book.time.time", lambda: later)
    async with fronts(settings(tmp_path)):
        began = time.monotonic()
        while known(tmp_path)[ANN] != (0, 0, 0):
            assert time.monotonic() - began < 4
            await asyncio.sleep(0.1)


def test_a_second_process_does_not_write_where_another_does(tmp_path: Path) -> None:
    with held(book_lock(tmp_path)), pytest.raises(CannotServe, match="already"):
        run(settings(tmp_path), lambda: None)
