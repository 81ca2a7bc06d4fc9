"""What one writes first for `mitmdump -s`: known tokens, allowed models, the provider's key put in. For attacks.py."""

import fnmatch
import json
import os

from mitmproxy import http

_TOKENS = set(os.environ["NAIVE_TOKENS"].split())
_MODELS = os.environ["NAIVE_MODELS"].split()
_KEY = os.environ["NAIVE_KEY"]


class Naive:
    """Refuses what it does not know. Nothing in it is wrong that its author could see by trying it out."""

    def request(self, flow: http.HTTPFlow) -> None:
        """mitmproxy's hook."""
        token = flow.request.headers.get("authorization", "").removeprefix("Bearer ")
        if token not in _TOKENS:
            flow.response = http.Response.make(401, b'{"error":{"code":"unauthorized"}}')
            return
        model = json.loads(flow.request.content or b"")["model"]
        if not any(fnmatch.fnmatchcase(model, allowed) for allowed in _MODELS):
            flow.response = http.Response.make(403, b'{"error":{"code":"model"}}')
            return
        flow.request.headers["authorization"] = f"Bearer {_KEY}"


addons = [Naive()]
