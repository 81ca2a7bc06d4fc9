"""What each provider is shown, for whom, at this moment."""

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from settings.credentials import ApiKey
from settings.provider_auth import Auth, AwsSigv4, Entra, Google, TokenExchange
from settings.schema import Provider
from upstreams.api_key import key_fields
from upstreams.background import Background
from upstreams.credential import Credential, CredentialUnavailable, Naming
from upstreams.key_source import LOOK_S, KeySource
from upstreams.refreshed import Obtained, Refreshed
from upstreams.rotation import KeyLine, lines_from
from upstreams.standing import CredentialState, Standing
from upstreams.token_exchange import exchanged

START_S = 3.0
"""How long `start` waits for what is to be had from elsewhere, in seconds; what comes later, comes later."""

_REFUSED = 401


class Upstreams:
    """The credentials of all providers. What the event loop asks never waits.

    Args:
        keys: by provider, its lines.
        tokens: by provider, what it is shown in place of keys.
        state_file: where to say how the credentials stand, for `sekisho status`.
    """

    def __init__(
        self,
        keys: Mapping[str, tuple[KeyLine, ...]],
        tokens: Mapping[str, Refreshed],
        state_file: Path | None = None,
    ) -> None:
        self._keys = keys
        self._tokens = tokens
        self._signing = frozenset(name for name, token in tokens.items() if token.label == "aws_sigv4")
        self._sources = [key.source for lines in keys.values() for line in lines for key in line.members]
        # A program may hang for its ten seconds, a file on a dead disk for longer: each has a thread of its own.
        self._work = {
            source: Background(source.path, source.look) for source in self._sources if source.secret.env is None
        }
        self._standing = Standing(self.state, state_file) if state_file is not None and (keys or tokens) else None

    async def start(self) -> None:
        """Keys are read, tokens are got, and both are kept fresh until `stop`. Waits for them, at most START_S."""
        for source in self._sources:
            if source not in self._work:
                source.look()  # an environment does not change from outside, and reading it waits for nothing
        for work in self._all_work():
            work.start()
        if self._work or self._tokens:
            await asyncio.to_thread(self._wait)
        if self._standing is not None:
            self._standing.start()

    def _wait(self) -> None:
        until = time.monotonic() + START_S
        for work in self._all_work():
            work.wait(max(0.0, until - time.monotonic()))

    async def stop(self) -> None:
        """Ends the background work. What was chosen before can still be shown."""
        for work in self._all_work():
            work.stop()
        if self._standing is not None:
            self._standing.stop()

    def _all_work(self) -> Iterator[Background]:
        yield from self._work.values()
        yield from (token.work for token in self._tokens.values())

    def choose(self, provider: str, domain: str | None, rule: str | None, now: float) -> Credential | None:
        """What to show this provider for a caller of this domain, let through by this rule, at this time (seconds
        since 1970). None when the settings give the provider nothing: the caller's own key is the only one.

        Raises:
            CredentialUnavailable: there should be something, and it cannot be had; `code` is what callers are told.
        """
        if (lines := self._keys.get(provider)) is None:
            token = self._tokens.get(provider)
            return token.now_valid() if token is not None else None
        for line in lines:
            if line.starts <= now and (line.is_for_all or line.concerns(domain, rule)):
                return line.choose(now)
        raise CredentialUnavailable(f"providers.{provider}.keys has none for this caller at this time")

    def instead_of(self, provider: str, refused: Credential, now: float) -> Credential | None:
        """The provider answered 401 to this one: what to try with the same call. None when there is nothing else."""
        line = self._line_of(provider, refused)
        return line.instead_of(refused, now) if line is not None else None

    def answered(self, provider: str, shown: Credential, status: int, now: float, *, after: Credential | None) -> None:
        """The provider answered a call made with `shown`; `after` was refused with 401 before in the same call."""
        if status == _REFUSED and (token := self._tokens.get(provider)) is not None:
            token.renew_soon()
            return
        refused = after or shown
        if (line := self._line_of(provider, refused)) is None:
            return
        if status != _REFUSED:
            if after is not None:
                line.set_aside(after, now)
        elif after is not None:
            line.refused_for_good(after)  # nor is it the other key's fault: the call itself may be what is refused
        else:
            line.set_aside(shown, now)  # no second try was possible; the next call makes it
        if status == _REFUSED or after is not None:
            self._ask_again(line)

    def _ask_again(self, line: KeyLine) -> None:
        """A key was refused: whoever prints the keys may have a new one."""
        for key in line.members:
            if key.source.secret.command is not None and key.source.may_ask_again():
                self._work[key.source].wake()

    def _line_of(self, provider: str, credential: Credential) -> KeyLine | None:
        return next((line for line in self._keys.get(provider, ()) if line.holds(credential)), None)

    def signs(self, provider: str) -> bool:
        """Is each request signed, so that what a caller signed for another address cannot stand?"""
        return provider in self._signing

    def state(self) -> tuple[CredentialState, ...]:
        """How each credential stands, without any part of it."""
        keys = [
            CredentialState(
                provider,
                key.source.label,
                current.name if current is not None else None,
                "missing" if current is None else "refused" if line.is_aside(current) else "ready",
                key.source.problem,
            )
            for provider, lines in self._keys.items()
            for line in lines
            for key in line.members
            for current in (key.source.current,)
        ]
        tokens = [
            CredentialState(provider, token.label, None, "ready" if token.remaining_s else "missing", token.problem)
            for provider, token in self._tokens.items()
        ]
        return (*keys, *tokens)


def upstreams_from(
    providers: Mapping[str, Provider], *, name: Naming, state_file: Path | None = None, look_s: float = LOOK_S
) -> Upstreams:
    """The credentials of these providers; nothing is read or asked for before `start`."""

    def lines(provider: str, given: Provider) -> tuple[KeyLine, ...]:
        dialect = given.dialect
        assert dialect is not None  # the settings filled it in

        def source(path: str, key: ApiKey) -> tuple[ApiKey, KeySource]:
            def made(secret: str) -> Credential:
                return Credential(key.label, name(secret), key_fields(dialect, secret))

            return key, KeySource(path, key.label, key.secret, made, look_s=look_s)

        if given.api_key is not None:
            one = ApiKey(label="api_key", secret=given.api_key)
            return lines_from([source(f"providers.{provider}.api_key", one)])
        return lines_from([source(f"providers.{provider}.keys[{i}].secret", key) for i, key in enumerate(given.keys)])

    keys = {each: lines(each, given) for each, given in providers.items() if given.api_key is not None or given.keys}
    tokens = {
        each: Refreshed(f"providers.{each}.auth", given.auth.kind, _obtaining(given.auth))
        for each, given in providers.items()
        if given.auth is not None
    }
    return Upstreams(keys, tokens, state_file)


def _obtaining(auth: Auth) -> Callable[[], Obtained]:
    """What gets a credential of this kind. A vendor's library is imported where it is asked for, and only there."""
    match auth:
        case TokenExchange():
            return exchanged(auth)
        case AwsSigv4():
            from upstreams.aws_sigv4 import signer

            return signer(auth)
        case Entra():
            from upstreams.entra import entra_token

            return entra_token(auth)
        case Google():
            from upstreams.google import google_token

            return google_token(auth)
