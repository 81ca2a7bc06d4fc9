"""The pages an administrator sets issuers up from."""

import re
from pathlib import Path
from typing import Any, get_args

import pytest
from ruamel.yaml import YAML

from settings.issuers import IssuerSettings
from settings.schema import Identity

PAGES = sorted((Path(__file__).parents[2] / "docs/how-to/identity").glob("*.md"))
BLOCKS = [
    (page.stem, block)
    for page in PAGES
    for block in re.findall(r"```yaml\n(.*?)```", page.read_text("utf-8"), re.DOTALL)
]


def settings(block: str) -> Identity:
    found: dict[str, Any] = YAML(typ="safe", pure=True).load(block)
    return Identity.model_validate(found["identity"])


@pytest.mark.parametrize(("page", "block"), BLOCKS, ids=[page for page, _ in BLOCKS])
def test_the_settings_on_each_page_are_accepted_as_they_stand(page: str, block: str) -> None:
    assert settings(block).issuers


def test_every_kind_of_issuer_has_a_page_that_names_its_trap() -> None:
    kinds = {one.model_fields["kind"].annotation for one in get_args(get_args(IssuerSettings)[0])}
    named = {get_args(kind)[0] for kind in kinds}
    shown = {issuer.kind for _, block in BLOCKS for issuer in settings(block).issuers}
    assert shown == named
    for page in PAGES:
        assert page.stem == "README" or "**The trap: " in page.read_text("utf-8"), page
