"""The Content-Encoding of a request: none, or one gzip or zstd member, bounded.

Strict on purpose: a second member, or bytes behind the first, is something that two readers may read differently.
"""

import zlib
from typing import Final

import zstandard

from wire.api import BodyProblem
from wire.decoding import WINDOW

_SLICE: Final = 1024
"""Bytes of zstd read at once: no output limit can be given, and a byte can become 32 KiB."""


def decoded(body: bytes, content_encoding: str | None, limit: int) -> bytes:
    """The body as it is meant, at most `limit` bytes.

    Raises BodyProblem: content_encoding_not_supported, bad_encoding, body_too_large.
    """
    coding = (content_encoding or "identity").strip().lower()
    if coding == "identity":
        plain = body
    elif coding in ("gzip", "x-gzip"):
        plain = _gunzipped(body, limit)
    elif coding == "zstd":
        plain = _unzstd(body, limit)
    else:
        raise BodyProblem("content_encoding_not_supported")
    if len(plain) > limit:
        raise BodyProblem("body_too_large")
    return plain


def _gunzipped(body: bytes, limit: int) -> bytes:
    member = zlib.decompressobj(31)
    try:
        plain = member.decompress(body, limit + 1)
    except zlib.error as problem:
        raise BodyProblem("bad_encoding") from problem
    if len(plain) > limit:
        return plain
    if not member.eof or member.unused_data:
        raise BodyProblem("bad_encoding")
    return plain


def _unzstd(body: bytes, limit: int) -> bytes:
    frame = zstandard.ZstdDecompressor(max_window_size=WINDOW).decompressobj()
    pieces: list[bytes] = []
    size = 0
    try:
        declared = zstandard.get_frame_parameters(body).content_size
        if limit < declared < zstandard.CONTENTSIZE_UNKNOWN:
            raise BodyProblem("body_too_large")  # before anything is unpacked
        for at in range(0, len(body), _SLICE):
            if frame.eof:
                raise BodyProblem("bad_encoding")
            piece = frame.decompress(body[at : at + _SLICE])
            pieces.append(piece)
            size += len(piece)
            if size > limit:
                raise BodyProblem("body_too_large")
    except zstandard.ZstdError as problem:
        raise BodyProblem("bad_encoding") from problem
    if not frame.eof or frame.unused_data:
        raise BodyProblem("bad_encoding")
    return b"".join(pieces)
