"""Identity towards a forward proxy: what `Proxy-Authorization` proves (RFC 9110 §11.7.2)."""

import base64
from pathlib import Path

import pytest

from identities.refusal import IdentityRefused
from tests.identities.minting import NOW, claims, corp, token, verifier

ANN = token()
BASIC = base64.b64encode(f"ann:{ANN}".encode())


@pytest.mark.parametrize(
    ("said", "fields", "answer"),
    [
        ("nothing", [], None),
        ("a bearer", [(b"Proxy-Authorization", b"Bearer " + ANN.encode())], "ann@example.com"),
        ("a proxy's address", [(b"proxy-authorization", b"Basic " + BASIC)], "ann@example.com"),
        ("no user", [(b"proxy-authorization", b"basic " + base64.b64encode(b":" + ANN.encode()))], "ann@example.com"),
        ("another header", [(b"authorization", b"Bearer " + ANN.encode())], None),
        ("a password", [(b"proxy-authorization", b"Basic " + base64.b64encode(b"ann:secret"))], "invalid_token"),
        ("no base64", [(b"proxy-authorization", b"Basic ****")], "invalid_token"),
        ("twice", [(b"proxy-authorization", b"Bearer " + ANN.encode())] * 2, "duplicate_header"),
        ("a bad one", [(b"proxy-authorization", b"Bearer " + ANN[:-4].encode() + b"AAAA")], "invalid_token"),
        ("negotiate", [(b"proxy-authorization", b"Negotiate YII=")], "invalid_token"),
    ],
)
async def test_a_token_counts_as_bearer_or_as_the_password_of_basic(
    tmp_path: Path, said: str, fields: list[tuple[bytes, bytes]], answer: str | None
) -> None:
    asked = verifier(tmp_path, corp(tmp_path))
    for _ in range(2):  # the second time it is remembered
        try:
            found = await asked.of_proxy(fields, now=NOW)
            proven = found.principal.email if found else None
        except IdentityRefused as refused:
            proven = refused.code
        assert proven == answer, said


async def test_it_expires_and_is_revoked_like_any_other(tmp_path: Path) -> None:
    asked = verifier(tmp_path, corp(tmp_path))
    fields = [(b"proxy-authorization", b"Bearer " + token(claims(exp=NOW + 60)).encode())]
    assert await asked.of_proxy(fields, now=NOW) is not None
    with pytest.raises(IdentityRefused) as late:
        await asked.of_proxy(fields, now=NOW + 120)
    assert late.value.code == "expired_token"
    asked.revoke(people=frozenset({"u-ann"}))
    with pytest.raises(IdentityRefused):
        await asked.of_proxy(fields, now=NOW)


async def test_only_issuers_of_the_listener_count(tmp_path: Path) -> None:
    asked = verifier(tmp_path, corp(tmp_path))
    fields = [(b"proxy-authorization", b"Bearer " + ANN.encode())]
    with pytest.raises(IdentityRefused):
        await asked.of_proxy(fields, issuers=frozenset({"another"}), now=NOW)
