"""Pages of docs/: each table between its markers, so that no number is ever typed."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.plots import plots
from benchmarks.tables import tables

_DOCS = Path(__file__).resolve().parent.parent / "docs"
_MARKER = re.compile(r"<!-- measured: ([a-z0-9-]+) -->\n")
PAGE, PLOTS = _DOCS / "performance.md", _DOCS / "performance"


def write_page(run: dict[str, Any]) -> None:
    """Put tables and plots of this run into docs/performance.md. A table the run does not have stays away, and says so."""
    found = {table.name: table.markdown() for table in tables(run)}
    found["run"] = f"Measured on {run['when']} at {run['commit']}: {run['machine']}; {run['python']}."
    put(PAGE, dict.fromkeys(_MARKER.findall(PAGE.read_text("utf-8")), "*not measured in this run*") | found)
    PLOTS.mkdir(exist_ok=True)
    for name, picture in plots(run["summary"]).items():
        (PLOTS / f"{name}.svg").write_text(picture, encoding="utf-8")


def put(page: Path, found: Mapping[str, str]) -> None:
    """Put each of these texts between its markers in this page; what else is there stays as it is."""
    text = page.read_text(encoding="utf-8")
    for name, said in found.items():
        marked = re.compile(rf"(<!-- measured: {re.escape(name)} -->\n).*?(<!-- /measured -->)", re.DOTALL)
        text = marked.sub(lambda marker, said=said: f"{marker[1]}{said}\n{marker[2]}", text)  # type: ignore[misc]
    page.write_text(text, encoding="utf-8")
