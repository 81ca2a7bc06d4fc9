"""axe finds nothing serious on any page, in both colours, both languages, wide and narrow; and nothing
scrolls sideways."""

import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.cli.records import chat, refused, streamed, with_tools
from tests.console.conftest import Room
from tests.console.test_counting import HOUR, at

if TYPE_CHECKING:
    from playwright.sync_api import Browser

AXE = (Path(__file__).parent / "axe.min.js").read_text("utf-8")  # axe-core 4.14.1, MPL-2.0, for tests only
SIDEWAYS = """[document.documentElement, ...document.querySelectorAll('main, main .card, main table.cards')]
    .filter(e => e.scrollWidth > e.clientWidth + 1).map(e => [e.tagName, e.className, e.scrollWidth])"""
"""What a finger would have to push aside."""

SHOTS = Path(__file__).parents[2] / "artefacts" / "screenshots"

ROOMS: list[dict[str, Any]] = [
    {"viewport": {"width": 1280, "height": 800}, "color_scheme": "light", "locale": "en-GB"},
    {"viewport": {"width": 390, "height": 844}, "color_scheme": "dark", "locale": "ja-JP"},
]


@pytest.mark.timeout(300)
@pytest.mark.parametrize("kind", ROOMS, ids=["wide, light, English", "phone, dark, Japanese"])
def test_no_page_has_a_serious_violation_or_scrolls_sideways(
    room: Room, chromium: "Browser", kind: dict[str, Any]
) -> None:
    ids = room.store(
        *[
            at(each, HOUR)
            for each in (with_tools(), refused(), streamed(["a", "b"]), chat("a\u202e", "# b\n\n| a |\n|-|\n| 1 |"))
        ]
    )
    context = chromium.new_context(**kind, bypass_csp=True)
    context.add_cookies([{"name": "sekisho-console", "value": room.cookie, "url": room.url("/")}])
    page = context.new_page()
    page.set_default_timeout(60_000)
    paths = [
        "/exchanges",
        *(f"/exchanges/{each}" for each in ids),
        "/overview",
        "/refusals",
        "/people",
        "/access",
        "/orders",
        "/orders/new?kind=erase&person=ann@example.com",
        "/help",
    ]
    for path in [*paths, "/reason", "/exchanges?q=usr:x", "/nothing"]:
        page.goto(room.url(path))
        page.evaluate("document.querySelectorAll('main details').forEach(d => { d.open = true })")
        assert page.evaluate(SIDEWAYS) == [], path
        if os.environ.get("CI") == "true":  # to be looked at afterwards; the folder is not in git
            name = re.sub(r"[0-9a-f-]{32,36}", "ID", path).strip("/").replace("/", ".")
            page.screenshot(path=SHOTS / kind["locale"] / f"{re.sub(r'[^a-zA-Z.]+', '-', name)}.png", full_page=True)
        page.evaluate(AXE)
        found = page.evaluate(
            "axe.run(document, {resultTypes: ['violations']}).then(r => JSON.stringify(r.violations))"
        )
        serious = [
            (each["id"], [node["html"][:160] for node in each["nodes"]][:3])
            for each in json.loads(found)
            if each["impact"] in ("serious", "critical")
        ]
        assert serious == [], path
    context.close()
