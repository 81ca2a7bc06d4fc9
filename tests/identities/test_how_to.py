"""The pages an administrator sets issuers up from."""

import re
from pathlib import Path
from typing import Any, get_args

import pytest
from ruamel.yaml import YAML
from typer.testing import CliRunner

from cli.app import app
from settings.issuers import IssuerSettings
from settings.schema import Identity
from tests.identities.client_certificates import authority

PAGES = sorted((Path(__file__).parents[2] / "docs/how-to/identity").glob("*.md"))
IN_PAGES = {page.stem: re.findall(r"```yaml\n(.*?)```", page.read_text("utf-8"), re.DOTALL) for page in PAGES}
BLOCKS = [(page, block) for page, blocks in IN_PAGES.items() for block in blocks]


def settings(block: str) -> Identity:
    found: dict[str, Any] = YAML(typ="safe", pure=True).load(block)
    return Identity.model_validate(found["identity"])


@pytest.mark.parametrize(("page", "block"), BLOCKS, ids=[page for page, _ in BLOCKS])
def test_the_settings_on_each_page_are_accepted_as_they_stand(page: str, block: str) -> None:
    assert settings(block).issuers


@pytest.mark.parametrize("page", IN_PAGES)
def test_the_first_settings_on_each_page_are_a_whole_gateway(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing but that page at hand: `sekisho check` takes what stands there, and somebody may call something."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "people-ca.pem").write_bytes(authority().pem)
    for name in ("gateway.pem", "gateway.key"):
        authority("Gateway").written(tmp_path / name)
    (tmp_path / "config.yaml").write_text(IN_PAGES[page][0], encoding="utf-8")
    environment = {"OPENAI_API_KEY": "sk-x", "OPEN_WEBUI_JWT_SECRET": "x" * 32, "NO_COLOR": "1"}
    said = CliRunner().invoke(app, ["check", "--config", "config.yaml"], env=environment)
    assert said.exit_code == 0, said.output
    assert "profile   gateway" in said.stdout
    assert "rules     everyone" in said.stdout


def test_every_kind_of_issuer_has_a_page_that_names_its_trap() -> None:
    kinds = {one.model_fields["kind"].annotation for one in get_args(get_args(IssuerSettings)[0])}
    named = {get_args(kind)[0] for kind in kinds}
    shown = {issuer.kind for _, block in BLOCKS for issuer in settings(block).issuers}
    assert shown == named
    for page in PAGES:
        assert page.stem == "README" or "**The trap: " in page.read_text("utf-8"), page
