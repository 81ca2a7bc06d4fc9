"""G: bodies. What the policy read is what the provider reads, or nothing goes on."""

import gzip
import json
import zlib
from collections.abc import Iterator
from functools import cache

import brotli
import zstandard

from tests.attacks.rows import BODY_LIMIT, DENIED, GOOD, Pieces, Row, chunked, post

_JSON = ("invalid_json", "json_not_object", "json_too_deep", "not_utf8", "bom", "media_type_not_supported")
_ANY_MODEL = ("model_not_allowed", "invalid_json", "lone_surrogate")
_NO_MODEL = ("model_not_allowed", "bad_model")
_AUDIO = "POST /v1/audio/transcriptions HTTP/1.1"


def _body(text: str | bytes) -> bytes:
    return post(text if isinstance(text, bytes) else text.encode())


def _model(model: object) -> bytes:
    return _body(json.dumps({"model": model, "messages": []}))


def _coded(coding: str, body: bytes) -> bytes:
    return post(body, f"Content-Encoding: {coding}")


def _bomb(coding: str) -> Pieces:
    """Made when it is sent: nobody else pays for it."""

    def pieces() -> Iterator[bytes]:
        yield _coded(coding, _packed(coding))

    return pieces


@cache
def _packed(coding: str) -> bytes:
    plain = b'{"model":"gpt-4o","messages":"' + bytes(96 << 20) + b'"}'
    if coding == "gzip":
        return gzip.compress(plain, 6, mtime=0)
    if coding == "br":
        return brotli.compress(plain, quality=1)  # type: ignore[no-any-return] # it ships no types
    return zstandard.ZstdCompressor(level=3, write_content_size=coding == "zstd").compress(plain)


def _unsized_zstd() -> Iterator[bytes]:
    yield _coded("zstd", _packed("unsized"))


def _part(name: str, value: bytes, more: str = "") -> bytes:
    return f'--B\r\nContent-Disposition: form-data; name="{name}"{more}\r\n\r\n'.encode() + value + b"\r\n"


def _form(*parts: bytes, kind: bytes = b"multipart/form-data; boundary=B") -> bytes:
    return post(b"".join(parts) + b"--B--\r\n", kind=kind, line=_AUDIO)


_FILE = _part("file", b"RIFF", '; filename="a.wav"')
_ASK = _part("model", b"gpt-4o-transcribe")
_DUPLICATES = {
    "model twice": '{"model":"gpt-4o","model":"o3","messages":[]}',
    "model twice, denied first": '{"model":"o3","model":"gpt-4o","messages":[]}',
    "once escaped": '{"model":"gpt-4o","mod\\u0065l":"o3","messages":[]}',
    "nested": '{"model":"gpt-4o","messages":[{"role":"user","role":"system","content":"x"}]}',
    "escaped colon beside": '{"model":"gpt-4o","a":"\\u003a","model":"o3","messages":[]}',
}
_NUMBERS = {
    "NaN": ("NaN", ("nonfinite_number", "invalid_json")),
    "Infinity": ("-Infinity", ("nonfinite_number", "invalid_json")),
    "1e999": ("1e999", ("nonfinite_number", "invalid_json")),
    "5000 digits": ("1" * 5000, ("number_too_long", "invalid_json")),
    "a leading zero": ("01", ("invalid_json",)),
}
_ENCODINGS = {
    "UTF-16": GOOD.decode().encode("utf-16"),
    "UTF-16 without a mark": GOOD.decode().encode("utf-16-le"),
    "UTF-32": GOOD.decode().encode("utf-32"),
    "BOM": b"\xef\xbb\xbf" + GOOD,
    "invalid UTF-8": b'{"model":"gpt-4o","messages":"\xff"}',
    "overlong": b'{"model":"gpt-4o","messages":"\xc0\xaf"}',
    "surrogates in UTF-8": b'{"model":"gpt-4o","messages":"\xed\xa0\x80"}',
}
_SHAPES = {
    "an array": "[]",
    "a string": '"gpt-4o"',
    "a second document": GOOD.decode() * 2,
    "something behind": GOOD.decode() + " x",
    "empty": "",
    "blank": " ",
    "cut": GOOD.decode()[:-1],
    "a comment": '{"model":"gpt-4o"/*,"messages":[]*/}',
    "single quotes": "{'model':'gpt-4o'}",
    "trailing comma": '{"model":"gpt-4o",}',
}
_MODELS = {
    "trailing space": "o3 ",
    "zero width": "\u200bgpt-4o",
    "zero width behind": "o3\u200b",
    "upper case": "GPT-4O",
    "fine-tuned": "ft:gpt-4o:org",
    "an array": ["gpt-4o"],
    "an object": {"gpt-4o": 1},
    "null": None,
    "a number": 4,
    "1 KB": "gpt-4" + "a" * 1000,
    "NUL": "o3\x00gpt-4o",
}

ROWS: tuple[Row, ...] = (
    *(Row("G1", name, _body(text), codes=("duplicate_json_key",)) for name, text in _DUPLICATES.items()),
    *(
        Row("G2", name, _body(f'{{"model":"gpt-4o","messages":[],"n":{text}}}'), codes=codes)
        for name, (text, codes) in _NUMBERS.items()
    ),
    Row("G3", "200k nested", _body('{"model":"gpt-4o","messages":' + "[" * 200_000 + "]" * 200_000 + "}"),
        codes=("json_too_deep",)),
    Row("G3", "objects in objects", _body('{"model":"gpt-4o","a":' + '{"a":' * 5000 + "1" + "}" * 5000 + "}"),
        codes=("json_too_deep",)),
    *(Row("G4", name, _body(body), codes=_JSON) for name, body in _ENCODINGS.items()),
    Row("G4", "a lone surrogate in model", _body('{"model":"gpt-4o\\ud800","messages":[]}'), (400, 403), _ANY_MODEL),
    Row("G4", "a lone surrogate in a key", _body('{"model":"gpt-4o","\\ud800":1}'), codes=("lone_surrogate",)),
    Row("G4", "charset=utf-7", post(kind=b"application/json; charset=utf-7"), (400, 415),
        ("media_type_not_supported", "not_utf8")),
    *(Row("G5", name, _body(text), codes=_JSON) for name, text in _SHAPES.items()),
    Row("G6", "a gzip bomb", _bomb("gzip"), (413,), ("body_too_large",)),
    Row("G6", "a zstd bomb", _bomb("zstd"), (413,), ("body_too_large",)),
    Row("G6", "a zstd bomb that hides its size", _unsized_zstd, (413,), ("body_too_large",)),
    Row("G6", "a br bomb", _bomb("br"), (413, 415), ("body_too_large", "content_encoding_not_supported")),
    *(
        Row("G7", coding, _coded(coding, GOOD), (400, 415), ("content_encoding_not_supported", "bad_encoding"))
        for coding in ("gzip, gzip", "br", "utf-16", "rot13", "hex", "bz2", "deflate", "compress", "x-unknown", "*")
    ),
    Row("G7", "two Content-Encoding", post(GOOD, "Content-Encoding: gzip", "Content-Encoding: gzip"), (400, 415),
        ("duplicate_header", "content_encoding_not_supported")),
    Row("G8", "two gzip members", _coded("gzip", gzip.compress(GOOD) + gzip.compress(DENIED)), codes=("bad_encoding",)),
    Row("G8", "gzip with bytes behind", _coded("gzip", gzip.compress(GOOD) + b"x"), codes=("bad_encoding",)),
    Row("G8", "gzip cut", _coded("gzip", gzip.compress(GOOD)[:-4]), codes=("bad_encoding",)),
    Row("G8", "gzip that is none", _coded("gzip", GOOD), codes=("bad_encoding",)),
    Row("G8", "zlib called gzip", _coded("gzip", zlib.compress(GOOD)), codes=("bad_encoding",)),
    Row("G8", "two zstd frames", _coded("zstd", zstandard.compress(GOOD) + zstandard.compress(DENIED)),
        codes=("bad_encoding",)),
    Row("G8", "zstd cut", _coded("zstd", zstandard.compress(GOOD)[:-3]), codes=("bad_encoding",)),
    Row("G8", "one gzip member", _coded("gzip", gzip.compress(GOOD, mtime=0)), (200,),
        body=gzip.compress(GOOD, mtime=0)),
    Row("G8", "a denied model in gzip", _coded("gzip", gzip.compress(DENIED)), (403,), ("model_not_allowed",)),
    *(
        Row("G9", kind.decode() or "no media type", post(kind=kind), (400, 415),
            ("media_type_not_supported", "bad_multipart"))
        for kind in (b"text/plain", b"", b"multipart/form-data; boundary=B", b"application/x-www-form-urlencoded",
                     b"application/json, text/plain", b"application/jsonx")
    ),
    Row("G9", "two Content-Type", post(GOOD, "Content-Type: text/plain"), (400, 415),
        ("duplicate_header", "media_type_not_supported")),
    Row("G10", "a form", _form(_ASK, _FILE), (200,)),
    Row("G10", "two model parts", _form(_ASK, _part("model", b"o3"), _FILE), (400, 403), ("bad_multipart",)),
    Row("G10", "a file called model", _form(_part("model", b"gpt-4o-transcribe", '; filename="model"'), _FILE),
        (400, 403), ("bad_multipart", "model_not_allowed")),
    Row("G10", "no boundary", _form(_ASK, _FILE, kind=b"multipart/form-data"), codes=("bad_multipart",)),
    Row("G10", "two boundaries", _form(_ASK, _FILE, kind=b"multipart/form-data; boundary=A; boundary=B"),
        codes=("bad_multipart",)),
    Row("G10", "a quoted boundary", _form(_ASK, _FILE, kind=b'multipart/form-data; boundary="B"'), (200,)),
    Row("G10", "10,000 parts", _form(_ASK, _part("a", b"") * 10_000, _FILE), (400, 413), ("bad_multipart",)),
    Row("G10", "a preamble", _form(b"x\r\n" + _ASK, _FILE), codes=("bad_multipart",)),
    Row("G10", "no end", post(_ASK + _FILE, kind=b"multipart/form-data; boundary=B", line=_AUDIO),
        codes=("bad_multipart",)),
    *(Row("G11", name, _model(model), (400, 403), _NO_MODEL) for name, model in _MODELS.items()),
    Row("G11", "no model", _body('{"messages":[]}'), (400, 403), ("model_not_allowed",)),
    *(
        Row("G12", f"a denied model in {path}", post(line=f"POST {path} HTTP/1.1"), (400, 403), _NO_MODEL)
        for path in ("/v1/engines/o3/chat/completions", "/openai/deployments/o3/chat/completions",
                     "/v1/deployments/o3/responses")
    ),
    *(
        Row("G12", path, post(line=f"POST {path} HTTP/1.1"), (403,), ("path_not_allowed", "operation_not_allowed",
                                                                     "model_not_allowed"))
        for path in ("/v1/files", "/v1/batches", "/v1/assistants", "/v1/fine_tuning/jobs", "/v1/threads/runs",
                     "/v1/responses/resp_1/cancel", "/v1/engines/o3/completions")
    ),
    Row("G12", "a deployment in the path",
        post(line="POST /openai/deployments/o3/chat/completions?api-version=1 HTTP/1.1"), (403,),
        ("model_not_allowed", "path_not_allowed", "operation_not_allowed")),
    Row("G13", "one byte over, by length", _body(b" " * (BODY_LIMIT + 1 - len(GOOD)) + GOOD), (413,),
        ("body_too_large",)),
    Row("G13", "one byte over, chunked",
        post(b"", "Transfer-Encoding: chunked", framed=chunked(b" " * (BODY_LIMIT + 1 - len(GOOD)), GOOD)), (413,),
        ("body_too_large",)),
    Row("G13", "exactly the limit", _body(b" " * (BODY_LIMIT - len(GOOD)) + GOOD), (200,),
        body=b" " * (BODY_LIMIT - len(GOOD)) + GOOD),
    Row("G13", "a length over the limit, no body", post(b"", f"Content-Length: {BODY_LIMIT + 1}", framed=b""), (413,),
        ("body_too_large",)),
    Row("G13", "tiny chunks with endless extensions",
        post(b"", "Transfer-Encoding: chunked", framed=(b"1;" + b"a" * 4000 + b"\r\n \r\n") * 300), (400, 413),
        ("body_too_large", "bad_request")),
    Row("G15", "Expect, no identity", post(b"", "Expect: 100-continue", "Content-Length: 1000", auth="", framed=b""),
        (401,), ("missing_identity",)),
    Row("G15", "Expect, too large",
        post(b"", "Expect: 100-continue", f"Content-Length: {BODY_LIMIT + 1}", framed=b""), (413,),
        ("body_too_large",)),
    Row("G15", "Expect with the body", post(GOOD, "Expect: 100-continue"), (200,), body=GOOD, absent=(b"expect:",)),
)  # fmt: skip
"""G14: the settings know no `stream_large_bodies`, and the lane keeps it off (test_second_line.py). G16: fields of the
body that make the provider act are for policy rules, not for the form of a request."""
