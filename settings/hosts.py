"""What happens to connections for hosts of no provider: the settings' part `hosts`, and the maintained table."""

import functools
import re
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import Field, TypeAdapter, field_validator
from ruamel.yaml import YAML

from settings.section import Networks, Section

Unread = Literal["pass", "pass-and-note", "block"]
"""pass: as agreed, and counted · pass-and-note: and shown by `sekisho coverage` · block: refused."""

TABLE: Final = Path(__file__).with_name("providers.yaml")

_PATTERN: Final = re.compile(r"(\*\.)?[a-z0-9*-]+(\.[a-z0-9*-]+)*")


def host_pattern(given: str) -> str:
    """A host name as hosts are compared, or a pattern of them: lower-case, `*` for one or more characters.

    Raises:
        ValueError: no host can be written like this.
    """
    pattern = given.strip().lower().rstrip(".")
    if len(pattern) > 253 or _PATTERN.fullmatch(pattern) is None or "." not in pattern:
        raise ValueError(f"{given!r} is no host. Write api.example.com, or *.example.com for all below it")
    return pattern


class HostRule(Section):
    """What happens to the hosts of one pattern."""

    host: str
    then: Unread

    @field_validator("host")
    @classmethod
    def _a_pattern(cls, given: str) -> str:
        return host_pattern(given)


class Hosts(Section):
    """Hosts that are no provider's, in forward mode. `rules` come first, the first that fits; then `services`, for the
    LLM services of the maintained table; then `unknown`. `ports` may be connected to; `addresses` are networks that
    may, though they are not of the public Internet."""

    unknown: Unread = "pass-and-note"
    services: Unread = "pass-and-note"
    rules: tuple[HostRule, ...] = ()
    ports: tuple[Annotated[int, Field(ge=1, le=65535)], ...] = (443,)
    addresses: Networks = ()


class Service(Section):
    """One LLM service: host pattern → what is done there."""

    service: Annotated[str, Field(min_length=1)]
    hosts: dict[str, tuple[str, ...]]


@functools.cache
def known_services() -> tuple[Service, ...]:
    """The maintained table, providers.yaml, in its order."""
    return TypeAdapter(tuple[Service, ...]).validate_python(YAML(typ="safe").load(TABLE))
