"""Content-Encoding of replies: streamed, bounded, whatever came out is kept."""

import gzip
import zlib
from collections.abc import Callable

import brotli
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from tests.wire.cuts import every_cut, random_cuts
from wire.decoding import CODINGS, PIECE, ContentDecoder

PLAIN = b"data: " + "関所 gate ".encode() * 5


def raw_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush()


PACKERS: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "gzip": ("gzip", gzip.compress),
    "x-gzip": ("X-GZIP", gzip.compress),
    "zlib": ("deflate", zlib.compress),
    "raw deflate": ("deflate", raw_deflate),
    "br": ("br", brotli.compress),
    "zstd": ("zstd", zstandard.compress),
    "gzip, br": ("gzip, br", lambda data: brotli.compress(gzip.compress(data, mtime=0))),
    "identity": ("identity", bytes),
}


def decode(encoding: str | None, *pieces: bytes) -> tuple[bytes, ContentDecoder]:
    decoder = ContentDecoder(encoding)
    return b"".join(out for piece in pieces for out in decoder.feed(piece)), decoder


@pytest.mark.parametrize("name", PACKERS)
def test_a_coding_is_undone_in_any_cut(name: str) -> None:
    encoding, pack = PACKERS[name]
    for chunks in every_cut(pack(PLAIN)):
        plain, decoder = decode(encoding, *chunks)
        assert plain == PLAIN
        assert (decoder.truncated, decoder.broken) == (False, False)


@pytest.mark.parametrize("pack", [gzip.compress, zstandard.compress], ids=["gzip", "zstd"])
def test_all_members_are_read_not_only_the_first(pack: Callable[[bytes], bytes]) -> None:
    encoding = "gzip" if pack is gzip.compress else "zstd"
    for chunks in every_cut(pack(b"one ") + pack(b"two ") + pack(b"three")):
        assert decode(encoding, *chunks)[0] == b"one two three"


def test_zstd_skips_frames_that_say_so() -> None:
    skippable = b"\x50\x2a\x4d\x18" + (5).to_bytes(4, "little") + b"12345"
    for chunks in every_cut(skippable + zstandard.compress(b"x") + skippable):
        plain, decoder = decode("zstd", *chunks)
        assert (plain, decoder.truncated) == (b"x", False)


@pytest.mark.parametrize("name", [name for name in PACKERS if name != "identity"])
def test_a_truncated_body_gives_what_came_out_and_says_so(name: str) -> None:
    encoding, pack = PACKERS[name]
    plain, decoder = decode(encoding, pack(PLAIN * 500)[:-3])
    assert (PLAIN * 500).startswith(plain)
    assert decoder.truncated


@pytest.mark.parametrize("name", [name for name in PACKERS if name != "identity"])
def test_a_flushed_stream_gives_each_piece_as_it_comes(name: str) -> None:
    encoding, _ = PACKERS[name]
    if encoding in ("gzip", "deflate", "X-GZIP"):
        packer = zlib.compressobj(wbits={"gzip": 31, "X-GZIP": 31}.get(encoding, -15 if name == "raw deflate" else 15))
        first = packer.compress(b"first") + packer.flush(zlib.Z_SYNC_FLUSH)
    elif encoding == "br":
        pressing = brotli.Compressor()
        first = pressing.process(b"first") + pressing.flush()
    elif encoding == "zstd":
        squeezing = zstandard.ZstdCompressor().compressobj()
        first = squeezing.compress(b"first") + squeezing.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK)
    else:
        return
    assert decode(encoding, first)[0] == b"first"


def test_what_is_no_such_coding_is_broken_and_never_raises() -> None:
    for encoding in ("gzip", "deflate", "br", "zstd"):
        plain, decoder = decode(encoding, b"this is not compressed at all", b"nor is this")
        assert plain == b""
        assert decoder.broken or decoder.truncated


def test_a_coding_nobody_knows_gives_nothing_and_says_so() -> None:
    assert decode("compress", b"abc")[1].unknown
    assert decode("gzip, rot13", b"abc")[1].unknown


@pytest.mark.parametrize("codings", [CODINGS + 1, 20_000])
def test_a_list_of_codings_without_end_is_no_list(codings: int) -> None:
    """Each would be a decoder inside a decoder."""
    packed = gzip.compress(b"x")
    decoder = ContentDecoder(",".join(["gzip"] * codings))

    assert list(decoder.feed(packed)) == [packed]
    assert decoder.unknown


@pytest.mark.parametrize("name", ["gzip", "zlib", "br", "zstd"])
def test_a_bomb_comes_out_in_pieces_and_stops_at_the_limit(name: str) -> None:
    encoding, pack = PACKERS[name]
    decoder = ContentDecoder(encoding, limit=4 * PIECE)
    sizes = [len(piece) for piece in decoder.feed(pack(bytes(40 * PIECE)))]
    assert sum(sizes) == 4 * PIECE
    assert max(sizes) <= 4 * PIECE
    assert decoder.oversized


@given(st.binary(max_size=400), st.sampled_from(["gzip", "deflate", "br", "zstd", "gzip, zstd"]), st.integers(0, 99))
def test_no_bytes_make_it_raise(raw: bytes, encoding: str, seed: int) -> None:
    decode(encoding, *random_cuts(raw, seed))
