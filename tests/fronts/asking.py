"""The application of the fronts without a network: a browser that keeps cookies as browsers do, asking ASGI."""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from hashlib import sha256
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from starlette.applications import Starlette

from exchange.principal import Principal
from fronts.app import fronts_app
from identities.session import begin_session, cookie_name
from settings.schema import Settings
from signin.relying_party import sign_in_from

HOST = "chat.example.com"
ORIGIN = f"https://{HOST}"
PAGE = {"sec-fetch-mode": "navigate", "accept": "text/html"}
FORM = {"origin": ORIGIN, "sec-fetch-site": "same-origin", "content-type": "application/x-www-form-urlencoded"}


@dataclass
class Answered:
    status: int
    fields: list[tuple[str, str]]
    body: str

    def field(self, name: str) -> str | None:
        return next((value for key, value in self.fields if key == name), None)


@dataclass
class Browser:
    """One browser, at one front."""

    app: Starlette
    data_dir: Path
    host: str = HOST
    cookies: dict[str, str] = field(default_factory=dict)

    def sign_in(self, email: str, origin: str = ORIGIN, *, groups: tuple[str, ...] = ()) -> "Browser":
        """With a session, as the callback would have set it."""
        who = Principal(email, email, email.partition("@")[2], "sign-in", groups)
        session = begin_session(self.data_dir, who, origin)
        self.cookies[cookie_name(origin).decode()] = session.token
        return self

    async def get(self, target: str, **fields: str) -> Answered:
        return await self.ask("GET", target, b"", {**PAGE, **fields})

    async def post(self, target: str, form: dict[str, Any], fields: dict[str, str] | None = None) -> Answered:
        """A form as one of our own pages sends it, unless it is told otherwise."""
        session = self.cookies.get(cookie_name(ORIGIN).decode(), "")
        whole = {"csrf": sha256(f"form {session}".encode()).hexdigest(), **form}
        return await self.ask("POST", target, urlencode(whole, doseq=True).encode(), FORM if fields is None else fields)

    async def ask(self, method: str, target: str, body: bytes, fields: dict[str, str]) -> Answered:
        path, _, query = target.partition("?")
        given = {"host": self.host, **fields}
        if self.cookies and "cookie" not in given:
            given["cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        scope = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "scheme": "http", "method": method,
            "path": path, "raw_path": path.encode(), "query_string": query.encode(), "root_path": "",
            "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in given.items()],
            "server": ("x", 80), "client": ("", 0),
        }  # fmt: skip
        said: list[Any] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: Any) -> None:
            said.append(message)

        with contextlib.suppress(RuntimeError):  # Starlette raises what its handler has answered
            await self.app(scope, receive, send)
        got = [(name.decode().lower(), value.decode("latin-1")) for name, value in said[0]["headers"]]
        for name, value in got:
            if name == "set-cookie":
                for key, morsel in SimpleCookie(value).items():
                    self.cookies[key] = morsel.value
                    if morsel["max-age"] == "0":
                        del self.cookies[key]
        return Answered(said[0]["status"], got, b"".join(m.get("body", b"") for m in said[1:]).decode())


def settings(data_dir: Path, issuer: str = "http://127.0.0.1:9", **more: Any) -> Settings:
    return Settings.model_validate(
        {
            "data_dir": str(data_dir),
            "identity": {"domains": ["example.com"], "issuers": [{"name": "own", "kind": "own_token"}]},
            "sign_in": {"preset": "oidc", "issuer": issuer, "client_id": "sekisho"},
            "policies": {"rules": [{"name": "all", "domains": ["example.com"], "models": ["gpt-4o*"]}]},
            "fronts": [
                {"host": HOST, "https": "proxy", "proxies": ["10.0.0.1"], "models": ["gpt-4o", "gpt-4o-mini", "o3"]},
                {"host": "talk.example.com", "https": "proxy", "proxies": ["10.0.0.1"]},
            ],
            **more,
        }
    )


@contextlib.asynccontextmanager
async def fronts(given: Settings) -> AsyncIterator[Browser]:
    """A browser in front of the application of these settings."""
    given.data_dir.mkdir(exist_ok=True)
    app = fronts_app(given, sign_in_from(given), lambda: None)
    async with app.router.lifespan_context(app):
        yield Browser(app, given.data_dir)
