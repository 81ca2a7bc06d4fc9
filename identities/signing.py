"""Keys of our own that sign tokens: Ed25519 (RFC 8037), a pair of files for each purpose.

Under `data_dir/keys`: `NAME-signing.pem` (0600), the key that signs, and `NAME-public.json`, the keys whose signatures
count, which workers read. The first use makes both.
"""

import base64
import contextlib
import fcntl
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

from exchange.call import Json
from files.whole import write_whole
from identities.claims import json_object
from identities.jwk import thumbprint

ALGORITHM: Final = "EdDSA"


class SigningKeys:
    """The keys of one purpose, by its name. No token of one purpose is signed by the key of another."""

    def __init__(self, data_dir: Path, name: str) -> None:
        self._folder = data_dir / "keys"
        self._name = name

    @property
    def public_path(self) -> Path:
        """Where the public keys stand, whether they are there yet or not."""
        return self._folder / f"{self._name}-public.json"

    def sign(self, claims: Mapping[str, Json]) -> str:
        """These claims as a signed token.

        Raises:
            ValueError: the key's file holds something else; the message says what to do.
            OSError: the keys cannot be read or written.
        """
        key = self.signing()
        return jwt.encode(dict(claims), key, algorithm=ALGORITHM, headers={"kid": _kid(key.public_key())})

    def public(self) -> list[dict[str, Json]]:
        """The JWKs whose signatures count, the signing one first; empty before the first use.

        Raises:
            ValueError, OSError: as `sign`.
        """
        try:
            found = json_object(self.public_path.read_bytes())
        except FileNotFoundError:
            return []
        listed = found.get("keys") if found else None
        if not isinstance(listed, list):
            what = f"{self.public_path} is not a JWK set. Restore it, or take it away and rotate"
            raise ValueError(what)  # noqa: TRY004 - the file is wrong, not the call
        return [jwk for jwk in listed if isinstance(jwk, dict)]

    def rotate(self, *, drop_old: bool = False) -> str:
        """A new signing key; returns its id. Tokens of the old ones stay valid until they expire, unless `drop_old`
        says that they must not (a key got out): workers notice within seconds.

        Raises:
            OSError: the keys cannot be written.
        """
        with self._locked():
            key = Ed25519PrivateKey.generate()
            before = [] if drop_old else self.public()
            # The public half first: a token signed by a key nobody knows yet would be refused.
            self._publish([_jwk(key.public_key()), *before])
            write_whole(self._signing_path, _pem(key))
            return _kid(key.public_key())

    def signing(self) -> Ed25519PrivateKey:
        """The key that signs, made by whoever asks first.

        Raises:
            ValueError, OSError: as `sign`.
        """
        with self._locked():
            path = self._signing_path
            try:
                key = load_pem_private_key(path.read_bytes(), password=None)
            except FileNotFoundError:
                key = Ed25519PrivateKey.generate()
                write_whole(path, _pem(key))
            if not isinstance(key, Ed25519PrivateKey):
                raise ValueError(f"{path} is not an Ed25519 key. Restore it, or take it away and rotate")  # noqa: TRY004
            known = self.public()
            if not any(jwk.get("kid") == _kid(key.public_key()) for jwk in known):
                self._publish([_jwk(key.public_key()), *known])
            return key

    @property
    def _signing_path(self) -> Path:
        return self._folder / f"{self._name}-signing.pem"

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """These keys, held by this process alone: two first uses at once must not make two keys."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(self._folder / f".{self._name}.lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)

    def _publish(self, jwks: Sequence[dict[str, Json]]) -> None:
        write_whole(self.public_path, json.dumps({"keys": list(jwks)}, indent=1).encode())


def _pem(key: Ed25519PrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _jwk(key: Ed25519PublicKey) -> dict[str, Json]:
    x = base64.urlsafe_b64encode(key.public_bytes_raw()).rstrip(b"=").decode()
    jwk: dict[str, Json] = {"kty": "OKP", "crv": "Ed25519", "x": x}
    return {**jwk, "kid": thumbprint(jwk), "alg": ALGORITHM, "use": "sig"}


def _kid(key: Ed25519PublicKey) -> str:
    return str(_jwk(key)["kid"])
