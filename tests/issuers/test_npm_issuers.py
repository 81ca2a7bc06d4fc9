"""Tokens of issuers that others wrote, from the log-in to the record of a running gateway."""

import base64
import hashlib
import json
import secrets
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest

from tests.issuers.node_process import node
from tests.journeys.instance import Instance
from tests.journeys.provider import Provider

_MORE = """
identity:
  domains: [example.com]
  issuers: [{{name: idp, kind: oidc, issuer: '{issuer}', audience: sekisho}}]
policies:
  rules: [{{name: everyone}}]
"""
BACK = "http://127.0.0.1:9/callback"


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with Provider() as running:
        yield running


def gateway(folder: Path, provider: Provider, issuer: str) -> Instance:
    return Instance(folder, provider.url, profile="gateway", more=_MORE.format(issuer=issuer))


def ask(instance: Instance, token: str) -> tuple[int, str | None]:
    """Status and code, once the issuer's keys are there."""
    body = {"model": "gpt-4o", "messages": []}
    for _ in range(50):
        answer = httpx2.post(
            f"{instance.url}/v1/chat/completions", json=body, headers={"authorization": f"Bearer {token}"}, timeout=20
        )
        if answer.status_code != 503:
            break
        time.sleep(0.1)
    return answer.status_code, answer.json().get("error", {}).get("code")


def log_in(issuer: str, login: str, client_id: str) -> str:
    """The ID token at the end of the code flow with PKCE (RFC 7636), as a browser and a public client walk it."""
    verifier = secrets.token_urlsafe(48)
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    with httpx2.Client(base_url=issuer, follow_redirects=False) as browser:
        answer = browser.get(
            "/auth",
            params={
                "client_id": client_id,
                "redirect_uri": BACK,
                "response_type": "code",
                "scope": "openid email",
                "code_challenge": challenge,
                "code_challenge_method": "S256",
            },
        )
        prompts = iter(({"prompt": "login", "login": login, "password": "x"}, {"prompt": "consent"}))
        while not (where := answer.headers.get("location", "")).startswith(BACK):
            # No address: it is a page with a form.
            answer = browser.get(where) if where else browser.post(answer.url, data=next(prompts))
        code = parse_qs(urlsplit(where).query)["code"][0]
        granted = browser.post(
            "/token",
            data={
                "grant_type": "authorization_code",
                "code": code,
                "redirect_uri": BACK,
                "client_id": client_id,
                "code_verifier": verifier,
            },
        )
    found: str = granted.json()["id_token"]
    return found


def test_who_logged_in_at_oidc_provider_passes_and_is_on_record(tmp_path: Path, provider: Provider) -> None:
    with node("oidc_provider.mjs") as (issuer, *_), gateway(tmp_path, provider, issuer) as instance:
        token = log_in(issuer, "ann", "sekisho")
        assert ask(instance, token) == (200, None)
        assert ask(instance, log_in(issuer, "ann", "other")) == (401, "invalid_token")
        assert ask(instance, log_in(issuer, "eve", "sekisho")) == (403, "email_not_verified")
        spoilt = token[:-8] + ("AAAAAAAA" if not token.endswith("AAAAAAAA") else "BBBBBBBB")
        assert ask(instance, spoilt) == (401, "invalid_token")
        (passed,) = [one for one in instance.recorded(4) if one["decision"]["outcome"] == "allow"]
    assert passed["principal"] == {
        "subject": "ann", "email": "ann@example.com", "domain": "example.com", "issuer": "idp", "groups": []
    }  # fmt: skip


def signed(issuer: str, **claims: Any) -> str:
    """An ID token of oauth2-mock-server with these claims, for ann@example.com at sekisho when not said otherwise."""
    usual = {"email": "ann@example.com", "email_verified": True, "sub": "u-ann"}
    answer = httpx2.post(
        f"{issuer}/token",
        data={
            "grant_type": "password",
            "username": "ann",
            "client_id": "sekisho",
            "claims": json.dumps(usual | claims),
        },
    )
    found: str = answer.json()["id_token"]
    return found


@pytest.mark.parametrize(
    ("claims", "said"),
    [
        ({}, (200, None)),
        ({"aud": "another"}, (401, "invalid_token")),
        ({"aud": ["sekisho", "another"]}, (200, None)),
        ({"iss": "https://elsewhere.test"}, (401, "invalid_token")),
        ({"exp": 1_700_000_000}, (401, "expired_token")),
        ({"nbf": 4_000_000_000}, (401, "invalid_token")),
        ({"exp": 3_900_000_000}, (401, "token_lifetime_too_long")),
        ({"email": "eve@evilexample.com"}, (403, "domain_not_allowed")),
        ({"email": "ann@example.com@evil.test"}, (403, "domain_not_allowed")),
        ({"email_verified": "false"}, (403, "email_not_verified")),
    ],
    ids=str,
)
def test_what_oauth2_mock_server_signs_is_judged_by_its_claims(
    judged: tuple[str, Instance], claims: dict[str, Any], said: tuple[int, str | None]
) -> None:
    issuer, instance = judged
    assert ask(instance, signed(issuer, **claims)) == said


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory, provider: Provider) -> Iterator[tuple[str, Instance]]:
    with (
        node("oauth2_mock_server.mjs") as (issuer, *_),
        gateway(tmp_path_factory.mktemp("judged"), provider, issuer) as instance,
    ):
        yield issuer, instance


def test_an_issuer_that_rotates_its_keys_under_load_loses_no_request(tmp_path: Path, provider: Provider) -> None:
    """Eight callers that fetch tokens and call without pause, while the issuer takes a new key into use."""
    with (
        node("oauth2_mock_server.mjs") as (issuer, said_to, says),
        gateway(tmp_path, provider, issuer) as instance,
    ):
        assert ask(instance, signed(issuer)) == (200, None)
        answers: list[tuple[str, int]] = []
        done = threading.Event()
        asking = threading.Lock()  # the mock mixes up claims of token requests at the same time

        def caller() -> None:
            with httpx2.Client(base_url=instance.url, timeout=20) as client:
                while not done.is_set():
                    with asking:
                        token = signed(issuer)
                    answer = client.post(
                        "/v1/chat/completions",
                        json={"model": "gpt-4o", "messages": []},
                        headers={"authorization": f"Bearer {token}"},
                    )
                    head = token.split(".")[0]
                    answers.append((json.loads(base64.urlsafe_b64decode(head + "==="))["kid"], answer.status_code))

        callers = [threading.Thread(target=caller) for _ in range(8)]
        for one in callers:
            one.start()
        try:
            instance.wait_until(lambda: len(answers) >= 40)
            said_to.write("RS256\n")
            said_to.flush()
            assert says.readline().strip() == "a key more"
            instance.wait_until(lambda: len({kid for kid, _ in answers}) == 2)
            enough = len(answers) + 80
            instance.wait_until(lambda: len(answers) >= enough)
        finally:
            done.set()
            for one in callers:
                one.join(30)
    assert {status for _, status in answers} == {200}
