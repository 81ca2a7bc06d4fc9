"""python -m benchmarks.search: how long a person waits for the newest 50, by what they ask.

Builds a record of short exchanges through the writer that the recorder uses, everything on (bodies, index, chain), and
asks it. Words are two kanji, drawn so that the commonest stands in every tenth exchange and the rarest in a few.
"""

import argparse
import itertools
import json
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import uuid_utils
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from console.overview import OVERVIEW, PEOPLE_BY, REFUSALS
from exchange.call import Text
from exchange.principal import Principal
from exchange.record import Derived, RawBytes, Record, Seen
from exchange.reply import Usage
from recording.threads import Threads
from storage.query.parsing import parse
from storage.query.terms import After, Is, Query, Term
from storage.sqlite.driver import audit_path, open_for_writing
from storage.sqlite.reading import AuditReader
from storage.sqlite.summary import Dimension, Steps
from storage.sqlite.tally import DAY
from storage.sqlite.thread_index import ThreadIndex, m002_threads
from storage.sqlite.writing import AuditWriter

KANJI = "東京大阪会議資料売上顧客契約設計試験障害手順報告見積予定部署製品品質納期予算研修確認作成修正比較説明翻訳要約分析検討共有"
BATCH = 200
NOW = datetime(2026, 11, 24, tzinfo=UTC)
SPAN = timedelta(days=90)
DOMAINS = ("example.com", "example.co.jp")
PEOPLE = [Principal(f"p{i}", f"p{i}@{(d := DOMAINS[i % 40 == 39])}", d, "own") for i in range(500)]
MODELS = (("gpt-4o", 0.6), ("gpt-4o-mini", 0.9), ("claude-sonnet-4-5", 0.99), ("o3", 1.0))  # up to
OPERATIONS = {"claude-sonnet-4-5": "messages"}
RAREST, RARE_EVERY = "mistral-tiny", 400_000  # a model of which there are three in a million, none of them new


def words(rnd: random.Random, count: int = 600) -> list[str]:
    found: dict[str, None] = {}
    while len(found) < count:
        found["".join(rnd.sample(KANJI, 2))] = None
    return list(found)


def exchanges(rows: int, vocabulary: list[str], rnd: random.Random) -> Iterator[Record]:
    weights = [1 / (rank + 1) for rank in range(len(vocabulary))]  # Zipf
    begun = (NOW - SPAN - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    step = SPAN // timedelta(microseconds=1) // rows
    for n in range(rows):
        chosen = rnd.choices(vocabulary, weights, k=8)
        question = f"{chosen[0]}の{chosen[1]}について、{chosen[2]}までに{chosen[3]}してください。No. {n}"
        answer = (
            f"{chosen[4]}は{chosen[5]}でした。{chosen[6]}を{chosen[7]}し、item_{rnd.randrange(10_000)} に書きます。"
        )
        yield _record(n, begun + n * step, rnd.choice(PEOPLE), question, answer, rnd)


def _record(n: int, at: int, who: Principal, question: str, answer: str, rnd: random.Random) -> Record:
    request = json.dumps({"model": "gpt-4o", "messages": [{"role": "user", "content": question}]}, ensure_ascii=False)
    message = {"role": "assistant", "content": answer}
    response = json.dumps({"id": f"chatcmpl-{n}", "choices": [{"index": 0, "message": message}]}, ensure_ascii=False)
    asked, answered = request.encode(), response.encode()
    refused = rnd.random() < 0.0005
    drawn = rnd.random()
    model = RAREST if n % RARE_EVERY == 100 else next(name for name, upto in MODELS if drawn < upto)
    cut = not refused and rnd.random() < 0.01
    seen = Seen(
        id=uuid_utils.uuid7().hex, started_at=at, node="bench", principal=who, credential=None, address="10.0.0.1",
        user_agent="OpenAI/Python 3.54.0", mode="reverse", outcome="deny" if refused else "allow",
        code="model_not_allowed" if refused else None, rule="everyone", reason=None, policy="sha256:0",
        provider="openai", method="POST", host="api.openai.com", path="/v1/chat/completions", query=None,
        observed="response_ended", status=200, request_bytes=len(asked), response_bytes=len(answered),
        capture_truncated=False, upstream_request_id="req_1", overhead=300, ttft=int(rnd.lognormvariate(13.5, 0.8)), duration=900_000, changed=(),
        boot="bench", number=n + 1,
    )  # fmt: skip
    derived = Derived(
        operation=OPERATIONS.get(model, "chat"),  # type: ignore[arg-type]
        request_model=model, response_model=None, stream=False,
        end_state="refused" if refused else "client_gone" if cut else "complete", usage=Usage(12, 34), usage_source="provider", cost_usd=0.001,
        request=asked, response=answered, texts=(Text("user", question), Text("answer", answer)),
    )  # fmt: skip
    return Record(seen, derived, RawBytes(asked, "application/json", None, answered, "application/json", None, ()))


def build(folder: Path, rows: int, vocabulary: list[str], console: Console) -> float:
    """Exchanges per second, by the clock on the wall."""
    writer = AuditWriter(audit_path(folder), reader_version=1)
    linking = Threads(lambda _key: None)
    begun = time.perf_counter()
    columns = (TextColumn("storing"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as bar:
        task = bar.add_task("storing", total=rows)
        batch: list[Record] = []
        for record in exchanges(rows, vocabulary, random.Random(7)):
            batch.append(linking.linked(record))
            if len(batch) == BATCH:
                writer.store(batch, [])
                bar.advance(task, len(batch))
                batch = []
        writer.store(batch, [])
        bar.advance(task, len(batch))
    writer.close()
    _tools(folder, rows)
    return rows / (time.perf_counter() - begun)


def _tools(folder: Path, rows: int) -> None:
    """One exchange in a hundred called a tool."""
    database = open_for_writing(audit_path(folder))
    if "tool_use" not in database.table_names():
        m002_threads(database)
    index = ThreadIndex(database.conn)
    with database.conn:
        for seq in range(1, rows, 100):
            index.put(seq, (), ("get_weather",), None)
        for who in PEOPLE:
            index.put(1, (), (), who)
    database.close()


def questions(vocabulary: list[str]) -> dict[str, Callable[[int], str]]:
    """What is asked → the query, by the number of the try."""

    def word(n: int) -> str:
        return vocabulary[n % len(vocabulary)]

    return {
        "two kanji, newest 50": word,
        "one kanji": lambda n: KANJI[n % len(KANJI)],
        "two words": lambda n: f"{word(n)} {word(7 * n + 3)}",
        "a word without another": lambda n: f"{word(n)} -{word(7 * n + 3)}",
        "nothing but -word": lambda n: f"-{word(n)}",
        'exact:"…"': lambda n: f'exact:"item_{n * 37 % 10_000}"',
        "user:": lambda n: f"user:p{n % 500}@example.com",
        "a word of a rare model": lambda n: f"{word(n)} model:o3",
        "a word of a model that has three": lambda n: f"{word(n)} model:{RAREST}",
        "-word of a rare model": lambda n: f"-{word(n)} model:o3",
        "a word of one person": lambda n: f"{word(n)} user:p{n % 500}@example.com",
        "model: that is rare": lambda n: "model:o3*" if n % 2 else "model:o3",
        "model: that has three": lambda _: f"model:{RAREST}",
        "model: that is not there": lambda _: "model:nowhere",
        "domain: that is rare": lambda _: "domain:example.co.jp",
        "domain: that is not there": lambda _: "domain:nowhere.example",
        "operation:messages": lambda _: "operation:messages",
        "operation: that is not there": lambda _: "operation:embeddings",
        "host: that is not there": lambda _: "host:nowhere.example",
        "end:client_gone": lambda _: "end:client_gone",
        "end:timed_out, of which there are none": lambda _: "end:timed_out",
        "decision:deny": lambda _: "decision:deny",
        "tool:": lambda _: "tool:get_weather",
        "a word, after:7d": lambda n: f"{word(n)} after:7d",
        "after:1h": lambda _: "after:1h",
        "after:30d": lambda _: "after:30d",
        "a rare model, after:30d": lambda _: "model:o3 after:30d",
        "before: a month ago": lambda n: f"before:{30 + n % 30}d",
        "no such word": lambda _: "鰯鯖",
    }


def ask(folder: Path, vocabulary: list[str], tries: int, console: Console) -> Table:
    reader = AuditReader(folder)
    table = Table(
        title="milliseconds until the newest 50 are there, and what they have in common",
        title_justify="left",
        width=110,
    )
    for name, justify in (("asked", "left"), ("found", "right"), ("facets p50", "right"), ("p95", "right"), ("max", "right"),
                          ("records p50", "right"), ("p95", "right"), ("max", "right")):  # fmt: skip
        table.add_column(name, justify=justify)  # type: ignore[arg-type]
    rows = questions(vocabulary)
    with Progress(TextColumn("asking"), BarColumn(), MofNCompleteColumn(), console=console, transient=True) as bar:
        task = bar.add_task("asking", total=len(rows) * tries)
        for name, question in rows.items():
            seqs: list[float] = []
            whole: list[float] = []
            found: list[int] = []
            for n in range(tries):
                query = parse(question(n), NOW)
                seqs.append(_timed(lambda query=query: reader.facets(query, 5_000))[0])  # type: ignore[misc]
                spent, lines = _timed(lambda query=query: reader.listed(query, 50, bodies=256 << 10))  # type: ignore[misc]
                whole.append(spent)
                found.append(len(lines))
                bar.advance(task)
                if sum(seqs) + sum(whole) > 20_000:
                    break  # slow enough to know it
            table.add_row(name, f"{statistics.median(found):.0f}", *_spread(seqs), *_spread(whole))
    reader.close()
    return table


def count_up(folder: Path, tries: int) -> Table:
    """Of the pages that count: what they ask for, in days of the record's zone."""
    reader = AuditReader(folder)
    table = Table(title="milliseconds until it is counted", title_justify="left", width=110)
    for name, justify in (("asked", "left"), ("groups", "right"), ("p50", "right"), ("p95", "right"), ("max", "right")):
        table.add_column(name, justify=justify)  # type: ignore[arg-type]
    pages: dict[str, tuple[tuple[Dimension, ...], ...]] = {
        "overview": OVERVIEW,
        "people": PEOPLE_BY,
        "refusals": REFUSALS,
    }
    for days, (page, by), asked in itertools.product((7, 30, 90), pages.items(), ("", "domain:example.co.jp", "東京")):
        begin = (NOW - timedelta(days=days) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
        query = Query(
            (
                *parse(asked, NOW).terms,
                Term(After(begin)),
                *([Term(Is("decision", "deny"))] if page == "refusals" else []),
            )
        )
        times = []
        for _ in range(min(tries, 20)):
            spent, found = _timed(lambda query=query, by=by: reader.summaries(query, Steps(DAY, reader._zone or 0), by))  # type: ignore[misc]
            times.append(spent)
        table.add_row(f"{page}, {days} days {asked}", str(sum(map(len, found))), *_spread(times))
    reader.close()
    return table


def _timed(work: Callable[[], Any]) -> tuple[float, Any]:
    begun = time.perf_counter()
    result = work()
    return (time.perf_counter() - begun) * 1000, result


def _spread(times: list[float]) -> tuple[str, str, str]:
    times = sorted(times)
    return f"{statistics.median(times):.1f}", f"{times[int(len(times) * 0.95)]:.1f}", f"{times[-1]:.1f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--tries", type=int, default=200, help="of each question")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="build here, or ask what was built here before")
    args = parser.parse_args()
    console, vocabulary = Console(width=120), words(random.Random(3))
    with tempfile.TemporaryDirectory() as name:
        folder = args.keep or Path(name)
        if not audit_path(folder).exists():
            rate = build(folder, args.rows, vocabulary, console)
            console.print(f"stored {args.rows:,} exchanges, {rate:,.0f}/s")
        size = audit_path(folder).stat().st_size
        table = ask(folder, vocabulary, args.tries, console)
        console.print(f"{AuditReader(folder).count():,} exchanges, {size / (1 << 20):,.0f} MiB")
        console.print(table)
        console.print(count_up(folder, args.tries))


if __name__ == "__main__":
    main()
