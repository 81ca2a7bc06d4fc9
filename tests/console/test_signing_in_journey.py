"""A whole console over https, an OpenID provider that others wrote, a browser: an auditor, a colleague, a stranger."""

import contextlib
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from exchange.principal import Principal
from storage.access import read_access
from tests.cli.records import chat, store
from tests.console.test_accessible import AXE, SIDEWAYS
from tests.identities.certificates import authority, server_tls
from tests.issuers.node_process import node
from tests.ports import free_port

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

ROOT = Path(__file__).parents[2]
BOB = Principal("u-bob", "bob@example.com", "example.com", "corp")
PHONE: dict[str, Any] = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "locale": "ja-JP"}

_CONFIG = """
data_dir: {data_dir}
identity: {{domains: [example.com]}}
sign_in: {{preset: oidc, issuer: '{issuer}', client_id: sekisho, sign_out_at_provider: true}}
console:
  listen: 127.0.0.1:{port}
  public_url: {url}
  tls: {{cert: '{pem}', key: '{pem}'}}
  roles: {{auditor: {{emails: [ann@example.com]}}}}
  self: true
  contact: it@example.com
"""


@dataclass
class Town:
    url: str
    data_dir: Path
    anns: str
    bobs: str
    said: Path


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    folder = tmp_path_factory.mktemp("console")
    authority(folder)
    server_tls(folder, "localhost")
    port = free_port()
    url = f"https://localhost:{port}"
    of_bob = chat("ボブの質問", "ボブへの返答")
    anns, bobs = store(folder, chat("顧客名の一覧", "はい"), replace(of_bob, seen=replace(of_bob.seen, principal=BOB)))
    config, said = folder / "config.yaml", folder / "said.txt"
    with node("oidc_provider.mjs", f"{url}/sign-in/back") as (issuer, _, _), said.open("w") as to:
        pem = folder / "localhost.pem"
        config.write_text(_CONFIG.format(data_dir=folder, issuer=issuer, port=port, url=url, pem=pem), "utf-8")
        command: list[str | Path] = [sys.executable, ROOT / "run_proxy.py", "console", "--config", config]
        with subprocess.Popen(command, stderr=to, cwd=folder) as process:
            try:
                for _ in range(200):
                    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 0.2):
                        break
                    time.sleep(0.1)
                yield Town(url, folder, anns, bobs, said)
            finally:
                process.send_signal(signal.SIGTERM)
                process.wait(20)
    assert "Traceback" not in said.read_text()


@contextlib.contextmanager
def browser_of(chromium: "Browser", **kind: Any) -> "Iterator[Page]":
    context = chromium.new_context(ignore_https_errors=True, bypass_csp=True, **kind)
    page = context.new_page()
    page.set_default_timeout(30_000)
    yield page
    context.close()


def sign_in(page: "Page", login: str, *, agree: bool = True) -> None:
    """Past the provider's own pages."""
    page.locator("input[name=login]").fill(login)
    page.locator("input[name=password]").fill("x")
    page.locator("button[type=submit]").click()
    if agree:
        page.locator("button[type=submit]").click()
    page.wait_for_url(re.compile(r"https://localhost:"))


def well_made(page: "Page") -> None:
    """axe finds nothing serious, and nothing scrolls sideways."""
    page.evaluate(AXE)
    found = page.evaluate("axe.run().then(r => r.violations.filter(v => ['serious', 'critical'].includes(v.impact)))")
    assert [each["id"] for each in found] == [], page.url
    assert page.evaluate(SIDEWAYS) == [], page.url


@pytest.mark.timeout(180)
def test_an_auditor_signs_in_says_why_and_reads_and_that_stands_in_the_log(town: Town, chromium: "Browser") -> None:
    with browser_of(chromium, locale="en-GB") as page:
        page.goto(f"{town.url}/exchanges/{town.bobs}")
        sign_in(page, "ann")
        page.locator("#reason").fill("ticket 12")
        page.locator("main button.primary").click()
        page.locator("article", has_text="ボブの質問").wait_for()
        assert page.url.replace("-", "").endswith(town.bobs.replace("-", ""))
        cookies = {each["name"]: each for each in page.context.cookies()}
        session = cookies["__Host-sekisho-console"]
        assert (session["secure"], session["httpOnly"], session["sameSite"]) == (True, True, "Lax")
        page.locator("details.menu summary").click()
        page.get_by_role("button", name="Sign out", exact=True).click()
        page.get_by_role("button", name="No, stay signed in").click()  # at the provider, by itself
        page.wait_for_url(f"{town.url}/sign-in/out")
        page.get_by_role("link", name="Sign in").wait_for()
        page.goto(f"{town.url}/exchanges")
        page.locator("button[type=submit]").click()  # signed in at the provider still, which only asks for consent anew
        page.wait_for_url(re.compile(r"/exchanges$"))
    shown = [look for look in read_access(town.data_dir, 50) if look.action == "show"]
    assert [(look.actor, look.reason) for look in shown] == [("ann@example.com (console)", "ticket 12")]


@pytest.mark.timeout(180)
def test_a_colleague_sees_on_a_phone_what_is_recorded_about_them_and_nothing_else(
    town: Town, chromium: "Browser"
) -> None:
    with browser_of(chromium, **PHONE) as page:
        page.goto(f"{town.url}/me")
        sign_in(page, "bob")
        page.get_by_role("heading", name="自分についての記録").wait_for()
        well_made(page)
        page.goto(f"{town.url}/exchanges")
        assert page.locator("#lines tr").count() == 1
        answer = page.goto(f"{town.url}/exchanges/{town.anns}")
        assert answer is not None
        assert answer.status == 404


@pytest.mark.timeout(180)
def test_a_stranger_reads_in_their_language_why_not_and_may_come_as_somebody_else(
    town: Town, chromium: "Browser"
) -> None:
    with browser_of(chromium, **PHONE) as page:
        page.goto(town.url)
        sign_in(page, "mallory")
        assert "このメールドメインのアカウントではサインインできません" in page.locator("main").inner_text()
        assert "it@example.com" in page.locator("main").inner_text()
        well_made(page)
        page.get_by_role("link", name="別のアカウントでサインイン").click()
        sign_in(page, "bob")
        page.wait_for_url(re.compile(r"/exchanges$"))
    assert "domain_not_allowed" in town.said.read_text()
