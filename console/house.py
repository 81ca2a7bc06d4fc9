"""What every page has at hand."""

import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape
from starlette.requests import Request
from starlette.responses import HTMLResponse

from console.guard import cookie_of
from console.hidden import coded, marked, one_line
from console.looking import Looking
from console.roles import may
from console.sessions import Session, Sessions
from console.store import OpenStore, Store
from console.texts import LANGUAGES, Language, keys, translated
from exchange.decision import CODES
from settings.schema import Settings
from wire.conversation.record import ShownRecord

_TEMPLATES: Final = Path(__file__).parent / "templates"
_PLACE: Final = re.compile(r"\d+")
_PLACES: Final = 12  # numbers or ranges of them in a cell
THEMES: Final = ("auto", "light", "dark")


@dataclass(frozen=True, slots=True)
class House:
    """Settings, store, sessions and templates. `invite` makes a new way in, where there is one.
    `running`: no longer, once this process is about to end. `signs_in`: with the company account."""

    settings: Settings
    open_store: OpenStore
    sessions: Sessions
    looking: Looking
    templates: Environment
    invite: Callable[[], None]
    running: Callable[[], bool]
    signs_in: bool = False

    def store(self, request: Request) -> AbstractContextManager[Store]:
        """The store, for one page: for whoever may see their own record only, that.

        Raises:
            StoreProblem: it cannot be opened.
        """
        session = session_of(request)
        if session.role != "self":
            return self._opened(None)
        assert session.principal is not None  # role_of gives this role to an address
        return self._opened(session.principal.email or "")

    def own_store(self, email: str) -> AbstractContextManager[Store]:
        """The store as if there were nothing but this address's exchanges. Raises as `store`."""
        return self._opened(email)

    @contextmanager
    def _opened(self, only: str | None) -> Iterator[Store]:
        store = self.open_store(only)
        try:
            yield store
        finally:
            store.close()

    def page(self, request: Request, template: str, status: int = 200, /, **shown: Any) -> HTMLResponse:
        """A page, in this person's language and colours."""
        return HTMLResponse(self.fragment(request, template, **shown), status_code=status)

    def fragment(self, request: Request, template: str, /, **shown: Any) -> str:
        """Its HTML."""
        language = language_of(request)
        session = getattr(request.state, "session", None)
        role = session.role if session is not None else None
        theme = cookie_of(request, "theme")
        say = translated(language)
        return self.templates.get_template(template).render(
            {
                "t": say,
                "zone": f"{datetime.now().astimezone():%Z}",  # every time on a page is of this machine's
                "meaning": lambda code: say(CODES[code].message) if code in CODES else None,
                "outcome": lambda record: _outcome(record, say),
                "lang": language,
                "languages": LANGUAGES,
                "theme": theme if theme in THEMES else "auto",
                "themes": THEMES,
                "session": session,
                "may": lambda need: may(role, need),
                "signs_in": self.signs_in,
                "contact": self.settings.console.contact,
                "here": request.url.path + (f"?{request.url.query}" if request.url.query else ""),
                "path": request.url.path,
                "reason_required": session is not None and self.looking.needs_reason(session),
                **shown,
            }
        )


def session_of(request: Request) -> Session:
    """Whoever asks; the guard has seen to it that somebody does."""
    session: Session = request.state.session
    return session


def _outcome(record: ShownRecord, say: Callable[[str], str]) -> str:
    """How it went, in one word; of an error with its status."""
    word, _, status = record.outcome.partition(" ")
    return f"{say(word)} {status}" if status else say(word)


def templates() -> Environment:
    """Jinja with everything escaped, and no name undefined in silence."""
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.tests["said"] = keys().__contains__  # is there a sentence for it?
    environment.filters |= {
        "marked": marked,
        "coded": coded,
        "places": _places,
        "one_line": one_line,
        "duration": _duration,
        "count": lambda number: "–" if number is None else f"{number:,}",
        "money": money,
        "size": _size,
        "percent": lambda part: f"{100 * part:.1f} %",
        "clock": lambda at: f"{at:%H:%M:%S}",
        "date": lambda at: f"{at:%m-%d}",
        "day": lambda at: f"{at:%Y-%m-%d}",
        "local_day": lambda said: f"{datetime.fromisoformat(said).astimezone():%Y-%m-%d}",
        "moment": lambda at: f"{at:%Y-%m-%d %H:%M:%S}.{at.microsecond // 1000:03d} {at:%Z}",
    }
    return environment


def language_of(request: Request) -> Language:
    """As was chosen, else the first of those the browser names that there is (RFC 9110, 12.5.4), else English."""
    chosen = cookie_of(request, "lang")
    if chosen in LANGUAGES:
        return chosen
    for each in request.headers.get("accept-language", "").split(","):
        name = each.partition(";")[0].strip().partition("-")[0].lower()
        if name in LANGUAGES:
            return name
    return "en"


def _places(written: str) -> Markup:
    """Numbers of exchanges as storage.access writes them, each a link to its page."""
    parts = written.split(",")
    shown = _PLACE.sub(r'<a href="/exchanges/\g<0>">\g<0></a>', escape(", ".join(parts[:_PLACES])))
    return Markup(f"{shown} …" if len(parts) > _PLACES else shown)  # noqa: S704 - escaped


def _duration(milliseconds: float | None) -> str:
    if milliseconds is None:
        return "–"
    if milliseconds < 1000:
        return f"{milliseconds:.0f} ms"
    return f"{milliseconds / 1000:.1f} s" if milliseconds < 100_000 else f"{milliseconds / 60_000:.1f} min"


def money(usd: float | None) -> str:
    """US dollars, small amounts to the digit that counts."""
    """US dollars, small amounts to the digit that counts."""
    if usd is None:
        return "–"
    if usd >= 1:
        return f"${usd:,.2f}"
    return f"${usd:.4f}" if usd >= 0.001 or not usd else f"${usd:.6f}"


def _size(count: int) -> str:
    for unit in ("B", "KiB", "MiB"):
        if count < 1024:
            return f"{count:,.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count = count / 1024  # type: ignore[assignment]
    return f"{count:.1f} GiB"
