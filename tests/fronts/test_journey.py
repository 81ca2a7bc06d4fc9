"""As an employee would: a phone, the company's sign-in, a chat in Japanese; then as the security team."""

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from cli.app import app
from tests.console.test_accessible import AXE
from tests.fronts.conftest import DESKTOP, PHONE, Town, call, no_errors, sign_in, signed_in
from tests.journeys.instance import PROVIDER_KEY, ROOT
from tests.journeys.provider import Answer, completion, streamed

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

WORDS = ["こん", "にちは", "、今日は", "いい天気", "ですね。"]


@pytest.mark.parametrize(("size", "language"), [(PHONE, "ja"), (DESKTOP, "en")], ids=["phone", "desktop"])
def test_an_employee_signs_in_and_chats_and_the_words_stream_in_one_by_one(
    town: Town, page_of: "Callable[..., Page]", size: dict[str, int], language: str
) -> None:
    town.provider.answer = streamed(WORDS, pause=0.12)
    town.provider.received.clear()
    page = page_of(size, language)
    page.goto(town.url + "/")
    assert (
        page.locator("#notice").inner_text()
        == {
            "ja": "ここでの会話は記録されます。",
            "en": "Everything here is written down.",
        }[language]
    )
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    sign_in(page, "ann")
    page.wait_for_function("document.getElementById('state')?.textContent === 'ready'")
    assert page.locator("#model option").all_inner_texts() == ["gpt-4o", "gpt-4o-mini"]
    page.locator("#words").fill(f"天気は？ {language}")
    page.locator("#send").click()
    page.wait_for_function("document.getElementById('state').textContent === 'done'")
    assert page.locator("#answer").inner_text() == "".join(WORDS)
    states = page.evaluate("window.states")
    assert [text for _, text in states] == ["".join(WORDS[: i + 1]) for i in range(len(WORDS))]
    assert page.evaluate("navigator.serviceWorker.getRegistrations().then((all) => all.length)") == 0
    assert states[-1][0] - states[0][0] > 300  # milliseconds: each came when it was said, and not all at the end

    (asked,) = town.provider.received
    assert asked.header("authorization") == f"Bearer {PROVIDER_KEY}"
    assert asked.header("cookie") is None

    record = town.record_of(lambda r: f"天気は？ {language}" in str(r["request"]))
    assert record["principal"]["email"] == "ann@example.com"
    assert (record["client"]["mode"], record["end_state"]) == ("front", "complete")
    assert record["response"]["choices"][0]["message"]["content"] == "".join(WORDS)


def test_an_account_of_another_domain_sees_a_friendly_page_and_is_on_record(
    town: Town, page_of: "Callable[..., Page]"
) -> None:
    town.ui.received.clear()
    page = page_of(PHONE, "ja")
    page.goto(town.url + "/")
    sign_in(page, "mallory")
    assert page.locator("[role=status]").inner_text().startswith("このメールドメインのアカウントでは")
    assert page.goto(town.url + "/") is not None
    assert "/_sekisho/login" in page.url
    assert town.ui.received == []

    one = town.record_of(lambda r: r["decision"]["code"] == "domain_not_allowed")
    assert (one["status"], one["end_state"], one["client"]["mode"]) == (403, "refused", "front")
    assert re.match(r"mallory@evil\.test at sign-in", one["decision"]["reason"])


def test_sign_in_comes_back_when_its_process_dies_and_a_chat_does_not_notice(
    town: Town, page_of: "Callable[..., Page]"
) -> None:
    page = page_of(PHONE, "en")
    signed_in(page, town)
    page.goto(town.url + "/")
    before = town.instance.kill("fronts")
    town.provider.answer = streamed(WORDS)
    page.locator("#words").fill("still here?")
    page.locator("#send").click()
    page.wait_for_function("document.getElementById('state').textContent === 'done'")
    town.instance.wait_until(lambda: town.instance.pids("fronts") not in ([], [before]))
    other = page_of(PHONE, "en")
    town.instance.wait_until(lambda: _status(other, town) == 200)


def _status(page: "Page", town: Town) -> int:
    answer = page.goto(town.url + "/")
    return answer.status if answer is not None else 0


def test_a_token_that_a_person_makes_passes_for_what_it_is_for_until_they_end_it(
    town: Town, page_of: "Callable[..., Page]"
) -> None:
    town.provider.answer = completion("はい")
    page = page_of(PHONE, "en")
    with no_errors(page):
        signed_in(page, town)
        page.goto(town.url + "/me")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        page.locator("input[name=name]").fill("ノートPC")
        page.locator("input[name=models]").fill("gpt-4o-mini")
        page.locator("section button:not(.quiet)").click()
        token = page.locator("#token").inner_text()
        statuses = [call(town, token, model) for model in ("gpt-4o-mini", "gpt-4o")]
        row = page.get_by_role("row", name="gpt-4o-mini")
        row.get_by_role("button").click()
        row.get_by_text("revoked").wait_for()
    town.instance.wait_until(lambda: call(town, token, "gpt-4o-mini") == (401, "invalid_token"), 4)

    assert statuses == [(200, None), (403, "model_not_allowed")]
    record = town.record_of(lambda r: r["decision"]["reason"] == "the token is not for this model")
    assert (record["principal"]["email"], record["client"]["mode"]) == ("ann@example.com", "reverse")


MARKDOWN = [
    "# 見出し\n\n**太字**と`code`。<img src=x onerror=alert(1)>\n\n", "- 一つ\n- [二つ](https://example.com/)\n\n",
    "```python\nprint('<b>')\n```\n", "[罠](javascript:alert(1))",
]  # fmt: skip


def test_our_own_chat_page_streams_lays_out_markdown_stops_and_knows_ones_own_history(
    town: Town, page_of: "Callable[..., Page]"
) -> None:
    town.provider.answer = streamed(MARKDOWN, pause=0.1)
    page = page_of(PHONE, "ja")
    signed_in(page, town, "ann@example.com")
    page.goto(town.chat_url + "/")
    with no_errors(page):
        assert page.locator("#model option").all_inner_texts() == ["gpt-4o", "gpt-4o-mini"]
        page.locator("#words").fill("箇条書きで教えて")
        page.locator("#words").press("Enter")
        page.locator(".assistant strong").wait_for()  # while the rest is still to come
        assert (page.locator("#stop").is_visible(), page.locator("#send").is_visible()) == (True, False)
        page.locator(".assistant", has_text="罠").wait_for()
        page.locator("#send").wait_for()
        assert page.locator(".assistant h3").inner_text() == "見出し"
        assert page.locator(".assistant li").count() == 2
        assert page.locator(".assistant pre code").inner_text() == "print('<b>')"
        assert page.locator(".assistant img, .assistant a[href^=javascript]").count() == 0
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")

        town.provider.answer = streamed(["長い", "話", "が", "続く"], pause=0.5)
        page.locator("#words").fill("やめて")
        page.locator("#send").click()
        page.locator(".assistant", has_text="長い").wait_for()
        page.locator("#stop").click()
        page.locator("#send").wait_for()
    stopped = town.record_of(lambda r: "やめて" in str(r["request"]))
    assert stopped["end_state"] == "client_gone"
    assert [m["role"] for m in stopped["request"]["messages"]] == ["user", "assistant", "user"]

    other = page_of(DESKTOP, "en")
    signed_in(other, town, "ann@example.com")
    other.goto(town.chat_url + "/")
    other.locator("#history summary").click()
    other.locator("#chats button", has_text="箇条書きで教えて").first.click()
    other.locator(".assistant h3", has_text="見出し").wait_for()
    assert other.locator(".user").first.inner_text() == "箇条書きで教えて"

    bob = page_of(DESKTOP, "en")
    signed_in(bob, town, "bob@example.com")
    bob.goto(town.chat_url + "/")
    assert bob.evaluate("fetch('/chat/history').then((answer) => answer.json())") == []
    theirs = f"fetch('/chat/history/{stopped['id']}').then((answer) => answer.status)"
    assert (other.evaluate(theirs), bob.evaluate(theirs)) == (200, 404)


def test_what_was_not_sent_is_told_in_ones_language_and_need_not_be_written_again(
    town: Town, page_of: "Callable[..., Page]"
) -> None:
    page = page_of(PHONE, "ja")
    signed_in(page, town)
    page.goto(town.chat_url + "/")
    said = page.locator("[role=alert]").last
    page.context.clear_cookies()
    page.locator("#words").fill("長い相談です")
    page.locator("#send").click()
    said.wait_for()
    assert "セッションは終了しています" in said.inner_text()
    assert said.get_by_role("link").get_attribute("href") == "/_sekisho/login?to=/chat"
    assert page.locator("#words").input_value() == "長い相談です"

    signed_in(page, town)
    town.provider.answer = Answer([b'{"error": {"message": "overloaded"}}'], status=503)
    page.locator("#send").click()
    page.locator("[role=alert]", has_text="overloaded").wait_for()
    assert said.inner_text().startswith("回答が得られませんでした。")
    assert page.locator("#words").input_value() == "長い相談です"

    town.provider.answer = streamed(["はい"])
    page.locator("#send").click()
    page.locator(".assistant", has_text="はい").wait_for()
    assert page.locator("#words").input_value() == ""


def test_a_terminal_signs_in_by_a_browser_and_its_token_is_in_a_file_for_its_owner_alone(
    town: Town, page_of: "Callable[..., Page]", tmp_path: Path
) -> None:
    town.provider.answer = completion("はい")
    file = tmp_path / "home" / "token"
    command = [sys.executable, "run_proxy.py", "login", town.url, "--name", "ノートPC", "--to", str(file)]
    page = page_of(PHONE, "ja")
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as terminal:
        assert terminal.stderr is not None
        address = terminal.stderr.readline().removeprefix("Open ").strip()
        assert address.startswith(f"{town.url}/_sekisho/device?user_code=")
        page.goto(address)
        sign_in(page, "ann")
        assert page.locator("#name").inner_text() == "ノートPC"
        page.locator("button[value=yes]").click()
        page.locator("[role=status]", has_text="完了しました").wait_for()
        said, shown = terminal.stderr.read(), terminal.stdout.read() if terminal.stdout else ""
    token = file.read_text().strip()

    assert (terminal.returncode, shown) == (0, "")
    assert file.stat().st_mode & 0o777 == 0o600
    assert token not in said
    assert re.match(r"and approve the code [A-Z]{4}-[A-Z]{4}\. Waiting", said)
    assert f"OPENAI_BASE_URL={town.instance.url}/v1" in said
    assert call(town, token, "gpt-4o") == (200, None)


@pytest.mark.parametrize(
    ("address", "code", "said"),
    [
        ("http://chat.example.com", 2, "must not travel in the clear"),
        ("ftp://chat.example.com", 2, "is not an address"),
        ("http://127.0.0.1:9", 1, "cannot be asked"),
    ],
)
def test_a_front_that_cannot_be_signed_in_at_is_told_in_a_sentence(address: str, code: int, said: str) -> None:
    done = CliRunner().invoke(app, ["login", address])

    assert done.exit_code == code
    assert said in " ".join(done.stderr.split())


@pytest.mark.parametrize(("size", "language", "scheme"), [(PHONE, "ja-JP", "dark"), (DESKTOP, "en-GB", "light")])
def test_no_page_has_a_serious_violation_or_scrolls_sideways(
    town: Town, chromium: "Browser", size: dict[str, int], language: str, scheme: str
) -> None:
    """By axe, in both colours, both languages, wide and narrow."""
    context = chromium.new_context(
        viewport=size,  # type: ignore[arg-type] # a TypedDict of the same shape
        locale=language,
        color_scheme=scheme,  # type: ignore[arg-type] # one of its words
        bypass_csp=True,  # for axe
    )
    page = context.new_page()
    for path in ("/_sekisho/login", "/_sekisho/callback", "/chat", "/me", "/_sekisho/device?user_code=X", "/nowhere"):
        if path == "/chat":
            signed_in(page, town)
        page.goto(town.chat_url + path)
        page.evaluate("document.querySelectorAll('main details').forEach((one) => { one.open = true })")
        page.evaluate(AXE)
        found = page.evaluate("axe.run(document, {resultTypes: ['violations']}).then((run) => run.violations)")
        assert [(one["id"], one["nodes"][0]["html"]) for one in found if one["impact"] in ("serious", "critical")] == []
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
    context.close()
