"""docs/performance.md: each table between its markers, so that no number is ever typed."""

import re
from pathlib import Path
from typing import Any

from benchmarks.plots import plots
from benchmarks.tables import tables

_DOCS = Path(__file__).resolve().parent.parent / "docs"
PAGE, PLOTS = _DOCS / "performance.md", _DOCS / "performance"


def write_page(run: dict[str, Any]) -> None:
    """Put tables and plots of this run into the page. A table the run does not have stays away, and says so."""
    found = {table.name: table.markdown() for table in tables(run)}
    found["run"] = f"Measured on {run['when']} at {run['commit']}: {run['machine']}; {run['python']}."

    def filled(marker: "re.Match[str]") -> str:
        text = found.get(marker[1], "*not measured in this run*")
        return f"<!-- measured: {marker[1]} -->\n{text}\n<!-- /measured -->"

    page = PAGE.read_text(encoding="utf-8")
    page = re.sub(r"<!-- measured: ([a-z0-9-]+) -->\n.*?<!-- /measured -->", filled, page, flags=re.DOTALL)
    PAGE.write_text(page, encoding="utf-8")
    PLOTS.mkdir(exist_ok=True)
    for name, picture in plots(run["summary"]).items():
        (PLOTS / f"{name}.svg").write_text(picture, encoding="utf-8")
