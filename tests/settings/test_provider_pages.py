"""The pages an administrator sets providers up from."""

import re
from pathlib import Path
from typing import Any, get_args

import pytest
from ruamel.yaml import YAML

from settings.provider_auth import Auth
from settings.schema import Settings

PAGES = sorted((Path(__file__).parents[2] / "docs/how-to/providers").glob("*.md"))
BLOCKS = [
    (page.stem, block)
    for page in PAGES
    for block in re.findall(r"```yaml\n(.*?)```", page.read_text("utf-8"), re.DOTALL)
]
RULES = {"rules": [{"name": "research"}]}


def settings(block: str) -> Settings:
    found: dict[str, Any] = YAML(typ="safe", pure=True).load(block)
    return Settings.model_validate({**found, "policies": RULES})


@pytest.mark.parametrize(("page", "block"), BLOCKS, ids=[page for page, _ in BLOCKS])
def test_the_settings_on_each_page_are_accepted_as_they_stand(page: str, block: str) -> None:
    for provider in settings(block).providers.values():
        assert provider.api_key or provider.keys or provider.auth


def test_every_way_to_authenticate_has_a_page_and_every_page_names_its_trap() -> None:
    kinds = {get_args(one.model_fields["kind"].annotation)[0] for one in get_args(get_args(Auth)[0])}
    shown = {one.auth.kind for _, block in BLOCKS for one in settings(block).providers.values() if one.auth}
    assert shown == kinds
    for page in PAGES:
        assert "**The trap" in page.read_text("utf-8"), page
