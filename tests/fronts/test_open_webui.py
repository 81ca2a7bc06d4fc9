"""The real Open WebUI behind a front, set up as docs/how-to/fronts/open-webui.md and the compose file beside it say.

It is none of our dependencies: with them it takes gigabytes. Name its program, and it is driven here:
OPEN_WEBUI=/opt/open-webui/bin/open-webui pytest tests/fronts/test_open_webui.py -n0
"""

import base64
import contextlib
import json
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx2
import jwt
import pytest
from ruamel.yaml import YAML

from tests.fronts.conftest import DESKTOP, PHONE, Recorded, sign_in
from tests.identities.certificates import authority, server_tls
from tests.issuers.node_process import node
from tests.journeys.instance import PROVIDER_KEY, ROOT, Instance
from tests.journeys.provider import Answer, Provider, Received, completion, streamed
from tests.ports import free_port

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

PROGRAM = os.environ.get("OPEN_WEBUI", "")
HOW_TO = ROOT / "docs/how-to/fronts/open-webui.md"
COMPOSE = ROOT / "deploy/fronts/open-webui.yaml"
SECRET = "shared-by-the-two-and-nobody-else-0123"
_PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
WORDS = ["こん", "にちは", "、今日は", "いい天気", "ですね。"]

pytestmark = [
    pytest.mark.skipif(not PROGRAM, reason="names no program of Open WebUI: OPEN_WEBUI"),
    pytest.mark.timeout(400),
]


def said(asked: Received) -> Answer:
    """Words for a person, one by one; a title, tags and the like at once."""
    wants = json.loads(asked.body)
    if wants.get("stream"):
        return streamed(WORDS, pause=0.4)
    return completion(json.dumps({"title": "天気の話", "tags": ["天気"], "follow_ups": []}, ensure_ascii=False))


@dataclass
class Street(Recorded):
    """A gateway with its two listeners, Open WebUI behind it, a provider."""

    provider: Provider
    api: str
    sockets: bool

    @property
    def url(self) -> str:
        return self.instance.url

    def asked(self, words: str) -> Received:
        """The one streamed call with these words that the provider received."""
        (one,) = [
            r
            for r in self.provider.received
            if words in r.body.decode() and b'"stream":true' in r.body.replace(b" ", b"")
        ]
        return one


def settings(instance: Instance, *, issuer: str, upstream: str, ui: str, api: int) -> str:
    """Those of the page, for this machine."""
    (block,) = re.findall(r"```yaml\n(.*?)```", HOW_TO.read_text("utf-8"), re.DOTALL)
    page: dict[str, Any] = YAML(typ="safe", pure=True).load(block)
    page["listen"][0].update(
        address=f"127.0.0.1:{instance.port}",
        tls={"cert": str(instance.folder / "localhost.pem"), "key": str(instance.folder / "localhost.pem")},
    )
    page["listen"][1]["address"] = f"127.0.0.1:{api}"
    page["providers"]["openai"].update(upstream=upstream, api_key={"env": "JOURNEY_KEY"})
    page["sign_in"] = {"preset": "oidc", "issuer": issuer, "client_id": "sekisho"}
    page["fronts"][0].update(host=f"localhost:{instance.port}", upstream=ui, https="listener")
    page.update(data_dir=str(instance.data_dir), storage={"disk_warn": "0 %", "disk_stop": "0 %"})
    return json.dumps(page)


def environment(instance: Instance, *, api: str, folder: Path, sockets: bool) -> dict[str, str]:
    """That of the compose file, for this machine; without `sockets` its pages poll."""
    compose: dict[str, Any] = YAML(typ="safe", pure=True).load(COMPOSE.read_text("utf-8"))
    given: dict[str, str] = dict(compose["services"]["open-webui"]["environment"])
    secrets = {"${OPEN_WEBUI_JWT_SECRET}": SECRET}
    given = {name: secrets.get(value, "x" * 40) if value.startswith("$") else value for name, value in given.items()}
    given = {name: value.replace("https://chat.example.com", instance.url) for name, value in given.items()}
    given.update(OPENAI_API_BASE_URL=f"{api}/v1", DATA_DIR=str(folder))
    if not sockets:
        given["ENABLE_WEBSOCKET_SUPPORT"] = "false"
    return {**{name: os.environ[name] for name in ("PATH", "HOME")}, **given}


@pytest.fixture(scope="module", params=["websocket", "polling"])
def street(request: pytest.FixtureRequest) -> Iterator[Street]:
    sockets = request.param == "websocket"
    folder = Path(tempfile.mkdtemp(prefix="sekisho-owui-"))
    authority(folder)
    server_tls(folder, "localhost")
    own, api = free_port(), free_port()
    ui = f"http://127.0.0.1:{own}"
    log = folder / "open-webui.log"
    with Provider(choose=said) as provider:
        instance = Instance(folder, provider.url, profile="gateway", tls=folder / "localhost.pem")
        instance.environment["OPEN_WEBUI_JWT_SECRET"] = SECRET
        with node("oidc_provider.mjs", f"{instance.url}/_sekisho/callback") as (issuer, _, _):
            instance.config.write_text(
                settings(instance, issuer=issuer, upstream=provider.url, ui=ui, api=api), encoding="utf-8"
            )
            behind = f"http://127.0.0.1:{api}"
            with (
                instance,
                log.open("wb") as out,
                subprocess.Popen(
                    [PROGRAM, "serve", "--host", "127.0.0.1", "--port", str(own)],
                    cwd=folder,
                    env=environment(instance, api=behind, folder=folder / "webui", sockets=sockets),
                    stdout=out,
                    stderr=subprocess.STDOUT,
                ) as process,
            ):
                try:
                    _wait_for(ui, process, log)
                    yield Street(instance, provider, behind, sockets)
                finally:
                    process.kill()
    shutil.rmtree(folder)


def _wait_for(ui: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline:
        assert process.poll() is None, log.read_text("utf-8", "replace")[-3000:]
        with contextlib.suppress(httpx2.TransportError):
            if httpx2.get(f"{ui}/health", timeout=2).status_code == 200:
                return
        time.sleep(0.5)
    pytest.fail(f"Open WebUI does not answer: {log.read_text('utf-8', 'replace')[-3000:]}")


def enter(page: "Page", street: Street, login: str) -> "Locator":
    """From the front's door to the box where one writes."""
    page.goto(street.url + "/")
    sign_in(page, login)
    box = page.locator("#chat-input")
    box.wait_for(timeout=60_000)
    return box


def ask(page: "Page", words: str) -> list[str]:
    """Send this, and watch the answer grow: each state of it that was seen, the last one whole."""
    page.evaluate(
        """() => {
          window.seen = [];
          window.watch?.disconnect();
          window.watch = new MutationObserver(() => {
            const all = document.querySelectorAll('.chat-assistant');
            const text = all.length ? all[all.length - 1].innerText.trim() : '';
            if (text && window.seen.at(-1) !== text) window.seen.push(text);
          });
          window.watch.observe(document.body, {subtree: true, childList: true, characterData: true});
        }"""
    )
    box = page.locator("#chat-input")
    box.click()
    page.keyboard.insert_text(words)
    page.locator("#send-message-button").click()
    page.locator(".chat-assistant", has_text="".join(WORDS)).last.wait_for(timeout=60_000)
    return [str(one) for one in page.evaluate("window.seen")]


def offered(page: "Page") -> list[str]:
    """The models that may be chosen."""
    page.locator("#model-selector-model-button").click()
    page.get_by_role("option").first.wait_for()
    names = page.get_by_role("option").all_inner_texts()
    page.keyboard.press("Escape")
    return [name.strip().splitlines()[0] for name in names]


@pytest.mark.parametrize(("size", "language"), [(PHONE, "ja"), (DESKTOP, "en")], ids=["phone", "desktop"])
def test_an_employee_signs_in_once_and_chats_and_all_of_it_is_on_record_under_their_address(
    street: Street, page_of: "Callable[..., Page]", size: dict[str, int], language: str
) -> None:
    page = page_of(size, language)
    sockets: list[str] = []
    page.on("websocket", lambda socket: sockets.append(urlsplit(socket.url).path))
    enter(page, street, "ann")
    assert sorted(offered(page)) == ["gpt-4o", "gpt-4o-mini"]
    words = f"今日の天気は？ {language}"
    states = ask(page, words)
    whole = "".join(WORDS)
    growing = [one for one in states if whole.startswith(one) and one != whole]
    assert len(growing) >= 3, states  # word by word, and not all at the end

    assert set(sockets) == ({"/ws/socket.io/"} if street.sockets else set())

    asked = street.asked(words)
    assert asked.header("authorization") == f"Bearer {PROVIDER_KEY}"
    assert [name for name, _ in asked.fields if name.lower().startswith(("x-openwebui", "x-sekisho", "cookie"))] == []

    record = street.record_of(lambda r: r["stream"] and words in str(r["request"]))
    assert (record["principal"]["email"], record["principal"]["issuer"]) == ("ann@example.com", "webui")
    assert (record["client"]["mode"], record["end_state"]) == ("reverse", "complete")
    assert record["response"]["choices"][0]["message"]["content"] == whole
    title = street.record_of(lambda r: "Generate a concise" in str(r["request"]) and words in str(r["request"]))
    assert (title["principal"]["email"], title["end_state"]) == ("ann@example.com", "complete")


def test_what_a_person_attaches_reaches_the_model_and_is_on_record(
    street: Street, page_of: "Callable[..., Page]", tmp_path: Path
) -> None:
    page = page_of(DESKTOP, "en")
    enter(page, street, "ann")
    notes = tmp_path / "議事録.txt"
    notes.write_text("議題は新しい関所の建設である。", "utf-8")
    picture = tmp_path / "関所.png"
    picture.write_bytes(_PNG)
    files = page.locator("input[type=file]:not([capture])").first
    files.set_input_files([notes])
    page.get_by_text(notes.name).first.wait_for()
    files.set_input_files([picture])
    page.locator("img[alt='input'], img[src^='data:image'], img[src*='/files/']").first.wait_for()
    page.wait_for_timeout(1_500)
    ask(page, "添付を要約して")

    asked = json.loads(street.asked("添付を要約して").body)
    assert "議題は新しい関所の建設である。" in json.dumps(asked["messages"], ensure_ascii=False)
    parts = [part for message in asked["messages"] for part in message["content"] if isinstance(part, dict)]
    assert [part["image_url"]["url"][:22] for part in parts if part["type"] == "image_url"] == [
        "data:image/png;base64,"
    ]
    shown = page.locator(
        ".chat-user img, [id^=message-] img[src*='/files/'], [id^=message-] img[src^='data:image']"
    ).first
    shown.wait_for()
    assert shown.evaluate("image => image.decode().then(() => image.naturalWidth)") == 1
    record = street.record_of(lambda r: r["stream"] and "添付を要約して" in str(r["request"]))
    assert record["principal"]["email"] == "ann@example.com"
    assert "議題は新しい関所の建設である。" in str(record["request"])


def test_whoever_left_a_page_open_reads_in_it_what_to_do_when_their_session_is_over(
    street: Street, page_of: "Callable[..., Page]"
) -> None:
    page = page_of(DESKTOP, "en")
    enter(page, street, "ann")
    page.context.clear_cookies(name="__Host-sekisho")
    page.locator("#chat-input").click()
    page.keyboard.insert_text("まだいます")
    page.locator("#send-message-button").click()
    page.get_by_text("Reload this page to sign in again").first.wait_for()
    page.reload()
    page.wait_for_url(re.compile("/_sekisho/login"))


def test_another_person_in_the_same_browser_is_another_person_to_open_webui(
    street: Street, page_of: "Callable[..., Page]"
) -> None:
    page = page_of(DESKTOP, "en")
    enter(page, street, "ann")
    ask(page, "アンの質問")
    page.goto(street.url + "/me")
    page.locator("form[action^='/_sekisho/logout'] button").first.click()
    sign_in(page, "bob")
    page.goto(street.url + "/")
    page.locator("#chat-input").wait_for(timeout=60_000)
    ask(page, "ボブの質問")

    record = street.record_of(lambda r: r["stream"] and "ボブの質問" in str(r["request"]))
    assert record["principal"]["email"] == "bob@example.com"
    assert "アンの質問" not in page.locator("body").inner_text()


def test_an_account_of_another_domain_gets_no_page_of_open_webui_and_is_on_record(
    street: Street, page_of: "Callable[..., Page]"
) -> None:
    page = page_of(PHONE, "ja")
    page.goto(street.url + "/")
    sign_in(page, "mallory")
    assert page.locator("[role=status]").inner_text().startswith("このメールドメインのアカウントでは")
    page.goto(street.url + "/")
    assert "/_sekisho/login" in page.url
    one = street.record_of(lambda r: r["decision"]["code"] == "domain_not_allowed")
    assert re.match(r"mallory@evil\.test at sign-in", one["decision"]["reason"])


def test_nobody_says_who_they_are_without_the_signature(street: Street) -> None:
    now = int(time.time())
    claims = {"iss": "open-webui", "sub": "1", "email": "ann@example.com", "iat": now, "exp": now + 300}
    by_another_key = jwt.encode(claims, "somebody-elses-secret-of-32-characters", "HS256")
    call = {"model": "gpt-4o", "messages": [{"role": "user", "content": "偽りの名"}]}
    before = len(street.provider.received)
    codes = []
    for fields in (
        {"X-OpenWebUI-User-Email": "ann@example.com"},
        {"X-Sekisho-Email": "ann@example.com"},
        {"X-OpenWebUI-User-Jwt": by_another_key},
    ):
        answer = httpx2.post(f"{street.api}/v1/chat/completions", json=call, headers=fields)
        codes.append((answer.status_code, answer.json()["error"]["code"]))

    assert codes == [(401, "missing_identity"), (401, "missing_identity"), (401, "invalid_token")]
    assert len(street.provider.received) == before
