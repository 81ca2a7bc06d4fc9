"""python -m benchmarks.streams PORT STREAMS CHUNKS INTERVAL_MS RAMP_S [HEADER]: many streams at once, timed. Prints JSON.

Times are milliseconds: `ttfb` from the request's last byte to the answer's first event, `chunk` from the provider's
writing an event to its arrival here.
"""

import asyncio
import json
import re
import statistics
import sys
import time

import uvloop

_SENT = re.compile(rb'"content": "(\d{6,}) "')
_BODY = b'{"model": "gpt-4o", "stream": true, "messages": [{"role": "user", "content": "go"}]}'


async def one(port: int, chunks: int, interval: int, header: str, ttfb: list[float], late: list[float]) -> bool:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    extra = f"{header}\r\n" if header else ""
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\n{extra}"
        f"x-chunks: {chunks}\r\nx-interval-ms: {interval}\r\ncontent-length: {len(_BODY)}\r\n\r\n"
    )
    began = time.monotonic_ns()
    writer.write(head.encode() + _BODY)
    first, seen, tail = True, 0, b""
    try:
        while data := await reader.read(65536):
            now = time.monotonic_ns()
            for match in _SENT.finditer(data):
                if first:
                    ttfb.append((now - began) / 1e6)
                    first = False
                late.append((now - int(match[1])) / 1e6)
                seen += 1
            tail = (tail + data)[-16:]
            if tail.endswith(b"0\r\n\r\n"):
                break
    except OSError:
        return False
    finally:
        writer.close()
    return seen >= chunks * 0.98  # an event cut by a read is not counted


async def main(port: int, streams: int, chunks: int, interval: int, ramp: float, header: str) -> None:
    ttfb: list[float] = []
    late: list[float] = []

    async def later(delay: float) -> bool:
        await asyncio.sleep(delay)
        return await one(port, chunks, interval, header, ttfb, late)

    whole = await asyncio.gather(*(later(ramp * i / streams) for i in range(streams)), return_exceptions=True)
    print(json.dumps({"whole": sum(w is True for w in whole), "of": streams, **of("ttfb", ttfb), **of("chunk", late)}))


def of(name: str, values: list[float]) -> dict[str, float | None]:
    if len(values) < 2:
        return {f"{name}_p50": None, f"{name}_p99": None}
    cuts = statistics.quantiles(values, n=100, method="inclusive")
    return {f"{name}_p50": round(cuts[49], 3), f"{name}_p99": round(cuts[98], 3)}


if __name__ == "__main__":
    a = sys.argv[1:]
    uvloop.run(main(int(a[0]), int(a[1]), int(a[2]), int(a[3]), float(a[4]), a[5] if len(a) > 5 else ""))
