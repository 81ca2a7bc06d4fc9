"""What a chat UI keeps of a person in a browser, taken away before the next one sits there.

The UI has a session of its own beside ours: where another person signs in to ours, it would go on for the one before,
show their chats, and sign their address for what the other asks. Whose it is we know by a mark in the browser.
"""

import re
from hashlib import sha256
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from fronts.house import cookie_of
from settings.fronts import Front, FrontKind
from signin.cookie import cookie_name, cookie_set

_MARK: Final = "sekisho-who"
_MARK_LIFE_S: Final = 400 * 86400  # the longest that browsers keep a cookie (RFC 6265bis §5.5)
_OURS: Final = ("__host-sekisho", "sekisho")
_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # a token (RFC 9110 §5.6.2)
_MOST: Final = 50

_KEPT_BY_ITS_SERVER: Final = frozenset[FrontKind]({"open-webui", "librechat"})
"""UIs with accounts and chats of their own on their server: signing out takes nothing away that does not come back.
NextChat keeps chats in the browser alone, and keeps them for whoever signs in there again."""


def signed_in(request: Request, answer: Response, front: Front, email: str, *, secure: bool) -> None:
    """This person has signed in; if it was another before, what the UI kept of that one goes."""
    if front.upstream is None:
        return
    name = cookie_name(_MARK, secure=secure)
    mark, before = sha256(f"who {email}".encode()).hexdigest()[:32], cookie_of(request, name)
    if before is not None and before != mark:
        _clear(request, answer, secure=secure)
    answer.headers.append("set-cookie", cookie_set(name, mark, secure=secure, life=_MARK_LIFE_S))


def signed_out(request: Request, answer: Response, front: Front, *, secure: bool) -> None:
    """Whoever was here has signed out."""
    if front.upstream is not None and front.kind in _KEPT_BY_ITS_SERVER:
        _clear(request, answer, secure=secure)


def _clear(request: Request, answer: Response, *, secure: bool) -> None:
    """Storage by Clear-Site-Data (W3C), whose `cookies` would reach all the company's hosts; so cookies one by one, of
    this host alone."""
    answer.headers["clear-site-data"] = '"storage"'
    sent = [part.partition("=")[0].strip() for part in "; ".join(request.headers.getlist("cookie")).split(";")]
    theirs = [name for name in dict.fromkeys(sent) if _NAME.fullmatch(name) and not name.lower().startswith(_OURS)]
    for name in theirs[:_MOST]:
        answer.headers.append("set-cookie", cookie_set(name, "", secure=secure, life=0))
