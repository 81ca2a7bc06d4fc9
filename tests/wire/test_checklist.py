"""The page that says where each trap is proven tells the truth."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_every_test_that_the_page_names_exists() -> None:
    named = set(re.findall(r"`(test_\w+)`", (ROOT / "docs" / "wire.md").read_text()))
    written = "\n".join(file.read_text() for file in Path(__file__).parent.glob("test_*.py"))
    assert named
    assert {name for name in named if f"def {name}(" not in written} == set()
