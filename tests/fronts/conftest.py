"""A whole front: a gateway, its process of the fronts, a chat UI, an OpenID provider that others wrote, a browser."""

import contextlib
import json
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx2
import pytest

from exchange.principal import Principal
from identities.session import begin_session
from storage.sqlite.reading import AuditReader
from tests.console.conftest import chromium
from tests.fronts.socket_ui import SocketUi
from tests.fronts.standin import chat_ui
from tests.issuers.node_process import node
from tests.journeys.instance import Instance
from tests.journeys.provider import Provider

if TYPE_CHECKING:
    from playwright.sync_api import Browser, ConsoleMessage, Page

__all__ = ["chromium"]

_MORE = """
identity:
  domains: [example.com]
  issuers: [{{name: own, kind: own_token}}]
sign_in: {{preset: oidc, issuer: '{issuer}', client_id: sekisho, sign_out_at_provider: true}}
fronts:
  - {{host: '{host}', upstream: '{ui}', kind: nextchat, models: [gpt-4o, gpt-4o-mini, o3]}}
  - {{host: '{own}', models: [gpt-4o, gpt-4o-mini, o3]}}
  - {{host: '{talk}', upstream: '{talk_ui}', kind: open-webui, api_path: null}}
fronts_notice: {{en: Everything here is written down., ja: ここでの会話は記録されます。}}
policies:
  rules: [{{name: everyone, domains: [example.com], models: ["gpt-4o*"], operations: [chat, responses]}}]
"""
DESKTOP = {"width": 1280, "height": 800}
PHONE = {"width": 390, "height": 844}


@dataclass
class Recorded:
    """A gateway, and what is on record of it."""

    instance: Instance

    def record_of(self, fits: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The one record that these words fit, as soon as it is there."""
        found: list[dict[str, Any]] = []

        def there() -> bool:
            with contextlib.closing(AuditReader(self.instance.data_dir)) as record:
                found[:] = [one for one in map(json.loads, record.latest(50)) if fits(one)]
            return bool(found)

        self.instance.wait_until(there)
        (one,) = found
        return one


@dataclass
class Town(Recorded):
    """All of it, running."""

    provider: Provider
    ui: Provider
    talk: SocketUi
    issuer: str

    @property
    def url(self) -> str:
        return f"http://localhost:{self.instance.port}"

    @property
    def chat_url(self) -> str:
        """A front without a chat UI: our own page."""
        return f"http://chat.localhost:{self.instance.port}"

    @property
    def talk_url(self) -> str:
        """A front whose chat UI keeps a WebSocket open."""
        return f"http://talk.localhost:{self.instance.port}"


@pytest.fixture(scope="package")
def town() -> Iterator[Town]:
    folder = Path(tempfile.mkdtemp(prefix="sekisho-fronts-"))  # short: there will be a socket in it
    with Provider() as provider, Provider(choose=chat_ui) as ui, SocketUi() as talk:
        instance = Instance(folder, provider.url, profile="gateway", more="{more}")
        host = f"localhost:{instance.port}"
        with node("oidc_provider.mjs", f"http://{host}/_sekisho/callback") as (issuer, _, _):
            more = _MORE.format(
                issuer=issuer, host=host, ui=ui.url, own=f"chat.{host}", talk=f"talk.{host}", talk_ui=talk.url
            )
            instance.config.write_text(instance.config.read_text(encoding="utf-8").replace("{more}", more), "utf-8")
            with instance:
                yield Town(instance, provider, ui, talk, issuer)
    shutil.rmtree(folder)


@pytest.fixture
def page_of(chromium: "Browser") -> Iterator[Callable[..., "Page"]]:
    """Makes a page of a new person: nothing of theirs is known to this browser."""
    contexts = []

    def opened(size: dict[str, int] = DESKTOP, language: str = "en") -> "Page":
        context = chromium.new_context(
            viewport=size,  # type: ignore[arg-type] # a TypedDict of the same shape
            locale=language,
            is_mobile=size is PHONE,
            has_touch=size is PHONE,
            ignore_https_errors=True,  # a front's certificate is made for the test
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(20_000)
        return page

    yield opened
    for context in contexts:
        context.close()


def sign_in(page: "Page", login: str) -> None:
    """From the page with the button to where one wanted to go, past the provider's own pages."""
    page.locator("main a.button").click()
    page.locator("input[name=login]").fill(login)
    page.locator("input[name=password]").fill("x")
    page.locator("button[type=submit]").click()
    page.locator("button[type=submit]").click()  # its consent
    page.wait_for_url(re.compile(r"https?://localhost:"))


def signed_in(page: "Page", town: Town, email: str = "ann@example.com") -> None:
    """With sessions as the sign-in would have begun them, where that is not what is looked at."""
    who = Principal(email.partition("@")[0], email, "example.com", "sign-in")
    for origin in (town.url, town.chat_url, town.talk_url):
        session = begin_session(town.instance.data_dir, who, origin)
        page.context.add_cookies([{"name": "sekisho-front", "value": session.token, "url": origin}])


@contextmanager
def no_errors(page: "Page") -> Iterator[None]:
    """Nothing that the browser refuses or complains of, Content-Security-Policy included."""
    said: list[str] = []

    def heard(message: "ConsoleMessage") -> None:
        if message.type == "error" and "localhost:" in message.location.get("url", ""):
            said.append(message.text)

    page.on("console", heard)
    page.on("pageerror", lambda error: said.append(str(error)))
    yield
    assert said == []


def call(town: Town, token: str, model: str) -> tuple[int, str | None]:
    """What a program is answered that calls with this token: status, and code."""
    answer = httpx2.post(
        f"{town.instance.url}/v1/chat/completions",
        json={"model": model, "messages": []},
        headers={"authorization": f"Bearer {token}"},
    )
    return answer.status_code, answer.json().get("error", {}).get("code")
