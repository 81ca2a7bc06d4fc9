"""The flow against an OpenID provider that others wrote: its forms, its tokens, its key set without `alg`."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import oidc_provider_mock
import pytest

from settings.schema import Settings
from signin.refusal import SignInRefused
from signin.relying_party import SignedIn, sign_in_from

BACK = "https://console.example.com/sign-in/back"
PEOPLE = (
    {"sub": "u-ann", "email": "ann@example.com", "email_verified": True, "groups": ["audit"]},
    {"sub": "u-eve", "email": "eve@example.com", "email_verified": False},
)


@pytest.fixture(scope="module")
def issuer() -> Iterator[str]:
    users = [oidc_provider_mock.User(sub=str(one["sub"]), claims=dict(one)) for one in PEOPLE]
    with oidc_provider_mock.run_server_in_thread(require_nonce=True, user_claims=users) as server:
        yield f"http://localhost:{server.server_port}"


async def come_back(tmp_path: Path, issuer: str, form: dict[str, str]) -> SignedIn:
    sign_in: dict[str, Any] = {"preset": "oidc", "issuer": issuer, "client_id": "sekisho"}
    settings = Settings.model_validate(
        {"data_dir": str(tmp_path), "identity": {"domains": ["example.com"]}, "sign_in": sign_in}
    )
    relying_party = sign_in_from(settings)
    begun = await relying_party.begin(BACK, "/people")
    async with httpx2.AsyncClient(trust_env=False) as browser:
        answer = await browser.post(begun.location, data=form)
    return await relying_party.finish(BACK, urlsplit(answer.headers["location"]).query, begun.cookie)


async def test_who_logs_in_there_is_signed_in_here(tmp_path: Path, issuer: str) -> None:
    found = await come_back(tmp_path, issuer, {"sub": "u-ann"})
    assert (found.principal.email, found.to) == ("ann@example.com", "/people")
    assert re.fullmatch(r"u-ann", found.principal.subject)


@pytest.mark.parametrize(
    ("form", "code"), [({"sub": "u-eve"}, "email_not_verified"), ({"action": "deny"}, "login_denied")]
)
async def test_who_does_not_verify_their_address_or_says_no_is_not(
    tmp_path: Path, issuer: str, form: dict[str, str], code: str
) -> None:
    with pytest.raises(SignInRefused) as refused:
        await come_back(tmp_path, issuer, form)
    assert refused.value.code == code
