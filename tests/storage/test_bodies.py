"""Whatever a body is, its exact bytes come back; what was sent before takes no room again."""

import json
import sqlite3
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.chunks import elements, strings
from storage.packing import Packer
from storage.sqlite.bodies import BodyReader, BodyWriter

TABLE = "create table chunk (id integer primary key, scope integer, digest blob, content blob, unique (scope, digest))"
LONG = "長い文章です。The quick brown fox. " * 12

text = st.text(max_size=400) | st.just(LONG)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | text,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=12), inner, max_size=5),
    max_leaves=20,
)


@pytest.fixture
def database() -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.execute(TABLE)
    yield connection
    connection.close()


def again(body: bytes, scope: int = 1) -> bytes:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.execute(TABLE)
    try:
        return BodyReader(connection).get(BodyWriter(connection).put(scope, body))
    finally:
        connection.close()


@given(
    st.dictionaries(st.sampled_from(["messages", "input", "tools", "model"]), st.lists(values, max_size=6), max_size=4),
    st.booleans(),
)
def test_generated_requests_come_back_byte_for_byte(body: Any, pretty: bool) -> None:
    written = json.dumps(body, ensure_ascii=pretty, indent=2 if pretty else None).encode("utf-8", "surrogatepass")

    assert again(written) == written


@given(st.dictionaries(st.text(max_size=9), values, max_size=4), st.integers(0, 10_000), st.binary(max_size=3))
def test_broken_json_comes_back_byte_for_byte(body: Any, cut: int, junk: bytes) -> None:
    written = json.dumps(body).encode()
    at = cut % (len(written) + 1)
    broken = written[:at] + junk + written[at + 1 :]

    assert again(broken) == broken


@given(st.binary(max_size=3000))
def test_any_bytes_come_back(body: bytes) -> None:
    assert again(body) == body


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"[]",
        b'{"messages": []}',
        b'{"messages": [1, 2, 3]}',
        b'{"a": "[", "messages": ["x"]}',
        b'{"messages": 1, "messages": [{"content": "' + LONG.encode() + b'"}]}',
        b'{"messages": [{"content": "' + LONG.encode() + b'"}, {"content": "' + LONG.encode() + b'"}]}',
        b"\xef\xbb\xbf" + b'{"messages": []}',
        b'{"x":' + b"[" * 5000 + b"]" * 5000 + b"}",
        '{"messages": ["\\ud800", "' + LONG + '"]}',
        b'{"messages": ["\x00\xff"]}',
        b"\x00" * 1000,
    ],
)
def test_odd_bodies_come_back(body: bytes | str) -> None:
    written = body if isinstance(body, bytes) else body.encode()

    assert again(written) == written


def conversation(turns: int) -> bytes:
    said = [{"role": ("user", "assistant")[i % 2], "content": f"{i}: {LONG}"} for i in range(turns)]
    return json.dumps({"model": "gpt-4o", "messages": said}, ensure_ascii=False).encode()


def test_the_history_of_a_conversation_is_kept_once(database: sqlite3.Connection) -> None:
    writer = BodyWriter(database)
    manifests = [writer.put(1, conversation(turns)) for turns in range(1, 40)]
    rows = database.execute("select count(*) from chunk").fetchone()[0]

    assert rows == 2 * 39  # each message, and the long string in it
    assert max(map(len, manifests)) < 160
    assert BodyReader(database).get(manifests[-1]) == conversation(39)


def test_an_answers_text_is_kept_once_with_the_request_that_repeats_it(database: sqlite3.Connection) -> None:
    writer = BodyWriter(database)
    answer = {"id": "c", "choices": [{"index": 0, "message": {"role": "assistant", "content": LONG}}]}
    writer.put(1, json.dumps(answer, ensure_ascii=False).encode())
    before = database.execute("select sum(length(content)) from chunk").fetchone()[0]
    request = {"model": "m", "messages": [{"role": "assistant", "content": LONG}, {"role": "user", "content": "more"}]}
    writer.put(1, json.dumps(request, ensure_ascii=False).encode())
    after = database.execute("select sum(length(content)) from chunk").fetchone()[0]

    assert after - before < 80


def test_nothing_is_shared_between_people(database: sqlite3.Connection) -> None:
    writer = BodyWriter(database)
    writer.put(1, conversation(3))
    writer.put(2, conversation(3))

    assert database.execute("select count(*) from chunk where scope = 1").fetchone() == (6,)
    assert database.execute("select count(*) from chunk where scope = 2").fetchone() == (6,)


def test_a_chunk_that_is_gone_is_said(database: sqlite3.Connection) -> None:
    manifest = BodyWriter(database).put(1, conversation(3))
    database.execute("delete from chunk")

    with pytest.raises(LookupError, match="is gone"):
        BodyReader(database).get(manifest)


@pytest.mark.parametrize("blob", [b"\x07abc", b"\x01not zstd", b"\x00\xc1"])
def test_a_manifest_that_cannot_be_read_is_said(database: sqlite3.Connection, blob: bytes) -> None:
    with pytest.raises(ValueError, match=r"cannot be|nobody knows"):
        BodyReader(database).get(blob)


def test_spans_are_exact_pieces_in_order() -> None:
    body = conversation(5)
    spans = elements(body)

    assert [json.loads(body[start:end])["role"] for start, end in spans] == ["user", "assistant"] * 2 + ["user"]
    element = body[slice(*spans[0])]
    assert [json.loads(element[start:end]) for start, end in strings(element)] == [f"0: {LONG}"]


def test_small_content_is_not_made_larger_by_packing() -> None:
    packer = Packer()

    assert all(len(packer.pack(bytes(range(n)))) <= n + 1 for n in range(256))
