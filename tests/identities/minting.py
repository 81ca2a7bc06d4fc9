"""Tokens as issuers make them, and as attackers would."""

import base64
import json
import time
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from identities.verifier import IdentityRefused, Verifier, verifier_from
from settings.schema import Identity

NOW = time.time()
ISSUER = "https://idp.example.com"


@cache
def rsa_key(name: str = "a", bits: int = 2048) -> rsa.RSAPrivateKey:
    del name  # one key per name
    return rsa.generate_private_key(65537, bits)


@cache
def ec_key(name: str = "a") -> ec.EllipticCurvePrivateKey:
    del name
    return ec.generate_private_key(ec.SECP256R1())


@cache
def ed_key(name: str = "a") -> ed25519.Ed25519PrivateKey:
    del name
    return ed25519.Ed25519PrivateKey.generate()


def b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def public_jwk(key: Any, kid: str | None, **more: Any) -> dict[str, Any]:
    public = key.public_key()
    if isinstance(public, rsa.RSAPublicKey):
        found = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(public))
    elif isinstance(public, ec.EllipticCurvePublicKey):
        found = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(public))
    else:
        found = json.loads(jwt.algorithms.OKPAlgorithm.to_jwk(public))
    found.pop("key_ops", None)
    jwk: dict[str, Any] = found | ({"kid": kid} if kid is not None else {}) | more
    return jwk


def jwks(*keys: dict[str, Any]) -> bytes:
    return json.dumps({"keys": list(keys)}).encode()


def pem(key: Any) -> bytes:
    return bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))


def claims(**changed: Any) -> dict[str, Any]:
    """An ID token of the issuer `corp`; a claim set to `...` is left out."""
    all_of_them = {
        "iss": ISSUER,
        "aud": "sekisho",
        "sub": "u-ann",
        "email": "ann@example.com",
        "email_verified": True,
        "iat": int(NOW) - 5,
        "exp": int(NOW) + 3600,
    } | changed
    return {name: value for name, value in all_of_them.items() if value is not ...}


def token(
    payload: Mapping[str, Any] | None = None,
    *,
    key: Any = None,
    alg: str = "RS256",
    kid: str | None = "k1",
    **head: Any,
) -> str:
    key = key if key is not None else rsa_key() if alg.startswith(("RS", "PS")) else ec_key()
    headers = head | ({"kid": kid} if kid is not None else {})
    return jwt.encode(dict(payload if payload is not None else claims()), key, alg, headers=headers)


def raw_token(head: bytes, payload: bytes, *, key: Any = None, padded: bool = False) -> str:
    """A token whose parts are exactly these bytes, RS256 or ES256 by the key's kind, truly signed."""
    key = key or rsa_key()

    def part(raw: bytes) -> str:
        return base64.urlsafe_b64encode(raw).decode() if padded else b64(raw)

    signed = f"{part(head)}.{part(payload)}"
    algorithm = "RS256" if isinstance(key, rsa.RSAPrivateKey) else "ES256"
    signature = jwt.get_algorithm_by_name(algorithm).sign(signed.encode(), key)
    return f"{signed}.{part(signature)}"


def head(**more: Any) -> bytes:
    return json.dumps({"alg": "RS256", "typ": "JWT", "kid": "k1"} | more).encode()


def bearer(value: str, name: bytes = b"authorization") -> tuple[bytes, bytes]:
    return name, (b"Bearer " if name == b"authorization" else b"") + value.encode("utf-8", "surrogateescape")


def corp(folder: Path, *keys: dict[str, Any], **changed: Any) -> dict[str, Any]:
    """Settings of an OIDC issuer whose keys are in a file."""
    path = folder / f"{changed.get('name', 'corp')}.jwks"
    path.write_bytes(jwks(*(keys or (public_jwk(rsa_key(), "k1"), public_jwk(ec_key(), "e1")))))
    return {
        "name": "corp",
        "kind": "oidc",
        "issuer": ISSUER,
        "audience": "sekisho",
        "jwks_file": str(path),
        "algorithms": ["RS256", "ES256"],
    } | changed


def verifier(folder: Path, *issuers: dict[str, Any], domains: tuple[str, ...] = ("example.com",)) -> Verifier:
    identity = Identity.model_validate({"domains": domains, "issuers": issuers})
    return verifier_from(identity, data_dir=folder, profile="gateway")


async def answer(one: Verifier, *fields: tuple[bytes, bytes], now: float = NOW, **more: Any) -> str:
    """The e-mail address (or domain) that was let in, or the code of the refusal."""
    try:
        found = await one.identify(fields, now=now, **more)
    except IdentityRefused as refused:
        if "eyJ" in refused.reason:
            raise AssertionError("a part of the token is in the reason") from None
        return refused.code
    return found.principal.email or found.principal.domain or found.principal.subject
