"""An OpenID Connect issuer of our own on loopback: discovery, keys, and ID tokens signed with ES256."""

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec

AUDIENCE = "sekisho"


class Issuers:
    """Some issuers at http://127.0.0.1:PORT/0, /1 and so on, each with a key of its own."""

    def __init__(self, count: int) -> None:
        self._keys = [ec.generate_private_key(ec.SECP256R1()) for _ in range(count)]
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def address(self, number: int) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/{number}"

    def settings(self, count: int) -> str:
        """The first `count` of them, as they stand under identity.issuers."""
        return ", ".join(
            f"{{name: i{n}, kind: oidc, issuer: '{self.address(n)}', audience: {AUDIENCE}}}" for n in range(count)
        )

    def token(self, number: int) -> str:
        """An ID token for ann@example.com, of the usual size (about 600 bytes), good for half a day."""
        now = int(time.time())
        claims = {
            "iss": self.address(number),
            "aud": AUDIENCE,
            "sub": "ann",
            "email": "ann@example.com",
            "email_verified": True,
            "name": "Ann Example",
            "iat": now,
            "exp": now + 12 * 3600,
            "at_hash": "x" * 22,
            "sid": "x" * 80,
        }
        return jwt.encode(claims, self._keys[number], "ES256", headers={"kid": f"k{number}"})

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _answer(self, path: str) -> dict[str, Any] | None:
        number, _, rest = path.strip("/").partition("/")
        if not number.isdigit() or int(number) >= len(self._keys):
            return None
        if rest == ".well-known/openid-configuration":
            return {"issuer": self.address(int(number)), "jwks_uri": f"{self.address(int(number))}/keys"}
        if rest == "keys":
            public = self._keys[int(number)].public_key()
            key = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(public))
            return {"keys": [{**key, "kid": f"k{number}", "use": "sig", "alg": "ES256"}]}
        return None

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        issuers = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                found = issuers._answer(self.path)
                body = json.dumps(found or {}).encode()
                self.send_response(200 if found else 404)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name of the library
                """Nothing: the progress bar has the terminal."""

        return Handler
