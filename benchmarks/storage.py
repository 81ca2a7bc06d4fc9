"""python -m benchmarks.storage: what an exchange takes on disk, and how fast the recorder is, everything on.

Conversations of 20–60 turns, four in ten with tools, in English, Japanese and code; each exchange sends its whole
history, as clients do. The text is what Python itself carries (its language reference and its source) and Japanese
sentences of our own: none of it is in the shipped dictionary.
"""

import argparse
import asyncio
import json
import os
import pydoc_data.topics
import random
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import uuid_utils
import zstandard
from rich.console import Console
from rich.progress import track
from rich.table import Table

from exchange.principal import Principal
from recording.recorder import Recorder
from settings.sealing import MasterKeySource, Seal
from storage.journal.rows import Arrivals, Closing, Intent, ReplyHead
from storage.journal.writing import Journal
from storage.sealing.keyring import new_key
from storage.sealing.master import master_keys, written

HEAD = ReplyHead(200, "text/event-stream", None, "req_1")
NOUNS = [
    "東京",
    "大阪",
    "会議",
    "資料",
    "売上",
    "顧客",
    "契約",
    "設計",
    "試験",
    "障害",
    "手順",
    "報告",
    "見積",
    "予定",
    "部署",
    "製品",
    "品質",
    "納期",
    "予算",
    "研修",
]
VERBS = ["確認", "作成", "修正", "比較", "説明", "翻訳", "要約", "分析", "検討", "共有"]


def prose(rnd: random.Random) -> Iterator[str]:
    """Passages of a few hundred characters. None comes twice, so that nothing looks smaller than it would be."""
    english = [p for topic in pydoc_data.topics.topics.values() for p in topic.split("\n\n") if 200 < len(p) < 2000]
    sources = sorted(Path(os.__file__).parent.glob("*.py")) + sorted(Path(os.__file__).parent.glob("*/*.py"))
    code = [
        p
        for f in sources
        for p in f.read_text(encoding="utf-8", errors="replace").split("\n\n\n")
        if 200 < len(p) < 2500
    ]
    pool = list(dict.fromkeys(english + code))
    rnd.shuffle(pool)
    while True:
        if rnd.random() < 0.45 or not pool:
            yield "".join(_sentence(rnd) for _ in range(rnd.randint(4, 30)))
        else:
            yield pool.pop()


def _sentence(rnd: random.Random) -> str:
    a, b, c = rnd.choice(NOUNS), rnd.choice(NOUNS), rnd.choice(VERBS)
    return f"{a}{rnd.randint(1, 9999)}の{b}について{rnd.randint(1, 31)}日までに{c}してください。"


def conversations(count: int, rnd: random.Random) -> Iterator[Iterator[tuple[bytes, bytes]]]:
    """Each yields (request, streamed reply) of its exchanges, in order."""
    text = prose(rnd)
    for _ in range(count):
        yield _exchanges(rnd, text, turns=rnd.randint(20, 60), tools=rnd.random() < 0.4)


def _exchanges(rnd: random.Random, text: Iterator[str], turns: int, *, tools: bool) -> Iterator[tuple[bytes, bytes]]:
    messages: list[dict[str, Any]] = [{"role": "system", "content": next(text)}]
    more = {"tools": [_tool(i, next(text)) for i in range(8)]} if tools else {}
    for turn in range(turns):
        messages.append(
            {"role": "user", "content": next(text)} if not tools or turn % 3 == 0 else _result(turn, next(text))
        )
        request = {"model": "gpt-4o", "messages": messages, "stream": True, **more}
        answer = "".join(next(text) for _ in range(rnd.randint(1, 2)))
        yield json.dumps(request, ensure_ascii=False, separators=(",", ":")).encode(), _stream(answer, rnd)
        messages.append({"role": "assistant", "content": answer})


def _tool(i: int, description: str) -> dict[str, Any]:
    parameters = {"type": "object", "properties": {"path": {"type": "string"}, "query": {"type": "string"}}}
    return {"type": "function", "function": {"name": f"tool_{i}", "description": description, "parameters": parameters}}


def _result(turn: int, content: str) -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": f"call_{turn:08d}", "content": content}


def _stream(answer: str, rnd: random.Random) -> bytes:
    """As the API streams it: a few characters an event."""
    envelope = {"id": f"chatcmpl-{rnd.randrange(16**24):024x}", "object": "chat.completion.chunk", "created": 1_760_000_000,
                "model": "gpt-4o-2024-08-06", "service_tier": "default", "system_fingerprint": "fp_1"}  # fmt: skip
    events: list[Any] = []
    position = 0
    while position < len(answer):
        size = rnd.randint(2, 6)
        events.append([{"index": 0, "delta": {"content": answer[position : position + size]}, "finish_reason": None}])
        position += size
    events.append([{"index": 0, "delta": {}, "finish_reason": "stop"}])
    lines = [
        json.dumps({**envelope, "choices": choices}, ensure_ascii=False, separators=(",", ":")) for choices in events
    ]
    usage = {"prompt_tokens": 900, "completion_tokens": 120, "total_tokens": 1020}
    lines.append(json.dumps({**envelope, "choices": [], "usage": usage}, separators=(",", ":")))
    return "".join(f"data: {line}\n\n" for line in lines).encode() + b"data: [DONE]\n\n"


def short(rnd: random.Random, count: int) -> Iterator[tuple[bytes, bytes]]:
    text = prose(rnd)
    for _ in range(count):
        request = {"model": "gpt-4o", "messages": [{"role": "user", "content": next(text)[:200]}], "stream": True}
        yield json.dumps(request, ensure_ascii=False).encode(), _stream(next(text)[:80], rnd)


async def journaled(folder: Path, exchanges: list[tuple[int, bytes, bytes]], seal: Seal | None) -> None:
    """Puts (person, request, reply) into a journal, as a worker would."""
    masters = master_keys(seal) if seal else None
    journal = Journal(folder, durable=False, file_limit=64 << 20, limit=1 << 40, masters=masters)
    for i, (person, request, reply) in enumerate(exchanges):
        id_ = bytes(uuid_utils.uuid7().bytes)
        who = Principal(f"person-{person}", f"person-{person}@example.com", "example.com", "own")
        journal.append(id_, _intent(i, who, len(request)), request)
        at = [40_000 + 20_000 * n for n in range(max(1, len(reply) // 900))]
        journal.append(id_, _closing(reply, at), reply)
        if i % 50 == 0:
            await asyncio.sleep(0)
    journal.close()


def _intent(number: int, who: Principal, size: int) -> Intent:
    return Intent(
        number, time.time_ns() // 1000, "bench", who, None, "10.0.0.1", "OpenAI/Python 3.54.0", "reverse", "allow", None,
        "everyone", None, "sha256:" + "0" * 64, "openai", "openai", "POST", "api.openai.com", "/v1/chat/completions", None,
        "application/json", None, size, True, "chat", "gpt-4o", True,
    )  # fmt: skip


def _closing(reply: bytes, at: list[int]) -> Closing:
    lengths = [900] * (len(at) - 1) + [len(reply) - 900 * (len(at) - 1)]
    return Closing("response_ended", 200, HEAD, Arrivals(at, lengths), len(reply), False, None, 300, 40_000, at[-1])


def record(folder: Path, total: int, what: str, console: Console, seal: Seal | None) -> float:
    """Let the recorder store it all; returns exchanges per second of its processor time."""
    recorder = Recorder(folder, seal=seal)
    began, done = time.process_time(), 0
    for _ in track(range(1000), description=what, console=console, total=None, transient=True):
        step = recorder.step()
        done += step
        if not step:
            break
    spent = time.process_time() - began
    recorder.close()
    assert done == total, (done, total)
    return total / spent


def sizes(folder: Path) -> dict[str, int]:
    """Bytes by table, and of the whole file."""
    import sqlite3

    connection = sqlite3.connect(folder / "audit.db")
    connection.execute("pragma wal_checkpoint(truncate)")

    def of(*columns: str) -> int:
        return sum(
            connection.execute(f"select coalesce(sum(length({c})), 0) from {t}").fetchone()[0]
            for t, c in (x.split(".") for x in columns)
        )

    found = {
        "bodies": of("chunk.content", "body.request", "body.request_json", "body.response"),
        "raw replies": of("raw_reply.content", "raw_reply.arrivals"),
        "search index": of("search_data.block"),
        "all in": connection.execute("pragma page_count").fetchone()[0]
        * connection.execute("pragma page_size").fetchone()[0],
    }
    connection.close()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--conversations", type=int, default=40)
    parser.add_argument("--short", type=int, default=5000, help="number of short exchanges for the rate")
    parser.add_argument("--seal", choices=["keyed", "plain", "off"], help="seal the content, with this index")
    args = parser.parse_args()
    console, rnd = Console(), random.Random(7)
    os.environ["BENCHMARK_KEY"] = written(new_key())
    seal = Seal(key=MasterKeySource(env="BENCHMARK_KEY"), index=args.seal) if args.seal else None
    # Conversations go on side by side, each person with their own.
    people = [(i, list(each)) for i, each in enumerate(conversations(args.conversations, rnd))]
    rounds = max(len(each) for _, each in people)
    exchanges = [(i, *each[n]) for n in range(rounds) for i, each in people if n < len(each)]
    count = len(exchanges)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        asyncio.run(journaled(folder, exchanges, seal))
        long_rate = record(folder, count, "recording conversations", console, seal)
        ours = sizes(folder)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        asyncio.run(journaled(folder, [(i % 50, *each) for i, each in enumerate(short(rnd, args.short))], seal))
        short_rate = record(folder, args.short, "recording short exchanges", console, seal)
    compressor = zstandard.ZstdCompressor(level=3)
    naive = sum(len(request) for _, request, _ in exchanges)
    packed = sum(len(compressor.compress(request)) for _, request, _ in exchanges)
    streams = sum(len(reply) for *_, reply in exchanges)
    table = Table(
        title=f"{count} exchanges of {args.conversations} conversations, {f'sealed, index {args.seal}' if seal else 'not sealed'}",
        title_justify="left",
    )
    table.add_column("what")
    table.add_column("bytes per exchange", justify="right")
    for what, total in [
        ("requests as sent (naive JSON)", naive),
        ("requests, zstd -3 each", packed),
        ("bodies kept: requests and replies", ours["bodies"]),
        ("search index", ours["search index"]),
        ("all in, without raw replies", ours["all in"] - ours["raw replies"]),
        ("raw streamed replies as sent", streams),
        ("raw replies kept, with arrival times", ours["raw replies"]),
    ]:
        table.add_row(what, f"{total / count:,.0f}")
    console.print(table)
    console.print(f"recorder, one core: {short_rate:,.0f} short exchanges/s, {long_rate:,.0f} of the long ones/s")


if __name__ == "__main__":
    main()
