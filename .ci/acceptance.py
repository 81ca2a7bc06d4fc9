"""acceptance.py FOLDER: runs the open part of acceptance, prints its scores, and holds them to .ci/floors.json.

A score below its floor fails. A score above it is printed with the request to raise the floor: they only rise.
"""

import json
import re
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
PROGRAMS = {
    "streams openai.chat": (
        ["streams.py", "--api", "openai.chat", "--need", "0"],
        r"(bytes|reply|end state|record) ([\d.]+) %",
    ),
    "hostile": (["hostile.py"], r"()(\d+)/\d+ held"),
}


def main(folder: Path) -> int:
    floors = json.loads((HERE / "floors.json").read_text(encoding="utf-8"))
    failed = False
    for name, (command, pattern) in PROGRAMS.items():
        done = subprocess.run(
            [sys.executable, str(folder / command[0]), *command[1:]],
            capture_output=True,
            text=True,
            check=False,
            timeout=600,
        )
        scores = {f"{name} {what}".strip(): float(score) for what, score in re.findall(pattern, done.stdout)}
        if not scores:
            print(done.stdout, done.stderr)
        for score_name in [key for key in floors if key.startswith(name)]:
            score, floor = scores.get(score_name, 0.0), floors[score_name]
            print(f"acceptance: {score_name}: {score:g} (floor {floor:g})")
            failed |= score < floor
            if score > floor:
                print(f"  raise the floor of {score_name!r} in .ci/floors.json to {score:g}")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).resolve()))
