"""What we show the providers: keys. The settings of upstreams/.

A provider has one of `api_key` (one key) and `keys` (several: rotation, or by domain and rule). With neither the
caller's own key goes through, where the profile lets it.
"""

import datetime
import shutil
from collections import Counter
from collections.abc import Iterator
from typing import Annotated, Self

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from settings.domains import is_domain
from settings.program import printed
from settings.secrets import Secret
from settings.units import Duration

Label = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$")]
Text = Annotated[str, Field(min_length=1, max_length=1024)]


def _listed(given: object) -> object:
    return (given,) if isinstance(given, str) else given


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


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class ProviderSecret(Secret):
    """A secret that is read again while we run: `{env: NAME}`, `{file: PATH}`, or
    `{command: [PROGRAM, ARGUMENT…], every: 10 m}`, exactly one.

    The program prints the secret alone and ends with 0 within ten seconds; no shell is involved, and it sees our
    environment. `every` is in seconds, five minutes when left out.
    """

    command: Annotated[tuple[Annotated[str, Field(min_length=1)], ...], Field(min_length=1)] | None = None
    every: Annotated[Duration, Field(ge=1)] | None = None

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if sum(source is not None for source in (self.env, self.file, self.command)) != 1:
            raise ValueError("needs exactly one of env, file and command, as in {env: OPENAI_API_KEY}")
        if self.every is not None and self.command is None:
            raise ValueError("has every, which is for a command: a file is looked at all the time. Take it out")
        return self

    @property
    def source(self) -> str:
        return f"the program {self.command[0]}" if self.command is not None else super().source

    def problem(self) -> str | None:
        """As Secret's. A program is only looked for, not run."""
        if self.command is None:
            return super().problem()
        if shutil.which(self.command[0]) is None:
            return f"names the program {self.command[0]}, which cannot be run. Write where it is, as in /usr/bin/…"
        return None

    def read(self) -> str:
        """As Secret's. Blocks while a program runs."""
        return printed(self.command) if self.command is not None else super().read()


class ApiKey(_Section):
    """One of several keys. It counts `from` a time on; `domains` and `rules` say for whose calls, and by which rule
    let through. Of keys for the same callers the one with the latest start that has come is used."""

    label: Label
    secret: ProviderSecret
    starts: Annotated[AwareDatetime | None, BeforeValidator(_start), Field(alias="from")] = None
    domains: Annotated[tuple[Annotated[str, AfterValidator(_domain)], ...], BeforeValidator(_listed)] = ()
    rules: Annotated[tuple[Text, ...], BeforeValidator(_listed)] = ()


class ProviderCredentials(_Section):
    """The part of a provider's settings that says what we show it."""

    api_key: ProviderSecret | None = None
    keys: tuple[ApiKey, ...] = ()

    @model_validator(mode="after")
    def _fit_together(self) -> Self:
        given = [name for name in ("api_key", "keys") if getattr(self, name)]
        if len(given) > 1:
            raise ValueError(f"has {' and '.join(given)}. Keep one: api_key for one key, keys for several")
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

    def problems(self) -> list[str]:
        """What cannot be used on this machine, each by its path under the provider, with the remedy."""
        return [f"{path} {why}" for path, secret in self.secrets() if (why := secret.problem())]


def _turn(key: ApiKey) -> tuple[object, ...]:
    return frozenset(key.domains), frozenset(key.rules), key.starts
