"""multipart/form-data, strictly (RFC 7578, RFC 2046 §5.1): fields as strings, files by name, type and size.

Parsers differ over preambles, odd quoting and repeated names; what has two readings is no reading.
"""

import hashlib
import re
from typing import Final

from exchange.call import Json
from wire.api import BodyProblem
from wire.opaque import media_type

PARTS: Final = 256
HEADERS: Final = 8 * 1024
FIELD: Final = 1024 * 1024
"""Bytes of a field without a file name that are kept as text; a longer one is described like a file."""

_BOUNDARY: Final = re.compile(r";\s*boundary=(?:\"([^\"\\]{1,70})\"|([^\s;\"]{1,70}))\s*(?=;|$)", re.IGNORECASE)
_HEADER: Final = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\r\n\x00]*)")
_DISPOSITION: Final = re.compile(r"form-data((?:\s*;\s*[a-z]+=(?:\"[^\"\\]*\"|[^\s;\"]+))+)\s*", re.IGNORECASE)
_PARAMETER: Final = re.compile(r";\s*([a-z]+)=(?:\"([^\"\\]*)\"|([^\s;\"]+))", re.IGNORECASE)
_ONCE: Final = frozenset(("model", "stream"))
_OTHER_WISE: Final = re.compile(r";\s*(?:boundary\*|charset=\"?(?!utf-8[\";\s]|utf-8$))", re.IGNORECASE)


def parse_multipart(body: bytes, content_type: str | None) -> dict[str, Json]:
    """Names to values, in order; a name that comes twice gives a list. `model` and `stream` may come once.

    A file is `{"_filename", "_media_type", "_bytes", "_sha256"}`. Raises BodyProblem("bad_multipart").
    """
    found = _BOUNDARY.findall(content_type or "")
    if len(found) != 1 or _OTHER_WISE.search(content_type or ""):
        raise _problem()
    delimiter = b"--" + (found[0][0] or found[0][1]).encode()
    if not body.startswith(delimiter + b"\r\n"):
        raise _problem()
    pieces = body[len(delimiter) :].split(b"\r\n" + delimiter)
    if pieces[-1] not in (b"--", b"--\r\n") or len(pieces) > PARTS + 1:
        raise _problem()
    if body.count(delimiter) != len(pieces):  # RFC 2046 §5.1: it must not be in a part; some cut there all the same
        raise _problem()
    fields: dict[str, Json] = {}
    for piece in pieces[:-1]:
        if not piece.startswith(b"\r\n"):
            raise _problem()
        name, value = _part(piece)
        if name not in _ONCE and name.strip().casefold().removesuffix("[]") in _ONCE:
            raise _problem()
        if name not in fields:
            fields[name] = value
        elif name.removesuffix("[]") in _ONCE:
            raise _problem()
        elif isinstance(earlier := fields[name], list):
            earlier.append(value)
        else:
            fields[name] = [earlier, value]
    return fields


def _part(piece: bytes) -> tuple[str, Json]:
    head, blank, content = piece[2:].partition(b"\r\n\r\n")
    if not blank or len(head) > HEADERS:
        raise _problem()
    headers: dict[bytes, bytes] = {}
    for line in head.split(b"\r\n"):
        matched = _HEADER.fullmatch(line)
        if not matched or matched[1].lower() in headers:
            raise _problem()
        headers[matched[1].lower()] = matched[2].strip()
    if headers.get(b"content-transfer-encoding", b"binary").lower() not in (b"binary", b"8bit", b"7bit"):
        raise _problem()
    named = _parameters(_text(headers.get(b"content-disposition", b"")))
    name = named.get("name", "")
    if not name or name == "_charset_":
        raise _problem()
    if "filename" not in named and len(content) <= FIELD:
        return name, _text(content)
    return name, {
        "_filename": named.get("filename"),
        "_media_type": media_type(_text(headers.get(b"content-type", b""))),
        "_bytes": len(content),
        "_sha256": hashlib.sha256(content).hexdigest(),
    }


def _parameters(disposition: str) -> dict[str, str]:
    matched = _DISPOSITION.fullmatch(disposition)
    if not matched:
        raise _problem()
    named: dict[str, str] = {}
    for key, quoted, token in _PARAMETER.findall(matched[1]):
        if key.lower() in named or key.lower() not in ("name", "filename"):
            raise _problem()
        named[key.lower()] = quoted or token
    return named


def _text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError as problem:
        raise _problem() from problem


def _problem() -> BodyProblem:
    return BodyProblem("bad_multipart")
