"""Azure OpenAI's paths (Azure OpenAI REST API reference): the deployment stands in for the model.

/openai/deployments/{deployment}/chat/completions?api-version=…
/v1/engines/{engine}/completions                                    the same, as OpenAI had it once and proxies still do
/openai/v1/chat/completions                                        the v1 API: the model is in the body
/models/chat/completions?api-version=…                              Azure AI model inference: the same
"""

import re
from typing import Final
from urllib.parse import unquote

_DEPLOYMENT: Final = re.compile(r"(?:/[^/]+)*?/(?:deployments|engines)/(?P<deployment>[^/]+)(?P<rest>/.+)")


def parse(path: str) -> tuple[str | None, str]:
    """Deployment and the rest of the path behind it; None and the whole path when none is named."""
    found = _DEPLOYMENT.fullmatch(path)
    return (unquote(found["deployment"]), found["rest"]) if found else (None, path)
