"""What a broken or hostile provider may answer: nobody hangs, what is cut never looks whole, nothing is followed."""

import contextlib
import socket
import ssl
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.attacks.raw_provider import End, RawProvider
from tests.attacks.rows import post
from tests.identities.certificates import authority, server_tls
from tests.journeys.instance import GATEWAY, Instance

OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
SIZED = OK + b"Content-Length: 2\r\n\r\n{}"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Reply:
    """`body` is what the caller gets of it, `whole` whether it may take that for all, `state` the record's word."""

    sent: bytes
    status: int = 502
    body: bytes | None = None
    whole: bool = True
    state: str = "upstream_cut"
    end: End = "close"


REPLIES: dict[str, Reply] = {
    "sized": Reply(SIZED, 200, b"{}", state="complete"),
    "chunked": Reply(CHUNKED + b"2\r\n{}\r\n0\r\n\r\n", 200, b"{}", state="complete"),
    "until close": Reply(OK + b"\r\n{}", 200, b"{}", state="complete"),
    "HTTP/1.0": Reply(b"HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n{}", 200, b"{}", state="complete"),
    "interim replies before": Reply(
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + SIZED,
        200,
        b"{}",
        state="complete",
    ),
    "trailers": Reply(CHUNKED + b"2\r\n{}\r\n0\r\nX-A: b\r\n\r\n", 200, b"{}", state="complete"),
    "chunk extensions": Reply(CHUNKED + b"2;a=b\r\n{}\r\n0\r\n\r\n", 200, b"{}", state="complete"),
    "more than a reply": Reply(SIZED + SIZED, 200, b"{}", state="complete", end="keep"),
    "a redirect": Reply(
        b"HTTP/1.1 307 Temporary Redirect\r\nLocation: http://127.0.0.1:1/v1\r\nContent-Length: 0\r\n\r\n",
        307,
        b"",
        state="complete",
    ),
    "204 with a body": Reply(b"HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\n{}", 204, b"", state="complete"),
    # cut
    "shorter than said": Reply(OK + b"Content-Length: 9\r\n\r\n{ ", 200, b"{ ", whole=False),
    "no last chunk": Reply(CHUNKED + b"2\r\n{ \r\n", 200, b"{ ", whole=False),
    "reset amid chunks": Reply(CHUNKED + b"2\r\n{ \r\n", 200, b"{ ", whole=False, end="reset"),
    "reset where the close is the end": Reply(OK + b"\r\n{ ", 200, b"{ ", whole=False, end="reset"),
    "a bad chunk": Reply(CHUNKED + b"2\r\n{ \r\n+2\r\n{ \r\n0\r\n\r\n", 200, b"{ ", whole=False),
    "a chunk ended by LF": Reply(CHUNKED + b"2\r\n{ \n0\r\n\r\n", 200, b"{ ", whole=False),
    # heads that cannot be trusted
    "nothing": Reply(b""),
    "half a head": Reply(OK),
    "no HTTP": Reply(b"SSH-2.0-OpenSSH_9.6\r\n\r\n"),
    "HTTP/2 in words": Reply(b"HTTP/2 200\r\nContent-Length: 2\r\n\r\n{}"),
    "two lengths": Reply(OK + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}"),
    "length and chunks": Reply(OK + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"),
    "gzip, chunked": Reply(OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"),
    "a length with plus": Reply(OK + b"Content-Length: +2\r\n\r\n{}"),
    "obs-fold": Reply(OK + b"X-A: b\r\n c\r\nContent-Length: 2\r\n\r\n{}"),
    "lines by LF": Reply(SIZED.replace(b"\r\n", b"\n")),
    "a space before the colon": Reply(OK + b"Content-Length : 2\r\n\r\n{}"),
    "NUL in a value": Reply(OK + b"X-A: \0\r\nContent-Length: 2\r\n\r\n{}"),
    "101 unasked": Reply(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: foo\r\nConnection: upgrade\r\n\r\nfree", end="keep"
    ),
    "a head without end": Reply(OK + b"X-A: " + b"a" * 400_000, end="keep"),
}


def take(connection: socket.socket) -> tuple[int, bytes, bool]:
    """Status, body without its framing, and whether it is whole as far as HTTP can tell."""
    got, reset = b"", False
    with contextlib.suppress(TimeoutError):
        while not _complete(got):
            try:
                more = connection.recv(65536)
            except ConnectionError:
                reset = True
                break
            if not more:
                break
            got += more
    head, _, body = got.partition(b"\r\n\r\n")
    status = int(head.split(b" ")[1]) if head else 0
    low = head.lower()
    if b"transfer-encoding: chunked" in low:
        payload, whole = _dechunked(body)
        return status, payload, whole
    if b"content-length:" in low:
        return status, body, _complete(got)
    return status, body, not reset and bool(head)


def _complete(got: bytes) -> bool:
    head, end, body = got.partition(b"\r\n\r\n")
    low = head.lower()
    if not end:
        return False
    if b" 204 " in head.split(b"\r\n")[0]:
        return True
    if b"content-length:" in low:
        return len(body) >= int(low.partition(b"content-length:")[2].split(b"\r\n")[0])
    return b"transfer-encoding: chunked" in low and _dechunked(body)[1]


def _dechunked(body: bytes) -> tuple[bytes, bool]:
    payload = b""
    while b"\r\n" in body:
        size, _, body = body.partition(b"\r\n")
        try:
            length = int(size.split(b";")[0], 16)
        except ValueError:
            return payload, False
        if not length:
            return payload, body.endswith(b"\r\n")
        payload, body = payload + body[:length], body[length + 2 :]
    return payload, False


@pytest.mark.timeout(120)
def test_a_hostile_provider_hangs_nobody_and_makes_nothing_look_whole(tmp_path: Path, lane: str) -> None:
    wrong: dict[str, object] = {}
    with (
        RawProvider() as provider,
        Instance(tmp_path, provider.url, lane=lane, profile="gateway", more=GATEWAY) as instance,
    ):
        request = post(auth=f"Bearer {instance.mint('ann@example.com')}")
        for name, reply in REPLIES.items():
            provider.replies, provider.end = [reply.sent], reply.end
            before, began = provider.connections, time.monotonic()
            connection = instance.connect(request)
            status, body, whole = take(connection)
            connection.close()
            got = (status, body if reply.body is not None else None, whole)
            if got != (reply.status, reply.body, reply.whole):
                wrong[name] = (status, body[:200], whole)
            elif reply.status == 502 and b'"upstream_unreachable"' not in body:
                wrong[name] = body[:200]
            elif provider.connections - before != 1 or time.monotonic() - began > 5:
                wrong[name] = (provider.connections - before, time.monotonic() - began)
        records = instance.recorded(len(REPLIES))
        log = instance.log.read_text(encoding="utf-8", errors="replace")
    for (name, reply), record in zip(REPLIES.items(), records, strict=True):
        if (record["status"], record["end_state"]) != (reply.status, reply.state):
            wrong[f"the record of {name}"] = (record["status"], record["end_state"])

    assert not wrong, "\n" + "\n".join(f"{name}: {found}" for name, found in wrong.items())
    assert "Traceback" not in log
    assert "crashed" not in log


def test_a_reply_that_ends_with_its_connection_ends_at_once_on_tls_too(tmp_path: Path, lane: str) -> None:
    trusted = authority(tmp_path)
    server_tls(tmp_path, "localhost")
    context = ssl.create_default_context(cafile=str(trusted))
    with (
        RawProvider([OK + b"\r\n{}"]) as provider,
        Instance(
            tmp_path, provider.url, lane=lane, profile="gateway", more=GATEWAY, tls=tmp_path / "localhost.pem"
        ) as instance,
    ):
        request = post(auth=f"Bearer {instance.mint('ann@example.com')}")
        with context.wrap_socket(instance.connect(b""), server_hostname="localhost") as secured:
            secured.sendall(request)
            began = time.monotonic()
            status, body, whole = take(secured)
            took = time.monotonic() - began

    assert (status, body, whole) == (200, b"{}", True)
    assert took < 3
