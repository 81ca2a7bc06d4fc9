"""Whom a caller said it speaks for: a claim in the request's body that nobody has verified.

Sources: OpenAI API reference, `user` and its successor `safety_identifier`; Anthropic Messages, `metadata.user_id`.
It is read from the request as it is kept, so that it is sealed, erased and left out with it.
"""

import msgspec


class _Claims(msgspec.Struct):
    user: object = None
    safety_identifier: object = None
    metadata: object = None


_decode = msgspec.json.Decoder(_Claims).decode


def claimed_user(request: bytes | msgspec.Raw | None) -> str | None:
    """The claim in this JSON text; None when there is none, or no object."""
    if request is None:
        return None
    try:
        found = _decode(request)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None
    of_anthropic = found.metadata.get("user_id") if isinstance(found.metadata, dict) else None
    claims = (found.user, found.safety_identifier, of_anthropic)
    return next((claim for claim in claims if isinstance(claim, str) and claim), None)
