"""JSON of a token, read strictly, and claims with the types they must have."""

import json
from typing import NoReturn

from exchange.call import Json
from identities.issuer import Claims
from identities.refusal import IdentityRefused


def json_object(raw: bytes) -> dict[str, Json] | None:
    """A JSON object in UTF-8 without duplicate members (RFC 8725 §2.4) and without NaN; None when it is none."""
    try:
        found = json.loads(raw.decode("utf-8"), object_pairs_hook=_members, parse_constant=_no_constant)
    except (ValueError, RecursionError):  # UnicodeDecodeError is a ValueError; so is a number of 5000 digits
        return None
    return found if isinstance(found, dict) else None


def _members(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a member stands twice")
    return found


def _no_constant(_: str) -> NoReturn:
    raise ValueError("not a finite number")


def text(claims: Claims, name: str) -> str | None:
    """A claim that is a string and not empty."""
    found = claims.get(name)
    return found if isinstance(found, str) and found else None


def subject(claims: Claims, name: str = "sub") -> str:
    """The claim that says who it is.

    Raises:
        IdentityRefused: there is none, or it could not be written down on one line.
    """
    found = text(claims, name)
    if found is None or not found.isprintable():
        raise IdentityRefused("invalid_token", f"claim {name} is missing or unprintable")
    return found


def texts(claims: Claims, name: str | None) -> tuple[str, ...]:
    """A claim that is a list of strings, or one string; what is neither is left out."""
    found = claims.get(name) if name else None
    if isinstance(found, str):
        return (found,)
    return tuple(one for one in found if isinstance(one, str)) if isinstance(found, list) else ()


def is_true(found: Json) -> bool:
    """True, or the string "true" that Cognito and ALB send. `bool("false")` would be True."""
    return found is True or (isinstance(found, str) and found.lower() == "true")


def mail_doubt(claims: Claims, policy: str = "required") -> tuple[str, str] | None:
    """The doubt about an address whose `email_verified` (OIDC Core §5.1) is not true."""
    if policy == "trusted" or is_true(claims.get("email_verified")):
        return None
    return "email_not_verified", "email_verified is not true"
