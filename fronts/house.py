"""What every page of the fronts has at hand."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse

from exchange.principal import Principal
from fronts.texts import LANGUAGES, translated
from settings.fronts import Front
from settings.schema import Settings
from signin.cookie import cookie_value
from signin.refusal import Language
from storage.book import Book

_TEMPLATES: Final = Path(__file__).parent / "templates"
LANGUAGE_COOKIE: Final = "sekisho-lang"


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who asks: `number` is their session's; `csrf` stands in each of their forms, made of the cookie that no script
    reads."""

    principal: Principal
    number: str
    csrf: str

    @property
    def email(self) -> str:
        assert self.principal.email is not None  # a session is begun for an address
        return self.principal.email


@dataclass(frozen=True, slots=True)
class House:
    """Settings, the book and the templates."""

    settings: Settings
    book: Book
    templates: Environment

    def page(self, request: Request, template: str, status: int = 200, /, **shown: Any) -> HTMLResponse:
        """A page in this person's language."""
        language = language_of(request)
        html = self.templates.get_template(template).render(
            {
                "t": translated(language),
                "lang": language,
                "languages": {code: (name, _in_language(request, code)) for code, name in LANGUAGES.items()},
                "visitor": getattr(request.state, "visitor", None),
                "notice": getattr(self.settings.fronts_notice, language),
                "chat_ui": getattr(getattr(request.state, "front", None), "upstream", None) is not None,
                **shown,
            }
        )
        answer = HTMLResponse(html, status_code=status, headers={"content-language": language})
        if request.query_params.get("lang") in LANGUAGES:
            answer.set_cookie(LANGUAGE_COOKIE, language, max_age=365 * 86400, path="/", httponly=True, samesite="lax")
        return answer

    def message(self, request: Request, status: int, title: str, said: str, **more: Any) -> HTMLResponse:
        """A page that says one thing. `title` is a key of the texts; `said` is told as it is."""
        return self.page(
            request,
            "message.html",
            status,
            title=title,
            said=said,
            **{"again": None, "another": False, "onward": None, **more},
        )


def visitor_of(request: Request) -> Visitor:
    """Whoever asks; the guard has seen to it that somebody does."""
    visitor: Visitor = request.state.visitor
    return visitor


def cookie_of(request: Request, name: str) -> str | None:
    """As `cookie_value`, in all Cookie fields together: so the gate reads them (addons/fronts.py)."""
    return cookie_value(";".join(request.headers.getlist("cookie")), name)


def front_of(request: Request) -> Front:
    """The front that is asked; the guard has found it."""
    front: Front = request.state.front
    return front


def language_of(request: Request) -> Language:
    """As asked for, or chosen before, else the first of those the browser names that there is (RFC 9110 §12.5.4)."""
    asked = request.query_params.get("lang") or cookie_of(request, LANGUAGE_COOKIE)
    accepted = [one.partition(";")[0].strip() for one in request.headers.get("accept-language", "").split(",")]
    for given in (asked, *accepted):
        name = (given or "").partition("-")[0].lower()
        if name in ("en", "ja"):
            return "ja" if name == "ja" else "en"
    return "en"


def _in_language(request: Request, code: Language) -> str:
    """This page in another language; in place of what answers a form, one's own page."""
    url = request.url.include_query_params(lang=code)
    return f"{url.path}?{url.query}" if request.method == "GET" else f"/me?lang={code}"


def templates() -> Environment:
    """Jinja with everything escaped, and no name undefined in silence."""
    return Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
