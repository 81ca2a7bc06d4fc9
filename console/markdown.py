"""Markdown of strangers → HTML that can do nothing: no HTML of theirs, no picture, nothing that can be clicked.

Three walls: markdown-it with HTML off and pictures and links replaced by what they say; nh3, which lets through a short
list of tags and no attribute; and the Content-Security-Policy of every page.
"""

import re
from collections.abc import Iterator, MutableMapping, Sequence
from typing import Any, Final

import nh3
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markupsafe import Markup

from console.hidden import mark, marked
from wire.conversation.hidden import HIDDEN

LONGEST: Final = 30_000
"""Characters that are laid out as Markdown; what is longer is shown as it was written."""

_TAGS: Final = frozenset(
    "p h1 h2 h3 h4 h5 h6 ul ol li blockquote pre code em strong s hr br table thead tbody tr th td".split()  # noqa: SIM905
)
_OPEN, _CLOSE = "\ue000", "\ue001"  # private use: what was there of them in the text is marked itself
_HIT, _END = "\ue002", "\ue003"  # around what was looked for
_OURS: Final = re.compile(f"{_OPEN}([0-9a-f]+){_CLOSE}")
_STRANGE: Final = re.compile(f"{HIDDEN.pattern}|[{_OPEN}{_CLOSE}{_HIT}{_END}]")

type Spans = Sequence[tuple[int, int]]
"""(start, end) of what was looked for, in order, none over another (wire.conversation.hits)."""


class _Renderer(RendererHTML):
    """Where a link leads stands beside it, as text: nobody is led anywhere, or told another place than the real one."""

    def image(self, tokens: Sequence[Token], idx: int, options: Any, env: MutableMapping[str, Any]) -> str:
        token = tokens[idx]
        said = self.renderInlineAsText(token.children, options, env) if token.children else ""
        return str(Markup("<em>[{}]</em> <code>{}</code>").format(said or "image", token.attrGet("src") or ""))

    def link_open(self, tokens: Sequence[Token], idx: int, options: Any, env: MutableMapping[str, Any]) -> str:  # noqa: ARG002
        env.setdefault("to", []).append(tokens[idx].attrGet("href") or "")
        env.setdefault("auto", []).append(tokens[idx].info == "auto")
        return ""

    def link_close(self, tokens: Sequence[Token], idx: int, options: Any, env: MutableMapping[str, Any]) -> str:  # noqa: ARG002
        to, auto = env["to"].pop(), env["auto"].pop()
        return "" if auto else str(Markup(" <code>{}</code>").format(to))


_markdown = MarkdownIt("commonmark", {"html": False, "breaks": True}, renderer_cls=_Renderer).enable(
    ["table", "strikethrough"]
)
_markdown.validateLink = lambda url: bool(url) or True  # type: ignore[method-assign] # shown as text, so shown whatever it is
_markdown.options["maxNesting"] = 20


def markdown(text: str, hits: Spans = ()) -> Markup:
    """What was written, laid out; text that is too long, or that cannot be laid out, as it is."""
    if len(text) > LONGEST:
        return as_written(text, hits)
    parts = [f"{_HIT}{_tamed(part)}{_END}" if hit else _tamed(part) for part, hit in _cut(text, hits)]
    plain = "".join(parts).replace("\r\n", "\n")
    try:
        html = nh3.clean(_markdown.render(plain), tags=set(_TAGS), attributes={}, link_rel=None)
    except (ValueError, RecursionError, UnicodeError):
        return as_written(text, hits)
    html = html.replace(_HIT, "<mark>").replace(_END, "</mark>")
    return Markup(_OURS.sub(lambda found: str(mark(int(found[1], 16))), html))  # noqa: S704 - cleaned above


def as_written(text: str, hits: Spans = ()) -> Markup:
    """As it is, in lines."""
    shown = [(marked(part.replace("\r\n", "\n")), hit) for part, hit in _cut(text, hits)]
    said = Markup().join(Markup("<mark>{}</mark>").format(part) if hit else part for part, hit in shown)
    return Markup('<pre class="plain">{}</pre>').format(said)


def _cut(text: str, hits: Spans) -> Iterator[tuple[str, bool]]:
    at = 0
    for start, end in hits:
        yield text[at:start], False
        yield text[start:end], True
        at = end
    yield text[at:], False


def _tamed(text: str) -> str:
    """What would not be seen as it is, and what we use ourselves, under a name that goes through Markdown."""
    return _STRANGE.sub(lambda found: f"{_OPEN}{ord(found[0]):x}{_CLOSE}", text)
