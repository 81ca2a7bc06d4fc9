"""Sign-out at the provider: where it leads, and what happens where it cannot be."""

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx2
import oidc_provider_mock
import pytest
from pydantic import ValidationError

from exchange.principal import Principal
from settings.schema import Settings
from settings.sign_in import SignInSettings
from signin.relying_party import SignIn, sign_in_from
from signin.signing_out import sign_out_address, sign_out_endpoint
from tests.signin.provider import FakeProvider

BACK = "https://chat.example.com/_sekisho/signed-out"
ANN = Principal("u-ann", "ann@example.com", "example.com", "sign-in")
COGNITO = "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_AbCdEfGhI"
HOSTED = "https://acme.auth.eu-west-1.amazoncognito.com"


def settings(preset: str, issuer: str, **more: Any) -> SignInSettings:
    return SignInSettings.model_validate(
        {"preset": preset, "issuer": issuer, "client_id": "sekisho", "sign_out_at_provider": True, **more}
    )


@asynccontextmanager
async def relying_party(tmp_path: Path, issuer: str, *, asked: bool = True) -> AsyncIterator[SignIn]:
    sign_in = {"preset": "oidc", "issuer": issuer, "client_id": "sekisho", "sign_out_at_provider": asked}
    one = sign_in_from(
        Settings.model_validate(
            {"data_dir": str(tmp_path), "identity": {"domains": ["example.com"]}, "sign_in": sign_in}
        )
    )
    await one.start()
    yield one
    await one.stop()


@pytest.mark.parametrize(
    ("preset", "issuer", "asked"),
    [
        ("oidc", "https://idp.test", {"post_logout_redirect_uri": BACK, "logout_hint": "ann@example.com"}),
        ("keycloak", "https://id.test/realms/a", {"post_logout_redirect_uri": BACK, "logout_hint": "ann@example.com"}),
        ("entra", "https://login.microsoftonline.com/7a3d8f6c-0000-4000-8000-000000000001/v2.0",
         {"post_logout_redirect_uri": BACK}),
        ("cognito", COGNITO, {"logout_uri": BACK}),
    ],
)  # fmt: skip
def test_each_provider_is_asked_in_its_own_words(preset: str, issuer: str, asked: dict[str, str]) -> None:
    address = sign_out_address("https://idp.test/out", settings(preset, issuer), BACK, "ann@example.com")

    url = urlsplit(address)
    assert (url.scheme, url.netloc, url.path) == ("https", "idp.test", "/out")
    assert dict(parse_qsl(url.query)) == {"client_id": "sekisho", **asked}


@pytest.mark.parametrize(
    ("preset", "issuer", "document", "endpoint"),
    [
        ("oidc", "https://idp.test", {"end_session_endpoint": "https://idp.test/out"}, "https://idp.test/out"),
        ("oidc", "https://idp.test", {}, None),
        ("oidc", "https://idp.test", {"end_session_endpoint": "http://idp.test/out"}, None),
        ("oidc", "https://idp.test", {"end_session_endpoint": "javascript:alert(1)"}, None),
        ("oidc", "https://idp.test", {"end_session_endpoint": ["https://idp.test/out"]}, None),
        # Cognito has its own, whatever its document says: parameters and all.
        ("cognito", COGNITO, {"authorization_endpoint": f"{HOSTED}/oauth2/authorize",
                              "end_session_endpoint": f"{HOSTED}/other"}, f"{HOSTED}/logout"),
    ],
)  # fmt: skip
def test_where_a_provider_signs_people_out_is_what_it_says_over_https_or_nowhere(
    preset: str, issuer: str, document: dict[str, Any], endpoint: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        assert sign_out_endpoint(document, settings(preset, issuer)) == endpoint
    assert [record.levelname for record in caplog.records] == ([] if endpoint else ["WARNING"])


@pytest.mark.parametrize(
    ("preset", "issuer"), [("google", "https://accounts.google.com"), ("okta", "https://a.okta.com")]
)
def test_a_provider_without_such_an_address_is_said_when_the_settings_are_read(preset: str, issuer: str) -> None:
    with pytest.raises(ValidationError, match="sign_out_at_provider"):
        settings(preset, issuer)


async def test_nobody_is_led_on_unless_the_settings_say_so(tmp_path: Path) -> None:
    with FakeProvider().running() as provider:
        provider.document["end_session_endpoint"] = f"{provider.url}/out"
        async with relying_party(tmp_path, provider.url, asked=False) as one:
            assert await one.sign_out(BACK, ANN) is None
        async with relying_party(tmp_path, provider.url) as one:
            assert (await one.sign_out(BACK, ANN) or "").startswith(f"{provider.url}/out?client_id=sekisho&")


def _away(provider: FakeProvider) -> None:
    del provider.pages["/.well-known/openid-configuration"]


def _silent(provider: FakeProvider) -> None:
    provider.document.pop("end_session_endpoint", None)


@pytest.mark.parametrize("broken", [_away, _silent])
async def test_where_the_provider_cannot_sign_out_that_is_no_fault_and_people_still_sign_in(
    tmp_path: Path, broken: Callable[[FakeProvider], None], caplog: pytest.LogCaptureFixture
) -> None:
    with FakeProvider().running() as provider, caplog.at_level(logging.WARNING):
        broken(provider)
        async with relying_party(tmp_path, provider.url) as one:
            assert await one.sign_out(BACK, ANN) is None
            if broken is _silent:
                begun = await one.begin("https://chat.example.com/_sekisho/callback", "/")
                assert begun.location.startswith(f"{provider.url}/authorize?")
    assert caplog.records


async def test_a_provider_of_others_takes_it_and_leads_back(tmp_path: Path) -> None:
    with oidc_provider_mock.run_server_in_thread() as server:
        async with relying_party(tmp_path, f"http://localhost:{server.server_port}") as one:
            there = await one.sign_out(BACK, ANN)
        assert there is not None
        async with httpx2.AsyncClient(trust_env=False) as browser:
            asked = await browser.get(there)
            answer = await browser.post(str(asked.url.copy_with(query=None)) + "/confirm", data={"redirect_uri": BACK})

    assert asked.status_code == 200
    assert BACK in asked.text
    assert (answer.status_code, answer.headers["location"]) == (302, BACK)
