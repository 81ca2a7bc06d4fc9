"""Ways to authenticate to a provider without a key of its: a token that is renewed, or a signature on each request."""

import importlib.util
import re
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from settings.secrets import ProviderSecret
from settings.section import Section
from settings.web_address import web_address


def written_as(pattern: str, sample: str) -> AfterValidator:
    """Text of this form; else the sample is said."""

    def check(given: str) -> str:
        if re.fullmatch(pattern, given) is None:
            raise ValueError(f"cannot be read. Write it as in {sample}")
        return given

    return AfterValidator(check)


_Uuid = Annotated[str, written_as(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "6a1d1c5e-0f8e-4c4f-9f1e-3a8f2f0d9b11")]

Text = Annotated[str, Field(min_length=1, max_length=1024)]
Url = Annotated[str, AfterValidator(web_address)]


def listed(given: object) -> object:
    """One may be written without brackets."""
    return (given,) if isinstance(given, str) else given


def _read_each_time(given: ProviderSecret) -> ProviderSecret:
    if given.every is not None:
        raise ValueError("has every. Take it out: it is read whenever a new token is got")
    return given


AuthSecret = Annotated[ProviderSecret, AfterValidator(_read_each_time)]


class TokenExchange(Section):
    """Workload identity federation: a token of an issuer that the provider trusts is exchanged for a token of its own.

    RFC 8693 §2.1, as a form, or as the JSON object that OpenAI takes. `parameters` go with it as they are: `audience`
    or `scope` of the RFC, or a provider's own names.
    """

    kind: Literal["token_exchange"]
    token_url: Url
    subject_token: AuthSecret
    subject_token_type: Literal["jwt", "id_token", "access_token"] = "jwt"  # noqa: S105 - which kind, none itself
    body: Literal["form", "json"] = "form"
    parameters: dict[Text, Text] = Field(default_factory=dict)
    ca_file: Path | None = None

    @model_validator(mode="after")
    def _parameters_of_their_own(self) -> Self:
        ours = {"grant_type", "subject_token", "subject_token_type"} & self.parameters.keys()
        if ours:
            raise ValueError(f"has {', '.join(sorted(ours))} among its parameters. Take it out: we set it")
        return self


class AwsSigv4(Section):
    """AWS Signature Version 4. Without a key pair here, botocore's own search: environment, profile, web identity,
    container, instance metadata."""

    kind: Literal["aws_sigv4"]
    region: Annotated[str, written_as(r"[a-z]{2,4}(-[a-z]+)+-\d+", "eu-central-1")]
    service: Annotated[str, written_as(r"[a-z0-9-]+", "bedrock")] = "bedrock"
    profile: Text | None = None
    access_key_id: AuthSecret | None = None
    secret_access_key: AuthSecret | None = None
    session_token: AuthSecret | None = None

    @model_validator(mode="after")
    def _a_pair(self) -> Self:
        if (self.access_key_id is None) != (self.secret_access_key is None):
            raise ValueError("needs both access_key_id and secret_access_key, or neither")
        if self.access_key_id is None and self.session_token is not None:
            raise ValueError("has a session_token without the key pair it belongs to. Add it, or take the token out")
        if self.access_key_id is not None and self.profile is not None:
            raise ValueError("has both a profile and a key pair. Keep one")
        return self


class Entra(Section):
    """Microsoft Entra ID. With `client_secret`, or `token_file` (AKS workload identity); with neither, the managed
    identity of the machine, of which `client_id` picks one."""

    kind: Literal["entra"]
    tenant: _Uuid | None = None
    client_id: _Uuid | None = None
    client_secret: AuthSecret | None = None
    token_file: Path | None = None
    scope: Text = "https://cognitiveservices.azure.com/.default"
    authority: Annotated[str, written_as(r"https://[A-Za-z0-9.-]+(:\d+)?", "https://login.microsoftonline.us")] = (
        "https://login.microsoftonline.com"
    )
    ca_file: Path | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if self.client_secret is not None and self.token_file is not None:
            raise ValueError("has both client_secret and token_file. Keep one")
        as_an_application = self.client_secret is not None or self.token_file is not None
        if as_an_application and (self.tenant is None or self.client_id is None):
            raise ValueError("needs tenant and client_id, whose client_secret or token_file this is")
        if not as_an_application and self.tenant is not None:
            raise ValueError(
                "has a tenant, but neither client_secret nor token_file. Add one; for the machine's managed identity "
                "take tenant out"
            )
        return self


class Google(Section):
    """Google access tokens. With `credentials_file` that service account; without, Application Default Credentials
    (the file in GOOGLE_APPLICATION_CREDENTIALS, workload identity federation, the metadata server)."""

    kind: Literal["google"]
    scopes: Annotated[tuple[Text, ...], BeforeValidator(listed), Field(min_length=1)] = (
        "https://www.googleapis.com/auth/cloud-platform",
    )
    credentials_file: Path | None = None
    quota_project: Annotated[str, written_as(r"[a-z][a-z0-9:.-]{4,62}", "my-project")] | None = None


Auth = Annotated[TokenExchange | AwsSigv4 | Entra | Google, Field(discriminator="kind")]

_EXTRAS = {
    "aws_sigv4": ("aws", "botocore", ("botocore",)),
    "entra": ("azure", "azure-identity", ("azure.identity",)),
    "google": ("google", "google-auth[requests]", ("google.auth", "requests")),
}
"""kind → our extra, what it installs, the modules that must be there."""


def auth_problems(auth: TokenExchange | AwsSigv4 | Entra | Google) -> list[str]:
    """What this machine lacks for it, each by its path under the provider, with the remedy: files that are not there,
    a library that is not installed. Secrets are looked at elsewhere."""
    said = [
        f"auth.{name} names the file {path}, which is not there"
        for name in ("token_file", "credentials_file", "ca_file")
        if (path := getattr(auth, name, None)) is not None and not path.is_file()
    ]
    extra, package, modules = _EXTRAS.get(auth.kind, ("", "", ()))
    if not all(_is_installed(module) for module in modules):
        said.append(
            f"auth of kind {auth.kind} needs {re.sub(r'\[.*', '', package)}, which is not installed. "
            f"Install it: pip install 'sekisho[{extra}]' (or pip install '{package}')"
        )
    return said


def _is_installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # of the package it is in
        return False
