"""What one long WebSocket costs a worker: a million events, and how much the process grew.

    python -m benchmarks.websocket [--events 1000000] [--lane express|mitm]

A real Sekisho (gateway profile) between one caller and a small server on loopback. The caller asks for responses of 1,000
events each over one Responses connection. Memory is the worker's resident set (VmRSS), read after the first 5 % of the
events, which fill what is filled once, and at the end.
"""

import argparse
import asyncio
import json
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path

from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve

from tests.journeys.instance import Instance
from tests.journeys.test_websockets import GATEWAY

_EACH = 1000  # events of one response


async def _answer(connection: ServerConnection) -> None:
    delta = json.dumps({"type": "response.output_text.delta", "item_id": "msg_1", "output_index": 0, "content_index": 0,
                        "delta": "word ", "logprobs": [], "sequence_number": 7})  # fmt: skip
    number = 0
    async for _ in connection:
        number += 1
        about = {"id": f"resp_{number}", "object": "response", "model": "gpt-4o", "output": []}
        await connection.send(json.dumps({"type": "response.created", "response": {**about, "status": "in_progress"}}))
        for _ in range(_EACH - 2):
            await connection.send(delta)
        await connection.send(json.dumps({"type": "response.completed", "response": {**about, "status": "completed"}}))


def _resident(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return next(int(line.split()[1]) << 10 for line in status.splitlines() if line.startswith("VmRSS"))


async def _turns(url: str, token: str, turns: int) -> AsyncIterator[int]:
    ask = json.dumps({"type": "response.create", "model": "gpt-4o", "input": "Go on."})
    async with connect(
        url, additional_headers={"Authorization": f"Bearer {token}"}, compression=None, proxy=None
    ) as ws:
        for turn in range(turns):
            await ws.send(ask)
            for _ in range(_EACH):
                await ws.recv()
            yield turn + 1


async def _run(events: int, lane: str) -> None:
    turns = events // _EACH
    async with serve(_answer, "127.0.0.1", 0, compression=None) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        with tempfile.TemporaryDirectory() as folder:
            instance = Instance(
                Path(folder), f"http://127.0.0.1:{port}", profile="gateway", lane=lane,
                more=GATEWAY + "storage: {keep: {raw: null}}\n",
            )  # fmt: skip
            await asyncio.to_thread(instance.start)
            try:
                token = await asyncio.to_thread(instance.mint, "ann@example.com")
                (worker,) = instance.pids("worker")
                began, before = time.perf_counter(), 0
                url = instance.url.replace("http", "ws", 1) + "/v1/responses"
                async for turn in _turns(url, token, turns):
                    if turn == max(1, turns // 20):
                        before = _resident(worker)
                after, took = _resident(worker), time.perf_counter() - began
            finally:
                await asyncio.to_thread(instance.stop)
    print(f"{lane}: {turns * _EACH:,} events in {turns:,} responses over one connection, {took:.0f} s")
    print(
        f"worker: {before / 1e6:.1f} MB after the first 5 %, {after / 1e6:.1f} MB at the end: {(after - before) / 1e6:+.1f} MB"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--lane", choices=("express", "mitm"), default="express")
    given = parser.parse_args()
    asyncio.run(_run(given.events, given.lane))
