"""Content-Encoding of requests: at most one gzip or zstd member, bounded."""

import gzip

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from wire.api import BodyProblem
from wire.request_encoding import decoded

JSON = b'{"model": "a"}'
HUGE_WINDOW = zstandard.ZstdCompressionParameters(window_log=27)
UNSIZED = zstandard.ZstdCompressor(write_content_size=False)


@pytest.mark.parametrize(
    ("body", "encoding"),
    [
        (JSON, None),
        (JSON, "identity"),
        (JSON, ""),
        (gzip.compress(JSON, mtime=0), "gzip"),
        (gzip.compress(JSON, mtime=0), " X-GZip "),
        (zstandard.compress(JSON), "zstd"),
        (UNSIZED.compress(JSON), "zstd"),
    ],
)
def test_one_member_is_read(body: bytes, encoding: str | None) -> None:
    assert decoded(body, encoding, 1000) == JSON


@pytest.mark.parametrize(
    ("body", "encoding", "code"),
    [
        (JSON, "br", "content_encoding_not_supported"),
        (JSON, "deflate", "content_encoding_not_supported"),
        (JSON, "gzip, gzip", "content_encoding_not_supported"),
        (JSON, "utf-16", "content_encoding_not_supported"),
        (JSON, "gzip", "bad_encoding"),
        (JSON, "zstd", "bad_encoding"),
        (b"", "zstd", "bad_encoding"),
        (b"", "gzip", "bad_encoding"),
        (gzip.compress(JSON, mtime=0) + gzip.compress(b'{"model": "b"}', mtime=0), "gzip", "bad_encoding"),
        (gzip.compress(JSON, mtime=0) + b"xx", "gzip", "bad_encoding"),
        (gzip.compress(JSON, mtime=0)[:-4], "gzip", "bad_encoding"),
        (zstandard.compress(JSON) * 2, "zstd", "bad_encoding"),
        (zstandard.compress(JSON) + b"x", "zstd", "bad_encoding"),
        (zstandard.compress(JSON)[:-1], "zstd", "bad_encoding"),
        (zstandard.ZstdCompressor(compression_params=HUGE_WINDOW).compress(b"a" * (1 << 24)), "zstd", "body_too_large"),
        (JSON * 100, None, "body_too_large"),
        (gzip.compress(bytes(1 << 24), mtime=0), "gzip", "body_too_large"),
        (zstandard.compress(bytes(1 << 24)), "zstd", "body_too_large"),
        (UNSIZED.compress(bytes(1 << 24)), "zstd", "body_too_large"),
    ],
)
def test_anything_else_is_refused_by_name(body: bytes, encoding: str | None, code: str) -> None:
    with pytest.raises(BodyProblem) as refused:
        decoded(body, encoding, 1000)
    assert refused.value.code == code


@given(st.binary(max_size=300), st.sampled_from([None, "gzip", "zstd", "br"]))
def test_no_bytes_raise_anything_but_a_body_problem(body: bytes, encoding: str | None) -> None:
    try:
        assert len(decoded(body, encoding, 100)) <= 100
    except BodyProblem:
        return
