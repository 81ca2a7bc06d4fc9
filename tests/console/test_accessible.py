"""axe finds nothing serious on any page, on a laptop and on a phone, in English and Japanese, light and dark; and
nothing scrolls sideways. In CI each of these is a picture, to be looked at afterwards."""

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import pytest

from settings.schema import Settings
from tests.cli.records import chat, refused, streamed, with_tools
from tests.console.conftest import Room, opened
from tests.console.test_counting import HOUR, at

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

AXE: Final = (Path(__file__).parent / "axe.min.js").read_text("utf-8")  # axe-core 4.14.1, MPL-2.0, for tests only
ASK_AXE: Final = """given => axe.run(document, {resultTypes: ['violations'], ...given})
    .then(found => JSON.stringify(found.violations))"""
SIDEWAYS: Final = """() =>
    [document.documentElement, ...document.querySelectorAll('main, main .card, main table.cards')]
    .filter(e => e.scrollWidth > e.clientWidth + 1).map(e => [e.tagName, e.className, e.scrollWidth])"""
"""What a finger would have to push aside."""

SHOTS: Final = Path(__file__).parents[2] / "artefacts" / "screenshots"  # not in git
SIZES: Final = {"1280x800": (1280, 800), "390x844": (390, 844)}
THEMES: Final[tuple[Literal["light", "dark"], ...]] = ("light", "dark")
AND_FINGERS: Final = {"rules": {"target-size": {"enabled": True}}}
"""Besides what axe looks at by itself: is there room for a finger (WCAG 2.2, 2.5.8)?"""

OF_COLOURS: Final = {"runOnly": {"type": "rule", "values": ["color-contrast", "link-in-text-block"]}}
"""All that axe has to say about colours: the rest was said of the same page in the other theme."""


@pytest.fixture(scope="module")
def looked_at(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Room, list[str]]]:
    """A console, and the paths of its pages."""
    settings = Settings.model_validate({"data_dir": str(tmp_path_factory.mktemp("accessible") / "data")})
    talks = (with_tools(), refused(), streamed(["a", "b"]), chat("a\u202e", "# b\n\n| a |\n|-|\n| 1 |"))
    with opened(settings) as room:
        ids = room.store(*[at(each, HOUR) for each in talks])
        yield (
            room,
            [
                "/exchanges",
                *(f"/exchanges/{each}" for each in ids),
                "/overview",
                "/refusals",
                "/people",
                "/access",
                "/orders",
                "/orders/new?kind=erase&person=ann@example.com",
                "/help",
                "/reason",
                "/exchanges?q=usr:x",
                "/nothing",
            ],
        )


@pytest.fixture(scope="module")
def browser_page(chromium: "Browser", looked_at: tuple[Room, list[str]]) -> "Iterator[Page]":
    """One for all: a context of its own for each would take as long as the looking."""
    room, _ = looked_at
    context = chromium.new_context(bypass_csp=True)
    context.add_cookies([{"name": "sekisho-console", "value": room.cookie, "url": room.url("/")}])
    page = context.new_page()
    page.set_default_timeout(60_000)
    yield page
    context.close()


@pytest.mark.timeout(300)
@pytest.mark.parametrize("language", ["en", "ja"])
@pytest.mark.parametrize("size", SIZES)
def test_no_page_has_a_serious_violation_or_scrolls_sideways(
    looked_at: tuple[Room, list[str]], browser_page: "Page", size: str, language: str
) -> None:
    room, paths = looked_at
    page, (width, height) = browser_page, SIZES[size]
    page.context.add_cookies([{"name": "lang", "value": language, "url": room.url("/")}])
    page.set_viewport_size({"width": width, "height": height})
    for number, path in enumerate(paths):
        page.emulate_media(color_scheme=THEMES[0])
        page.goto(room.url(path))
        assert page.get_attribute("html", "lang") == language
        page.evaluate("document.querySelectorAll('main details').forEach(d => { d.open = true })")
        page.evaluate("document.querySelectorAll('#narrow').forEach(c => { c.checked = true })")
        assert page.evaluate(SIDEWAYS) == [], path
        page.evaluate(AXE)
        for theme in THEMES:
            page.emulate_media(color_scheme=theme)
            if os.environ.get("CI") == "true":
                page.screenshot(
                    path=SHOTS / f"{size}-{theme}-{language}" / f"{number:02}-{_name(path)}.png", full_page=True
                )
            assert _serious(page, OF_COLOURS if theme != THEMES[0] else AND_FINGERS) == [], (path, theme)


def _name(path: str) -> str:
    name = re.sub(r"[0-9a-f-]{32,36}", "ID", path).strip("/").replace("/", ".")
    return re.sub(r"[^a-zA-Z.]+", "-", name)


def _serious(page: "Page", options: dict[str, Any]) -> list[tuple[str, list[str]]]:
    return [
        (each["id"], [node["html"][:160] for node in each["nodes"]][:3])
        for each in json.loads(page.evaluate(ASK_AXE, options))
        if each["impact"] in ("serious", "critical")
    ]
