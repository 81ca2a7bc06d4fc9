"""Gemini's paths: the model and the method stand in them, not in the body.

    /v1beta/models/{model}:{method}                                       generativelanguage.googleapis.com
    /v1/projects/{p}/locations/{l}/publishers/{owner}/models/{model}:{method}    Vertex AI
    /v1/projects/{p}/locations/{l}/endpoints/{endpoint}:{method}                 Vertex AI, a deployed model

(Custom methods after a colon: Google AIP-136.)
"""

import re
from typing import Final
from urllib.parse import unquote

_PATH: Final = re.compile(
    r"""(?:/[^/]+)*?                                   # version; project and location
        /(?P<kind>models|tunedModels|endpoints)
        /(?P<name>[^/:]+)
        :(?P<method>[A-Za-z]+)""",
    re.VERBOSE,
)


def parse(path: str) -> tuple[str, str, bool] | None:
    """Model, method, and whether the method streams; None when the path names no model's method.

    `path` is without its query. A tuned model or an endpoint keeps its kind in the name (`tunedModels/x`), so that no
    rule about models takes it for one of Google's.
    """
    found = _PATH.fullmatch(path)
    if not found:
        # a client may escape the colon; the server sees the same path
        found = _PATH.fullmatch(path.replace("%3A", ":").replace("%3a", ":"))
    if not found:
        return None
    kind, name, method = found["kind"], unquote(found["name"]), found["method"]
    model = name if kind == "models" else f"{kind}/{name}"
    return model, method, method.startswith("stream")
