"""Providers as the settings make them, and what is shown to them."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from ruamel.yaml import YAML

from settings.schema import Provider
from upstreams.credential import Credential
from upstreams.provider_credentials import Upstreams, upstreams_from

LOOK_S = 0.02


def providers(text: str) -> dict[str, Provider]:
    """From what stands under `providers:`, with an address and a dialect where they are left out."""
    tree = YAML(typ="safe", pure=True).load(text)
    usual = {"upstream": "https://api.example", "dialect": "openai"}
    return {name: Provider.model_validate({**usual, **given}) for name, given in tree.items()}


@asynccontextmanager
async def running(text: str, state_file: Path | None = None) -> AsyncIterator[Upstreams]:
    """The credentials of these providers, kept fresh."""
    upstreams = upstreams_from(
        providers(text), name=lambda secret: f"name-{len(secret)}", state_file=state_file, look_s=LOOK_S
    )
    await upstreams.start()
    try:
        yield upstreams
    finally:
        await upstreams.stop()


def chosen(
    upstreams: Upstreams, *, domain: str | None = None, rule: str | None = None, now: float | None = None
) -> Credential:
    """What the provider `openai` is shown; now, when no time is given."""
    found = upstreams.choose("openai", domain=domain, rule=rule, now=time.time() if now is None else now)
    assert found is not None
    return found


def shown(credential: Credential | None) -> str:
    """The key or token that stands in the one field."""
    assert credential is not None
    ((_, value),) = credential.fields
    return value.decode().removeprefix("Bearer ")
