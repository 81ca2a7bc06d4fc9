import asyncio
import json
import time
from pathlib import Path
from urllib.parse import parse_qs

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

pytest.importorskip("google.auth", reason="the extra google is not installed")

from tests.upstreams.eventually import eventually
from tests.upstreams.providers import chosen, running, shown
from tests.upstreams.token_server import TokenServer, token_server, tokens
from upstreams.credential import CREDENTIAL_FIELDS, CredentialUnavailable
from upstreams.provider_credentials import Upstreams

KEY = generate_private_key(65537, 2048)
SCOPE = "https://www.googleapis.com/auth/cloud-platform"


def service_account(server: TokenServer, path: Path) -> Path:
    written = {
        "type": "service_account",
        "project_id": "my-project",
        "private_key_id": "k1",
        "private_key": KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode(),
        "client_email": "sekisho@my-project.iam.gserviceaccount.com",
        "token_uri": server.url("/token"),
    }
    path.write_text(json.dumps(written))
    return path


def token(upstreams: Upstreams) -> str:
    return shown(chosen(upstreams))


async def test_a_service_account_becomes_a_token_for_the_scope(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")  # this checkpoint, most likely
    with token_server() as server:
        server.answer = tokens(life=3599)
        file = service_account(server, tmp_path / "sa.json")
        async with running(
            f"openai: {{dialect: gemini, auth: {{kind: google, credentials_file: {file}}}}}"
        ) as upstreams:
            assert token(upstreams) == "token-1"
            upstreams.answered("openai", chosen(upstreams), 401, time.time(), after=None)
            await asyncio.to_thread(eventually, lambda: token(upstreams) == "token-2")

    (path, body), _ = server.asked
    asked = parse_qs(body.decode())
    claims = jwt.decode(
        asked["assertion"][0], KEY.public_key(), algorithms=["RS256"], audience="https://oauth2.googleapis.com/token"
    )
    assert path == "/token"
    assert claims["scope"] == SCOPE
    assert claims["iss"] == "sekisho@my-project.iam.gserviceaccount.com"


async def test_without_a_file_the_application_default_credentials_are_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with token_server() as server:
        server.answer = tokens()
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(service_account(server, tmp_path / "adc.json")))
        async with running("openai: {auth: {kind: google, quota_project: my-project}}") as upstreams:
            fields = dict(chosen(upstreams).fields)

    assert fields == {b"authorization": b"Bearer token-1", b"x-goog-user-project": b"my-project"}
    assert fields.keys() <= CREDENTIAL_FIELDS


@pytest.mark.parametrize("content", [b"", b"{}", b'{"type": "external_account"}', b"\xff"])
async def test_a_file_that_is_no_service_account_is_said(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "sa.json"
    file.write_bytes(content)
    async with running(f"openai: {{auth: {{kind: google, credentials_file: {file}}}}}") as upstreams:
        with pytest.raises(CredentialUnavailable, match="cannot get a Google token"):
            token(upstreams)


async def test_a_refusal_of_google_is_said(tmp_path: Path) -> None:
    with token_server() as server:
        server.answer = lambda path, body: (
            400,
            b'{"error": "invalid_grant", "error_description": "Not a valid email"}',
        )
        file = service_account(server, tmp_path / "sa.json")
        async with running(f"openai: {{auth: {{kind: google, credentials_file: {file}}}}}") as upstreams:
            with pytest.raises(CredentialUnavailable, match="invalid_grant"):
                token(upstreams)
