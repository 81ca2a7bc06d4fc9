"""How the process of the fronts tells a worker that a person was refused at sign-in: the worker has the journal."""

import base64
import binascii
from typing import Final

import msgspec

FIELD: Final = "sekisho-refused"
"""A field of the reply, taken off by the worker, which believes it of that process alone."""


class RefusedPerson(msgspec.Struct, frozen=True):
    """`code` is one of exchange.decision.CODES; `reason` names the person, for the record."""

    code: str
    reason: str


def written(refused: RefusedPerson) -> str:
    """The field's value."""
    return base64.urlsafe_b64encode(msgspec.json.encode(refused)).decode("ascii")


def read(value: str) -> RefusedPerson | None:
    """What was written; None when it was not."""
    try:
        return msgspec.json.decode(base64.urlsafe_b64decode(value), type=RefusedPerson)
    except (binascii.Error, msgspec.DecodeError, ValueError):
        return None
