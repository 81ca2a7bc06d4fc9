"""Our own tokens: made here, checked offline, their keys guarded."""

import json
import multiprocessing
import stat
import time
from pathlib import Path

import jwt
import pytest

from exchange.call import Json
from exchange.scope import Scope
from identities.explain import explain
from identities.own_token import mint, public_keys, rotate
from identities.signing import SigningKeys
from settings.schema import Identity
from tests.identities.minting import NOW, answer, bearer, claims, corp, token, verifier

OWN = {"name": "own", "kind": "own_token"}


async def test_a_minted_token_passes_with_its_groups(tmp_path: Path) -> None:
    one = verifier(tmp_path, OWN)
    shown = mint(tmp_path, email="Ann@Example.com", days=30, subject="ann", groups=("eng", "ops"), name="laptop")
    found = await one.identify([bearer(shown)], now=time.time())
    assert found.principal.subject == "ann"
    assert found.principal.email == "ann@example.com"
    assert found.principal.groups == ("eng", "ops")
    assert found.principal.issuer == "own"
    head = jwt.get_unverified_header(shown)
    assert head["alg"] == "EdDSA"
    assert head["kid"] == public_keys(tmp_path)[0]["kid"]


async def test_a_running_gate_accepts_the_first_token_of_a_brand_new_key(tmp_path: Path) -> None:
    one = verifier(tmp_path, OWN)
    await one.start()
    try:
        assert (
            await answer(one, bearer(mint(tmp_path, email="ann@example.com", days=1)), now=time.time())
            == "ann@example.com"
        )
        rotate(tmp_path)
        assert (
            await answer(one, bearer(mint(tmp_path, email="bob@example.com", days=1)), now=time.time())
            == "bob@example.com"
        )
    finally:
        await one.stop()


async def test_tokens_of_the_key_before_stay_valid_unless_it_is_dropped(tmp_path: Path) -> None:
    old = mint(tmp_path, email="ann@example.com", days=1)
    rotate(tmp_path)
    assert await answer(verifier(tmp_path, OWN), bearer(old), now=time.time()) == "ann@example.com"
    rotate(tmp_path, drop_old=True)
    assert await answer(verifier(tmp_path, OWN), bearer(old), now=time.time()) == "invalid_token"


async def test_a_token_may_be_minted_for_any_address_and_the_gate_decides(tmp_path: Path) -> None:
    shown = mint(tmp_path, email="ann@elsewhere.org", days=1)
    assert await answer(verifier(tmp_path, OWN), bearer(shown), now=time.time()) == "domain_not_allowed"


async def test_a_token_for_ten_years_is_refused(tmp_path: Path) -> None:
    shown = mint(tmp_path, email="ann@example.com", days=3650)
    assert await answer(verifier(tmp_path, OWN), bearer(shown), now=time.time()) == "token_lifetime_too_long"


async def test_b6_an_own_token_is_for_us_alone(tmp_path: Path) -> None:
    mint(tmp_path, email="ann@example.com", days=1)
    key = (tmp_path / "keys" / "own-signing.pem").read_text()
    kid = str(public_keys(tmp_path)[0]["kid"])
    good = claims(iss="sekisho", aud="sekisho", jti="1")
    one = verifier(tmp_path, OWN)
    assert await answer(one, bearer(token(good, key=key, alg="EdDSA", kid=kid))) == "ann@example.com"
    for bad in (good | {"aud": ["sekisho"]}, good | {"aud": "session"}, claims(iss="sekisho", aud="sekisho")):
        assert await answer(one, bearer(token(bad, key=key, alg="EdDSA", kid=kid))) == "invalid_token"


def test_keys_are_for_their_owner_alone(tmp_path: Path) -> None:
    mint(tmp_path, email="ann@example.com", days=1)
    rotate(tmp_path)
    for path in (tmp_path / "keys").iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
    assert stat.S_IMODE((tmp_path / "keys").stat().st_mode) == 0o700
    assert all("d" not in jwk for jwk in public_keys(tmp_path))


@pytest.mark.parametrize(
    ("email", "days"), [("ann", 1), ("ann@example.com\n", 1), ("a@example.com", 0), ("a@example.com", float("nan"))]
)
def test_what_cannot_be_minted_is_said(tmp_path: Path, email: str, days: float) -> None:
    with pytest.raises(ValueError, match="Write"):
        mint(tmp_path, email=email, days=days)


def _mint(folder: str) -> str:
    return mint(Path(folder), email="ann@example.com", days=1)


def test_two_first_uses_at_once_make_one_key(tmp_path: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        made = pool.map(_mint, [str(tmp_path)] * 6)
    assert len({jwt.get_unverified_header(one)["kid"] for one in made}) == 1
    assert len(public_keys(tmp_path)) == 1


def test_a_lost_public_file_is_made_again(tmp_path: Path) -> None:
    mint(tmp_path, email="ann@example.com", days=1)
    path = tmp_path / "keys" / "own-public.json"
    before = json.loads(path.read_text())
    path.unlink()
    mint(tmp_path, email="ann@example.com", days=1)
    assert json.loads(path.read_text()) == before


def said(shown: str, folder: Path, now: float, *issuers: object) -> list[tuple[str | None, str, bool | None]]:
    identity = Identity.model_validate({"domains": ["example.com"], "issuers": issuers})
    checks = explain(shown, identity, folder, now)
    assert not any(shown.rsplit(".", 1)[-1] in check.said for check in checks)
    return [(check.issuer, check.name, check.passed) for check in checks]


def test_explain_says_which_entry_fits_and_which_check_fails(tmp_path: Path) -> None:
    entries = (OWN, corp(tmp_path))
    now = time.time()
    good = mint(tmp_path, email="ann@example.com", days=1)
    assert said("Bearer " + good + "\n", tmp_path, now, *entries) == [
        (None, "shape", True),
        ("own", "issuer", True),
        ("own", "header", True),
        ("own", "key", True),
        ("own", "claims", True),
        ("corp", "issuer", False),
    ]
    assert said(good, tmp_path, now + 90000, *entries)[-2] == ("own", "expired_token", False)
    assert said(token(claims(email="a@evil.org")), tmp_path, NOW, *entries)[-1] == ("corp", "domain_not_allowed", False)
    assert said(token(kid="k9"), tmp_path, NOW, *entries)[-1] == ("corp", "key", False)
    assert said(token(alg="PS256"), tmp_path, NOW, *entries)[-1] == ("corp", "header", False)
    assert said("no token", tmp_path, NOW, *entries) == [(None, "shape", False)]


def test_explain_admits_everybody_where_the_laptop_does(tmp_path: Path) -> None:
    identity = Identity.model_validate({"issuers": [OWN]})
    shown = mint(tmp_path, email="ann@anywhere.org", days=1)
    assert explain(shown, identity, tmp_path, time.time(), profile="local")[-1].passed
    assert explain(shown, identity, tmp_path, time.time())[-1].name == "domain_not_allowed"


def test_explain_judges_the_claims_where_no_key_is_at_hand(tmp_path: Path) -> None:
    entry = {"name": "corp", "kind": "oidc", "issuer": "https://idp.example.com", "audience": "sekisho"}
    assert said(token(), tmp_path, NOW, entry)[-2:] == [("corp", "key", None), ("corp", "claims", None)]
    assert said(token(claims(email_verified=False)), tmp_path, NOW, entry)[-1] == ("corp", "email_not_verified", False)


async def test_what_a_token_is_for_stands_in_it_and_is_signed_with_it(tmp_path: Path) -> None:
    one = verifier(tmp_path, OWN)
    scope = Scope(("gpt-4o*",), ("chat",))
    shown = mint(tmp_path, email="ann@example.com", days=1, scope=scope)
    first = await one.identify([bearer(shown)], now=time.time())
    again = one.recall([bearer(shown)], now=time.time())
    assert again is not None
    assert first.scope == again.scope == scope
    whole = await one.identify([bearer(mint(tmp_path, email="ann@example.com", days=1))], now=time.time())
    assert whole.scope is None


@pytest.mark.parametrize("scope", [None, "chat", [], {"models": "gpt-4o"}, {"models": [7]}, {"tools": ["a"]}])
async def test_a_scope_that_cannot_be_read_is_not_taken_for_everything(tmp_path: Path, scope: Json) -> None:
    said = jwt.decode(mint(tmp_path, email="ann@example.com", days=1), options={"verify_signature": False})
    shown = SigningKeys(tmp_path, "own").sign({**said, "sekisho_scope": scope})
    assert await answer(verifier(tmp_path, OWN), bearer(shown), now=time.time()) == "invalid_token"
