"""What is shown was written by strangers: in a real browser no script of theirs runs, and nothing leaves the page."""

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from console.hidden import marked
from console.markdown import markdown
from exchange.principal import Principal
from exchange.record import Record
from tests.cli.records import chat, record
from tests.console.conftest import Room
from tests.console.hostile import CORPUS

if TYPE_CHECKING:
    from playwright.sync_api import Browser, ConsoleMessage, Dialog, Request

OURS = ("/exchanges", "/threads/", "/static/")
STRANGE = """[...document.querySelectorAll('.talk *')].filter(each =>
    each.matches('script, img, iframe, object, embed, form, input, style, link, base, meta, video, audio, animate, use')
    || [...each.attributes].some(a => a.name.startsWith('on') || a.name.includes('hx-') || a.name === 'style'
        || a.name === 'src')).map(each => each.outerHTML.slice(0, 200))"""
"""What no page of ours has in a conversation."""


def everywhere(evil: str) -> Record:
    """In every field that somebody else fills."""
    call = {"id": "c", "type": "function", "function": {"name": evil, "arguments": evil}}
    one = record(
        {"model": evil[:200], "user": evil, "messages": [
            {"role": "system", "content": evil}, {"role": "user", "content": evil},
            {"role": "user", "content": [{"type": "image_url", "image_url": {"url": evil}}]},
            {"role": "assistant", "content": evil, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "c", "content": evil}, {"role": evil, "content": evil}]},
        {"choices": [{"index": 0, "message": {
            "role": "assistant", "content": evil, "refusal": evil, "reasoning_content": evil}}]},
        user_agent=evil, path=f"/v1/{evil}", query=evil, upstream_request_id=evil, reason=evil, rule=evil,
        principal=Principal(evil, evil, evil, evil, (evil,)),
    )  # fmt: skip
    return replace(one, derived=replace(one.derived, thread_id="0" * 31 + "1"))


def test_there_are_more_than_a_hundred_hostile_prompts() -> None:
    assert len(set(CORPUS)) > 100


@pytest.mark.timeout(300)
def test_no_script_runs_and_no_request_leaves_the_page(room: Room, chromium: "Browser") -> None:
    turns = [{"role": role, "content": evil} for evil in CORPUS for role in ("user", "assistant")]
    ids = room.store(record({"model": "gpt-4o", "messages": turns}, None), *map(everywhere, CORPUS))
    asked: list[str] = []
    dialogs: list[str] = []
    blocked: list[str] = []
    context = chromium.new_context()
    context.add_cookies([{"name": "sekisho-console", "value": room.cookie, "url": room.url("/")}])
    page = context.new_page()
    page.set_default_timeout(60_000)

    def seen(request: "Request") -> None:
        asked.append(request.url)

    def alarmed(dialog: "Dialog") -> None:
        dialogs.append(dialog.message)
        dialog.dismiss()

    def complained(said: "ConsoleMessage") -> None:
        if "Content Security Policy" in said.text:
            blocked.append(said.text)

    context.on("request", seen)
    page.on("dialog", alarmed)
    page.on("console", complained)
    pages = [
        "/exchanges",
        "/exchanges?before=70",
        f"/exchanges/{ids[0]}?from=0",
        f"/exchanges/{ids[0]}",
        f"/threads/{'0' * 31}1",
    ]
    for path in [*pages, *(f"/exchanges/{each}" for each in ids[1::6])]:
        page.goto(room.url(path))
        page.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true })")
        page.wait_for_timeout(50)
        assert page.evaluate("window.pwned") is None, path
        assert page.evaluate(STRANGE) == [], path
        assert page.evaluate("[...document.links].every(a => a.origin === location.origin)"), path
        assert "evil.example" not in page.url
    context.close()
    assert dialogs == []
    assert blocked == []  # nothing even came so far that the last wall had to stop it
    assert {url for url in asked if not url.startswith(tuple(room.url(each) for each in OURS))} == set()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\u202eb", 'a<span class="hid" title="U+202E">U+202E</span>b'),
        ("a\u200bb", 'a<span class="hid" title="U+200B">U+200B</span>b'),
        ("\x1b[2J", '<span class="hid" title="U+001B">\u241b</span>[2J'),
        ("<b>", "&lt;b&gt;"),
        ("日本語", "日本語"),
    ],
)
def test_what_cannot_be_seen_is_made_visible(text: str, shown: str) -> None:
    assert marked(text) == shown
    assert markdown(text).strip() == f"<p>{shown}</p>"


def test_a_text_cannot_pretend_to_be_one_of_our_marks() -> None:
    assert markdown("\ue0003c\ue001b").count('class="hid"') == 2


def test_where_a_link_leads_stands_beside_it_and_nothing_can_be_clicked() -> None:
    html = markdown("[good](https://evil.example) ![cat](https://evil.example/x.png)")
    assert "https://evil.example" in html
    assert "<a" not in html
    assert "<img" not in html


def test_a_chat_that_is_all_markdown_is_laid_out() -> None:
    html = markdown("# Title\n\n- **one**\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n```py\nx = 1\n```")
    for tag in ("<h1>", "<li>", "<strong>", "<td>", "<pre><code>"):
        assert tag in html


def test_nothing_that_was_said_is_missing_on_the_page(room: Room) -> None:
    (given,) = room.store(chat("question with ümlauts & <tags>", "answer"))
    assert "question with ümlauts &amp; &lt;tags&gt;" in room.get(f"/exchanges/{given}").text
