"""The ClientHello is read as it comes, bounded, and never guessed at."""

import ssl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lanes.mitm.hello import LARGEST, Hello, NotTls, read_hello, worth_reading_at


def hello(name: str | None = "api.openai.com", protocols: tuple[str, ...] = ("h2", "http/1.1")) -> bytes:
    """What OpenSSL says."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    if protocols:
        context.set_alpn_protocols(list(protocols))
    sent = ssl.MemoryBIO()
    asking = context.wrap_bio(ssl.MemoryBIO(), sent, server_hostname=name)
    with pytest.raises(ssl.SSLWantReadError):
        asking.do_handshake()
    return sent.read()


def in_records(data: bytes, size: int) -> bytes:
    """The same handshake message, cut into records of this size (RFC 8446 §5.1 allows it)."""
    message = data[5:]
    pieces = [message[i : i + size] for i in range(0, len(message), size)]
    return b"".join(b"\x16\x03\x01" + len(piece).to_bytes(2) + piece for piece in pieces)


@pytest.mark.parametrize(
    ("name", "protocols"),
    [("api.openai.com", ("h2", "http/1.1")), ("A.Example.COM", ()), (None, ("http/1.1",))],
)
def test_the_name_and_the_protocols_are_read(name: str | None, protocols: tuple[str, ...]) -> None:
    said = read_hello(hello(name, protocols))
    assert said == Hello(name and name.lower(), tuple(one.encode() for one in protocols))


@pytest.mark.parametrize("size", [60, 100, 5000])
def test_it_does_not_depend_on_records_and_cuts(size: int) -> None:
    whole = in_records(hello(), size)
    for end in range(0, len(whole), 13):
        assert read_hello(whole[:end]) is None
        assert end < worth_reading_at(whole[:end]) <= len(whole)
    assert read_hello(whole + b"what follows") == read_hello(hello())


@pytest.mark.parametrize(
    "sent",
    [
        b"GET / HTTP/1.1\r\n\r\n", b"SSH-2.0-x\r\n", b"\x16\x02\x00", b"\x17\x03\x03\x00\x05hello",
        b"\x16\x03\x01\x00\x00", b"\x16\x03\x01\x40\x01", b"\x16\x03\x01\x00\x04\x02\x00\x00\x00",
        b"\x16\x03\x01\x00\x04\x01\x00\x00\x00", b"\x16\x03\x01\x00\x04\x01\xff\xff\xff",
        b"\x80\x2e\x01\x03\x01", b"\x00",
    ],
)  # fmt: skip
def test_what_is_no_hello_is_said_at_once(sent: bytes) -> None:
    with pytest.raises(NotTls):
        read_hello(sent)


def test_a_hello_in_thousands_of_records_is_given_up_at_once() -> None:
    with pytest.raises(NotTls):
        read_hello(in_records(hello() + bytes(2000), 1))


def test_a_hello_without_end_is_given_up() -> None:
    endless = (b"\x16\x03\x01\x10\x00" + b"\x01\x00\xff\xff" + b"\x00" * 0xFFC) * 20
    with pytest.raises(NotTls):
        read_hello(endless[: LARGEST + 5000])


def test_two_names_or_two_lists_of_them_are_no_hello() -> None:
    """Two parties could take a different one (RFC 6066 §3)."""
    once = hello("a.example", ())
    at = once.index(b"\x00\x00\x00\x0e\x00\x0c\x00\x00\x09a.example")
    block = once[at : at + 18]
    grown = bytearray(once[:at] + block + once[at:])
    for offset, size, more in ((3, 2, 18), (6, 3, 18)):
        grown[offset : offset + size] = (int.from_bytes(grown[offset : offset + size]) + more).to_bytes(size)
    extensions = _extensions_at(bytes(grown))
    grown[extensions : extensions + 2] = (int.from_bytes(grown[extensions : extensions + 2]) + 18).to_bytes(2)
    with pytest.raises(NotTls):
        read_hello(bytes(grown))


def _extensions_at(data: bytes) -> int:
    at = 5 + 4 + 34
    at += 1 + data[at]
    at += 2 + int.from_bytes(data[at : at + 2])
    return at + 1 + data[at]


@given(st.binary(max_size=600))
def test_no_bytes_break_the_reader(data: bytes) -> None:
    for begun in (data, b"\x16\x03\x01" + len(data).to_bytes(2) + data):
        try:
            read_hello(begun)
        except NotTls:
            continue


@given(st.integers(5, 400), st.integers(0, 255))
def test_a_byte_that_is_changed_breaks_nothing(at: int, value: int) -> None:
    data = bytearray(hello())
    data[at % len(data)] = value
    try:
        read_hello(bytes(data))
    except NotTls:
        return
