"""Who is signed in, and who is not: the flow against a provider that may lie."""

import asyncio
import base64
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from exchange.principal import Principal
from identities.revoked import Revocation, revoke
from settings.schema import Settings
from signin.refusal import CODES, SignInRefused
from signin.relying_party import SignedIn, SignIn, sign_in_from
from signin.state import LIFE_S
from tests.signin.provider import SECRET, FakeProvider, answer

BACK = "https://console.example.com/sign-in/back"


@pytest.fixture(scope="module")
def provider() -> Iterator[FakeProvider]:
    with FakeProvider().running() as running:
        yield running


@dataclass
class Desk:
    """One relying party, and the browser in front of it."""

    sign_in: SignIn
    provider: FakeProvider
    data_dir: Path
    ahead: float = 0.0
    browsers: dict[str, str] = field(default_factory=dict)

    async def begin(self, browser: str = "ann's", to: str = "/exchanges?q=a", **more: Any) -> str:
        begun = await self.sign_in.begin(BACK, to, self.browsers.get(browser), **more)
        self.browsers[browser] = begun.cookie
        return begun.location

    async def finish(self, query: str, browser: str = "ann's", back: str = BACK) -> SignedIn:
        return await self.sign_in.finish(back, query, self.browsers.get(browser))

    async def refused(self, query: str, browser: str = "ann's", back: str = BACK) -> SignInRefused:
        with pytest.raises(SignInRefused) as refused:
            await self.finish(query, browser, back)
        return refused.value


@pytest.fixture
async def desk(tmp_path: Path, provider: FakeProvider, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Desk]:
    provider.reset()
    monkeypatch.setenv("SIGN_IN_SECRET", SECRET)
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    desk: Desk
    sign_in = sign_in_from(settings(tmp_path, provider.url), lambda: time.time() + desk.ahead)
    desk = Desk(sign_in, provider, tmp_path)
    await sign_in.start()
    yield desk
    await sign_in.stop()


def settings(data_dir: Path, issuer: str) -> Settings:
    return Settings.model_validate(
        {
            "data_dir": str(data_dir),
            "identity": {"domains": ["example.com"]},
            "sign_in": {
                "preset": "oidc",
                "issuer": issuer,
                "client_id": "sekisho",
                "client_secret": {"env": "SIGN_IN_SECRET"},
            },
        }
    )


async def test_who_proves_a_company_address_is_signed_in_and_led_to_the_page_they_asked_for(desk: Desk) -> None:
    desk.provider.claims |= {"email": "Ann@Example.com", "groups": ["audit"], "name": "安 杏"}
    location = await desk.begin()
    asked = parse_qs(urlsplit(location).query)
    found = await desk.finish(desk.provider.authorize(location))

    assert found.principal == Principal("u-ann", "ann@example.com", "example.com", "sign-in", ("audit",))
    assert found.to == "/exchanges?q=a"
    assert found.claims["name"] == "安 杏"
    assert asked["code_challenge_method"] == ["S256"]
    assert asked["redirect_uri"] == [BACK]
    assert asked["scope"] == ["openid email profile"]
    (form,) = desk.provider.asked
    assert form["redirect_uri"] == BACK
    assert "client_secret" not in form
    basic = base64.b64decode(desk.provider.auth[0].removeprefix("Basic ")).decode()
    assert basic == "sekisho:s3cret%20with%20%3A%20and%20%25%20and%20%2B"  # RFC 6749 §2.3.1


async def test_two_tabs_of_one_browser_may_sign_in_at_the_same_time(desk: Desk) -> None:
    first, second = await desk.begin(to="/a"), await desk.begin(to="/b")
    assert (await desk.finish(desk.provider.authorize(first))).to == "/a"
    assert (await desk.finish(desk.provider.authorize(second))).to == "/b"


async def test_a_state_counts_once_in_its_browser_for_its_address_and_for_ten_minutes(desk: Desk) -> None:
    location = await desk.begin()
    query = desk.provider.authorize(location)
    await desk.begin("eve's")

    assert (await desk.refused(query, "eve's")).code == "login_state"
    assert (await desk.refused(query, "nobody's")).code == "login_state"
    assert (await desk.refused(query, back="https://chat.example.com/back")).code == "login_state"
    assert desk.provider.asked == []
    await desk.finish(query)
    assert (await desk.refused(query)).code == "login_state"

    late = desk.provider.authorize(await desk.begin())
    desk.ahead = LIFE_S + 2
    assert (await desk.refused(late)).code == "login_state"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda query: "", "login_state"),
        (lambda query: query.replace("state=", "stat="), "login_state"),
        (lambda query: query.replace("state=g", "state=h"), "login_state"),
        (lambda query: query + "&state=x", "login_state"),
        (lambda query: query + "&code=x", "login_state"),
        (lambda query: query + "&iss=https%3A%2F%2Fevil.example", "login_state"),
        (lambda query: query.replace("code=", "cod="), "login_state"),
        (lambda query: query + "&x=" * 60, "login_state"),
        (lambda query: query + "&x=%ff", "login_state"),
        (lambda query: query.replace("iss=", "is="), "issuer_mismatch"),
        (lambda query: query.replace("127.0.0.1", "127.0.0.2"), "issuer_mismatch"),
        (lambda query: query.replace("iss=", "error=access_denied&iss="), "login_denied"),
        (lambda query: query.replace("iss=", "error=temporarily_unavailable&iss="), "provider_unavailable"),
    ],
)
async def test_an_answer_that_is_not_whole_gets_nobody_in_and_its_code_goes_nowhere(
    desk: Desk, change: Callable[[str], str], code: str
) -> None:
    query = desk.provider.authorize(await desk.begin())
    assert (await desk.refused(change(query))).code == code
    assert desk.provider.asked == []


@pytest.mark.parametrize(
    ("spoilt", "code"),
    [
        ({"nonce": "another"}, "invalid_token"),
        ({"nonce": None}, "invalid_token"),
        ({"iss": "https://evil.example"}, "invalid_token"),
        ({"aud": "another"}, "invalid_token"),
        ({"aud": ["sekisho", "another"]}, "invalid_token"),
        ({"aud": ["sekisho", "another"], "azp": "another"}, "invalid_token"),
        ({"azp": "another"}, "invalid_token"),
        ({"exp": 1_700_000_000}, "invalid_token"),
        ({"iat": 3_900_000_000}, "invalid_token"),
        ({"email_verified": False}, "email_not_verified"),
        ({"email_verified": "false"}, "email_not_verified"),
        ({"email": "eve@evil.example"}, "domain_not_allowed"),
        ({"email": "eve@example.com.evil.example"}, "domain_not_allowed"),
        ({"email": None}, "subject_not_allowed"),
    ],
    ids=str,
)
async def test_a_token_that_does_not_prove_a_colleague_for_this_very_sign_in_signs_nobody_in(
    desk: Desk, spoilt: dict[str, Any], code: str
) -> None:
    desk.provider.spoil = lambda claims: claims.update(spoilt)
    assert (await desk.refused(desk.provider.authorize(await desk.begin()))).code == code


async def test_whose_address_is_not_admitted_is_known_for_the_record(desk: Desk) -> None:
    desk.provider.claims["email"] = "eve@evil.example"
    assert (await desk.refused(desk.provider.authorize(await desk.begin()))).email == "eve@evil.example"
    desk.provider.spoil = lambda claims: claims.update(aud="another")
    assert (await desk.refused(desk.provider.authorize(await desk.begin()))).email is None


async def test_a_code_of_another_sign_in_is_worth_nothing(desk: Desk) -> None:
    """Code injection: Eve's code in Ann's browser. PKCE's verifier is not Eve's."""
    eves = parse_qs(desk.provider.authorize(await desk.begin("eve's")))["code"][0]
    anns = desk.provider.authorize(await desk.begin(), code=eves)
    assert (await desk.refused(anns)).code == "login_failed"


@pytest.mark.parametrize(
    ("endpoint", "code"),
    [
        (lambda to: answer(to, 500, {}), "provider_unavailable"),
        (lambda to: answer(to, 302, {}, location="http://127.0.0.1:9/"), "login_failed"),  # not followed
        (lambda to: answer(to, 200, b"<html>"), "login_failed"),
        (lambda to: answer(to, 200, b"[" * 100_000), "login_failed"),
        (lambda to: answer(to, 200, {"access_token": "x"}), "login_failed"),
        (lambda to: answer(to, 200, {"id_token": ["x"]}), "login_failed"),
        (lambda to: answer(to, 200, {"id_token": "a.b.c"}), "invalid_token"),
        (lambda to: answer(to, 200, b" " * 600_000), "provider_unavailable"),
        (lambda to: answer(to, 200, b"x", content_encoding="gzip"), "provider_unavailable"),
        (lambda to: answer(to, 401, {"error": "invalid_client"}), "login_failed"),
        (lambda to: to.connection.close(), "provider_unavailable"),
    ],
)
async def test_a_token_endpoint_that_misbehaves_signs_nobody_in(
    desk: Desk, endpoint: Callable[[Any], None], code: str
) -> None:
    desk.provider.token_endpoint = endpoint
    refused = await desk.refused(desk.provider.authorize(await desk.begin()))
    assert refused.code == code, refused.reason


async def test_whoever_is_revoked_cannot_sign_in_and_no_longer_counts_as_admitted(desk: Desk) -> None:
    found = await desk.finish(desk.provider.authorize(await desk.begin()))
    assert desk.sign_in.still_admits(found.principal)
    revoke(desk.data_dir, Revocation("person", "ann@example.com", 0))
    for _ in range(80):
        if not desk.sign_in.still_admits(found.principal):
            break
        await asyncio.sleep(0.05)
    assert not desk.sign_in.still_admits(found.principal)
    assert (await desk.refused(desk.provider.authorize(await desk.begin()))).code == "invalid_token"


async def test_without_the_provider_nobody_is_sent_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIGN_IN_SECRET", SECRET)
    sign_in = sign_in_from(settings(tmp_path, "http://127.0.0.1:9"))
    with pytest.raises(SignInRefused) as refused:
        await sign_in.begin(BACK, "/")
    assert refused.value.code == "provider_unavailable"
    assert refused.value.status == 503


@pytest.mark.parametrize("document", [{"issuer": "https://evil.example"}, {"token_endpoint": "http://evil.example/t"}])
async def test_a_discovery_document_of_somebody_else_or_with_a_plain_address_is_not_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, document: dict[str, str]
) -> None:
    monkeypatch.setenv("SIGN_IN_SECRET", SECRET)
    with FakeProvider().running() as provider:
        provider.document |= document
        with pytest.raises(SignInRefused) as refused:
            await sign_in_from(settings(tmp_path, provider.url)).begin(BACK, "/")
    assert refused.value.code == "provider_unavailable"


async def test_who_wants_another_account_is_asked_which(desk: Desk) -> None:
    assert parse_qs(urlsplit(await desk.begin(another_account=True)).query)["prompt"] == ["login"]
    assert "prompt" not in parse_qs(urlsplit(await desk.begin()).query)


@pytest.mark.parametrize("code", sorted(CODES))
def test_every_refusal_is_a_sentence_in_both_languages(code: str) -> None:
    refused = SignInRefused(code, "for the log alone")
    assert refused.code == code
    assert refused.said("en").endswith(".")
    assert refused.said("ja").endswith("。")
    assert "for the log alone" not in refused.said("en")


def test_a_key_that_cannot_be_made_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIGN_IN_SECRET", SECRET)
    (tmp_path / "keys").write_text("no folder")
    with pytest.raises(ValueError, match="cannot be made or read: File exists") as said:
        sign_in_from(settings(tmp_path, "https://id.example.com"))
    assert "must be able to write" in str(said.value)
