"""An OpenID provider on loopback that answers as it is told to, for what no honest one does.

The two that others wrote stand in tests/issuers; journeys sign in there.
"""

import base64
import hashlib
import json
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, parse_qsl, unquote, urlencode, urlsplit

import jwt

from tests.identities.minting import public_jwk, rsa_key

SECRET = "s3cret with : and % and +"


class FakeProvider:
    """Issues ID tokens for `claims`; `spoil` may change them last. `asked` are the forms its token endpoint got."""

    def __init__(self) -> None:
        provider = self
        key = rsa_key()  # made before two threads ask for it at once, and each would get its own

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                provider.pages.get(self.path, _missing)(self)

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                provider.asked.append(dict(parse_qsl(body.decode(), keep_blank_values=True)))
                provider.auth.append(self.headers.get("authorization", ""))
                provider.token_endpoint(self)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self.document: dict[str, Any] = {
            "issuer": self.url,
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
            "jwks_uri": f"{self.url}/jwks",
            "authorization_response_iss_parameter_supported": True,
        }
        self.pages: dict[str, Callable[[BaseHTTPRequestHandler], None]] = {
            "/.well-known/openid-configuration": lambda to: answer(to, 200, self.document),
            "/jwks": lambda to: answer(to, 200, {"keys": [public_jwk(key, "k1", alg="RS256", use="sig")]}),
        }
        self.reset()

    def reset(self) -> None:
        self.asked: list[dict[str, str]] = []
        self.auth: list[str] = []
        self.claims: dict[str, Any] = {"sub": "u-ann", "email": "ann@example.com", "email_verified": True}
        self.spoil: Callable[[dict[str, Any]], None] = lambda _: None
        self.token_endpoint: Callable[[BaseHTTPRequestHandler], None] = self._token
        self._codes: dict[str, dict[str, str]] = {}

    def authorize(self, location: str, **more: str | None) -> str:
        """The query of the answer that a browser brings back after going to `location`; None takes a part away."""
        given = {name: values[0] for name, values in parse_qs(urlsplit(location).query).items()}
        code = secrets.token_urlsafe(16)
        self._codes[code] = given
        parts: dict[str, str | None] = {"code": code, "state": given["state"], "iss": self.url, **more}
        return urlencode({name: value for name, value in parts.items() if value is not None})

    def _token(self, to: BaseHTTPRequestHandler) -> None:
        form = self.asked[-1]
        given = self._codes.pop(form.get("code", ""), None)
        scheme, _, both = self.auth[-1].partition(" ")
        who = [unquote(part) for part in base64.b64decode(both).decode().split(":")] if scheme == "Basic" else []
        challenge = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        if given is None or (who and who != ["sekisho", SECRET]) or given["redirect_uri"] != form.get("redirect_uri"):
            answer(to, 400, {"error": "invalid_grant"})
        elif base64.urlsafe_b64encode(challenge).rstrip(b"=").decode() != given["code_challenge"]:
            answer(to, 400, {"error": "invalid_grant", "error_description": "PKCE"})
        else:
            answer(to, 200, {"access_token": "x", "token_type": "Bearer", "id_token": self.id_token(given["nonce"])})

    def id_token(self, nonce: str) -> str:
        now = int(time.time())
        claims = {"iss": self.url, "aud": "sekisho", "iat": now, "exp": now + 600, "nonce": nonce, **self.claims}
        self.spoil(claims)
        return jwt.encode(claims, rsa_key(), "RS256", {"kid": "k1"})

    @contextmanager
    def running(self) -> Iterator["FakeProvider"]:
        thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            self._server.server_close()
            thread.join(5)


def answer(to: BaseHTTPRequestHandler, status: int, said: Any, **headers: str) -> None:
    body = said if isinstance(said, bytes) else json.dumps(said).encode()
    to.send_response(status)
    to.send_header("content-type", "application/json")
    to.send_header("content-length", str(len(body)))
    for name, value in headers.items():
        to.send_header(name.replace("_", "-"), value)
    to.end_headers()
    to.wfile.write(body)


def _missing(to: BaseHTTPRequestHandler) -> None:
    answer(to, 404, {})
