import asyncio
import datetime
import hashlib
import hmac
import logging
from pathlib import Path
from urllib.parse import quote, urlsplit

import pytest

pytest.importorskip("botocore", reason="the extra aws is not installed")

import botocore.auth
import botocore.credentials
import botocore.session

from tests.upstreams.eventually import eventually
from tests.upstreams.providers import chosen, running
from upstreams.aws_sigv4 import signature
from upstreams.credential import CREDENTIAL_FIELDS, CredentialUnavailable, Fields, Outgoing

SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
PAIR = botocore.credentials.ReadOnlyCredentials("AKIDEXAMPLE", SECRET, None)


@pytest.fixture
def _in_august_2015(monkeypatch: pytest.MonkeyPatch) -> None:
    at = datetime.datetime(2015, 8, 30, 12, 36, tzinfo=datetime.UTC)
    monkeypatch.setattr(botocore.auth, "get_current_datetime", lambda: at)


@pytest.mark.usefixtures("_in_august_2015")
@pytest.mark.parametrize(
    ("name", "method", "target", "form", "published"),
    [
        ("get-vanilla", "GET", "/", b"", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
        ("post-vanilla", "POST", "/", b"", "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"),
        (
            "get-vanilla-query-order-key-case",
            "GET",
            "/?Param2=value2&Param1=value1",
            b"",
            "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
        ),
        (
            "get-vanilla-query-order-key",
            "GET",
            "/?Param1=value2&Param1=Value1",
            b"",
            "eedbc4e291e521cf13422ffca22be7d2eb8146eecf653089df300a15b2382bd1",
        ),
        (
            "post-vanilla-query",
            "POST",
            "/?Param1=value1",
            b"",
            "28038455d6de14eafc1f9222cf5aa6f1a96197d7deb8263271d420d138af7f11",
        ),
        (
            "get-unreserved",
            "GET",
            "/-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
            b"",
            "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f",
        ),
        (
            "post-x-www-form-urlencoded",
            "POST",
            "/",
            b"Param1=value1",
            "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
        ),
    ],
)
def test_the_vectors_of_awss_own_test_suite_are_signed_as_published(
    name: str, method: str, target: str, form: bytes, published: str
) -> None:
    fields = ((b"Content-Type", b"application/x-www-form-urlencoded"),) if form else ()
    outgoing = Outgoing(method, "https", "example.amazonaws.com", target, fields, form)

    added = dict(signature(outgoing, pair=PAIR, region="us-east-1", service="service"))

    covered = "content-type;host;x-amz-date" if form else "host;x-amz-date"
    expected = (
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
        f"SignedHeaders={covered}, Signature={published}"
    )
    assert added == {b"x-amz-date": b"20150830T123600Z", b"authorization": expected.encode()}


def verified(outgoing: Outgoing, added: Fields) -> bool:
    """What AWS does with a request: its signature made anew, from what is on the wire and the secret."""
    fields = {name.lower(): value for name, value in (*outgoing.fields, *added)}
    fields[b"host"] = outgoing.authority.encode()
    shown = fields[b"authorization"].decode().removeprefix("AWS4-HMAC-SHA256 ")
    said = dict(part.split("=", 1) for part in shown.split(", "))
    covered = said["SignedHeaders"].split(";")
    assert set(covered) >= {n.decode() for n in fields if n.startswith(b"x-amz-")}, "AWS wants all of them covered"
    date, scope = fields[b"x-amz-date"].decode(), said["Credential"].split("/", 1)[1]
    url = urlsplit(outgoing.target)
    canonical = "\n".join(
        [
            outgoing.method,
            quote(url.path, safe="/~"),
            "&".join(sorted(url.query.split("&"))) if url.query else "",
            *(f"{name}:{' '.join(fields[name.encode()].decode().split())}" for name in covered),
            "",
            said["SignedHeaders"],
            hashlib.sha256(outgoing.body).hexdigest(),
        ]
    )
    text = "\n".join(["AWS4-HMAC-SHA256", date, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    key = f"AWS4{SECRET}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    return hmac.digest(key, text.encode(), "sha256").hex() == said["Signature"]


BEDROCK = Outgoing(
    "POST",
    "https",
    "bedrock-runtime.eu-central-1.amazonaws.com",
    "/model/anthropic.claude-3-5-sonnet-20240620-v1%3A0/invoke-with-response-stream",
    (
        (b"Content-Type", b"application/json"),
        (b"Accept", b"application/vnd.amazon.eventstream"),
        (b"X-Amzn-Bedrock-Accept", b"*/*"),
        (b"X-Amz-Caller", b"  a   b "),
        (b"User-Agent", b"Boto3/1.44"),
    ),
    '{"messages": ["こんにちは"]}'.encode(),
)


@pytest.mark.parametrize("token", [None, "session//token=="])
@pytest.mark.parametrize("host", [BEDROCK.authority, "127.0.0.1:8443", "[::1]:8443"])
def test_a_bedrock_call_is_signed_so_that_it_verifies(token: str | None, host: str) -> None:
    pair = botocore.credentials.ReadOnlyCredentials("AKIDEXAMPLE", SECRET, token)
    outgoing = Outgoing("POST", "https", host, BEDROCK.target, BEDROCK.fields, BEDROCK.body)

    added = signature(outgoing, pair=pair, region="eu-central-1", service="bedrock")

    assert verified(outgoing, added)
    assert {name for name, _ in added} <= CREDENTIAL_FIELDS
    assert (b"x-amz-security-token" in dict(added)) is (token is not None)
    other = Outgoing("POST", "https", host, BEDROCK.target, BEDROCK.fields, b"{}")
    assert not verified(other, added)


def test_what_a_caller_signed_itself_does_not_mix_with_our_signature() -> None:
    theirs = (
        (b"Authorization", b"AWS4-HMAC-SHA256 Credential=theirs"),
        (b"X-Amz-Date", b"20150830T123600Z"),
        (b"X-Amz-Security-Token", b"theirs"),
        (b"X-Amz-Content-Sha256", b"UNSIGNED-PAYLOAD"),
    )
    outgoing = Outgoing("POST", "https", BEDROCK.authority, BEDROCK.target, (*BEDROCK.fields, *theirs), BEDROCK.body)

    added = signature(outgoing, pair=PAIR, region="eu-central-1", service="bedrock")

    assert verified(BEDROCK, added)
    assert b"theirs" not in b"".join(value for _, value in added)


def test_a_field_outside_ascii_does_not_break_the_signature() -> None:
    odd = (b"X-Amz-Meta", "é".encode())
    added = signature(Outgoing("GET", "https", "h", "/", (odd,), b""), pair=PAIR, region="r", service="s")

    assert verified(Outgoing("GET", "https", "h", "/", (), b""), added)


async def test_the_key_pair_of_the_settings_signs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ID", "AKIDEXAMPLE")
    monkeypatch.setenv("SECRET", SECRET)
    auth = "{kind: aws_sigv4, region: eu-central-1, access_key_id: {env: ID}, secret_access_key: {env: SECRET}}"
    async with running(f"openai: {{dialect: bedrock, auth: {auth}}}") as upstreams:
        credential = chosen(upstreams)

    assert upstreams.signs("openai")
    assert credential.fields == ()
    assert credential.sign is not None
    assert verified(BEDROCK, credential.sign(BEDROCK))
    assert SECRET not in repr(credential)


async def test_botocores_own_search_is_used_where_the_settings_name_no_pair(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    for name in ("AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    shared = tmp_path / "credentials"
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(shared))
    async with running("openai: {auth: {kind: aws_sigv4, region: eu-central-1}}") as upstreams:
        with pytest.raises(CredentialUnavailable, match="finds no AWS credentials"):
            chosen(upstreams)

        shared.write_text(
            f"[default]\naws_access_key_id = AKIDEXAMPLE\naws_secret_access_key = {SECRET}\n"
            "aws_session_token = st-canary\n"
        )
        await asyncio.to_thread(eventually, lambda: upstreams.state()[0].state == "ready")
        credential = chosen(upstreams)

    assert credential.sign is not None
    assert verified(BEDROCK, credential.sign(BEDROCK))
    assert SECRET not in caplog.text
    assert "st-canary" not in caplog.text
