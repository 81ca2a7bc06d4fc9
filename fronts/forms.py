"""Forms, as pages and terminals send them (application/x-www-form-urlencoded)."""

import hmac
from typing import Final
from urllib.parse import parse_qs

from starlette.exceptions import HTTPException
from starlette.requests import Request

from fronts.house import visitor_of

_LONGEST: Final = 16 << 10  # bytes

type Form = dict[str, list[str]]


async def form_of(request: Request) -> Form:
    """All values by name.

    Raises:
        HTTPException: 413 for one that is too long, 400 for one that cannot be read.
    """
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _LONGEST:
            raise HTTPException(413)
    try:
        return parse_qs(body.decode("utf-8"), max_num_fields=100)
    except ValueError:  # UnicodeDecodeError is one
        raise HTTPException(400) from None


async def own_form(request: Request) -> Form:
    """The form of a page that was made for this very session.

    Raises:
        HTTPException: 403 for any other; else as `form_of`.
    """
    form = await form_of(request)
    if not hmac.compare_digest(one(form, "csrf").encode(), visitor_of(request).csrf.encode()):
        raise HTTPException(403)
    return form


def one(form: Form, name: str) -> str:
    """The last value of this name, without white space around it; empty where there is none."""
    return form.get(name, [""])[-1].strip()
