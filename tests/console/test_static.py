"""Files that the browser gets, and the catalogue."""

import hashlib
import re
from pathlib import Path

from console.orders import KINDS
from console.texts import keys

CONSOLE = Path(__file__).parents[2] / "console"
HTMX = "d6fdc75f204e6bdefa99b69bf1e6d4ac69b8a364f77929f45c13476b4000f717"  # htmx.org 2.0.11, dist/htmx.min.js

KEYED = {
    "state": ("proposed", "waiting", "running", "done", "failed"),
    "order": (*KINDS, "retain"),
    "look": ("search", "show", "replay", "export", "tail", "chats", "backup"),
}

_SAID = re.compile(r'\bt\("((?:[^"\\]|\\.)*)"\)')
_SAID_IN_CODE = re.compile(
    r"""(?:Span\(|NotFound\(|_said\(request, \d+,|return \d{3},|refused\(request, \d+,|"""
    r"""title=|said=|remedy =|said =|name =|else|"title":|_top\(|Series\()"""
    r"""\s*"([A-Z][^"]+)\""""
)


def test_htmx_is_the_file_that_was_released() -> None:
    assert hashlib.sha256((CONSOLE / "static/htmx.min.js").read_bytes()).hexdigest() == HTMX


def test_all_scripts_together_are_60_kb_at_most() -> None:
    assert sum(each.stat().st_size for each in (CONSOLE / "static").glob("*.js")) <= 60_000


def test_every_sentence_is_there_in_japanese() -> None:
    said = {each for page in (CONSOLE / "templates").glob("*.html") for each in _SAID.findall(page.read_text("utf-8"))}
    for file in (
        CONSOLE / f"{name}.py"
        for name in ("app", "exchange", "guard", "waterfall", "exchanges", "overview", "access_page", "orders")
    ):
        said |= set(_SAID_IN_CODE.findall(file.read_text("utf-8")))
    said |= {f"{about} {each}" for about, known in KEYED.items() for each in known}
    assert said > {"Exchanges", "The stream", "A fault"}
    assert {each for each in said if each not in keys()} == set()


def test_no_template_has_a_script_style_or_handler_of_its_own_or_marks_anything_as_safe() -> None:
    for page in (CONSOLE / "templates").glob("*.html"):
        text = page.read_text("utf-8")
        assert not re.search(r"\|\s*safe|autoescape|<style|\sstyle=|\son\w+=|<script(?! src=\"/static/)", text), (
            page.name
        )
