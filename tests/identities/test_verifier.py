"""IDENTITY D: which header counts, exactly one identity, and what is remembered."""

import asyncio
import base64
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exchange.decision import CODES
from identities.own_token import mint, rotate
from identities.refusal import IdentityRefused
from identities.remembered import Remembered
from identities.verifier import verifier_from
from settings.schema import Identity
from tests.identities.minting import NOW, answer, b64, bearer, claims, corp, public_jwk, rsa_key, token, verifier

ANN = token()
BOB = token(claims(sub="u-bob", email="bob@example.com"))
OWN: dict[str, Any] = {"name": "own", "kind": "own_token"}
EDGE = b"x-goog-iap-jwt-assertion"
IAP_CLAIMS = {"iss": "https://cloud.google.com/iap", "aud": "/projects/1/apps/p", "hd": "example.com"}


def edge(folder: Path) -> dict[str, Any]:
    """An issuer with a header of its own."""
    return corp(folder, name="edge", header="X-Edge-Jwt", issuer="https://edge.example.com")


def edge_token(**more: Any) -> str:
    return token(claims(iss="https://edge.example.com", **more))


SHOWN: list[tuple[str, list[tuple[bytes, bytes]], str]] = [
    ("D1 nothing", [], "missing_identity"),
    ("D1 a provider's key", [bearer("sk-proj-abc")], "missing_identity"),
    ("a key with a dot", [bearer("AQ.Ab8RN6I")], "missing_identity"),
    ("another scheme", [(b"authorization", b"Basic b2lkYzp4")], "missing_identity"),
    ("a token without its scheme", [(b"authorization", ANN.encode())], "missing_identity"),
    ("an empty header", [(b"authorization", b"")], "missing_identity"),
    ("the usual", [bearer(ANN)], "ann@example.com"),
    ("D12 lower case", [(b"Authorization", b"bearer " + ANN.encode())], "ann@example.com"),
    ("D12 two spaces", [(b"authorization", b"Bearer  " + ANN.encode())], "invalid_token"),
    ("D2 twice the same", [bearer(ANN), bearer(ANN)], "duplicate_header"),
    ("D2 twice, a key and a token", [bearer("sk-1"), bearer(ANN)], "duplicate_header"),
    ("D6 twins", [(b"x-edge-jwt", edge_token().encode()), (b"X_Edge_Jwt", edge_token().encode())], "duplicate_header"),
    (
        "D3 two people",
        [bearer(ANN), (b"x-edge-jwt", edge_token(email="bob@example.com").encode())],
        "conflicting_identity",
    ),
    ("one person twice", [bearer(ANN), (b"x-edge-jwt", edge_token().encode())], "ann@example.com"),
    ("an edge's and a provider's key", [bearer("sk-1"), (b"x-edge-jwt", edge_token().encode())], "ann@example.com"),
    (
        "an edge's and a bad one of ours",
        [bearer(ANN[:-4] + "AAAA"), (b"x-edge-jwt", edge_token().encode())],
        "invalid_token",
    ),
    (
        "an edge's and a stranger's",
        [bearer(token(claims(iss="https://x.test"))), (b"x-edge-jwt", edge_token().encode())],
        "ann@example.com",
    ),
    ("junk in an edge's header", [(b"x-edge-jwt", b"ann@example.com")], "invalid_token"),
    ("nothing in an edge's header", [(b"x-edge-jwt", b"")], "invalid_token"),
    ("D7 unsigned twins", [(b"x-forwarded-email", b"ann@example.com"), (b"remote-user", b"ann")], "missing_identity"),
    ("D11 in a cookie", [(b"cookie", b"CF_Authorization=" + ANN.encode())], "missing_identity"),
    ("in a key header that is not this API's", [bearer(ANN, b"api-key")], "missing_identity"),
    ("in this API's key header", [bearer(ANN, b"x-api-key")], "ann@example.com"),
    ("in both, as some SDKs do", [bearer(ANN), bearer(ANN, b"x-api-key")], "ann@example.com"),
    ("two people in two key headers", [bearer(ANN), bearer(BOB, b"x-api-key")], "conflicting_identity"),
    ("a key beside a token", [bearer(ANN), (b"x-api-key", b"sk-ant-1")], "ann@example.com"),
]


@pytest.mark.parametrize(("what", "fields", "expected"), SHOWN, ids=[what for what, _, _ in SHOWN])
async def test_exactly_one_identity_is_accepted(
    tmp_path: Path, what: str, fields: list[tuple[bytes, bytes]], expected: str
) -> None:
    one = verifier(tmp_path, corp(tmp_path), edge(tmp_path))
    for _ in range(3):  # what is remembered of the first must not change the second
        assert await answer(one, *fields, key_header=b"x-api-key") == expected
        again = one.recall(fields, key_header=b"x-api-key", now=NOW)
        assert again is None or again.principal.email == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"Bearer " + ANN.encode(), "ann@example.com"),
        (b"Basic " + base64.b64encode(b"oidc:" + ANN.encode()), "ann@example.com"),
        (b"basic " + base64.b64encode(b"oidc:" + ANN.encode()), "ann@example.com"),
        (b"Basic " + base64.b64encode(b"ann:" + ANN.encode()), "missing_identity"),
        (b"Basic " + base64.b64encode(b"oidc:secret"), "missing_identity"),
        (b"Basic !", "missing_identity"),
        (ANN.encode(), "missing_identity"),
    ],
)
async def test_d12_a_proxy_takes_the_token_as_bearer_or_as_the_password_of_oidc(
    tmp_path: Path, value: bytes, expected: str
) -> None:
    one = verifier(tmp_path, corp(tmp_path))
    field = (b"Proxy-Authorization", value)
    assert await answer(one, field, key_header=b"proxy-authorization") == expected
    assert await answer(one, field) == "missing_identity", "elsewhere it is no identity"
    basic = (b"authorization", value)
    assert await answer(one, basic) == (expected if value.startswith(b"Bearer") else "missing_identity")


async def test_every_header_that_carried_the_token_is_named(tmp_path: Path) -> None:
    one = verifier(tmp_path, corp(tmp_path))
    found = await one.identify([bearer(ANN, b"X-Api-Key"), bearer(ANN)], key_header=b"x-api-key", now=NOW)
    assert set(found.carriers) == {b"x-api-key", b"authorization"}
    assert found.header in found.carriers


async def test_only_the_listeners_issuers_count(tmp_path: Path) -> None:
    one = verifier(tmp_path, corp(tmp_path), edge(tmp_path))
    assert await answer(one, bearer(ANN)) == "ann@example.com"
    only_edge = frozenset({"edge"})
    assert await answer(one, bearer(ANN), issuers=only_edge) == "missing_identity"
    assert one.recall([bearer(ANN)], issuers=only_edge, now=NOW) is None
    assert one.recall([bearer(ANN)], issuers=frozenset({"corp"}), now=NOW) is not None


async def test_two_issuers_may_share_a_header(tmp_path: Path) -> None:
    one = verifier(tmp_path, OWN, corp(tmp_path))
    now = time.time()
    mine = mint(tmp_path, email="eve@example.com", days=1)
    assert await answer(one, bearer(mine), now=now) == "eve@example.com"
    assert await answer(one, bearer(ANN)) == "ann@example.com"


async def test_a_token_verified_before_is_recalled_until_it_expires(tmp_path: Path) -> None:
    one = verifier(tmp_path, corp(tmp_path))
    fields = [(b"Host", b"x"), (b"Authorization", b"Bearer " + ANN.encode())]
    assert one.recall(fields, now=NOW) is None
    known = await one.identify(fields, now=NOW)
    assert one.recall(fields, now=NOW + 3600) is known
    assert one.recall([*fields, bearer(ANN)], now=NOW) is None, "two identity headers are for identify"
    assert one.recall(fields, now=known.expires_at) is None
    assert await answer(one, *fields, now=known.expires_at) == "expired_token"


async def test_a_recalled_token_ends_with_the_key_it_was_verified_with(tmp_path: Path) -> None:
    one = verifier(tmp_path, OWN)
    await one.start()
    try:
        shown = bearer(mint(tmp_path, email="ann@example.com", days=1))
        assert await answer(one, shown, now=time.time()) == "ann@example.com"
        assert one.recall([shown], now=time.time()) is not None
        rotate(tmp_path, drop_old=True)
        # The next unknown key id, or the two-second look, notices.
        await answer(one, bearer(mint(tmp_path, email="bob@example.com", days=1)), now=time.time())
        assert one.recall([shown], now=time.time()) is None
        assert await answer(one, shown, now=time.time()) == "invalid_token"
    finally:
        await one.stop()


async def test_revocation_takes_effect_at_once(tmp_path: Path) -> None:
    one = verifier(tmp_path, corp(tmp_path))
    shown = bearer(token(claims(jti="t-1")))
    assert await answer(one, shown, bearer("x", b"host")) == "ann@example.com"
    one.revoke(tokens=frozenset({"t-1"}))
    assert one.recall([shown], now=NOW) is None
    assert await answer(one, shown) == "invalid_token"
    assert await answer(one, bearer(ANN)) == "ann@example.com"
    one.revoke(people=frozenset({"u-ann"}))
    assert await answer(one, bearer(ANN)) == "invalid_token"
    assert await answer(one, bearer(BOB)) == "bob@example.com"
    one.revoke(people=frozenset({"bob@example.com"}))
    assert one.recall([bearer(BOB)], now=NOW) is None
    assert await answer(one, bearer(BOB)) == "invalid_token"
    assert await answer(one, bearer(ANN)) == "ann@example.com"


async def test_a_subject_that_is_an_address_is_revoked_as_addresses_are(tmp_path: Path) -> None:
    """The list holds addresses in small letters; a service's subject may be written otherwise, and have no address."""
    one = verifier(tmp_path, {**corp(tmp_path), "map": {"Robot@*": "example.com"}})
    shown = bearer(token(claims(sub="Robot@P.iam.gserviceaccount.com", email=...)))
    assert await answer(one, shown) == "example.com"
    one.revoke(people=frozenset({"robot@p.iam.gserviceaccount.com"}))

    assert await answer(one, shown) == "invalid_token"


def test_headers_that_carry_identity_never_go_upstream(tmp_path: Path) -> None:
    strip = verifier(tmp_path, edge(tmp_path)).strip
    for name in (
        b"authorization",
        b"x-edge-jwt",
        EDGE,
        b"cf-access-jwt-assertion",
        b"x-amzn-oidc-data",
        b"x-pomerium-jwt-assertion",
        b"x-openwebui-user-jwt",
        b"proxy-authorization",
        b"x-forwarded-email",
        b"x-forwarded-user",
        b"x-auth-request-email",
        b"remote-user",
        b"x-goog-authenticated-user-email",
        b"cf-access-authenticated-user-email",
        b"x-amzn-oidc-identity",
        b"x-pomerium-claim-email",
        b"x-openwebui-user-email",
    ):
        assert name in strip
    assert all(name == name.lower() and b"_" not in name for name in strip)


@pytest.mark.parametrize(
    ("profile", "domains", "expected"),
    [
        ("local", [], "ann@anywhere.org"),
        ("local", ["example.com"], "domain_not_allowed"),
        ("gateway", [], "domain_not_allowed"),
    ],
)
async def test_without_a_list_of_domains_only_a_laptop_admits_all(
    tmp_path: Path, profile: str, domains: list[str], expected: str
) -> None:
    identity = Identity.model_validate({"domains": domains, "issuers": [corp(tmp_path)]})
    one = verifier_from(identity, data_dir=tmp_path, profile=profile)
    assert await answer(one, bearer(token(claims(email="ann@anywhere.org")))) == expected


def test_memory_is_bounded_and_keeps_what_is_used() -> None:
    memory = Remembered(most=10)
    mark: Any = object()
    memory.put(b"authorization", b"used", mark)
    for n in range(1000):
        memory.put(b"authorization", b"%d" % n, mark)
        assert memory.get(b"authorization", b"used") is mark
        assert len(memory) <= 21
    assert memory.get(b"authorization", b"0") is None
    memory.put(b"authorization", b"x" * 100_000, mark)
    assert memory.get(b"authorization", b"x" * 100_000) is None


async def test_of_several_entries_the_refusal_that_got_farthest_is_told(tmp_path: Path) -> None:
    both = (corp(tmp_path, name="a", audience="other"), corp(tmp_path, name="b"))
    one = verifier(tmp_path, *both)
    assert await answer(one, bearer(token(claims(email="ann@evil.org")))) == "domain_not_allowed"
    assert await answer(one, bearer(ANN)) == "ann@example.com"
    assert one.refusals == {"domain_not_allowed": 1}


async def test_b18_a_clock_that_is_behind_is_suspected(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    one = verifier(tmp_path, corp(tmp_path))
    for _ in range(5):
        assert not one.clock_skew_suspected
        assert not caplog.messages
        assert await answer(one, bearer(ANN), now=NOW - 600) == "invalid_token"
    assert one.clock_skew_suspected
    assert await answer(one, bearer(ANN), now=NOW - 600) == "invalid_token"
    assert [message.endswith("Set this machine's clock.") for message in caplog.messages] == [True], "said once"
    assert await answer(one, bearer(ANN)) == "ann@example.com"
    assert not one.clock_skew_suspected


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from([b"authorization", b"x-api-key", b"X_Edge_Jwt", b"x-edge-jwt", b"cookie", b"\xff"]),
            st.one_of(
                st.binary(),
                st.binary().map(lambda raw: b"Bearer " + raw),
                st.builds(
                    lambda at, raw: b"Bearer " + ANN[:at].encode() + raw + ANN[at:].encode(),
                    st.integers(0, len(ANN)),
                    st.binary(min_size=1, max_size=3),
                ),
                st.builds(
                    lambda parts: ".".join(b64(part) for part in parts).encode(),
                    st.lists(st.one_of(st.binary(), st.text().map(str.encode)), min_size=1, max_size=4),
                ),
            ),
        ),
        max_size=3,
    )
)
def test_whatever_comes_is_identified_or_refused_and_never_raises_anything_else(
    tmp_path: Path, fields: list[tuple[bytes, bytes]]
) -> None:
    one = verifier(tmp_path, corp(tmp_path), edge(tmp_path))
    assert one.recall(fields, key_header=b"x-api-key", now=NOW) is None
    assert asyncio.run(answer(one, *fields, key_header=b"x-api-key")) in CODES


async def test_a_key_whose_private_half_is_public_proves_nothing_in_a_gateway(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from identities.jwk import thumbprint

    jwk = public_jwk(rsa_key(), "k1")
    monkeypatch.setattr("identities.entries.KNOWN_PUBLIC", frozenset({thumbprint(jwk)}))
    identity = Identity.model_validate({"domains": ["example.com"], "issuers": [corp(tmp_path, jwk)]})
    gateway = verifier_from(identity, data_dir=tmp_path, profile="gateway")
    assert await answer(gateway, bearer(ANN)) == "identity_keys_unavailable"
    local = verifier_from(identity, data_dir=tmp_path, profile="local")
    assert await answer(local, bearer(ANN)) == "ann@example.com"


def test_a_wireguard_key_is_of_whom_the_settings_say_while_they_are_admitted_and_not_revoked(tmp_path: Path) -> None:
    ours = verifier(tmp_path)
    assert ours.peer("ann@example.com").principal.email == "ann@example.com"
    assert ours.peer("ann@example.com").principal.issuer == "wireguard"
    with pytest.raises(IdentityRefused, match="not admitted"):
        ours.peer("ann@other.example")
    ours.revoke(people=frozenset({"ann@example.com"}))
    with pytest.raises(IdentityRefused, match="revoked"):
        ours.peer("ann@example.com")
