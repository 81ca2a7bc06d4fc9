"""Programs of others that these tests run: where each is found, and how it is run.

Those of PyPI and npm that the locks here do not name are had by `make clients`, which puts them into `.clients`;
$SEKISHO_TEST_CLIENTS names another folder.
"""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.journeys.instance import ROOT

HERE = Path(__file__).resolve().parent
BIN = HERE / "node_modules" / ".bin"
_MORE = Path(os.environ.get("SEKISHO_TEST_CLIENTS", ROOT / ".clients"))
GO_CACHE = Path.home() / ".cache" / "go-build"
"""A test has a home of its own, where Go would compile its library anew."""


def installed(name: str) -> Path:
    """A program of the lock in this folder."""
    path = BIN / name
    if not path.exists():
        if os.environ.get("CI"):
            pytest.fail(f"{name} is not installed: npm ci in tests/clients")
        pytest.skip(f"{name} is not installed: npm ci in tests/clients")
    return path


def from_pypi(name: str) -> Path:
    return _one_more(_MORE / "bin" / name)


def from_npm(name: str) -> Path:
    return _one_more(_MORE / "node_modules" / ".bin" / name)


def _one_more(path: Path) -> Path:
    if not path.exists():
        pytest.skip(f"{path.name} is not installed: make clients")
    return path


def on_path(name: str, package: str) -> str:
    """A program of the machine. `package`: what Debian calls it."""
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed: apt-get install {package}")
    return found


def run(command: list[str | Path], environment: dict[str, str], folder: Path) -> str:
    """What it prints, once it has ended well. Its home is this folder."""
    done = subprocess.run(
        command, env={"PATH": f"{BIN}:{os.environ['PATH']}", "HOME": str(folder), **environment}, cwd=folder,
        capture_output=True, text=True, timeout=90, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
