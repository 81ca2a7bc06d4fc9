"""Authorization code flow with PKCE (OIDC Core 1.0 §3.1, RFC 7636, RFC 9207): a browser in, a principal out.

Who somebody is decide the same rules as at the gate (identities/): signature, `iss`, `aud`, times, verified address,
mail domain, revocation. What belongs to the flow itself is checked here: `state`, `iss` beside it, `nonce`, `azp`.
"""

import asyncio
import hmac
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl

from exchange.call import Json
from exchange.principal import Principal
from identities.private_file import kept_secret
from identities.refusal import IdentityRefused
from identities.revoked import RevokedFile
from identities.token import take_apart
from identities.verifier import Verifier, verifier_from
from settings.schema import Settings
from signin.own_path import own_path
from signin.provider import Provider
from signin.refusal import SignInRefused
from signin.state import StateProblem, States

LOGIN_COOKIE = "sekisho-login"
"""The cookie that binds sign-ins to a browser, for `signin.cookie.cookie_name`. Let it live for `state.LIFE_S`."""

_OURS = ("domain_not_allowed", "email_not_verified", "subject_not_allowed")
_OF_PROVIDER = ("server_error", "temporarily_unavailable")


@dataclass(frozen=True, slots=True)
class Begun:
    """Send the browser to `location`, and set `cookie`."""

    location: str
    cookie: str


@dataclass(frozen=True, slots=True)
class SignedIn:
    """Somebody whose identity is proven. `claims` are those of the verified ID token, `to` a path of our own."""

    principal: Principal
    claims: Mapping[str, Json]
    to: str


class SignIn:
    """One provider of identity. `start` and `stop` its background work (its keys, and who is revoked). `clock` is Unix
    time in seconds."""

    def __init__(
        self,
        provider: Provider,
        verifier: Verifier,
        revoked: RevokedFile,
        states: States,
        client_id: str,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._provider = provider
        self._verifier = verifier
        self._revoked = revoked
        self._states = states
        self._client_id = client_id
        self._clock = clock

    async def start(self) -> None:
        """Returns without waiting for any network."""
        await asyncio.gather(self._verifier.start(), self._revoked.start())

    async def stop(self) -> None:
        await asyncio.gather(self._verifier.stop(), self._revoked.stop())

    def still_admits(self, principal: Principal) -> bool:
        """False within two seconds after somebody was revoked: their sessions end."""
        return not self._verifier.is_revoked(principal)

    async def begin(
        self, redirect_uri: str, to: str | None, cookie: str | None = None, *, another_account: bool = False
    ) -> Begun:
        """Where to send this browser.

        Args:
            redirect_uri: ours, exactly as the provider knows it.
            to: the page that was asked for; one that is not our own becomes `/`.
            cookie: the value of LOGIN_COOKIE as the browser sent it, if it did.
            another_account: let the provider ask which, though somebody is signed in there.

        Raises:
            SignInRefused: provider_unavailable.
        """
        cookie = self._states.cookie(cookie)
        state, pending = self._states.begin(cookie, redirect_uri, own_path(to))
        return Begun(await self._provider.authorization(state, pending, another_account=another_account), cookie)

    async def sign_out(self, back: str, principal: Principal) -> str | None:
        """See Provider.sign_out: on from a sign-out of ours, for whoever signed in."""
        return await self._provider.sign_out(back, principal.email)

    async def finish(self, redirect_uri: str, query: str, cookie: str | None) -> SignedIn:
        """Who came back. `query` is that of the address they came to, undecoded.

        Raises:
            SignInRefused: they are not signed in.
        """
        given = _parameters(query)
        try:
            pending = self._states.take(given.get("state", ""), cookie, redirect_uri)
        except StateProblem as problem:
            raise SignInRefused("login_state", str(problem)) from None
        await self._check_issuer(given.get("iss"))
        if (error := given.get("error")) is not None:
            code = "provider_unavailable" if error in _OF_PROVIDER else "login_denied"
            raise SignInRefused(code, f"the provider says {error[:100]!r}")
        if not given.get("code"):
            raise SignInRefused("login_state", "the answer has neither code nor error")
        token = await self._provider.id_token(given["code"], pending)
        return await self._signed_in(token, pending.nonce, pending.to)

    async def _check_issuer(self, iss: str | None) -> None:
        """RFC 9207 §2.4: an answer of another provider must not make us send its code to this one, or the reverse."""
        expected = (await self._provider.metadata()).names_itself
        if (iss is None and expected) or iss not in (None, self._provider.issuer):
            raise SignInRefused("issuer_mismatch", "iss of the answer is missing or another")

    async def _signed_in(self, token: str, nonce: str, to: str) -> SignedIn:
        raw = token.encode("utf-8", "replace")
        try:
            found = await self._verifier.identify([(b"authorization", b"Bearer " + raw)], now=self._clock())
        except IdentityRefused as refused:
            email = _email(raw) if refused.code in _OURS else None
            raise SignInRefused(refused.code, refused.reason, email) from None
        claims = take_apart(raw).claims
        sent = claims.get("nonce")
        if not isinstance(sent, str) or not hmac.compare_digest(sent.encode(), nonce.encode()):
            raise SignInRefused("invalid_token", "nonce is another sign-in's")
        audience, party = claims.get("aud"), claims.get("azp")
        # OIDC Core §3.1.3.7, 4 and 5.
        if party not in (None, self._client_id) or (isinstance(audience, list) and len(audience) > 1 and party is None):
            raise SignInRefused("invalid_token", "azp is missing or another client's")
        return SignedIn(found.principal, claims, to)


def sign_in_from(settings: Settings, clock: Callable[[], float] = time.time) -> SignIn:
    """The sign-in that `sign_in` and `identity` describe. Fetches nothing yet.

    Raises:
        ValueError: there is none, or something it names cannot be used; the message says what to do.
        UnusableKey: our own key is damaged, or who is revoked cannot be read.
    """
    if settings.sign_in is None:
        raise ValueError("sign_in is missing. Name the OpenID provider at which people sign in: docs/how-to/sign-in")
    identity = settings.identity.model_copy(
        update={"issuers": (settings.sign_in.issuer_settings(settings.identity.domains),)}
    )
    verifier = verifier_from(
        identity,
        data_dir=settings.data_dir,
        profile=settings.profile,
        include_subdomains=settings.identity.include_subdomains,
    )
    try:
        provider = Provider(settings.sign_in)
    except ValueError as problem:
        raise ValueError(f"sign_in.{problem}") from None
    kept_at = settings.data_dir / "keys" / "sign-in.key"
    try:
        key = kept_secret(kept_at)
    except OSError as cannot:
        raise ValueError(
            f"{kept_at} cannot be made or read: {cannot.strerror}. Whoever runs this must be able to write there"
        ) from None
    states = States(key, clock)
    revoked = RevokedFile(settings.data_dir, verifier.revoke_listed)
    return SignIn(provider, verifier, revoked, states, settings.sign_in.client_id, clock)


def _parameters(query: str) -> dict[str, str]:
    """Raises SignInRefused where one that counts came twice: two readers could take two different ones."""
    try:
        pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=50, errors="strict")
    except (ValueError, UnicodeDecodeError):
        raise SignInRefused("login_state", "the answer cannot be read") from None
    counted = Counter(name for name, _ in pairs)
    if any(counted[name] > 1 for name in ("state", "code", "iss", "error")):
        raise SignInRefused("login_state", "a parameter of the answer came twice")
    return dict(pairs)


def _email(token: bytes) -> str | None:
    """The address in a token whose signature held, for the record: one line, and no longer than an address may be."""
    found = take_apart(token).claims.get("email")
    return found if isinstance(found, str) and len(found) <= 254 and found.isprintable() else None
