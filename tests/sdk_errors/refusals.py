"""What goes wrong, the same for every SDK: with which key and which change a call is made, which code it must meet."""

from dataclasses import dataclass, field
from typing import Any

from exchange.decision import CODES
from tests.identities.minting import claims, token

GOOD = token()
KEYS = {
    "good": GOOD,
    "a provider's": "sk-not-an-identity",
    "spoilt": GOOD[:-6] + "AAAAAA",
    "of a stranger": token(claims(iss="https://stranger.test")),
    "expired": token(claims(iat=1_700_000_000, exp=1_700_000_600)),
    "for ten years": token(claims(exp=int(claims()["iat"]) + 10 * 366 * 86400)),
    "unverified": token(claims(email_verified=False)),
    "of another domain": token(claims(email="eve@evilexample.com")),
    "of nobody": token(claims(email=...)),
    "of an issuer that is down": token(claims(iss="https://far.example.com")),
}
BOB_AT_THE_EDGE = token(claims(iss="https://edge.example.com", sub="u-bob", email="bob@example.com"))


def nested(depth: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for _ in range(depth):
        found = {"a": found}
    return found


@dataclass(frozen=True)
class Refusal:
    """A call that must not pass, and the code it meets."""

    code: str
    key: str = "good"
    model: str | None = None  # one that is not allowed, where it matters
    headers: dict[str, str] = field(default_factory=dict)
    more: dict[str, Any] = field(default_factory=dict)  # in the body, beside what is usual
    prompt: str = "Hello"
    call: str = "usual"  # or another operation, of the SDK's own

    @property
    def token(self) -> str:
        return KEYS[self.key]

    @property
    def status(self) -> int:
        return CODES[self.code].status

    @property
    def sentence(self) -> str:
        return CODES[self.code].message

    @property
    def requests(self) -> int:
        """How many arrive from an SDK that may try twice."""
        return 2 if CODES[self.code].retry else 1

    def __str__(self) -> str:
        return f"{self.status} {self.code}, {self.key}"


WHO = [
    Refusal("missing_identity", "a provider's"),
    Refusal("invalid_token", "spoilt"),
    Refusal("invalid_token", "of a stranger"),
    Refusal("expired_token", "expired"),
    Refusal("token_lifetime_too_long", "for ten years"),
    Refusal("email_not_verified", "unverified"),
    Refusal("domain_not_allowed", "of another domain"),
    Refusal("subject_not_allowed", "of nobody"),
    Refusal("conflicting_identity", headers={"X-Edge-Jwt": BOB_AT_THE_EDGE}),
    Refusal("identity_keys_unavailable", "of an issuer that is down"),
]
WHAT = [
    Refusal("model_not_allowed", model="other-model"),
    Refusal("operation_not_allowed", call="embeddings"),
    Refusal("path_not_allowed", call="files"),
    Refusal("bad_header", headers={"X_User": "eve"}),
    Refusal("content_encoding_not_supported", headers={"Content-Encoding": "br"}),
    Refusal("json_too_deep", more={"x": nested(300)}),
    Refusal("body_too_large", prompt="long " * 40_000),
    Refusal("websocket_not_supported", headers={"Connection": "Upgrade", "Upgrade": "websocket"}),
]
UNAVAILABLE = Refusal("audit_unavailable")
UNREACHABLE = Refusal("upstream_unreachable")
