"""Text of strangers → HTML in which nothing is hidden."""

import re
from typing import Final

from markupsafe import Markup, escape

from wire.conversation.hidden import HIDDEN, PICTURES

_CODE: Final = re.compile(r"`([^`]{1,200})`")


def marked(text: str) -> Markup:
    """The text, escaped; every control and every character without width or that turns the direction as a mark."""
    if text.isascii() and text.isprintable():
        return escape(text)
    parts: list[Markup] = []
    at = 0
    for found in HIDDEN.finditer(text):
        parts += [escape(text[at : found.start()]), mark(ord(found[0]))]
        at = found.end()
    return Markup().join([*parts, escape(text[at:])])


def coded(text: str) -> Markup:
    """A sentence of ours, escaped as all: what stands in it between backquotes is to be typed, or read in a file."""
    return Markup(_CODE.sub(r"<code>\1</code>", marked(text)))  # noqa: S704 - escaped by `marked`


def mark(code: int) -> Markup:
    """What stands for one such character."""
    name = f"U+{code:04X}"
    return Markup('<span class="hid" title="{}">{}</span>').format(name, PICTURES.get(code, name))


def one_line(text: str, limit: int) -> str:
    """The beginning, without line ends."""
    short = " ".join(text[: limit * 4].split())
    return short if len(short) <= limit else short[: limit - 1] + "…"
