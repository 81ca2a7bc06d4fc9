"""The same bytes through both lanes: the same verdict, the same request upstream, the same record."""

import gzip
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import zstandard

from tests.attacks.table import ROWS
from tests.attacks.target import gateway, tokens_of
from tests.attacks.trial import put
from tests.journeys.instance import GATEWAY, Instance
from tests.journeys.provider import Answer, Provider, streamed
from tests.wire.test_recorded_streams import FOLDER, PATHS
from tests.wire.test_recorded_streams import body as stream

BODY = json.dumps({"model": "gpt-4o", "messages": [{"role": "user", "content": "天気は？"}]}).encode()
STREAMED = json.dumps({"model": "gpt-4o", "stream": True, "messages": []}).encode()


def request(
    body: bytes = BODY,
    *headers: str,
    line: str = "POST /v1/chat/completions HTTP/1.1",
    auth: str = "Bearer TOKEN",
    kind: str = "application/json",
    framed: bytes | None = None,
) -> bytes:
    """Raw bytes; TOKEN is put in later. `framed` is a body with its own framing headers given."""
    fields = [line, "Host: checkpoint", f"Content-Type: {kind}", *headers]
    fields += [f"Authorization: {auth}"] if auth else []
    fields += [f"Content-Length: {len(body)}"] if framed is None else []
    return "\r\n".join(fields).encode() + b"\r\n\r\n" + (body if framed is None else framed)


def chunked(*pieces: bytes) -> bytes:
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


CASES: dict[str, bytes] = {
    "plain": request(),
    "streamed": request(STREAMED),
    "chunked upload": request(b"", "Transfer-Encoding: chunked", framed=chunked(BODY[:7], BODY[7:])),
    "chunk extensions": request(
        b"", "Transfer-Encoding: chunked", framed=b"%x;a=b\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY)
    ),
    "gzip upload": request(gzip.compress(BODY, mtime=0), "Content-Encoding: gzip"),
    "zstd upload": request(zstandard.compress(BODY), "Content-Encoding: zstd"),
    "a query": request(line="POST /v1/chat/completions?a=1&b=%20c&api_key=secret HTTP/1.1"),
    "own headers": request(BODY, "X-Stainless-Lang: python", "OpenAI-Beta: assistants=v2", "Accept: */*"),
    "cookies and hop-by-hop": request(BODY, "Cookie: a=b", "Connection: keep-alive, X-Hop", "X-Hop: 1", "TE: trailers"),
    "no identity": request(auth=""),
    "a bad token": request(auth="Bearer a.b.c"),
    "a model that is not allowed": request(BODY.replace(b"gpt-4o", b"o3")),
    "a path nobody knows": request(line="POST /v1/fine_tuning/jobs HTTP/1.1"),
    "an operation that is not allowed": request(line="POST /v1/embeddings HTTP/1.1"),
    "a key twice": request(b'{"model":"gpt-4o","model":"o3"}'),
    "no JSON": request(b"{"),
    "another media type": request(kind="text/plain"),
    "two gzip members": request(gzip.compress(BODY, mtime=0) * 2, "Content-Encoding: gzip"),
    "an underscore name": request(BODY, "X_Forwarded_Email: root@example.com"),
    "dots in the path": request(line="POST /v1/../v1/chat/completions HTTP/1.1"),
    "a websocket": request(BODY, "Connection: Upgrade", "Upgrade: websocket", line="GET /v1/responses HTTP/1.1"),
    "a method that is not allowed": request(line="TRACE /v1/chat/completions HTTP/1.1"),
}

_SAME = (
    "principal", "decision", "provider", "operation", "method", "host", "path", "query", "request_model",
    "response_model", "stream", "status", "end_state", "usage", "cost_usd", "request", "response", "request_bytes",
    "response_bytes", "upstream_request_id", "changed",
)  # fmt: skip


def send(instance: Instance, raw: bytes) -> bytes:
    """The whole answer."""
    connection = instance.connect(raw)
    got = b""
    try:
        while b"\r\n\r\n" not in got or not over(got):
            more = connection.recv(65536)
            if not more:
                break
            got += more
    except OSError:
        pass
    connection.close()
    return got


def over(got: bytes) -> bool:
    head, _, body = got.partition(b"\r\n\r\n")
    low = head.lower()
    if b"content-length:" in low:
        return len(body) >= int(low.partition(b"content-length:")[2].split(b"\r\n")[0])
    return body.endswith(b"0\r\n\r\n")


def through(folder: Path, lane: str) -> dict[str, Any]:
    """What each case led to, by name."""
    found: dict[str, Any] = {}
    with Provider() as provider:
        folder.mkdir()
        with Instance(folder, provider.url, lane=lane, profile="gateway", more=GATEWAY) as instance:
            token = instance.mint("ann@example.com")
            for name, raw in CASES.items():
                provider.answer = streamed(["one", "two"])
                provider.received.clear()
                answer = send(instance, raw.replace(b"TOKEN", token.encode()))
                head, _, body = answer.partition(b"\r\n\r\n")
                found[name] = {"status": head.split(b" ")[1:2], "code": code(body), "upstream": arrived(provider)}
            records = instance.recorded(len(CASES))
    for name, record in zip(CASES, records, strict=True):
        found[name]["record"] = shared(record)
    return found


def code(body: bytes) -> str | None:
    try:
        said = json.loads(body)
    except ValueError:
        return None
    return str(said["error"]["code"]) if "error" in said else None


def arrived(provider: Provider) -> list[Any]:
    """What the provider received: the framing aside, it must be the same bytes."""
    framing = {"content-length", "transfer-encoding", "host", "connection"}
    return [
        (r.method, r.target, sorted((n.lower(), v) for n, v in r.fields if n.lower() not in framing), r.body)
        for r in provider.received
    ]


def on_both[T](folder: Path, run: Callable[[Path, str], T]) -> tuple[T, T]:
    """The same on the express lane and on mitmproxy's layers, at once: each has a provider of its own."""
    with ThreadPoolExecutor(2) as pool:
        express, mitm = (pool.submit(run, folder / lane, lane) for lane in ("express", "mitm"))
        return express.result(), mitm.result()


def shared(record: dict[str, Any]) -> dict[str, Any]:
    """What may not depend on the lane: all but times, ids and addresses."""
    return {**{key: record[key] for key in _SAME}, "host": None}


def differing(express: dict[str, Any], mitm: dict[str, Any]) -> dict[str, Any]:
    return {name: (found, mitm.get(name)) for name, found in express.items() if found != mitm.get(name)}


@pytest.mark.timeout(180)
def test_both_lanes_judge_forward_and_record_alike(tmp_path: Path) -> None:
    express, mitm = on_both(tmp_path, through)

    assert differing(express, mitm) == {}
    assert express["plain"]["status"] == [b"200"]
    assert express["no identity"]["code"] == "missing_identity"


def attacked(folder: Path, lane: str) -> dict[str, Any]:
    """What each row of the attack table led to; rows that are sent in pieces are left to their own tests."""
    folder.mkdir()
    rows = [row for row in ROWS if isinstance(row.sent, bytes)]
    found: dict[str, Any] = {}
    with Provider() as provider, gateway(folder, provider, lane) as instance:
        tokens = tokens_of(instance)
        for number, row in enumerate(rows):
            outcome = put(instance.port, provider, row, tokens, f"row-{number}")
            upstream = [raw.replace(b"%d" % provider.port, b"PORT") for raw in outcome.upstream]
            found[row.label] = (outcome.answer.statuses, outcome.answer.code, upstream)
        owed = {f"row-{number}": row.label for number, row in enumerate(rows) if row.recorded}

        def marks() -> dict[str, dict[str, Any]]:
            return {str(record["client"]["user_agent"]).split(",")[0]: record for record in instance.records()}

        instance.wait_until(lambda: owed.keys() <= marks().keys(), 30)
        for mark, record in marks().items():
            if mark in owed:
                found[owed[mark]] += (shared(record),)
    return found


@pytest.mark.timeout(300)
def test_both_lanes_judge_forward_and_record_attacks_alike(tmp_path: Path) -> None:
    express, mitm = on_both(tmp_path, attacked)

    assert differing(express, mitm) == {}
    assert len(express) > 200


def replayed(folder: Path, lane: str) -> dict[str, Any]:
    """What callers and the record got of each recorded stream."""
    folder.mkdir()
    listed = map(json.loads, (FOLDER / "manifest.jsonl").read_text(encoding="utf-8").splitlines())
    rows = [row for row in listed if row["api"] in PATHS]
    found: dict[str, Any] = {}
    with Provider() as provider:
        dialects = sorted({PATHS[row["api"]][0] for row in rows})
        providers = ", ".join(f"{one}: {{dialect: {one}, upstream: '{provider.url}'}}" for one in dialects)
        with Instance(folder, provider.url, lane=lane, more=f"providers: {{{providers}}}\n") as instance:
            for number, row in enumerate(rows):
                raw, dialect, path = stream(row), *PATHS[row["api"]]
                fields = (("content-type", content_type(row)), ("x-request-id", f"n{number}"))
                status = (row.get("http") or {}).get("status") or 200
                provider.answer = Answer([raw[i : i + 700] for i in range(0, len(raw), 700)], status, fields)
                line = f"POST {'' if dialect == 'openai' else '/' + dialect}{path} HTTP/1.1"
                answer = send(instance, request(STREAMED, line=line, auth=""))
                assert payload(answer) == raw, row["name"]
                found[f"n{number}"] = (row["name"], arrived(provider)[-1])
            for record in instance.recorded(len(rows), within=40):
                found[record["upstream_request_id"]] += (shared(record),)
    return found


def content_type(row: dict[str, Any]) -> str:
    return "application/vnd.amazon.eventstream" if row["api"].startswith("bedrock") else "text/event-stream"


def payload(answer: bytes) -> bytes:
    """The body, its chunks joined."""
    body, joined = answer.partition(b"\r\n\r\n")[2], b""
    while body:
        size, _, body = body.partition(b"\r\n")
        joined, body = joined + body[: int(size, 16)], body[int(size, 16) + 2 :]
    return joined


@pytest.mark.timeout(300)
def test_both_lanes_pass_and_record_every_recorded_stream_alike(tmp_path: Path) -> None:
    if not (FOLDER / "manifest.jsonl").is_file():
        pytest.skip("the folder of recorded streams is not here")
    express, mitm = on_both(tmp_path, replayed)

    assert differing(express, mitm) == {}
    assert all(len(found) == 3 for found in express.values())
