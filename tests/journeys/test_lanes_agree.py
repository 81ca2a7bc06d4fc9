"""The same bytes through both lanes: the same verdict, the same request upstream, the same record."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
import zstandard

from tests.journeys.instance import GATEWAY, Instance
from tests.journeys.provider import Provider, streamed

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
        found[name]["record"] = {key: record[key] for key in _SAME}
        found[name]["record"]["host"] = None
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


@pytest.mark.timeout(180)
def test_both_lanes_judge_forward_and_record_alike(tmp_path: Path) -> None:
    express, mitm = through(tmp_path / "express", "express"), through(tmp_path / "mitm", "mitm")

    for name in CASES:
        assert express[name] == mitm[name], name
    assert express["plain"]["status"] == [b"200"]
    assert express["no identity"]["code"] == "missing_identity"
