"""The settings of sign-in: what each preset needs, and what would be dangerous."""

from typing import Any

import pytest
from pydantic import ValidationError

from settings.reading import SettingsProblems, parse_settings
from settings.sign_in import SignInSettings

TENANT = "8f1c0000-0000-0000-0000-000000000001"
MICROSOFT = "https://login.microsoftonline.com"
POOL = "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_AbC"


@pytest.mark.parametrize(
    ("given", "kind", "holds"),
    [
        ({"preset": "google"}, "google", {"audience": ("c",), "hosted_domains": ("example.com",)}),
        ({"preset": "cognito", "issuer": POOL}, "cognito", {"region": "eu-west-1", "user_pool": "eu-west-1_AbC"}),
        ({"preset": "entra", "issuer": f"{MICROSOFT}/{TENANT}/v2.0"}, "entra", {"tenant": TENANT}),
        ({"preset": "okta", "issuer": "https://acme.okta.com"}, "okta", {"groups_claim": "groups"}),
        ({"preset": "keycloak", "issuer": "https://id.example.com/realms/a"}, "oidc", {"groups_claim": "groups"}),
        ({"preset": "oidc", "issuer": "https://id.example.com", "groups_claim": "roles"}, "oidc",
         {"groups_claim": "roles"}),
    ],
)  # fmt: skip
def test_a_preset_is_judged_as_an_issuer_of_its_kind(given: dict[str, Any], kind: str, holds: dict[str, Any]) -> None:
    found = SignInSettings.model_validate({"client_id": "c", **given}).issuer_settings(("example.com",))
    assert found.kind == kind
    assert {name: getattr(found, name) for name in holds} == holds


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"preset": "google", "issuer": "https://evil.example"}, "Google has one only"),
        ({"preset": "google", "client_id": "32555940559.apps.googleusercontent.com"}, "gcloud"),
        ({"preset": "cognito"}, "lacks the issuer. Write issuer: https://cognito-idp."),
        ({"preset": "cognito", "issuer": "https://id.example.com"}, "none of preset cognito"),
        ({"preset": "entra", "issuer": "https://login.microsoftonline.com/common/v2.0"}, "tenant is every tenant"),
        ({"preset": "oidc", "issuer": "http://id.example.com"}, "is plain http://"),
        ({"preset": "okta", "issuer": "https://acme.okta.com", "email_verified": "trusted"}, "Take it out"),
        ({"preset": "oidc", "issuer": "https://id.example.com", "trusted_providers": ["a"]}, "Take it out"),
        ({"preset": "oidc", "issuer": "https://id.example.com", "scopes": "email"}, "lacks openid"),
        ({"preset": "oidc", "issuer": "https://id.example.com", "client_secret": "canary"}, "{env: NAME}"),
    ],
    ids=str,
)
def test_what_cannot_be_used_is_said_with_the_remedy(given: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError) as refused:
        SignInSettings.model_validate({"client_id": "c", **given})
    assert said in str(refused.value)
    assert "canary" not in str(refused.value)


def test_sign_in_needs_domains_and_a_secret_that_can_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOT_SET_HERE", raising=False)
    written = "sign_in: {preset: google, client_id: c, client_secret: {env: NOT_SET_HERE}}"
    with pytest.raises(SettingsProblems) as problems:
        parse_settings(written)
    assert "whose people may sign in" in str(problems.value)
    with pytest.raises(SettingsProblems) as problems:
        parse_settings(f"identity: {{domains: [example.com]}}\n{written}")
    assert "sign_in.client_secret names the environment variable NOT_SET_HERE" in str(problems.value)
