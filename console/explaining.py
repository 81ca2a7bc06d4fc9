"""What a refusal means to whoever has to do something about it: what the caller was told, and what would have let it
pass. Sentences are keys of the catalogue."""

from dataclasses import dataclass
from typing import Final

from exchange.decision import CODES

_REMEDIES: Final = {
    "missing_identity": "The caller sends a signed token where the API key went, or its listener takes another issuer.",
    "invalid_token": "A token of an issuer under identity.issuers, with the audience that is set there. "
    "`sekisho token explain` says what is wrong with one.",
    "expired_token": "A fresh token: the client has to fetch one before the old one ends.",
    "token_lifetime_too_long": "A token that is valid for a shorter time; the issuer's setting says how long.",
    "domain_not_allowed": "The mail domain under identity.domains, if it may be admitted.",
    "email_not_verified": "The issuer verifies the address, or the issuer's setting does not ask for it.",
    "subject_not_allowed": "Whoever was revoked stays out; else the issuer's setting names who is admitted.",
    "group_not_allowed": "A rule under policies.rules that names one of this person's groups as their issuer does.",
    "model_not_allowed": "A rule under policies.rules that allows this model to this domain.",
    "operation_not_allowed": "A rule under policies.rules that names this operation.",
    "path_not_allowed": "Nothing: this path is not one that is read here.",
    "rule_denied": "The rule that forbids it would have to go, or to name less.",
    "unknown_provider": "The path of a provider under providers; the client's base URL is wrong.",
    "upstream_credential_unavailable": "The provider's key: `sekisho status` says which cannot be read.",
    "audit_unavailable": "Room on the disk, or the recorder back at work: `sekisho doctor` says which.",
}
_BY_STATUS: Final = {
    401: "A signed identity that can be verified.",
    403: "A setting that admits it.",
    500: "That was a fault of ours; the log says more.",
    503: "The state of this machine; `sekisho doctor` says more.",
}
_SHAPE: Final = "Another request: this one is not as the API wants it."


@dataclass(frozen=True, slots=True)
class Explained:
    """One code."""

    status: int | None
    told: str
    remedy: str


def explained(code: str) -> Explained:
    """What this code means; of one that is not known here, that."""
    known = CODES.get(code)
    if known is None:
        return Explained(None, "", _SHAPE)
    return Explained(known.status, known.message, _REMEDIES.get(code) or _BY_STATUS.get(known.status, _SHAPE))
