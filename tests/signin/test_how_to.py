"""The pages that sign-in is set up from."""

import re
from pathlib import Path
from typing import get_args

import pytest
from ruamel.yaml import YAML

from console.signing_in import BACK, OUT
from fronts.desk import SIGNED_OUT
from settings.reading import parse_settings
from settings.sign_in import Preset
from signin.refusal import CODES

FOLDER = Path(__file__).parents[2] / "docs/how-to/sign-in"
PAGES = {page.stem: page.read_text("utf-8") for page in sorted(FOLDER.glob("*.md"))}
PRESETS: tuple[str, ...] = get_args(Preset)


@pytest.mark.parametrize("page", PAGES)
def test_the_settings_on_each_page_are_accepted_as_they_stand(page: str) -> None:
    blocks = re.findall(r"```yaml\n(.*?)```", PAGES[page], re.DOTALL)
    assert blocks
    for block in blocks:
        assert parse_settings(block, secrets=False).sign_in is not None


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_has_a_page_of_its_own_that_names_the_redirect_uris(preset: str) -> None:
    (block,) = re.findall(r"```yaml\n(.*?)```", PAGES[preset], re.DOTALL)
    assert YAML(typ="safe", pure=True).load(block)["sign_in"]["preset"] == preset
    assert f"https://audit.example.com{BACK}" in PAGES[preset]
    assert "https://chat.example.com/_sekisho/callback" in PAGES[preset]


def test_every_code_that_a_page_may_say_is_explained() -> None:
    assert set(re.findall(r"^\| `(\w+)` \|", PAGES["README"], re.MULTILINE)) == CODES


def test_the_addresses_to_come_back_to_after_signing_out_at_the_provider_are_named() -> None:
    for address in (f"https://audit.example.com{OUT}", f"https://chat.example.com{SIGNED_OUT}"):
        assert f"`{address}`" in PAGES["README"]
