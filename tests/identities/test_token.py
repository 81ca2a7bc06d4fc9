"""IDENTITY A and B: hostile tokens. Each is truly signed where that is what makes it dangerous."""

import hashlib
import hmac
import json
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from tests.identities.minting import (
    ISSUER,
    NOW,
    answer,
    b64,
    bearer,
    claims,
    corp,
    ec_key,
    ed_key,
    head,
    pem,
    public_jwk,
    raw_token,
    rsa_key,
    token,
    verifier,
)


def signed(payload: Any, **more: Any) -> str:
    return raw_token(head(**more), payload if isinstance(payload, bytes) else json.dumps(payload).encode())


def hs256(secret: bytes) -> str:
    """A token signed by HMAC with bytes that everybody knows. (PyJWT refuses to make it.)"""
    start = f"{b64(head(alg='HS256'))}.{b64(json.dumps(claims()).encode())}"
    return f"{start}.{b64(hmac.digest(secret, start.encode(), hashlib.sha256))}"


def changed(good: str, part: int, how: str) -> str:
    parts = good.split(".")
    parts[part] = how
    return ".".join(parts)


GOOD = token()
LAST = GOOD[-1]

FORMAT: list[tuple[str, str]] = [
    ("A1 alg none", f"{b64(b'{"alg":"none"}')}.{GOOD.split('.')[1]}.AA"),
    ("A1 alg nOnE", f"{b64(head(alg='nOnE'))}.{GOOD.split('.')[1]}.{GOOD.split('.')[2]}"),
    ("A1 empty signature", changed(GOOD, 2, "")),
    ("A2 HS256 with the public PEM", hs256(pem(rsa_key()))),
    ("A3 an algorithm the entry does not name", token(alg="PS256")),
    ("A4 kid walks the file system", token(kid="../../../../dev/null")),
    ("A4 kid is SQL", token(kid="' OR 1=1--")),
    ("A4 kid is an address", token(kid="http://evil.test/k")),
    ("A4 kid of a kilobyte", token(kid="k" * 1000)),
    ("A4 kid is a number", signed(claims(), kid=1)),
    ("A4 kid is empty", signed(claims(), kid="")),
    ("A4 kid with a line feed", signed(claims(), kid="k1\n")),
    ("A5 jku", token(jku="https://evil.test/keys")),
    ("A5 x5u", token(x5u="https://evil.test/cert")),
    ("A5 jwk of the attacker", token(key=rsa_key("evil"), jwk=public_jwk(rsa_key("evil"), "k1"))),
    ("A5 x5c", token(x5c=["MIIB"])),
    ("A6 crit exp", signed(claims(), crit=["exp"])),
    ("A6 crit empty", signed(claims(), crit=[])),
    ("A6 b64 false", signed(claims(), b64=False)),
    ("A7 five parts", "eyJhbGciOiJkaXIifQ" + ".AAAA" * 4),
    ("A7 two parts", ".".join(GOOD.split(".")[:2])),
    ("A7 four parts", GOOD + ".AAAA"),
    ("A7 trailing newline", GOOD + "\n"),
    ("A7 trailing space", GOOD + " "),
    ("A7 the other alphabet", GOOD.replace("-", "+").replace("_", "/") + "+"),
    ("A7 padding", raw_token(head(), json.dumps(claims(x="yy")).encode(), padded=True)),
    ("A7 tail bits", GOOD[:-1] + ("B" if LAST in "AQgw" else chr(ord(LAST) + 1))),
    ("A8 too long by a byte", GOOD + "A" * (8193 - len(GOOD))),
    ("A8 five megabytes", "eyJ." + "A" * 5_000_000 + ".A"),
    ("A9 deep header", f"{b64(b'[' * 3000)}.{GOOD.split('.')[1]}.{GOOD.split('.')[2]}"),
    ("A9 deep payload", signed(b"[" * 4000)),
    ("A10 a member twice", signed(json.dumps(claims()).encode()[:-1] + b',"email":"boss@example.com"}')),
    ("A10 a member twice, escaped", signed(json.dumps(claims()).encode()[:-1] + b',"\\u0065mail":"b@example.com"}')),
    ("A10 kid twice", raw_token(head()[:-1] + b',"kid":"k1"}', json.dumps(claims()).encode())),
    ("A11 UTF-16", signed(json.dumps(claims()).encode("utf-16"))),
    ("A11 BOM", signed(b"\xef\xbb\xbf" + json.dumps(claims()).encode())),
    ("A11 Latin-1", signed(json.dumps(claims(name="é"), ensure_ascii=False).encode("latin-1"))),
    ("A12 a surrogate", GOOD + "\udcff"),
    ("A12 a letter", GOOD[:-1] + "é"),
    ("A13 r and s are zero", changed(token(alg="ES256", kid="e1"), 2, b64(bytes(64)))),
    (
        "A13 DER signature",
        changed(token(alg="ES256", kid="e1"), 2, b64(ec_key().sign(b"x", ec.ECDSA(hashes.SHA256())))),
    ),
    ("A13 another payload", changed(GOOD, 1, b64(json.dumps(claims(email="boss@example.com")).encode()))),
    ("A13 another key", token(key=rsa_key("evil"))),
    ("A13 the key is for another algorithm", token(alg="ES256", kid="k1")),
    ("A17 logout token", token(typ="logout+jwt")),
    ("A17 dpop", token(typ="dpop+jwt")),
    ("A17 a security event", token(claims(events={"http://schemas.openid.net/event/backchannel-logout": {}}))),
    ("payload is a list", signed(b"[]")),
    ("payload is a number of 5000 digits", signed(b'{"exp":' + b"9" * 5000 + b"}")),
]

CLAIMS: list[tuple[str, str, str]] = [
    ("B1 expired 31 s ago", "expired_token", token(claims(iat=int(NOW) - 90, exp=NOW - 31))),
    ("B1 expired 29 s ago", "ann@example.com", token(claims(iat=int(NOW) - 90, exp=NOW - 29))),
    ("B2 nbf ahead", "invalid_token", token(claims(nbf=int(NOW) + 500))),
    ("B2 iat ahead", "invalid_token", token(claims(iat=int(NOW) + 500))),
    ("B2 within the skew", "ann@example.com", token(claims(iat=int(NOW) + 20, nbf=int(NOW) + 20))),
    ("B3 no exp", "invalid_token", token(claims(exp=...))),
    ("B4 exp a string", "invalid_token", signed(claims(exp=str(int(NOW) + 60)))),
    ("B4 exp 1e308", "invalid_token", signed(json.dumps(claims(exp=0)).replace(": 0", ": 1e308").encode())),
    ("B4 exp 1e999", "invalid_token", signed(json.dumps(claims(exp=0)).replace(": 0", ": 1e999").encode())),
    ("B4 exp NaN", "invalid_token", signed(claims(exp=float("nan")))),
    ("B4 exp true", "invalid_token", signed(claims(exp=True))),
    ("B4 exp null", "invalid_token", signed(claims(exp=None))),
    ("B4 exp in the year 9999", "invalid_token", signed(claims(exp=253402300799))),
    ("B4 exp negative", "invalid_token", signed(claims(exp=-1))),
    ("B4 iat a string", "invalid_token", signed(claims(iat="1"))),
    ("B4 iat null", "invalid_token", signed(claims(iat=None))),
    ("B5 ten years", "token_lifetime_too_long", token(claims(exp=int(NOW) + 10 * 365 * 86400))),
    ("B5 ten years, without iat", "token_lifetime_too_long", token(claims(iat=..., exp=int(NOW) + 10 * 365 * 86400))),
    ("B5 iat in 1970", "token_lifetime_too_long", token(claims(iat=1))),
    ("B6 ours among others", "ann@example.com", token(claims(aud=["other", "sekisho"]))),
    ("B7 aud missing", "invalid_token", token(claims(aud=...))),
    ("B7 aud empty", "invalid_token", token(claims(aud=[]))),
    ("B7 aud an object", "invalid_token", token(claims(aud={"sekisho": 1}))),
    ("B7 aud null", "invalid_token", signed(claims(aud=None))),
    ("B7 aud another", "invalid_token", token(claims(aud="other"))),
    ("B7 aud with another type inside", "invalid_token", token(claims(aud=["sekisho", 1]))),
    ("B8 iss with a slash", "invalid_token", token(claims(iss=ISSUER + "/"))),
    ("B8 iss a list", "invalid_token", signed(claims(iss=[ISSUER]))),
    ("B8 iss missing", "invalid_token", token(claims(iss=...))),
    ("B11 false", "email_not_verified", token(claims(email_verified=False))),
    ("B11 'false'", "email_not_verified", token(claims(email_verified="false"))),
    ("B11 missing", "email_not_verified", token(claims(email_verified=...))),
    ("B11 1", "email_not_verified", token(claims(email_verified=1))),
    ("B11 [true]", "email_not_verified", token(claims(email_verified=[True]))),
    ("B11 'true'", "ann@example.com", token(claims(email_verified="true"))),
    ("sub missing", "invalid_token", token(claims(sub=...))),
    ("sub a number", "invalid_token", signed(claims(sub=7))),
    ("sub empty", "invalid_token", token(claims(sub=""))),
    ("sub with a line feed", "invalid_token", token(claims(sub="a\nb"))),
    ("no e-mail", "subject_not_allowed", token(claims(email=...))),
    ("another domain", "domain_not_allowed", token(claims(email="ann@evil.org"))),
]


@pytest.mark.parametrize(("what", "hostile"), FORMAT, ids=[what for what, _ in FORMAT])
async def test_a_token_of_hostile_form_is_invalid(tmp_path: Path, what: str, hostile: str) -> None:
    assert await answer(verifier(tmp_path, corp(tmp_path)), bearer(hostile)) == "invalid_token"


@pytest.mark.parametrize(("what", "expected", "shown"), CLAIMS, ids=[what for what, _, _ in CLAIMS])
async def test_claims_are_judged_one_by_one(tmp_path: Path, what: str, expected: str, shown: str) -> None:
    assert await answer(verifier(tmp_path, corp(tmp_path)), bearer(shown)) == expected


@pytest.mark.parametrize(
    ("key", "shown"),
    [
        (
            public_jwk(rsa_key("short", 1024), "k1"),
            raw_token(head(), json.dumps(claims()).encode(), key=rsa_key("short", 1024)),
        ),
        ({"kty": "oct", "kid": "k1", "k": b64(b"s" * 32)}, hs256(b"s" * 32)),
        (public_jwk(rsa_key(), "k1", use="enc"), GOOD),
        (public_jwk(rsa_key(), "k1", alg="RS512"), GOOD),
    ],
    ids=["A14 RSA of 1024 bits", "A15 oct", "for encryption", "for another algorithm"],
)
async def test_a_key_that_is_no_good_verifies_nothing(tmp_path: Path, key: dict[str, Any], shown: str) -> None:
    one = verifier(tmp_path, corp(tmp_path, key, public_jwk(rsa_key("other"), "k2")))
    assert await answer(one, bearer(shown)) == "invalid_token"


async def test_a_token_in_another_issuers_header_is_invalid(tmp_path: Path) -> None:
    other = corp(tmp_path, name="other", issuer="https://other.example.com", header="X-Other")
    one = verifier(tmp_path, corp(tmp_path), other)
    assert await answer(one, bearer(GOOD, b"x-other")) == "invalid_token"
    assert await answer(one, bearer(token(claims(iss="https://other.example.com")))) == "invalid_token"


async def test_a_token_may_leave_out_its_key_id_where_there_is_no_choice(tmp_path: Path) -> None:
    alone = verifier(tmp_path, corp(tmp_path, public_jwk(rsa_key(), None)))
    assert await answer(alone, bearer(token(kid=None))) == "ann@example.com"
    one_of_two = verifier(tmp_path, corp(tmp_path))
    assert await answer(one_of_two, bearer(token(kid=None))) == "invalid_token"


async def test_each_algorithm_of_the_settings_verifies(tmp_path: Path) -> None:
    keys = (public_jwk(rsa_key(), "k1"), public_jwk(ec_key(), "e1"), public_jwk(ed_key(), "d1"))
    one = verifier(tmp_path, corp(tmp_path, *keys, algorithms=["RS256", "PS256", "ES256", "EdDSA"]))
    for shown in (
        token(),
        token(alg="PS256"),
        token(alg="ES256", kid="e1"),
        token(alg="EdDSA", kid="d1", key=ed_key()),
    ):
        assert await answer(one, bearer(shown)) == "ann@example.com"


def test_what_the_library_alone_would_accept_is_known() -> None:
    """If PyJWT begins to refuse these, the check of ours may go."""
    options: Any = {"verify_exp": False}
    for hostile in (dict(FORMAT)["A10 a member twice"], dict(FORMAT)["A11 UTF-16"], dict(FORMAT)["A17 logout token"]):
        found = jwt.decode(hostile, rsa_key().public_key(), ["RS256"], audience="sekisho", options=options)
        assert found["iss"] == ISSUER
