"""Public keys as issuers publish them (RFC 7517), and which of them are of use."""

import base64
import hashlib
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from exchange.call import Json
from identities.claims import json_object, text

log = logging.getLogger(__name__)

_PRIVATE_MEMBERS = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
_RSA = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
_CURVES = {"secp256r1": "ES256", "secp384r1": "ES384", "secp521r1": "ES512"}

type Material = rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey | bytes


@dataclass(frozen=True, slots=True)
class Key:
    """A key and the algorithms it may be used with: what its kind allows, of those the settings name."""

    material: Material
    algorithms: frozenset[str]


class NoKeys(ValueError):  # noqa: N818 - what it is, not what failed
    """A document that is no key set, or has no usable key; the message says which, in words for the log."""


def algorithms_of(material: object) -> frozenset[str]:
    """What a public key may verify (RFC 7518 §3.1, RFC 8037 §3.1); nothing for keys too short to trust."""
    if isinstance(material, rsa.RSAPublicKey):
        return frozenset(_RSA) if material.key_size >= 2048 else frozenset()
    if isinstance(material, ec.EllipticCurvePublicKey):
        return frozenset({_CURVES[material.curve.name]}) if material.curve.name in _CURVES else frozenset()
    return frozenset({"EdDSA"}) if isinstance(material, ed25519.Ed25519PublicKey) else frozenset()


@dataclass(frozen=True, slots=True)
class KeyRules:
    """Which keys of a set are of use. `issuer` is compared where a key names one (Entra); `{tenantid}` stands
    for anything there only because the whole is compared after filling in ours."""

    algorithms: tuple[str, ...]
    issuer: str | None = None
    known_public: frozenset[str] = frozenset()


def keys_of(raw: bytes, rules: KeyRules) -> tuple[dict[str, Key], list[dict[str, Json]]]:
    """The usable keys of a JWK set by key id, and their JWKs. One bad key never spoils the rest; of two with one
    id the first wins. A key without an id stands under "".

    Raises:
        NoKeys: not a key set, or one without a usable key.
    """
    found = json_object(raw)
    listed = found.get("keys") if found else None
    if not isinstance(listed, list):
        raise NoKeys("the document is not a JWK set")
    keys: dict[str, Key] = {}
    kept: list[dict[str, Json]] = []
    for jwk in listed:
        key = _key(jwk, rules)
        if key is None or not isinstance(jwk, dict):
            continue
        kid = text(jwk, "kid") or ""
        if kid in keys:
            log.warning("Two keys of one set have the same id; the first holds.")
            continue
        keys[kid] = key
        kept.append(jwk)
    if not keys:
        raise NoKeys("the JWK set has no usable key")
    return keys, kept


def _key(jwk: Json, rules: KeyRules) -> Key | None:
    if not isinstance(jwk, dict) or jwk.get("kty") not in ("RSA", "EC", "OKP") or _PRIVATE_MEMBERS & jwk.keys():
        return None  # `oct` in a public document would make anybody who read it a signer
    if jwk.get("use", "sig") != "sig" or len(text(jwk, "kid") or "") > 512:
        return None
    named = jwk.get("issuer")
    if rules.issuer and isinstance(named, str):
        tenant = rules.issuer.split("/")[3] if rules.issuer.count("/") >= 3 else ""
        if named.replace("{tenantid}", tenant) != rules.issuer:
            return None
    try:
        material: Any = jwt.PyJWK(jwk, _some_algorithm(jwk)).key
    except (jwt.PyJWTError, ValueError, TypeError, KeyError, NotImplementedError, OverflowError):
        return None
    usable = algorithms_of(material) & frozenset(rules.algorithms)
    if isinstance(own := jwk.get("alg"), str):
        usable &= {"EdDSA" if own == "Ed25519" else own}  # RFC 9864's name for the same
    if not usable or thumbprint(jwk) in rules.known_public:
        return None
    return Key(material, usable)


def _some_algorithm(jwk: Mapping[str, Json]) -> str | None:
    """An algorithm to read the key with: which one it verifies with is decided elsewhere, `alg: none` or not."""
    return {"RSA": "RS256", "OKP": "EdDSA"}.get(str(jwk.get("kty")))


def thumbprint(jwk: Mapping[str, Json]) -> str:
    """RFC 7638, base64url of SHA-256 over the members that make the key."""
    members = {"RSA": ("e", "kty", "n"), "EC": ("crv", "kty", "x", "y"), "OKP": ("crv", "kty", "x")}
    chosen = {name: jwk.get(name) for name in members[str(jwk["kty"])]}
    canonical = json.dumps(chosen, separators=(",", ":"), sort_keys=True).encode()
    return base64.urlsafe_b64encode(hashlib.sha256(canonical).digest()).rstrip(b"=").decode()
