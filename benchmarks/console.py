"""python -m benchmarks.console: how long the console takes for its pages, over a million exchanges.

Builds the record that benchmarks.search asks, or takes one that was built (`--keep FOLDER`), puts a conversation of 20
turns at its end, starts the real console as a process and asks it over HTTP as a signed-in person: milliseconds from
the request to the last byte of the page, on one connection. Every look is written to access.db first, as always.
`--write` puts the table into docs/how-to/console.md.
"""

import argparse
import http.client
import json
import random
import re
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import quote

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from benchmarks.page import put
from benchmarks.processes import Running, free_port, start
from benchmarks.search import MODELS, PEOPLE, build, exchanges, words
from benchmarks.tables import Table
from exchange.call import Text
from exchange.record import Record
from storage.sqlite.driver import audit_path, open_for_reading
from storage.sqlite.writing import AuditWriter

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs" / "how-to" / "console.md"
THREAD = "c0" * 16
TURNS = 20
GOAL = 100.0
"""Milliseconds within which a page is to be there (docs/how-to/console.md)."""


@dataclass(frozen=True, slots=True)
class Place:
    """What is in the record: how many exchanges, and some of their ids."""

    rows: int
    ids: list[str]


def conversation() -> Iterator[Record]:
    """One more each time, with the whole history, as clients send it."""
    plain = next(iter(exchanges(1, words(random.Random(3)), random.Random(11))))
    history: list[dict[str, str]] = []
    now = time.time_ns() // 1000 - 3_600_000_000
    for n in range(TURNS):
        question, answer = (
            f"設計について、第 {n} の質問です。" * 8,
            f"第 {n} の答えです。確認してください。\n\n- 一つ目\n- 二つ目\n" * 8,
        )
        history.append({"role": "user", "content": question})
        asked = json.dumps({"model": "gpt-4o", "messages": history}, ensure_ascii=False).encode()
        history.append({"role": "assistant", "content": answer})
        answered = json.dumps({"choices": [{"index": 0, "message": history[-1]}]}, ensure_ascii=False).encode()
        seen = replace(
            plain.seen, id=f"{0xC0:032x}"[:-4] + f"{n:04x}", started_at=now + n * 60_000_000, number=10_000_000 + n,
            request_bytes=len(asked), response_bytes=len(answered),
        )  # fmt: skip
        derived = replace(
            plain.derived, request=asked, response=answered, thread_id=THREAD,
            texts=(Text("user", question), Text("answer", answer)),
        )  # fmt: skip
        yield Record(seen, derived, replace(plain.raw, request=asked, response=answered))


def prepared(folder: Path, rows: int, console: Console) -> Place:
    """The record is there, with its conversation."""
    if not audit_path(folder).exists():
        console.print(f"stored {rows:,} exchanges, {build(folder, rows, words(random.Random(3)), console):,.0f}/s")
    writer = AuditWriter(audit_path(folder), reader_version=1)  # an older file is brought up to date
    has = "select 1 from exchange where thread_id = ? limit 1"
    if writer.connection.execute(has, (THREAD,)).fetchone() is None:
        writer.store(list(conversation()), [])
    writer.close()
    with closing(open_for_reading(audit_path(folder)).conn) as connection:
        last = connection.execute("select max(seq) from exchange").fetchone()[0]
        rnd = random.Random(5)
        seqs = [rnd.randrange(1, last - TURNS) for _ in range(500)]
        ids = [connection.execute("select id from exchange where seq = ?", (seq,)).fetchone()[0] for seq in seqs]
        return Place(connection.execute("select count(*) from exchange").fetchone()[0], ids)


def pages(place: Place) -> Mapping[str, Callable[[int], str]]:
    """What is asked → its path, by the number of the try."""
    vocabulary = words(random.Random(3))

    def search(query: Callable[[int], str]) -> Callable[[int], str]:
        return lambda n: f"/exchanges?q={quote(query(n))}"

    return {
        "exchanges, the newest 50": lambda _: "/exchanges",
        "… the next 50": lambda n: f"/exchanges?q=&before={place.rows - 50 * (n + 1)}",
        "… deep in the record": lambda n: f"/exchanges?q=&before={place.rows // 2 - 977 * n}",
        "… of one person": search(lambda n: f"user:{PEOPLE[n % len(PEOPLE)].email}"),
        "… with a word": search(lambda n: vocabulary[n % len(vocabulary)]),
        "… with two words, this week": search(
            lambda n: f"{vocabulary[n % 60]} {vocabulary[(7 * n + 3) % 60]} after:7d"
        ),
        "… by two facets": search(lambda n: f"model:{MODELS[n % len(MODELS)][0]} end:client_gone"),
        "… that were refused": search(lambda _: "decision:deny"),
        "what the box offers": lambda n: f"/exchanges/complete?q={('user:p', 'model:', 'domain:')[n % 3]}",
        "one exchange": lambda n: f"/exchanges/{place.ids[n % len(place.ids)]}",
        f"a conversation of {TURNS} turns": lambda _: f"/threads/{THREAD}",
        "overview, 30 days": lambda _: "/overview?range=30d",
        "overview, 90 days": lambda _: "/overview?range=90d",
        "overview of one person": lambda n: f"/overview?range=30d&q={quote(f'user:{PEOPLE[n % len(PEOPLE)].email}')}",
        "refusals, 30 days": lambda _: "/refusals?range=30d",
        "people, 30 days": lambda _: "/people?range=30d",
        "who looked": lambda _: "/access",
    }


class Visitor:
    """Somebody who is signed in, on one connection that stays open."""

    def __init__(self, port: int, key: str) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self._connection.request("GET", f"/enter?key={key}")
        answer = self._connection.getresponse()
        answer.read()
        self._headers = {"cookie": answer.headers["set-cookie"].partition(";")[0], "accept-language": "ja"}

    def get(self, path: str) -> tuple[float, int]:
        """(milliseconds, bytes)."""
        begun = time.perf_counter()
        self._connection.request("GET", path, headers=self._headers)
        answer = self._connection.getresponse()
        body = answer.read()
        spent = (time.perf_counter() - begun) * 1000
        if answer.status != 200:
            raise SystemExit(f"{path} was answered with {answer.status}: {body[:400].decode('utf-8', 'replace')}")
        return spent, len(body)

    def close(self) -> None:
        self._connection.close()


@contextmanager
def visiting(folder: Path, scratch: Path) -> Iterator[Visitor]:
    """The console as a process of its own, and somebody in it."""
    settings, log, port = scratch / "console.yaml", scratch / "console.log", free_port()
    settings.write_text(f"data_dir: {folder.absolute()}\n", encoding="utf-8")
    command = [sys.executable, str(ROOT / "run_proxy.py"), "console", "--config", str(settings), "--port", str(port)]
    running = Running("console", port, start(command, "0-1", log=log, cwd=ROOT))
    try:
        listens = running.wait()
        said = log.read_text("utf-8", "replace")
        key = re.search(r"/enter\?key=([\w-]+)", said)
        if not listens or key is None:
            raise SystemExit(f"The console did not start: {said[-2000:]}")
        yield Visitor(port, key[1])
    finally:
        running.stop()


def asked(visitor: Visitor, place: Place, tries: int, console: Console) -> Table:
    rows: list[list[str]] = []
    every = pages(place)
    with Progress(TextColumn("asking"), BarColumn(), MofNCompleteColumn(), console=console, transient=True) as bar:
        task = bar.add_task("asking", total=len(every) * tries)
        for name, path in every.items():
            times, sizes = [], []
            for n in range(tries):
                spent, size = visitor.get(path(n))
                times.append(spent)
                sizes.append(size)
                bar.advance(task)
            rows.append(_row(name, times, sizes))
    return Table("console", "Milliseconds until a page is there", ["page", "p50 ms", "p95", "max", "KB"], rows)


def _row(name: str, times: list[float], sizes: list[int]) -> list[str]:
    times = sorted(times)
    p95 = times[int(len(times) * 0.95)]
    said = f"{p95:.1f}" if p95 < GOAL else f"**{p95:.1f}**"
    return [name, f"{times[len(times) // 2]:.1f}", said, f"{times[-1]:.1f}", f"{sum(sizes) / len(sizes) / 1000:.0f}"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--tries", type=int, default=100, help="of each page")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="build here, or ask what was built here before")
    parser.add_argument("--write", action="store_true", help="put the table into docs/how-to/console.md")
    args = parser.parse_args()
    console = Console(width=120)
    with tempfile.TemporaryDirectory() as name:
        folder = args.keep or Path(name) / "data"
        folder.mkdir(parents=True, exist_ok=True)
        place = prepared(folder, args.rows, console)
        with visiting(folder, Path(name)) as visitor:
            table = asked(visitor, place, args.tries, console)
            visitor.close()
        console.print(
            f"{place.rows:,} exchanges, {audit_path(folder).stat().st_size / (1 << 30):.1f} GiB; {args.tries} of each"
        )
        console.print(table.markdown())
        if args.write:
            put(DOCS, {"console": table.markdown()})


if __name__ == "__main__":
    main()
