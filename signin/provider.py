"""The OpenID provider: where to send people, and what a code is worth. Bounded in time and size, no redirects, and no
proxies from the environment, which may well name this checkpoint."""

import asyncio
import base64
import logging
import ssl
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

import httpx2
from authlib.integrations.base_client import OAuthError
from authlib.integrations.httpx_client import AsyncOAuth2Client

from exchange.call import Json
from identities.discovery import discovered, endpoint, well_known
from identities.fetching import DEADLINE_S, LARGEST, document, off_loop
from settings.sign_in import SignInSettings
from signin.refusal import SignInRefused
from signin.signing_out import sign_out_address, sign_out_endpoint
from signin.state import Pending

log = logging.getLogger(__name__)

_FRESH_S: Final = 3600.0
_BACK_OFF_S: Final = 2.0
_TOKEN_S: Final = 10.0
_AT_ONCE: Final = 16


@dataclass(frozen=True, slots=True)
class Metadata:
    """What its discovery document says. `names_itself`: its answers carry `iss` (RFC 9207 §3). `sign_out`: where people
    sign out there; None: nowhere."""

    authorization_endpoint: str
    token_endpoint: str
    auth_method: str
    names_itself: bool
    sign_out: str | None = None


class Provider:
    """One provider, as one of its clients.

    Raises (`__init__`):
        ValueError: the client's secret or `ca_file` cannot be used; to be read after `sign_in.`
    """

    def __init__(self, settings: SignInSettings) -> None:
        self._settings = settings
        self._tls = _trust(settings)
        self._secret: str | None = None
        if settings.client_secret is not None:
            try:
                self._secret = settings.client_secret.read()
            except ValueError as problem:
                raise ValueError(f"client_secret {problem}") from None
        self._known: Metadata | None = None
        self._known_at = self._failed_at = float("-inf")
        self._asking = asyncio.Lock()
        self._at_once = asyncio.Semaphore(_AT_ONCE)

    @property
    def issuer(self) -> str:
        """What its answers and ID tokens must name."""
        return self._settings.issuer_url

    async def metadata(self) -> Metadata:
        """Fetched once an hour; what was known serves on while it cannot be.

        Raises:
            SignInRefused: provider_unavailable.
        """
        async with self._asking:
            now = time.monotonic()
            if self._known is None or now - self._known_at > _FRESH_S:
                if now - self._failed_at > _BACK_OFF_S:
                    await self._discover()
                if self._known is None:
                    raise SignInRefused("provider_unavailable", "its discovery document cannot be had")
            return self._known

    async def _discover(self) -> None:
        url = well_known(self.issuer)
        deadline = time.monotonic() + DEADLINE_S
        try:
            raw = await off_loop(
                lambda: document(url, deadline=deadline, ca_file=self._settings.ca_file), within=DEADLINE_S + 1
            )
            self._known = _metadata(discovered(raw, self.issuer), self._settings, secret=self._secret is not None)
            self._known_at = time.monotonic()
        except OSError as problem:  # NoAnswer, TimeoutError
            self._failed_at = time.monotonic()
            log.warning("Cannot learn where %s lets people sign in: %s.", self.issuer, problem or "too slow")

    async def authorization(self, state: str, pending: Pending, *, another_account: bool) -> str:
        """Where the browser goes (OIDC Core 1.0 §3.1.2.1).

        Raises:
            SignInRefused: provider_unavailable.
        """
        known = await self.metadata()
        more = {}
        if another_account:
            # Google and Entra would only ask for the password of the account that is not wanted.
            more["prompt"] = "select_account" if self._settings.preset in ("google", "entra") else "login"
        url: str = self._client(known, pending).create_authorization_url(
            known.authorization_endpoint, state=state, code_verifier=pending.code_verifier, nonce=pending.nonce, **more
        )[0]
        return url

    async def sign_out(self, back: str, email: str | None) -> str | None:
        """Where a browser goes to sign out here as well, and from there to `back`, an address of ours that the provider
        knows to the letter. None where it cannot: whoever is signed out of ours is so all the same."""
        if not self._settings.sign_out_at_provider:
            return None
        try:
            endpoint = (await self.metadata()).sign_out
        except SignInRefused:
            return None  # logged when it was asked
        return None if endpoint is None else sign_out_address(endpoint, self._settings, back, email)

    async def id_token(self, code: str, pending: Pending) -> str:
        """What the code is worth: an ID token, which nobody has looked at yet (§3.1.3).

        Raises:
            SignInRefused: provider_unavailable, login_failed.
        """
        known = await self.metadata()
        try:
            async with asyncio.timeout(_TOKEN_S), self._at_once, self._client(known, pending) as client:
                granted = await client.fetch_token(
                    known.token_endpoint,
                    grant_type="authorization_code",
                    code=code,
                    code_verifier=pending.code_verifier,
                )
        except OAuthError as refused:
            raise SignInRefused("login_failed", f"the token endpoint says {str(refused.error)[:100]!r}") from None
        except (httpx2.HTTPError, OSError) as problem:  # TimeoutError is an OSError
            raise SignInRefused("provider_unavailable", f"no token: {type(problem).__name__}") from None
        except Exception as problem:
            # Whatever a hostile answer did to its reader.
            log.exception("The token endpoint of %s answered what cannot be read.", self.issuer)
            raise SignInRefused("login_failed", f"no token: {type(problem).__name__}") from None
        found = granted.get("id_token")
        if not isinstance(found, str):
            raise SignInRefused("login_failed", "the token endpoint gave no ID token")
        return found

    def _client(self, known: Metadata, pending: Pending) -> Any:
        client = AsyncOAuth2Client(
            self._settings.client_id,
            self._secret,
            token_endpoint_auth_method=known.auth_method,
            scope=" ".join(self._settings.scopes),
            redirect_uri=pending.redirect_uri,
            code_challenge_method="S256",
            transport=_Bounded(verify=self._tls, trust_env=False),
            trust_env=False,
            follow_redirects=False,
            timeout=DEADLINE_S,
            headers={"accept-encoding": "identity", "user-agent": "sekisho"},
        )
        client.register_client_auth_method(("client_secret_basic", _basic))
        return client


class _Bounded(httpx2.AsyncHTTPTransport):
    """No answer larger than any token response is."""

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        answer = await super().handle_async_request(request)
        if answer.headers.get("content-encoding", "identity") != "identity":
            await answer.aclose()
            raise httpx2.DecodingError("an encoded body that was not asked for")
        answer.stream = _Limited(answer.stream)  # type: ignore[arg-type]  # asynchronous, as its transport is
        return answer


class _Limited(httpx2.AsyncByteStream):
    def __init__(self, stream: httpx2.AsyncByteStream) -> None:
        self._stream = stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        seen = 0
        async for chunk in self._stream:
            seen += len(chunk)
            if seen > LARGEST:
                raise httpx2.ReadError(f"more than {LARGEST} bytes")
            yield chunk

    async def aclose(self) -> None:
        await self._stream.aclose()


def _metadata(found: Mapping[str, Json], settings: SignInSettings, *, secret: bool) -> Metadata:
    """Raises NoAnswer for addresses that cannot be used."""
    methods = found.get("token_endpoint_auth_methods_supported")
    # Discovery §3: client_secret_basic where nothing is said.
    basic = not isinstance(methods, list) or "client_secret_basic" in methods
    return Metadata(
        endpoint(found, "authorization_endpoint"),
        endpoint(found, "token_endpoint"),
        ("client_secret_basic" if basic else "client_secret_post") if secret else "none",
        found.get("authorization_response_iss_parameter_supported") is True,
        sign_out_endpoint(found, settings) if settings.sign_out_at_provider else None,
    )


def _basic(client: Any, _: str, uri: str, headers: dict[str, str], body: str) -> tuple[str, dict[str, str], str]:
    """RFC 6749 §2.3.1: both are form-encoded first, which Authlib leaves out; a secret may hold `:`, `%` or `+`."""
    both = f"{quote(client.client_id, safe='')}:{quote(client.client_secret, safe='')}"
    headers["Authorization"] = f"Basic {base64.b64encode(both.encode()).decode()}"
    return uri, headers, body


def _trust(settings: SignInSettings) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=settings.ca_file)
    except (OSError, ssl.SSLError) as problem:
        raise ValueError(
            f"ca_file names {settings.ca_file}, which cannot be used: {problem.strerror or problem}"
        ) from None
