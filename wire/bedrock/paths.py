"""Bedrock's runtime paths: `/model/{modelId}/{method}` (Amazon Bedrock Runtime API reference)."""

import re
from typing import Final
from urllib.parse import unquote

_PATH: Final = re.compile(
    r"/model/(?P<model>.+)/(?P<method>converse|converse-stream|invoke|invoke-with-response-stream"
    r"|invoke-with-bidirectional-stream|count-tokens)"
)


def parse(path: str) -> tuple[str, str, bool] | None:
    """Model, method, and whether the method streams; None when the path names no model's method.

    The model's id may be an ARN, whose colons and slashes are percent-encoded: the decoded id is returned.
    """
    found = _PATH.fullmatch(path)
    if not found:
        return None
    return unquote(found["model"]), found["method"], found["method"].endswith("-stream")
