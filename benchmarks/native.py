"""Load generator and provider: small C programs, because Python ones would be what is measured."""

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUILT = ROOT / ".bench"
_SOURCES = Path(__file__).resolve().parent / "native"


def build() -> None:
    """Compile what is older than its source into .bench/.

    Raises:
        SystemExit: there is no C compiler.
    """
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        sys.exit("The benchmark's load generator is a small C program: install gcc.")
    BUILT.mkdir(exist_ok=True)
    newest = max(source.stat().st_mtime for source in _SOURCES.iterdir())
    for name in ("load", "provider"):
        program = BUILT / name
        if not program.exists() or program.stat().st_mtime < newest:
            subprocess.run([compiler, "-O2", "-Wall", "-o", str(program), str(_SOURCES / f"{name}.c")], check=True)
