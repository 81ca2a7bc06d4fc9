import asyncio
import json
import logging
import time
from pathlib import Path
from urllib.parse import parse_qs

import openai.auth
import pytest
from openai.auth._workload import WorkloadIdentityAuth

from tests.upstreams.eventually import eventually
from tests.upstreams.providers import chosen, running, shown
from tests.upstreams.token_server import TokenServer, token_server, tokens
from upstreams.credential import CredentialUnavailable
from upstreams.provider_credentials import Upstreams

OPENAI = "body: json, parameters: {identity_provider_id: idp_1, service_account_id: sa_1}"


def settings(server: TokenServer, subject: Path, more: str = OPENAI) -> str:
    return (
        f"openai: {{auth: {{kind: token_exchange, token_url: '{server.url()}', subject_token: {{file: {subject}}}, "
        f"{more}}}}}"
    )


@pytest.fixture
def subject(tmp_path: Path) -> Path:
    file = tmp_path / "token"
    file.write_text("eyJ.subject.token\n")
    return file


def token(upstreams: Upstreams) -> str:
    return shown(chosen(upstreams))


async def test_a_subject_token_becomes_an_access_token_by_rfc_8693(subject: Path) -> None:
    with token_server() as server:
        server.answer = tokens()
        more = "subject_token_type: id_token, parameters: {audience: 'https://api.example', scope: 'a b'}"
        async with running(settings(server, subject, more)) as upstreams:
            assert chosen(upstreams).fields == ((b"authorization", b"Bearer token-1"),)

    ((path, body),) = server.asked
    assert path == "/oauth/token"
    assert parse_qs(body.decode()) == {
        "grant_type": ["urn:ietf:params:oauth:grant-type:token-exchange"],
        "subject_token": ["eyJ.subject.token"],
        "subject_token_type": ["urn:ietf:params:oauth:token-type:id_token"],
        "audience": ["https://api.example"],
        "scope": ["a b"],
    }


async def test_openai_is_asked_what_its_official_sdk_asks(subject: Path) -> None:
    with token_server() as server:
        server.answer = tokens()
        async with running(settings(server, subject)):
            pass
        WorkloadIdentityAuth(
            workload_identity={
                "identity_provider_id": "idp_1",
                "service_account_id": "sa_1",
                "provider": openai.auth.k8s_service_account_token_provider(subject),
            },
            token_exchange_url=server.url(),
        ).get_token()

    (_, ours), (_, theirs) = server.asked
    assert json.loads(ours) == json.loads(theirs)


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (
            401,
            b'{"error": "invalid_grant", "error_description": "no\\nmapping for eyJhbGciOi.J9.x"}',
            "invalid_grant: no mapping for …",
        ),
        (503, b"<html>", "status 503"),
        (302, b"", "status 302"),
        (200, b"[]", "without access_token"),
        (200, b'{"access_token": "x"}', "without access_token or expires_in"),
        (200, b'{"access_token": "x", "expires_in": true}', "without access_token or expires_in"),
        (200, b'{"access_token": "x\\r\\ny: z", "expires_in": 60}', "characters that no key has"),
        (200, b'{"access_token": "x", "expires_in": 60, "token_type": "DPoP"}', "another type"),
        (200, b'{"access_token": "x", "expires_in": 0}', "run out on arrival"),
        (200, b"[" * 100_000, "without access_token"),
        (200, b"x" * 300_000, "more than 262144 bytes"),
    ],
    ids=range(11),
)
async def test_a_bad_answer_is_no_token_and_says_why(status: int, body: bytes, words: str, subject: Path) -> None:
    with token_server() as server:
        server.answer = lambda path, asked: (status, body)
        async with running(settings(server, subject)) as upstreams:
            with pytest.raises(CredentialUnavailable) as raised:
                token(upstreams)

    assert words in str(raised.value)
    assert "eyJ" not in str(raised.value)


async def test_an_endpoint_that_cannot_be_reached_is_said(subject: Path) -> None:
    with token_server() as server:
        text = settings(server, subject)
    async with running(text) as upstreams:
        with pytest.raises(CredentialUnavailable, match="cannot be had from http"):
            token(upstreams)


async def test_an_answer_that_trickles_in_is_given_up(subject: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("upstreams.token_endpoint.DEADLINE_S", 0.5)
    with token_server() as server:
        server.pace = 0.05
        server.answer = lambda path, asked: (200, b" " * 1000)
        async with running(settings(server, subject)) as upstreams:
            began = time.monotonic()
            with pytest.raises(CredentialUnavailable, match="cannot be had from http"):
                token(upstreams)
            assert time.monotonic() - began < 1


async def test_a_401_of_the_provider_renews_the_token(subject: Path) -> None:
    with token_server() as server:
        server.answer = tokens()
        async with running(settings(server, subject)) as upstreams:
            first = chosen(upstreams)
            assert upstreams.instead_of("openai", first, time.time()) is None
            upstreams.answered("openai", first, 403, time.time(), after=None)
            upstreams.answered("openai", first, 401, time.time(), after=None)
            await asyncio.to_thread(eventually, lambda: token(upstreams) == "token-2")
            (state,) = upstreams.state()

    assert (state.label, state.state) == ("token_exchange", "ready")


async def test_the_subject_token_is_read_at_each_exchange(subject: Path) -> None:
    await asyncio.to_thread(subject.unlink)
    with token_server() as server:
        server.answer = tokens()
        async with running(settings(server, subject)) as upstreams:
            with pytest.raises(CredentialUnavailable, match="needs its subject_token, which names the file"):
                token(upstreams)
            await asyncio.to_thread(subject.write_text, "first")
            await asyncio.to_thread(eventually, lambda: upstreams.state()[0].state == "ready")
            await asyncio.to_thread(subject.write_text, "second")
            upstreams.answered("openai", chosen(upstreams), 401, time.time(), after=None)
            await asyncio.to_thread(eventually, lambda: len(server.asked) == 2)

    assert [json.loads(body)["subject_token"] for _, body in server.asked] == ["first", "second"]


async def test_no_token_is_logged(subject: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with token_server() as server:
        server.answer = tokens()
        async with running(settings(server, subject)) as upstreams:
            said = f"{chosen(upstreams)!r} {upstreams.state()}"

    assert "token-1" not in caplog.text + said
    assert "eyJ" not in caplog.text + said
