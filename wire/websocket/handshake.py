"""The opening handshake (RFC 6455 §4), as the one in the middle has to look at it."""

import base64
import binascii
import hashlib
from collections.abc import Sequence
from typing import Final

type Fields = Sequence[tuple[bytes, bytes]]

_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
KEY: Final = b"sec-websocket-key"
ACCEPT: Final = b"sec-websocket-accept"
PROTOCOL: Final = b"sec-websocket-protocol"
EXTENSIONS: Final = b"sec-websocket-extensions"
_VERSION: Final = b"sec-websocket-version"
HANDSHAKE: Final = frozenset({KEY, ACCEPT, PROTOCOL, EXTENSIONS, _VERSION})


def values(fields: Fields, name: bytes) -> list[bytes]:
    """The values of a field, given by its lower-case name."""
    return [value for each, value in fields if each.lower() == name]


def listed(fields: Fields, name: bytes) -> list[bytes]:
    """The members of a field that is a comma-separated list, over all its lines (RFC 9110 §5.3)."""
    return [one for value in values(fields, name) for each in value.split(b",") if (one := each.strip(b" \t"))]


def is_acceptable(fields: Fields) -> bool:
    """Is this a client's opening handshake (§4.2.1): one key of 16 bytes, version 13, and no body?"""
    key, version = values(fields, KEY), values(fields, _VERSION)
    if len(key) != 1 or version != [b"13"]:
        return False
    if values(fields, b"content-length") not in ([], [b"0"]) or values(fields, b"transfer-encoding"):
        return False
    try:
        return len(base64.b64decode(key[0], validate=True)) == 16
    except binascii.Error:
        return False


def accept_for(key: bytes) -> bytes:
    """What a server answers to this key (§4.2.2, 5.4)."""
    return base64.b64encode(hashlib.sha1(key + _GUID, usedforsecurity=False).digest())


def fault_of_reply(asked: Fields, told: Fields) -> str | None:
    """Why a `101` is no answer to what was asked (§4.1, "client requirements"), or None."""
    key = values(asked, KEY)
    if [value.lower() for value in values(told, b"upgrade")] != [b"websocket"]:
        return "it switched to another protocol"
    if b"upgrade" not in [one.lower() for one in listed(told, b"connection")]:
        return "its handshake lacks Connection: Upgrade"
    if not key or values(told, ACCEPT) != [accept_for(key[0])]:
        return "its Sec-WebSocket-Accept is of another key"
    if values(told, EXTENSIONS):
        return "it uses an extension that was not offered"
    chosen = values(told, PROTOCOL)
    if chosen and (len(chosen) > 1 or chosen[0] not in listed(asked, PROTOCOL)):
        return "it chose a subprotocol that was not offered"
    return None
