"""Tokens of our own, for people and programs that have no other issuer: made here, by an administrator.

Ed25519 (RFC 8037). Under `data_dir/keys`: `own-signing.pem` (0600), the key that signs, and `own-public.json`, the
keys whose tokens are accepted, which workers read. The first use makes both.
"""

import base64
import contextlib
import fcntl
import json
import os
import time
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from exchange.call import Json
from files.whole import write_whole
from identities.claims import json_object
from identities.issuers.own_token import AUDIENCE, ISSUER
from identities.jwk import thumbprint
from settings.domains import mail_parts

_SIGNING = "own-signing.pem"
_PUBLIC = "own-public.json"


def public_keys_path(data_dir: Path) -> Path:
    """Where the public keys stand, whether they are there yet or not."""
    return data_dir / "keys" / _PUBLIC


def mint(
    data_dir: Path,
    *,
    email: str,
    days: float,
    subject: str | None = None,
    groups: Sequence[str] = (),
    name: str = "",
) -> str:
    """A signed token for this address, valid from now on for so many days.

    `subject` is the address when not given; `name` is a label for people. Any address may be minted for: whether
    its domain passes is decided at the gate.

    Raises:
        ValueError: the address is none, or the days are not a positive number.
        OSError: the keys cannot be read or written.
    """
    parts = mail_parts(email)
    if parts is None:
        raise ValueError(f"{email!r} is not an e-mail address. Write it as in ann@example.com")
    if not 0 < days <= 36600:
        raise ValueError(f"{days} is no number of days. Write one from 1 to 36600")
    key = _signing_key(data_dir)
    now = int(time.time())
    claims: dict[str, Json] = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": subject or "@".join(parts),
        "email": "@".join(parts),
        "jti": str(uuid.uuid4()),
        "iat": now,
        "exp": now + max(1, int(days * 86400)),
    }
    if groups:
        claims["groups"] = list(groups)
    if name:
        claims["name"] = name
    return jwt.encode(claims, key, algorithm="EdDSA", headers={"kid": _kid(key.public_key())})


def public_keys(data_dir: Path) -> list[dict[str, Json]]:
    """The JWKs whose tokens are accepted, the signing one first; empty before the first use."""
    try:
        found = json_object(public_keys_path(data_dir).read_bytes())
    except FileNotFoundError:
        return []
    listed = found.get("keys") if found else None
    if not isinstance(listed, list):
        what = f"{public_keys_path(data_dir)} is not a JWK set. Restore it, or take it away and rotate"
        raise ValueError(what)  # noqa: TRY004 - the file is wrong, not the call
    return [jwk for jwk in listed if isinstance(jwk, dict)]


def rotate(data_dir: Path, *, drop_old: bool = False) -> str:
    """A new signing key; returns its id. Tokens of the old ones stay valid until they expire, unless `drop_old`
    says that they must not (a key got out): workers notice within seconds.

    Raises:
        OSError: the keys cannot be written.
    """
    with _locked(data_dir) as folder:
        key = Ed25519PrivateKey.generate()
        before = [] if drop_old else public_keys(data_dir)
        # The public half first: a token signed by a key nobody knows yet would be refused.
        _publish(folder, [_jwk(key.public_key()), *before])
        write_whole(folder / _SIGNING, _pem(key))
        return _kid(key.public_key())


def _signing_key(data_dir: Path) -> Ed25519PrivateKey:
    with _locked(data_dir) as folder:
        path = folder / _SIGNING
        try:
            key = load_pem_private_key(path.read_bytes(), password=None)
        except FileNotFoundError:
            key = Ed25519PrivateKey.generate()
            write_whole(path, _pem(key))
        if not isinstance(key, Ed25519PrivateKey):
            raise ValueError(f"{path} is not an Ed25519 key. Restore it, or take it away and rotate")  # noqa: TRY004
        known = public_keys(data_dir)
        if not any(jwk.get("kid") == _kid(key.public_key()) for jwk in known):
            _publish(folder, [_jwk(key.public_key()), *known])
        return key


@contextlib.contextmanager
def _locked(data_dir: Path) -> Iterator[Path]:
    """The folder of keys, held by this process alone: two first uses at once must not make two keys."""
    folder = data_dir / "keys"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle = os.open(folder / ".own.lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield folder
    finally:
        os.close(handle)


def _publish(folder: Path, jwks: Sequence[dict[str, Json]]) -> None:
    write_whole(folder / _PUBLIC, json.dumps({"keys": list(jwks)}, indent=1).encode())


def _pem(key: Ed25519PrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _jwk(key: Ed25519PublicKey) -> dict[str, Json]:
    x = base64.urlsafe_b64encode(key.public_bytes_raw()).rstrip(b"=").decode()
    jwk: dict[str, Json] = {"kty": "OKP", "crv": "Ed25519", "x": x}
    return {**jwk, "kid": thumbprint(jwk), "alg": "EdDSA", "use": "sig"}


def _kid(key: Ed25519PublicKey) -> str:
    return str(_jwk(key)["kid"])
