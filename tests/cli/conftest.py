"""A data directory with a real audit.db, and the command line to look at it with."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from cli.app import app
from exchange.record import Record
from tests.cli.records import store

ROOT = Path(__file__).resolve().parent.parent.parent
SEKISHO = [sys.executable, str(ROOT / "run_proxy.py")]


@dataclass(frozen=True)
class Desk:
    """Where somebody sits who uses the command line."""

    folder: Path

    @property
    def data_dir(self) -> Path:
        return self.folder / "data"

    @property
    def config(self) -> Path:
        return self.folder / "config.yaml"

    def store(self, *records: Record) -> list[str]:
        return store(self.data_dir, *records)

    def sekisho(self, *arguments: str, **more: str) -> Result:
        """Run a command in this process."""
        environment = {"SEKISHO_CONFIG": str(self.config), "NO_COLOR": "1", "COLUMNS": "200", **more}
        return CliRunner().invoke(app, list(arguments), env=environment)

    def environment(self, **more: str) -> dict[str, str]:
        return {**os.environ, "SEKISHO_CONFIG": str(self.config), "PYTHONUNBUFFERED": "1", **more}

    def run(self, *arguments: str, **more: str) -> subprocess.CompletedProcess[bytes]:
        """Run a command as people do, in a process of its own."""
        return subprocess.run(
            [*SEKISHO, *arguments], capture_output=True, env=self.environment(**more), timeout=30, cwd=self.folder
        )

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [*SEKISHO, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=self.environment(),
            cwd=self.folder,
        )


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    (tmp_path / "config.yaml").write_text(f"data_dir: {tmp_path / 'data'}\n", encoding="utf-8")
    return Desk(tmp_path)
