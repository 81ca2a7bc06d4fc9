"""The pages that a front is set up from, and the compose files beside them."""

import re
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from settings.reading import parse_settings

ROOT = Path(__file__).parents[2]
PAGES = sorted((ROOT / "docs/how-to/fronts").glob("*.md"))
FILES = sorted((ROOT / "deploy/fronts").glob("*.yaml"))


@pytest.mark.parametrize("page", PAGES, ids=[page.stem for page in PAGES])
def test_the_settings_on_each_page_are_accepted_as_they_stand(page: Path) -> None:
    (block,) = re.findall(r"```yaml\n(.*?)```", page.read_text("utf-8"), re.DOTALL)

    settings = parse_settings(block, secrets=False)

    assert [front.host for front in settings.fronts] == ["chat.example.com"]


@pytest.mark.parametrize("file", FILES, ids=[file.stem for file in FILES])
def test_in_each_compose_file_the_chat_ui_is_reached_through_the_checkpoint_alone(file: Path) -> None:
    compose: dict[str, Any] = YAML(typ="safe", pure=True).load(file.read_text("utf-8"))
    page = (ROOT / f"docs/how-to/fronts/{file.stem}.md").read_text("utf-8")
    upstream = re.search(r'upstream: "http://([a-z-]+):', page)

    assert [name for name, service in compose["services"].items() if "ports" in service] == ["sekisho"]
    assert upstream is not None
    assert upstream[1] in compose["services"]
    assert compose["networks"]["inside"] == {"internal": True}
