import asyncio
import json
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs

import pytest

pytest.importorskip("azure.identity", reason="the extra azure is not installed")

import azure.core.credentials
import azure.core.exceptions
import azure.identity

from tests.identities.certificates import authority, server_tls
from tests.upstreams.eventually import eventually
from tests.upstreams.providers import chosen, running, shown
from tests.upstreams.token_server import Answer, TokenServer, token_server
from upstreams.credential import CredentialUnavailable
from upstreams.provider_credentials import Upstreams

TENANT = "6a1d1c5e-0f8e-4c4f-9f1e-3a8f2f0d9b11"
CLIENT = "0c5b2f1a-7e1d-4b5e-8a55-91d4f6f0a222"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[TokenServer]:
    """Entra's v2 endpoints for one tenant, with a certificate of an authority of our own."""
    authority(tmp_path)
    with token_server(server_tls(tmp_path, "localhost")) as server:
        root = f"https://localhost:{server.port}/{TENANT}"
        given = iter(range(1, 100))

        def answer(path: str, body: bytes) -> Answer:
            if path == f"/{TENANT}/v2.0/.well-known/openid-configuration":
                found = {
                    "issuer": f"{root}/v2.0",
                    "authorization_endpoint": f"{root}/oauth2/v2.0/authorize",
                    "token_endpoint": f"{root}/oauth2/v2.0/token",
                    "device_authorization_endpoint": f"{root}/oauth2/v2.0/devicecode",
                }
                return 200, json.dumps(found).encode()
            if parse_qs(body.decode()).get("client_secret") == ["wrong"]:
                return 401, b'{"error": "invalid_client", "error_description": "AADSTS7000215"}'
            token = {"token_type": "Bearer", "expires_in": 3599, "access_token": f"entra-{next(given)}"}
            return 200, json.dumps(token).encode()

        server.answer = answer
        yield server


def settings(server: TokenServer, tmp_path: Path, more: str) -> str:
    return (
        f"openai: {{dialect: azure, auth: {{kind: entra, tenant: {TENANT}, client_id: {CLIENT}, "
        f"authority: 'https://localhost:{server.port}', ca_file: {tmp_path}/ca.pem, {more}}}}}"
    )


def token(upstreams: Upstreams) -> str:
    return shown(chosen(upstreams))


async def test_a_client_secret_becomes_a_token_for_the_scope(
    server: TokenServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("A_SECRET", "s3cret")
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")  # this checkpoint, most likely
    async with running(settings(server, tmp_path, "client_secret: {env: A_SECRET}")) as upstreams:
        assert token(upstreams) == "entra-1"
        upstreams.answered("openai", chosen(upstreams), 401, time.time(), after=None)
        await asyncio.to_thread(eventually, lambda: token(upstreams) == "entra-2")  # a new one, none of a cache

    asked = [parse_qs(body.decode()) for path, body in server.asked if path.endswith("/token")]
    assert asked[0]["scope"] == ["https://cognitiveservices.azure.com/.default"]
    assert asked[0]["client_id"] == [CLIENT]
    assert asked[0]["client_secret"] == ["s3cret"]


async def test_a_projected_token_is_the_assertion(server: TokenServer, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("projected.token.x")
    async with running(settings(server, tmp_path, f"token_file: {tmp_path}/token")) as upstreams:
        assert token(upstreams) == "entra-1"

    (asked,) = [parse_qs(body.decode()) for path, body in server.asked if path.endswith("/token")]
    assert asked["client_assertion"] == ["projected.token.x"]


async def test_a_wrong_secret_is_said_and_not_shown(
    server: TokenServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("A_SECRET", "wrong")
    async with running(settings(server, tmp_path, "client_secret: {env: A_SECRET}")) as upstreams:
        with pytest.raises(CredentialUnavailable, match="AADSTS7000215"):
            token(upstreams)

    assert "wrong" not in caplog.text


async def test_without_a_secret_the_managed_identity_of_the_machine_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []

    class Managed:  # the vendor's object at its documented interface: its own endpoint is a fixed address
        def __init__(self, *, client_id: str | None, **more: object) -> None:
            asked.append(client_id)

        def get_token(self, *scopes: str) -> azure.core.credentials.AccessToken:
            asked.extend(scopes)
            return azure.core.credentials.AccessToken("managed-1", int(time.time()) + 3600)

        def close(self) -> None:
            asked.append("closed")

    monkeypatch.setattr(azure.identity, "ManagedIdentityCredential", Managed)
    text = f"openai: {{auth: {{kind: entra, client_id: {CLIENT}, scope: 'https://ai.azure.com/.default'}}}}"
    async with running(text) as upstreams:
        assert token(upstreams) == "managed-1"

    assert asked == [CLIENT, "https://ai.azure.com/.default", "closed"]
