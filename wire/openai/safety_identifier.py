"""`safety_identifier`: tells OpenAI that calls come from one person, and not who that is.

Source: OpenAI API reference, "Create chat completion" and "Create a model response", `safety_identifier`: stable, at
most 64 characters, hashed. The body is not written anew: the member goes in behind the opening brace, every other byte
stays as it came.
"""

import hmac
import re
from json import JSONDecoder
from typing import Final
from urllib.parse import unquote

import msgspec

NAME: Final = "safety_identifier"

_SPACE: Final = re.compile(r"[ \t\n\r]*")
_OPENING: Final = re.compile(rb"[ \t\n\r]*\{[ \t\n\r]*")
_VALUES: Final = JSONDecoder(parse_int=str, parse_float=str, parse_constant=str)
_MEMBERS: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])


def takes_safety_identifier(method: str, path: str) -> bool:
    """Whether the body of this call has the member: those that ask for an answer, not what stands beside them under
    the same paths (`responses/compact`, `responses/input_tokens`). `path` is without its query."""
    plain = "/" + "/".join(step for step in unquote(path).split("/") if step)
    return method == "POST" and plain.endswith(("/chat/completions", "/responses"))


def safety_identifier(key: bytes, subject: str, issuer: str) -> str:
    """The identifier of this person: 64 hex digits of a keyed hash (HMAC-SHA-256). The same person, the same digits;
    without the key nobody can try names against it."""
    # The length tells where one ends: ("ab", "c") and ("a", "bc") are different people.
    told = f"{len(issuer)}:{issuer}{subject}".encode("utf-8", "surrogatepass")
    return hmac.digest(key, told, "sha256").hex()


def with_safety_identifier(body: bytes, identifier: str) -> bytes:
    """The body with this identifier, and without one that the caller wrote.

    What is no JSON object comes back as it is (`result is body` tells).

    Args:
        body: the JSON text, not compressed.
        identifier: printable ASCII without quotes and backslashes, at most 64 characters.
    """
    opening = _OPENING.match(body)
    if opening is None:
        return body
    try:
        sent = NAME in _MEMBERS.decode(body)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return body
    if sent:
        without = _without(body)
        if without is None:
            return body
        body = without
        opening = _OPENING.match(body)
        assert opening is not None
    brace = body.index(b"{") + 1
    comma = b"" if body.startswith(b"}", opening.end()) else b","
    return b'%b"%b":"%b"%b%b' % (body[:brace], NAME.encode(), identifier.encode("ascii"), comma, body[brace:])


def _without(body: bytes) -> bytes | None:
    """The object without every member of that name, however its name is escaped; None when it is not readable."""
    try:
        text = body.decode()
        kept: list[str] = []
        start = at = text.index("{") + 1
        while True:
            at = _after_space(text, at)
            if text[at] == "}":
                break
            name, at = _VALUES.raw_decode(text, at)
            at = _after_space(text, at)
            _, at = _VALUES.raw_decode(text, _after_space(text, at + 1))
            at = _after_space(text, at)
            if name != NAME:
                kept.append(text[start:at])
            if text[at] == "}":
                break
            start = at = at + 1  # behind the comma
    except (ValueError, IndexError, RecursionError):
        return None
    return (text[: text.index("{") + 1] + ",".join(kept) + text[at:]).encode()


def _after_space(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    assert found is not None  # it matches nothing, too
    return found.end()
