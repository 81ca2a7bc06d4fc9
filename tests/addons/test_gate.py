"""The door: shut first, opened by one line."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent


def test_one_line_in_the_whole_project_opens_the_door() -> None:
    opening = re.compile(r"\.response\s*=\s*None\b|\bdel\s+\w+\.response\b")
    rooms = ("addons", "cli", "fronts", "lanes", "recording", "run_proxy.py")
    files = [
        f for room in rooms for f in ([ROOT / room] if room.endswith(".py") else sorted((ROOT / room).rglob("*.py")))
    ]

    lines = [
        f"{file.relative_to(ROOT)}: {line.strip()}"
        for file in files
        for line in file.read_text(encoding="utf-8").splitlines()
        if opening.search(line)
    ]

    assert lines == ["addons/gate.py: flow.response = None  # the door opens: the one line that does it"]
