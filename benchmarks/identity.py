"""What identity costs: a token or certificate verified in full, its key at hand, and one recalled.

`python -m benchmarks.identity`. Bars: RS256 in full 150 µs, recalled 15 µs. `fastest` is the fastest of five runs,
`median` the middle one: on a machine that does other work too the first is what it costs, the second what one sees.
"""

import asyncio
import base64
import contextlib
import datetime
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from identities.own_token import mint
from identities.refusal import IdentityRefused
from identities.verifier import Verifier, verifier_from
from settings.schema import Identity

ROUNDS = 2000
BARS = {"RS256": 150.0, "recall": 15.0}
OTHERS = [(f"x-stainless-{n}".encode(), b"some value of a usual length") for n in range(8)]


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(_measure(Path(folder)))


async def _measure(folder: Path) -> None:
    now = time.time()
    shown = _tokens(folder, now)
    entry = {"name": "corp", "kind": "oidc", "issuer": "https://i.example.com", "audience": "sekisho"}
    chain = _certificates(folder)
    issuers = [
        {"name": "own", "kind": "own_token"},
        entry | {"jwks_file": str(folder / "jwks")},
        {"name": "people", "kind": "mtls", "ca_file": str(folder / "ca.pem")},
    ]
    identity = Identity.model_validate({"domains": ["example.com"], "issuers": issuers})
    one = verifier_from(identity, data_dir=folder, profile="gateway")
    await one.start()
    print(f"{'what':<28}{'fastest':>8}{'median':>8} µs  bar")
    try:
        for what, token in shown.items():
            _row(what, await _verified(one, token, now))
        _row("client certificate", await _verified(one, "-", now, chain))
        _row("recall", await _recalled(one, shown["RS256"], now))
        _row("recall of a certificate", await _certificate_recalled(one, chain, now))
        _row("no identity (sk-…)", await _verified(one, "sk-" + "x" * 160, now))
        _row("refused: signature", await _verified(one, shown["RS256"][:-8] + "AAAAAAAA", now))
        _row("refused: 5 MB", await _verified(one, "eyJ." + "A" * 5_000_000 + ".A", now))
    finally:
        await one.stop()


def _row(what: str, runs: list[float]) -> None:
    """`runs`: microseconds each."""
    bar = BARS.get(what)
    said = "" if bar is None else f"≤ {bar:.0f}  {'ok' if min(runs) <= bar else 'MISSED'}"
    print(f"{what:<28}{min(runs):>8.1f}{statistics.median(runs):>8.1f}     {said}")


def _fields(token: str) -> list[tuple[bytes, bytes]]:
    return [*OTHERS, (b"Authorization", b"Bearer " + token.encode())]


async def _verified(one: Verifier, token: str, now: float, chain: Sequence[bytes] = ()) -> list[float]:
    """Microseconds for a full verification, of five runs."""
    fields = _fields(token)
    runs = []
    for _ in range(5):
        spent = 0.0
        for _ in range(ROUNDS // 10):
            one._remembered.forget(lambda _: True)
            began = time.perf_counter()
            with contextlib.suppress(IdentityRefused):
                await one.identify(fields, key_header=b"authorization", client_chain=chain, now=now)
            spent += time.perf_counter() - began
        runs.append(spent / (ROUNDS // 10) * 1e6)
    return runs


async def _recalled(one: Verifier, token: str, now: float) -> list[float]:
    fields = _fields(token)
    await one.identify(fields, now=now)
    runs = []
    for _ in range(5):
        # New bytes each time, as they come from a socket: their hash is not known yet.
        fresh = [[(bytes(bytearray(n)), bytes(bytearray(v))) for n, v in fields] for _ in range(ROUNDS)]
        began = time.perf_counter()
        for request in fresh:
            assert one.recall(request, key_header=b"authorization", now=now) is not None
        runs.append((time.perf_counter() - began) / ROUNDS * 1e6)
    return runs


async def _certificate_recalled(one: Verifier, chain: Sequence[bytes], now: float) -> list[float]:
    fields = _fields("-")
    runs = []
    for _ in range(5):
        began = time.perf_counter()
        for _ in range(ROUNDS):
            await one.identify(fields, key_header=b"authorization", client_chain=chain, now=now)
        runs.append((time.perf_counter() - began) / ROUNDS * 1e6)
    return runs


def _certificates(folder: Path) -> list[bytes]:
    """A chain as a caller shows it, its own first, by an intermediate of the authority in `ca.pem`."""
    keys = [ec.generate_private_key(ec.SECP256R1()) for _ in range(3)]
    names = [x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]) for name in ("CA", "People CA", "ann")]
    now = datetime.datetime.now(datetime.UTC)
    unused = ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement")
    usage = dict.fromkeys((*unused, "encipher_only", "decipher_only"), False)
    made = []
    for i, (key, name) in enumerate(zip(keys, names, strict=True)):
        signs = i < 2
        one = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(names[max(i - 1, 0)])
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=30))
            .add_extension(x509.BasicConstraints(signs, None), True)
            .add_extension(
                x509.KeyUsage(digital_signature=not signs, key_cert_sign=signs, crl_sign=signs, **usage), True
            )
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(keys[max(i - 1, 0)].public_key()), False)
        )
        if not signs:
            one = one.add_extension(x509.SubjectAlternativeName([x509.RFC822Name("ann@example.com")]), False)
            one = one.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), False)
        made.append(one.sign(keys[max(i - 1, 0)], hashes.SHA256()))
    (folder / "ca.pem").write_bytes(made[0].public_bytes(Encoding.PEM))
    return [made[2].public_bytes(Encoding.DER), made[1].public_bytes(Encoding.DER)]


def _tokens(folder: Path, now: float) -> dict[str, str]:
    keys: dict[str, tuple[Any, Callable[..., Any]]] = {
        "RS256": (rsa.generate_private_key(65537, 2048), jwt.algorithms.RSAAlgorithm.to_jwk),
        "ES256": (ec.generate_private_key(ec.SECP256R1()), jwt.algorithms.ECAlgorithm.to_jwk),
        "EdDSA": (ed25519.Ed25519PrivateKey.generate(), jwt.algorithms.OKPAlgorithm.to_jwk),
    }
    jwks = [json.loads(to_jwk(key.public_key())) | {"kid": alg} for alg, (key, to_jwk) in keys.items()]
    (folder / "jwks").write_text(json.dumps({"keys": jwks}))
    claims = {
        "iss": "https://i.example.com",
        "aud": "sekisho",
        "sub": "u-ann",
        "email": "ann@example.com",
        "email_verified": True,
        "iat": int(now),
        "exp": int(now) + 3600,
        "filler": base64.b64encode(bytes(150)).decode(),  # ID tokens are about 1 KB
    }
    made = {alg: jwt.encode(claims, key, alg, headers={"kid": alg}) for alg, (key, _) in keys.items()}
    return made | {"own token": mint(folder, email="ann@example.com", days=1)}


if __name__ == "__main__":
    main()
