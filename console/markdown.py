"""Markdown of strangers → HTML that can do nothing: no HTML of theirs, no picture, nothing that can be clicked.

Three walls: markdown-it with HTML off and pictures and links replaced by what they say; nh3, which lets through a short
list of tags and no attribute; and the Content-Security-Policy of every page.
"""

import re
from collections.abc import MutableMapping, Sequence
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
_OURS: Final = re.compile(f"{_OPEN}([0-9a-f]+){_CLOSE}")
_STRANGE: Final = re.compile(f"{HIDDEN.pattern}|[{_OPEN}{_CLOSE}]")


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


def markdown(text: str) -> Markup:
    """What was written, laid out; text that is too long, or that cannot be laid out, as it is."""
    if len(text) > LONGEST:
        return as_written(text)
    plain = _STRANGE.sub(lambda found: f"{_OPEN}{ord(found[0]):x}{_CLOSE}", text.replace("\r\n", "\n"))
    try:
        html = nh3.clean(_markdown.render(plain), tags=set(_TAGS), attributes={}, link_rel=None)
    except (ValueError, RecursionError, UnicodeError):
        return as_written(text)
    return Markup(_OURS.sub(lambda found: str(mark(int(found[1], 16))), html))  # noqa: S704 - cleaned above


def as_written(text: str) -> Markup:
    """As it is, in lines."""
    return Markup('<pre class="plain">{}</pre>').format(marked(text.replace("\r\n", "\n")))
