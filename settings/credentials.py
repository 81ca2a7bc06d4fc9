"""What we show the providers: keys, or a way to get tokens. The settings of upstreams/.

A provider has one of `api_key` (one key), `keys` (several: rotation, or by domain and rule) and `auth` (tokens and
signatures, no key at all). With none of them the caller's own key goes through, where the profile lets it.
"""

import datetime
from collections import Counter
from collections.abc import Iterator
from typing import Annotated, Self

from pydantic import AfterValidator, AwareDatetime, BeforeValidator, Field, model_validator

from settings.domains import is_domain
from settings.provider_auth import Auth, Text, auth_problems, listed, written_as
from settings.secrets import ProviderSecret, Secret
from settings.section import Section

Label = Annotated[str, written_as(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}", "summer-2027")]


def _start(given: object) -> object:
    """YAML reads a bare date as a date, which has no hour: then the day's first, in UTC."""
    if isinstance(given, datetime.datetime):
        return given if given.tzinfo else given.replace(tzinfo=datetime.UTC)
    if isinstance(given, datetime.date):
        return datetime.datetime.combine(given, datetime.time(), datetime.UTC)
    if not isinstance(given, str):
        raise ValueError("is no time. Write it as 2027-01-31T09:00:00Z")  # noqa: TRY004 - pydantic collects ValueErrors
    return given


def _domain(given: str) -> str:
    if not is_domain(given):
        raise ValueError("is not a domain. Write it in lower case, as in example.com")
    return given


class ApiKey(Section):
    """One of several keys. It counts `from` a time on; `domains` and `rules` say for whose calls, and by which rule
    let through. Of keys for the same callers the one with the latest start that has come is used."""

    label: Label
    secret: ProviderSecret
    starts: Annotated[AwareDatetime | None, BeforeValidator(_start), Field(alias="from")] = None
    domains: Annotated[tuple[Annotated[str, AfterValidator(_domain)], ...], BeforeValidator(listed)] = ()
    rules: Annotated[tuple[Text, ...], BeforeValidator(listed)] = ()


class ProviderCredentials(Section):
    """The part of a provider's settings that says what we show it."""

    api_key: ProviderSecret | None = None
    keys: tuple[ApiKey, ...] = ()
    auth: Auth | None = None

    @model_validator(mode="after")
    def _fit_together(self) -> Self:
        given = [name for name in ("api_key", "keys", "auth") if getattr(self, name)]
        if len(given) > 1:
            raise ValueError(
                f"has {' and '.join(given)}. Keep one: api_key for one key, keys for several, auth for tokens"
            )
        twice = [label for label, count in Counter(key.label for key in self.keys).items() if count > 1]
        if twice:
            raise ValueError(f"has two keys labelled {', '.join(twice)}. Give each its own label: the log names it")
        turns = Counter(_turn(key) for key in self.keys)
        same = [key.label for key in self.keys if turns[_turn(key)] > 1]
        if same:
            raise ValueError(
                f"has keys {', '.join(same)} for the same callers from the same time on. "
                "Give the newer one a `from`, or each its domains or rules"
            )
        return self

    def secrets(self) -> Iterator[tuple[str, Secret]]:
        """Every secret named, by its path under the provider."""
        if self.api_key is not None:
            yield "api_key", self.api_key
        for i, key in enumerate(self.keys):
            yield f"keys[{i}].secret", key.secret
        for name, value in self.auth or ():
            if isinstance(value, Secret):
                yield f"auth.{name}", value

    def problems(self) -> list[str]:
        """What cannot be used on this machine, each by its path under the provider, with the remedy."""
        said = [f"{path} {why}" for path, secret in self.secrets() if (why := secret.problem())]
        return said + (auth_problems(self.auth) if self.auth is not None else [])


def _turn(key: ApiKey) -> tuple[object, ...]:
    return frozenset(key.domains), frozenset(key.rules), key.starts
