import asyncio
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from exchange.principal import Principal
from storage.journal.disk import JournalDisk
from storage.journal.files import Entry, bytes_of, is_alive, journal_dir, journal_files
from storage.journal.reading import JournalFile, boots
from storage.journal.rows import Arrivals, Closing, Intent, Piece, ReplyHead, decode, encode
from storage.journal.writing import Journal, JournalUnavailable


def piece(text: str = "x") -> Piece:
    return Piece(ReplyHead(200, "text/event-stream", None, "req_1"), Arrivals([1], [len(text)]))


def journal(tmp_path: Path, *, file_limit: int = 64 << 20, limit: int = 1 << 30) -> Journal:
    return Journal(tmp_path, durable=True, file_limit=file_limit, limit=limit)


def rows_in(boot: Path) -> list[tuple[bytes, bytes]]:
    found = []
    for path in journal_files(boot):
        file = JournalFile(path)
        for no, exchange, _ in file.after(0, 10_000):
            found.append((exchange, file.row(no)[1]))
        file.close()
    return found


def test_every_kind_of_row_comes_back_as_it_was_written() -> None:
    closing = Closing("client_gone", 200, None, Arrivals([5, 9], [1, 2]), 3, False, "gone", 120, 400, 900)

    assert decode(*encode(closing)) == closing
    assert decode(*encode(piece())) == piece()


async def test_a_committed_row_is_on_disk_when_its_future_is_done(tmp_path: Path) -> None:
    kept = journal(tmp_path)
    await kept.commit(b"a" * 16, piece(), "質問".encode())

    assert rows_in(kept.directory) == [(b"a" * 16, "質問".encode())]
    kept.close()


async def test_rows_stand_in_the_order_in_which_they_were_put(tmp_path: Path) -> None:
    kept = journal(tmp_path)
    for i in range(2000):
        kept.append(b"%016d" % i, piece(), b"%d" % i)
    kept.close()

    assert [body for _, body in rows_in(kept.directory)] == [b"%d" % i for i in range(2000)]


async def test_a_large_journal_goes_on_in_the_next_file(tmp_path: Path) -> None:
    kept = journal(tmp_path, file_limit=100_000)
    for i in range(30):
        await kept.commit(b"%016d" % i, piece(), bytes(20_000))
    kept.close()

    files = journal_files(kept.directory)
    assert len(files) > 3
    assert len(rows_in(kept.directory)) == 30
    assert all(bytes_of(path) < 400_000 for path in files)


async def test_a_journal_past_its_limit_takes_no_more_intents_and_says_why(tmp_path: Path) -> None:
    kept = journal(tmp_path, limit=200_000)
    await kept.commit(b"a" * 16, piece(), bytes(400_000))
    deadline = time.monotonic() + 5
    while not kept.full and time.monotonic() < deadline:
        await asyncio.sleep(0.05)

    with pytest.raises(JournalUnavailable, match="past its limit"):
        await kept.commit(b"b" * 16, piece())
    kept.close()


async def test_a_disk_that_refuses_fails_intents_and_keeps_what_is_owed_for_later(tmp_path: Path) -> None:
    kept = journal(tmp_path)
    await kept.commit(b"a" * 16, piece())
    assert kept.disk._connection is not None
    kept.disk._connection.execute("pragma max_page_count=3")  # SQLite says "database or disk is full" from here on

    with pytest.raises(JournalUnavailable, match="full"):
        await kept.commit(b"b" * 16, piece(), bytes(100_000))
    kept.append(b"c" * 16, piece(), bytes(50_000))
    await asyncio.sleep(0.3)
    assert kept.disk.failing
    kept.disk._connection.execute("pragma max_page_count=1000000")
    await asyncio.sleep(1.0)

    assert not kept.disk.failing
    assert [exchange[:1] for exchange, _ in rows_in(kept.directory)] == [b"a", b"c"]
    kept.close()


async def test_a_journal_is_crowded_before_it_is_full(tmp_path: Path) -> None:
    kept = journal(tmp_path, limit=1_000_000)
    await kept.commit(b"a" * 16, piece(), bytes(600_000))
    deadline = time.monotonic() + 5
    while not kept.crowded and time.monotonic() < deadline:
        await asyncio.sleep(0.05)

    assert kept.crowded
    assert not kept.full
    kept.close()


def owed(at: int, size: int) -> Entry:
    kind, head = encode(piece("x" * 8))
    return b"%016d" % at, kind, head, bytes(size)


def test_what_a_refusing_disk_is_owed_is_bounded_heads_included_and_the_loss_is_counted(tmp_path: Path) -> None:
    disk = JournalDisk(tmp_path, durable=False, file_limit=1 << 30)
    disk.owe([(b"%016d" % i, 2, bytes(1 << 20), None) for i in range(100)])

    assert disk.lost_rows > 0
    assert len(disk._owed) + disk.lost_rows == 100
    assert sum(len(head) + len(body or b"") for *_, head, body in disk._owed) <= 64 << 20
    disk.close()


def test_once_a_row_is_lost_none_is_taken_until_those_owed_are_written(tmp_path: Path) -> None:
    disk = JournalDisk(tmp_path, durable=False, file_limit=1 << 30)
    disk.owe([owed(i, 1 << 20) for i in range(100)])
    kept = [int(exchange) for exchange, *_ in disk._owed]
    disk.owe([owed(100, 8)])
    assert disk.write([owed(101, 8)]) is None

    assert [int(exchange) for exchange, _ in rows_in(tmp_path)] == [*kept, 101]
    assert kept == list(range(len(kept)))
    assert disk.lost_rows == 0
    disk.close()


def test_a_disk_that_refuses_is_tried_with_a_slice_of_what_it_is_owed(tmp_path: Path) -> None:
    disk = JournalDisk(tmp_path, durable=False, file_limit=1 << 30)
    disk.owe([owed(i, 500_000) for i in range(50)])
    assert disk._connection is not None
    tried: list[int] = []
    disk._commit = lambda rows: tried.append(sum(len(row[2]) + len(row[3] or b"") for row in rows))  # type: ignore[method-assign]

    assert disk.write([owed(50, 8)]) is None
    assert max(tried) <= 1 << 20
    disk.close()


def test_a_byte_that_is_no_text_does_not_cost_the_record() -> None:
    intent = Intent(
        1, 2, "n", Principal("ann\ud800", None, None, "own", ("g\udcff",)), None, None, "curl\udcff", "reverse", "deny",
        "bad_header", None, None, "", "openai", "openai", "POST", "h", "/v1/caf\udcc3", None, None, None, 0, False,
        "other", None, False,
    )  # fmt: skip

    back = decode(*encode(intent))

    assert isinstance(back, Intent)
    assert (back.user_agent, back.path) == ("curl\ufffd", "/v1/caf\ufffd")
    assert back.principal == Principal("ann\ufffd", None, None, "own", ("g\ufffd",))


async def test_the_lock_tells_whether_the_worker_lives(tmp_path: Path) -> None:
    kept = journal(tmp_path)
    assert list(boots(journal_dir(tmp_path))) == [kept.directory]
    assert is_alive(kept.directory)
    kept.close()

    assert not is_alive(kept.directory)


def test_what_was_committed_survives_kill_9(tmp_path: Path) -> None:
    program = textwrap.dedent(
        """
        import asyncio, sys
        from pathlib import Path
        from storage.journal.rows import Arrivals, Piece
        from storage.journal.writing import Journal

        async def main():
            journal = Journal(Path(sys.argv[1]), durable=True, file_limit=1 << 20, limit=1 << 30)
            for i in range(100_000):
                await journal.commit(b"%016d" % i, Piece(None, Arrivals([], [])), bytes(1000))
                print(i, flush=True)

        asyncio.run(main())
        """
    )
    child = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": "."}
    )
    assert child.stdout is not None
    for line in child.stdout:
        if int(line) >= 300:
            break
    child.send_signal(signal.SIGKILL)
    acknowledged = [int(line) for line in child.stdout] or [300]
    child.wait()
    child.stdout.close()

    (boot,) = boots(journal_dir(tmp_path))
    assert not is_alive(boot)
    numbers = [int(exchange) for exchange, _ in rows_in(boot)]
    assert numbers[: acknowledged[-1] + 1] == list(range(acknowledged[-1] + 1))


def test_an_intent_holds_no_header_that_could_carry_a_secret() -> None:
    assert not {"authorization", "headers", "cookie"} & set(Intent.__struct_fields__)


async def test_rows_of_one_batch_keep_their_order_whether_or_not_somebody_waits(tmp_path: Path) -> None:
    kept = journal(tmp_path)
    waiting = [kept.commit(b"a" * 16, piece(), b"intent"), kept.commit(b"b" * 16, piece(), b"intent")]
    kept.append(b"a" * 16, piece(), b"closing")  # a caller who left before the intent was on disk
    await asyncio.gather(*waiting)
    kept.close()

    assert [body for exchange, body in rows_in(kept.directory) if exchange == b"a" * 16] == [b"intent", b"closing"]


async def test_a_disk_that_does_not_answer_fails_the_intents_that_wait_for_it(tmp_path: Path) -> None:
    kept = journal(tmp_path)
    write = kept.disk.write

    def stuck(rows: list[Entry]) -> str | None:
        time.sleep(3)
        return write(rows)

    kept.disk.write = stuck  # type: ignore[method-assign]
    began = time.monotonic()
    with pytest.raises(JournalUnavailable, match="does not answer"):
        await kept.commit(b"a" * 16, piece())

    assert time.monotonic() - began < 2.9
    kept.close()


def test_bodies_that_were_written_do_not_stay_in_memory(tmp_path: Path) -> None:
    code = """
        import pathlib, resource, sys
        from storage.journal.disk import JournalDisk
        disk = JournalDisk(pathlib.Path(sys.argv[1]), durable=False, file_limit=1 << 30)
        def resident() -> int:
            pages = int(pathlib.Path("/proc/self/statm").read_text().split()[1])
            return pages * resource.getpagesize() >> 20
        disk.write([(bytes(16), 1, b"head", bytes(65_536))])
        before = resident()
        for rows in range(1, 60):
            assert disk.write([(bytes(16), 1, b"head", bytes(65_536))] * rows) is None
        print(resident() - before)
        """
    ran = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), str(tmp_path)], capture_output=True, text=True, check=True
    )

    assert int(ran.stdout) < 25  # MB; the bodies are 110 MB
