"""The first bytes of a connection, however they are cut."""

import asyncio
from typing import Any

import pytest

from lanes.express.head import RequestHead
from lanes.express.limits import Limits
from lanes.mitm.knock import HeadKnock, HelloKnock
from tests.lanes.test_hello import hello

HEAD = b"CONNECT api.openai.com:443 HTTP/1.1\r\nHost: api.openai.com:443\r\nX-A: b\r\n\r\n"


class _Transport:
    aborted = False

    def pause_reading(self) -> None: ...

    def abort(self) -> None:
        self.aborted = True


def knock(limits: Limits | None = None) -> tuple[HeadKnock, list[RequestHead | str]]:
    told: list[RequestHead | str] = []
    made = HeadKnock(
        limits or Limits(), 0.0, arrived=lambda _: None, ready=lambda _, head: told.append(head), left=lambda _: None
    )
    transport: Any = _Transport()
    made.connection_made(transport)
    return made, told


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_a_head_does_not_depend_on_where_it_was_cut(size: int) -> None:
    made, told = knock()
    sent = b"\r\n" + HEAD + b"rest"
    for at in range(0, len(sent), size):
        made.data_received(sent[at : at + size])
    (head,) = told
    assert isinstance(head, RequestHead)
    assert head.authority == b"api.openai.com:443"
    assert bytes(made.data[made.head_end :]) == b"rest"


@pytest.mark.parametrize("size", [1, 2, 1000])
@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (HEAD.replace(b"\r\nX", b"\nX"), "bad_request"),
        (b"\x16\x03\x01", "bad_request"),
        (b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 50, "headers_too_large"),
        (b"GET / HTTP/1.1\r\nX: " + b"a" * 5000, "headers_too_large"),
    ],
)
def test_what_is_no_head_is_told_once(size: int, sent: bytes, code: str) -> None:
    made, told = knock(Limits(head_bytes=4096, head_fields=20))
    for at in range(0, len(sent), size):
        made.data_received(sent[at : at + size])
    assert told == [code]


def test_nothing_in_time_is_closed_and_half_a_head_is_told() -> None:
    silent, _ = knock()
    silent.sweep(14.0)
    assert not silent.transport.aborted  # type: ignore[attr-defined]
    silent.sweep(16.0)
    assert silent.transport.aborted  # type: ignore[attr-defined]
    half, told = knock()
    half.data_received(b"CONN")
    half.sweep(16.0)
    assert told == ["header_timeout"]


@pytest.mark.parametrize("size", [1, 50, 5000])
async def test_a_hello_comes_in_pieces(size: int) -> None:
    told: list[Any] = []
    made = HelloKnock(
        Limits(), 0.0, arrived=lambda _: None, ready=lambda _, said: told.append(said), left=lambda _: None
    )
    transport: Any = _Transport()
    made.connection_made(transport)
    sent = hello()
    for at in range(0, len(sent), size):
        made.data_received(sent[at : at + size])
    await asyncio.sleep(0)
    assert [said.name for said in told] == ["api.openai.com"]
    assert bytes(made.data) == sent
