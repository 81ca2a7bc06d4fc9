"""Tokens of programs that others wrote: an OpenID provider with log-in, and Amazon Cognito as moto plays it."""

import contextlib
import http.client
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from identities.verifier import Verifier, verifier_from
from settings.schema import Identity
from tests.identities.minting import answer, bearer

ANN = {"sub": "u-ann", "email": "ann@example.com", "email_verified": True, "groups": ["eng"]}
EVE = {"sub": "u-eve", "email": "eve@example.com", "email_verified": False}


def ask(port: int, method: str, path: str, body: str = "", **headers: str) -> tuple[int, str, str]:
    """Status, `Location` and body of a plain request to loopback."""
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=20)) as connection:
        connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
        found = connection.getresponse()
        return found.status, found.getheader("location", ""), found.read().decode()


@contextlib.contextmanager
def running(*command: str) -> Iterator[int]:
    """A server of ours on a free port of loopback, until it is no longer needed."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    arguments = [sys.executable, "-W", "ignore", "-m", *(part.format(port=port) for part in command)]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    with subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment) as process:
        try:
            for _ in range(300):
                with contextlib.suppress(OSError):
                    socket.create_connection(("127.0.0.1", port), 0.2).close()
                    break
                time.sleep(0.1)
            yield port
        finally:
            process.kill()


@pytest.fixture(scope="module")
def provider() -> Iterator[int]:
    users = [
        part
        for user in (ANN, EVE)
        for part in ("--user-claims", json.dumps(user).replace("{", "{{").replace("}", "}}"))
    ]
    with running("oidc_provider_mock", "-H", "127.0.0.1", "-p", "{port}", *users) as port:
        yield port


def log_in(port: int, subject: str, client: str) -> dict[str, Any]:
    """The code flow (OIDC Core §3.1), as a browser and a client would walk it."""
    back = "http://127.0.0.1:9/callback"
    query = urlencode(
        {"client_id": client, "redirect_uri": back, "response_type": "code", "scope": "openid email", "state": "s"}
    )
    form = {"Content_Type": "application/x-www-form-urlencoded"}
    _, where, _ = ask(port, "POST", f"/oauth2/authorize?{query}", urlencode({"sub": subject}), **form)
    code = parse_qs(urlsplit(where).query)["code"][0]
    wanted = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": back,
        "client_id": client,
        "client_secret": "x",
    }
    _, _, body = ask(port, "POST", "/oauth2/token", urlencode(wanted), **form)
    found: dict[str, Any] = json.loads(body)
    return found


def gate(folder: Path, profile: str, **entry: Any) -> Verifier:
    identity = Identity.model_validate({"domains": ["example.com"], "issuers": [{"name": "idp"} | entry]})
    return verifier_from(identity, data_dir=folder, profile=profile)


async def test_a_person_logs_in_at_a_provider_that_was_only_named(tmp_path: Path, provider: int) -> None:
    _, _, document = ask(provider, "GET", "/.well-known/openid-configuration")
    issuer = json.loads(document)["issuer"]
    one = gate(tmp_path, "gateway", kind="oidc", issuer=issuer, audience="sekisho", groups_claim="groups")
    await one.start()
    try:
        ann = bearer(log_in(provider, "u-ann", "sekisho")["id_token"])
        found = await one.identify([ann], now=time.time())
        assert found.principal.email == "ann@example.com"
        assert one.recall([ann], now=time.time()) is found
        assert (
            await answer(one, bearer(log_in(provider, "u-ann", "other")["id_token"]), now=time.time())
            == "invalid_token"
        )
        eve = log_in(provider, "u-eve", "sekisho")["id_token"]
        assert await answer(one, bearer(eve), now=time.time()) == "email_not_verified"
    finally:
        await one.stop()


@pytest.fixture(scope="module")
def cognito() -> Iterator[int]:
    with running("moto.server", "-H", "127.0.0.1", "-p", "{port}") as port:
        yield port


def call(port: int, action: str, **arguments: Any) -> dict[str, Any]:
    status, _, body = ask(
        port,
        "POST",
        "/",
        json.dumps(arguments),
        Content_Type="application/x-amz-json-1.1",
        X_Amz_Target=f"AWSCognitoIdentityProviderService.{action}",
        Authorization="AWS4-HMAC-SHA256 Credential=x/20260101/eu-west-1/cognito-idp/aws4_request, Signature=0",
    )
    assert status == 200, body
    found: dict[str, Any] = json.loads(body)
    return found


async def test_cognito_signs_id_and_access_tokens_and_neither_passes_for_the_other(
    tmp_path: Path, cognito: int
) -> None:
    pool = call(cognito, "CreateUserPool", PoolName="p")["UserPool"]["Id"]
    client = call(
        cognito,
        "CreateUserPoolClient",
        UserPoolId=pool,
        ClientName="c",
        ReadAttributes=["email", "email_verified"],
        ExplicitAuthFlows=["ALLOW_USER_PASSWORD_AUTH"],
    )["UserPoolClient"]["ClientId"]
    attributes = [{"Name": "email", "Value": "ann@example.com"}, {"Name": "email_verified", "Value": "true"}]
    call(cognito, "AdminCreateUser", UserPoolId=pool, Username="ann", UserAttributes=attributes)
    call(cognito, "AdminSetUserPassword", UserPoolId=pool, Username="ann", Password="Sekisho-1!", Permanent=True)
    call(cognito, "CreateGroup", UserPoolId=pool, GroupName="staff")
    call(cognito, "AdminAddUserToGroup", UserPoolId=pool, Username="ann", GroupName="staff")
    signed_in = call(
        cognito,
        "InitiateAuth",
        ClientId=client,
        AuthFlow="USER_PASSWORD_AUTH",
        AuthParameters={"USERNAME": "ann", "PASSWORD": "Sekisho-1!"},
    )["AuthenticationResult"]
    entry: dict[str, Any] = {
        "kind": "cognito",
        "region": "eu-west-1",
        "user_pool": pool,
        "clients": [client],
        "jwks_url": f"http://127.0.0.1:{cognito}/{pool}/.well-known/jwks.json",
    }
    by_id = gate(tmp_path, "local", **entry)
    by_access = gate(tmp_path, "local", **entry, token_use="access", map={"group:staff": "example.com"})
    now = time.time()
    for one, which, expected in (
        (by_id, "IdToken", "ann@example.com"),
        (by_id, "AccessToken", "invalid_token"),
        (by_access, "AccessToken", "example.com"),
        (by_access, "IdToken", "invalid_token"),
    ):
        assert await answer(one, bearer(signed_in[which]), now=now) == expected, which
    guarded = gate(tmp_path / "g", "gateway", **entry)
    assert await answer(guarded, bearer(signed_in["IdToken"]), now=now) == "identity_keys_unavailable", "a public key"
    for one in (by_id, by_access, guarded):
        await one.stop()
