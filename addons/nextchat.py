"""What NextChat's pages need of its own server, and nothing beside it.

Its server fetches what `x-base-url` names, and rewrites paths to other hosts. A POST of its page calls one of its
functions (Next.js, "Server Actions"), among them one that starts programs, whether its MCP is on or not (NextChat issue
6757): those that are told nothing pass, since its pages ask one of them before every message.
Read in its sources: app/client, app/store, app/mcp/actions.ts, app/utils/model.ts, public, next.config.mjs.
"""

import json
import re
from collections.abc import Sequence
from typing import Final

CONFIG: Final = "/api/config"
"""Where its pages ask for their settings, the models among them: they never ask the API for its list."""

_PAGES: Final = re.compile(
    r"/|/_next/(static|data)/.*|/api/config|/[A-Za-z0-9._-]+\.(js|json|png|ico|svg|txt|webmanifest|css|woff2?)"
)
"""The paths that pass with whatever query."""

_IMAGES: Final = re.compile(
    r"/_next/image\?url=%2F_next%2Fstatic(%2F[A-Za-z0-9_~-][A-Za-z0-9._~-]*)+&w=[0-9]+&q=[0-9]+"
)
"""Next.js fetches what an image's `url` names from itself, past those paths: its own files only, to the letter."""

_NOTHING: Final = (b"0", b"2")
"""Lengths of bodies that tell a function nothing: none at all, and `[]`, an empty list of arguments."""


def page_problem(method: str, path: str, target: str, fields: Sequence[tuple[bytes, bytes]]) -> str | None:
    """Why this may not go to NextChat's server, as a code. `path` is decoded, `target` as it came."""
    if _PAGES.fullmatch(path) is None and _IMAGES.fullmatch(target) is None:
        return "path_not_allowed"
    if method in ("GET", "HEAD"):
        return None
    lengths = [value.strip() for name, value in fields if name.lower() == b"content-length"]
    coded = any(name.lower() == b"transfer-encoding" for name, _ in fields)
    if method != "POST" or path not in ("/", CONFIG) or coded or len(lengths) != 1 or lengths[0] not in _NOTHING:
        return "path_not_allowed"
    return None


def page_settings(models: Sequence[str]) -> bytes:
    """What its server answers at `CONFIG` (JSON): no access code, these models and no other, no keys and no addresses
    of one's own, be it by hand or by a link."""
    return json.dumps(
        {
            "needCode": False,
            "hideUserApiKey": True,
            "disableGPT4": False,
            "hideBalanceQuery": True,
            "disableFastLink": True,
            "customModels": ",".join(["-all", *(f"+{model}@OpenAI" for model in models)]),
            "defaultModel": models[0] if models else "",
            "visionModels": "",
        }
    ).encode()
