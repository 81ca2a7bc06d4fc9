"""IDENTITY §1.2 and B: what each issuer signs, and the trap that its preset closes."""

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from pydantic import ValidationError

from settings.schema import Identity
from tests.identities.key_server import by_path, key_server
from tests.identities.minting import (
    NOW,
    answer,
    bearer,
    claims,
    ec_key,
    jwks,
    pem,
    public_jwk,
    rsa_key,
    token,
    verifier,
)

POOL = "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_AbC"
TENANT = "8f1c0000-1111-2222-3333-444455556666"
TAG = "3" * 64
SERVICE = "1f0c2a5e-0000-4000-8000-00000000abcd"
IAP = "/projects/123/global/backendServices/456"

SETTINGS: dict[str, dict[str, Any]] = {
    "cognito": {
        "region": "eu-west-1",
        "user_pool": "eu-west-1_AbC",
        "clients": ["app"],
        "trusted_providers": "CorpSAML",
    },
    "cognito_access": {
        "kind": "cognito",
        "region": "eu-west-1",
        "user_pool": "eu-west-1_AbC",
        "clients": ["app"],
        "token_use": "access",
        "map": {"group:staff": "example.com", "batch": "batch@example.com", SERVICE: "service@example.com"},
    },
    "google": {
        "audience": "1234.apps.googleusercontent.com",
        "hosted_domains": ["example.com"],
        "map": {"robot@p.iam.gserviceaccount.com": "robot@example.com"},
    },
    "iap": {"audience": IAP, "hosted_domains": ["example.com"]},
    "cloudflare": {"team": "acme", "audience": TAG, "map": {"abc.access": "ci@example.com"}},
    "pomerium": {"route": "llm.example.com"},
    "entra": {"tenant": TENANT, "audience": "api://llm", "map": {"app-1": "app@example.com"}},
    "okta": {"issuer": "https://acme.okta.com", "audience": "client"},
    "okta_access": {
        "kind": "okta",
        "issuer": "https://acme.okta.com/oauth2/default",
        "audience": "api://default",
        "token": "access",
        "clients": ["c1"],
    },
    "kubernetes": {
        "issuer": "https://kubernetes.default.svc",
        "audience": "sekisho",
        "map": {"system:serviceaccount:ml:*": "ml@example.com"},
    },
    "github_actions": {"audience": "sekisho", "map": {"repo:acme/app:ref:refs/heads/main": "ci@example.com"}},
    "oauth2_proxy": {"issuer": "https://idp.example.com", "audience": "sekisho"},
}

HEADERS = {
    "iap": b"x-goog-iap-jwt-assertion",
    "cloudflare": b"cf-access-jwt-assertion",
    "pomerium": b"x-pomerium-jwt-assertion",
}
ES256 = ("iap", "pomerium")

USUAL: dict[str, dict[str, Any]] = {
    "cognito": {"iss": POOL, "aud": "app", "token_use": "id", "email_verified": "true", "cognito:groups": ["eng"]},
    "cognito_access": {
        "iss": POOL,
        "aud": ...,
        "client_id": "app",
        "token_use": "access",
        "email": ...,
        "email_verified": ...,
        "username": "ann",
        "cognito:groups": ["staff"],
    },
    "google": {"iss": "https://accounts.google.com", "aud": "1234.apps.googleusercontent.com", "hd": "example.com"},
    "iap": {
        "iss": "https://cloud.google.com/iap",
        "aud": IAP,
        "hd": "example.com",
        "email_verified": ...,
        "exp": NOW + 600,
    },
    "cloudflare": {"iss": "https://acme.cloudflareaccess.com", "aud": [TAG], "type": "app", "email_verified": ...},
    "pomerium": {"iss": "llm.example.com", "aud": "llm.example.com", "email_verified": ...},
    "entra": {
        "iss": f"https://login.microsoftonline.com/{TENANT}/v2.0",
        "aud": "api://llm",
        "tid": TENANT,
        "oid": "o-1",
        "preferred_username": "Ann@example.com",
        "email": ...,
        "email_verified": ...,
    },
    "okta": {"iss": "https://acme.okta.com", "aud": "client"},
    "okta_access": {
        "iss": "https://acme.okta.com/oauth2/default",
        "aud": "api://default",
        "cid": "c1",
        "uid": "00u1",
        "sub": "ann@example.com",
        "email": ...,
        "email_verified": ...,
    },
    "kubernetes": {
        "iss": "https://kubernetes.default.svc",
        "aud": ["sekisho"],
        "sub": "system:serviceaccount:ml:train",
        "email": ...,
    },
    "github_actions": {
        "iss": "https://token.actions.githubusercontent.com",
        "aud": "sekisho",
        "repository_owner": "acme",
        "sub": "repo:acme/app:ref:refs/heads/main",
        "email": ...,
        "exp": NOW + 300,
    },
    "oauth2_proxy": {},
}

ROWS: list[tuple[str, str, dict[str, Any], str]] = [
    ("cognito", "an ID token", {}, "ann@example.com"),
    ("cognito", "B9 an access token", {"token_use": "access"}, "invalid_token"),
    ("cognito", "B8 another pool", {"iss": POOL + "x"}, "invalid_token"),
    ("cognito", "another app client", {"aud": "other"}, "invalid_token"),
    ("cognito", "B11 not verified", {"email_verified": "false"}, "email_not_verified"),
    (
        "cognito",
        "federated, not verified",
        {"email_verified": ..., "identities": [{"providerName": "CorpSAML"}]},
        "ann@example.com",
    ),
    (
        "cognito",
        "federated elsewhere",
        {"email_verified": ..., "identities": [{"providerName": "Facebook"}]},
        "email_not_verified",
    ),
    ("cognito_access", "by group", {}, "example.com"),
    ("cognito_access", "by name", {"username": "batch", "cognito:groups": []}, "batch@example.com"),
    (
        "cognito_access",
        "a name that was chosen to be another's sub",
        {"sub": "other", "username": SERVICE, "cognito:groups": []},
        "subject_not_allowed",
    ),
    ("cognito_access", "by sub", {"sub": SERVICE, "username": SERVICE, "cognito:groups": []}, "service@example.com"),
    ("cognito_access", "not on the map", {"cognito:groups": []}, "subject_not_allowed"),
    (
        "cognito_access",
        "an address in it counts for nothing",
        {"cognito:groups": [], "email": "a@example.com"},
        "subject_not_allowed",
    ),
    ("cognito_access", "B9 an ID token", {"token_use": "id"}, "invalid_token"),
    ("cognito_access", "B10 another client", {"client_id": "other"}, "invalid_token"),
    ("google", "an ID token", {}, "ann@example.com"),
    ("google", "the other spelling", {"iss": "accounts.google.com"}, "ann@example.com"),
    ("google", "B12 no hd", {"hd": ...}, "domain_not_allowed"),
    ("google", "B12 another hd", {"hd": "evil.org"}, "domain_not_allowed"),
    ("google", "another client", {"aud": "other"}, "invalid_token"),
    ("google", "a service by mapping", {"hd": ..., "email": "robot@p.iam.gserviceaccount.com"}, "robot@example.com"),
    (
        "google",
        "a service, not verified",
        {"hd": ..., "email": "robot@p.iam.gserviceaccount.com", "email_verified": False},
        "domain_not_allowed",
    ),
    ("google", "another service", {"hd": ..., "email": "x@p.iam.gserviceaccount.com"}, "domain_not_allowed"),
    ("iap", "an assertion", {}, "ann@example.com"),
    ("iap", "another backend", {"aud": IAP + "7"}, "invalid_token"),
    ("iap", "ours among others", {"aud": [IAP]}, "invalid_token"),
    ("iap", "a consumer account", {"hd": ...}, "domain_not_allowed"),
    ("cloudflare", "an application token", {}, "ann@example.com"),
    ("cloudflare", "B15 type org", {"type": "org"}, "subject_not_allowed"),
    ("cloudflare", "another application", {"aud": ["4" * 64]}, "invalid_token"),
    ("cloudflare", "another team", {"iss": "https://evil.cloudflareaccess.com"}, "invalid_token"),
    ("cloudflare", "a service by mapping", {"common_name": "abc.access", "sub": "", "email": ...}, "ci@example.com"),
    ("cloudflare", "B15 another service", {"common_name": "x.access", "sub": "", "email": ...}, "subject_not_allowed"),
    ("cloudflare", "a person with a service's name", {"common_name": "abc.access"}, "ann@example.com"),
    ("pomerium", "an assertion", {}, "ann@example.com"),
    ("pomerium", "another route", {"aud": "other.example.com"}, "invalid_token"),
    ("entra", "a member", {}, "ann@example.com"),
    ("entra", "upn before preferred_username", {"upn": "bob@example.com"}, "bob@example.com"),
    (
        "entra",
        "B13 another tenant, our address",
        {"tid": "0" + TENANT[1:], "email": "ann@example.com"},
        "subject_not_allowed",
    ),
    (
        "entra",
        "B13 another tenant's issuer",
        {"iss": f"https://login.microsoftonline.com/0{TENANT[1:]}/v2.0"},
        "invalid_token",
    ),
    ("entra", "email alone", {"preferred_username": ..., "email": "ann@example.com"}, "subject_not_allowed"),
    (
        "entra",
        "email that the tenant has proven",
        {"preferred_username": ..., "email": "ann@example.com", "xms_edov": True},
        "ann@example.com",
    ),
    (
        "entra",
        "B14 a guest by name",
        {"preferred_username": "u_evil.com#EXT#@t.onmicrosoft.com"},
        "subject_not_allowed",
    ),
    ("entra", "B14 a guest by acct", {"acct": 1}, "subject_not_allowed"),
    ("entra", "B14 a guest by idp", {"idp": "live.com"}, "subject_not_allowed"),
    ("entra", "a service by mapping", {"preferred_username": ..., "azp": "app-1"}, "app@example.com"),
    ("entra", "a person who uses that service", {"upn": "eve@evil.org", "azp": "app-1"}, "domain_not_allowed"),
    ("okta", "an ID token", {}, "ann@example.com"),
    ("okta", "an access token", {"cid": "c1"}, "invalid_token"),
    ("okta", "not verified", {"email_verified": False}, "email_not_verified"),
    ("okta_access", "an access token", {}, "ann@example.com"),
    ("okta_access", "an ID token", {"cid": ...}, "invalid_token"),
    ("okta_access", "another client", {"cid": "c2"}, "invalid_token"),
    ("okta_access", "a client of its own", {"uid": ..., "sub": "c1"}, "subject_not_allowed"),
    ("kubernetes", "a service account", {}, "ml@example.com"),
    ("kubernetes", "B16 the API server's audience", {"aud": ["https://kubernetes.default.svc"]}, "invalid_token"),
    ("kubernetes", "B16 a legacy token", {"exp": ...}, "invalid_token"),
    ("kubernetes", "B16 another namespace", {"sub": "system:serviceaccount:evil:train"}, "subject_not_allowed"),
    ("kubernetes", "a token of a year", {"exp": NOW + 365 * 86400}, "token_lifetime_too_long"),
    ("github_actions", "a job", {}, "ci@example.com"),
    ("github_actions", "another branch", {"sub": "repo:acme/app:ref:refs/heads/x"}, "subject_not_allowed"),
    (
        "github_actions",
        "another owner",
        {"sub": "repo:evil/app:ref:refs/heads/main", "repository_owner": "evil"},
        "subject_not_allowed",
    ),
    ("github_actions", "sub and owner disagree", {"repository_owner": "evil"}, "subject_not_allowed"),
    ("oauth2_proxy", "the issuer's ID token", {}, "ann@example.com"),
]


def entry(name: str, folder: Path) -> dict[str, Any]:
    path = folder / f"{name}.jwks"
    path.write_bytes(jwks(public_jwk(ec_key(), "k1") if name in ES256 else public_jwk(rsa_key(), "k1")))
    return {"name": name, "kind": name, "jwks_file": str(path)} | SETTINGS[name]


@pytest.mark.parametrize(("name", "what", "changed", "expected"), ROWS, ids=[f"{row[0]}: {row[1]}" for row in ROWS])
async def test_each_issuers_claims_are_read_its_own_way(
    tmp_path: Path, name: str, what: str, changed: dict[str, Any], expected: str
) -> None:
    shown = token(claims(**USUAL[name] | changed), alg="ES256" if name in ES256 else "RS256")
    one = verifier(tmp_path, entry(name, tmp_path))
    assert await answer(one, bearer(shown, HEADERS.get(name, b"authorization"))) == expected


def alb_token(payload: dict[str, Any] | None = None, **head: Any) -> str:
    """As a balancer writes it: padded base64, `iss` and `exp` in the header."""
    start = {
        "typ": "JWT",
        "kid": KID,
        "alg": "ES256",
        "iss": ALB["issuer"],
        "client": "c1",
        "signer": ALB["signer"],
        "exp": int(NOW) + 120,
    } | head
    body = payload or {"sub": "u-ann", "email": "ann@example.com", "email_verified": "true", "exp": start["exp"]}
    parts = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode() for part in (start, body)]
    assert any("=" in part for part in parts) or payload is not None
    r, s = decode_dss_signature(ec_key().sign(".".join(parts).encode(), ec.ECDSA(hashes.SHA256())))
    return ".".join([*parts, base64.urlsafe_b64encode(r.to_bytes(32) + s.to_bytes(32)).decode()])


KID = "11111111-2222-3333-4444-555555555555"
ALB: dict[str, Any] = {
    "name": "alb",
    "kind": "alb",
    "region": "eu-west-1",
    "client": "c1",
    "signer": "arn:aws:elasticloadbalancing:eu-west-1:123456789012:loadbalancer/app/llm/50dc6c495c0c9188",
    "issuer": "https://idp.example.com/a",
}
FOREIGN = ALB["signer"].replace("123456789012", "666666666666")

ALB_ROWS: list[tuple[str, Callable[[], str], str, int]] = [
    ("ours", alb_token, "ann@example.com", 1),
    ("A18 another account's balancer", lambda: alb_token(signer=FOREIGN), "invalid_token", 0),
    ("another client", lambda: alb_token(client="c2"), "invalid_token", 0),
    ("another issuer", lambda: alb_token(iss="https://evil.test"), "invalid_token", 0),
    ("A19 kid walks", lambda: alb_token(kid="x/../../other"), "invalid_token", 0),
    ("A19 kid in capitals", lambda: alb_token(kid=KID.replace("1", "A")), "invalid_token", 0),
    ("A19 kid too long", lambda: alb_token(kid=KID + "1"), "invalid_token", 0),
    ("an unknown key", lambda: alb_token(kid=KID.replace("1", "2")), "invalid_token", 1),
    ("expired", lambda: alb_token(exp=int(NOW) - 60), "expired_token", 1),
    ("no exp in the header", lambda: alb_token(exp=None), "invalid_token", 1),
    (
        "header and payload disagree",
        lambda: alb_token({"sub": "u", "email": "a@example.com", "exp": 1}),
        "invalid_token",
        1,
    ),
    (
        "not verified",
        lambda: alb_token({"sub": "u", "email": "a@example.com", "email_verified": "false"}),
        "email_not_verified",
        1,
    ),
]


@pytest.mark.parametrize(("what", "made", "expected", "fetches"), ALB_ROWS, ids=[row[0] for row in ALB_ROWS])
async def test_a_load_balancer_is_pinned_before_any_key_is_fetched(
    tmp_path: Path, what: str, made: Callable[[], str], expected: str, fetches: int
) -> None:
    with key_server() as server:
        server.behave = by_path({f"/{KID}": pem(ec_key())})
        one = verifier(tmp_path, ALB | {"keys_url": server.url("/")})
        for _ in range(3):
            assert await answer(one, bearer(made(), b"x-amzn-oidc-data")) == expected
        assert len(server.asked) == fetches


async def test_made_up_key_ids_cause_few_fetches(tmp_path: Path) -> None:
    with key_server() as server:
        server.behave = by_path({f"/{KID}": pem(ec_key())})
        one = verifier(tmp_path, ALB | {"keys_url": server.url("/")})
        said = {
            await answer(one, bearer(alb_token(kid=f"{n:08x}-2222-3333-4444-555555555555"), b"x-amzn-oidc-data"))
            for n in range(40)
        }
        assert said == {"invalid_token", "identity_keys_unavailable"}
        assert len(server.asked) <= 6


SECRET = "0123456789abcdef0123456789abcdef"


@pytest.mark.parametrize(
    ("secret", "changed", "expected"),
    [
        (SECRET, {}, "ann@example.com"),
        (SECRET + "x", {}, "invalid_token"),
        (SECRET, {"iss": "other"}, "invalid_token"),
        (SECRET, {"exp": NOW + 3600}, "token_lifetime_too_long"),
        (SECRET, {"email": "ann@evil.org"}, "domain_not_allowed"),
    ],
)
async def test_open_webui_signs_with_a_secret_in_its_own_header(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, secret: str, changed: dict[str, Any], expected: str
) -> None:
    monkeypatch.setenv("OWUI", SECRET)
    payload = claims(**{"iss": "open-webui", "aud": ..., "exp": NOW + 300, "role": "user"} | changed)
    shown = token(payload, key=secret, alg="HS256", kid=None)
    one = verifier(tmp_path, {"name": "owui", "kind": "open_webui", "secret": {"env": "OWUI"}})
    assert await answer(one, bearer(shown, b"x-openwebui-user-jwt")) == expected
    assert await answer(one, bearer(shown)) == "missing_identity"


def test_a_short_secret_refuses_to_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OWUI", "short")
    with pytest.raises(ValueError, match="under 32 bytes"):
        verifier(tmp_path, {"name": "owui", "kind": "open_webui", "secret": {"env": "OWUI"}})


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"kind": "oidc", "audience": "a"}, "issuer"),
    ({"kind": "oidc", "issuer": "https://idp.example.com"}, "audience"),
    ({"kind": "oidc", "issuer": "http://idp.example.com", "audience": "a"}, "Use https://"),
    (
        {"kind": "oidc", "issuer": "https://i.example.com", "audience": "a", "jwks_url": "file:///etc/passwd"},
        "not a web address",
    ),
    (
        {"kind": "oidc", "issuer": "https://i.example.com", "audience": "a", "jwks_url": "http://k.example.com"},
        "Use https://",
    ),
    ({"kind": "oidc", "issuer": "https://i.example.com", "audience": "a", "algorithms": ["none"]}, "algorithms"),
    ({"kind": "oidc", "issuer": "https://i.example.com", "audience": "a", "algorithms": ["HS256"]}, "algorithms"),
    ({"kind": "oidc", "issuer": "https://i.example.com", "audience": []}, "audience"),
    ({"kind": "oidc", "issuer": "https://i.example.com", "audience": "a", "header": "X Y"}, "header"),
    ({"kind": "oidc", "issuer": "https://i.example.com", "audience": "a", "header": "Cookie"}, "header"),
    ({"kind": "oidc", "issuer": "https://i.example.com", "audience": "a", "surprise": 1}, "surprise"),
    ({"kind": "oidc", "issuer": "https://i.example.com", "audience": "a", "map": {"*": "example.com"}}, "everybody"),
    ({"kind": "entra", "tenant": "common", "audience": "a"}, "every tenant"),
    ({"kind": "google", "audience": "a"}, "hosted_domains"),
    (
        {"kind": "google", "audience": "32555940559.apps.googleusercontent.com", "hosted_domains": "example.com"},
        "gcloud",
    ),
    ({"kind": "iap", "audience": "/projects/1/*", "hosted_domains": "example.com"}, "audience"),
    (
        {"kind": "cognito", "region": "eu-west-1", "user_pool": "eu-west-1_A", "clients": "a", "token_use": "access"},
        "map",
    ),
    ({"kind": "alb", "region": "eu-west-1", "client": "c", "issuer": "https://i.example.com"}, "signer"),
    ({"kind": "okta", "issuer": "https://acme.okta.com", "audience": "a", "token": "access"}, "custom server"),
    (
        {
            "kind": "kubernetes",
            "issuer": "https://kubernetes.default.svc",
            "audience": "https://kubernetes.default.svc",
            "map": {"system:serviceaccount:a:b": "example.com"},
        },
        "own audience",
    ),
    (
        {
            "kind": "kubernetes",
            "issuer": "https://k.example.com",
            "audience": "sekisho",
            "map": {"system:serviceaccount:*": "example.com"},
        },
        "namespace",
    ),
    ({"kind": "github_actions", "audience": "sekisho", "map": {"repo:acme*": "example.com"}}, "acme-evil"),
    ({"kind": "open_webui", "secret": {"env": "X"}, "header": "Authorization"}, "header of its own"),
    ({"kind": "open_webui", "secret": "inline-secret-that-must-not-show"}, "environment or a file"),
    ({"kind": "saml"}, "kind"),
    ({"kind": "own_token", "name": "../x"}, "name"),
]


@pytest.mark.parametrize(("settings", "said"), WRONG, ids=[f"{row[0]['kind']}: {row[1]}" for row in WRONG])
def test_dangerous_settings_refuse_to_start_and_name_the_remedy(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError) as refused:
        Identity.model_validate({"issuers": [{"name": "x"} | settings]})
    assert said in str(refused.value)
    assert "inline-secret" not in str(refused.value)


def test_entries_that_contradict_each_other_refuse_to_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OWUI", SECRET)
    shared = {"name": "owui", "kind": "open_webui", "secret": {"env": "OWUI"}, "header": "X-User-Token"}
    asymmetric = entry("oauth2_proxy", tmp_path) | {"header": "x-user-token"}
    for entries, said in (
        ((shared, asymmetric), "own header"),
        (({"name": "own", "kind": "own_token"}, {"name": "own", "kind": "own_token"}), "named 'own'"),
    ):
        with pytest.raises(ValueError, match=said):
            verifier(tmp_path, *entries)
