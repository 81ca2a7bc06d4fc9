"""A program of npm that others wrote, running for a test."""

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest

HERE = Path(__file__).resolve().parent


@contextlib.contextmanager
def node(script: str, *arguments: str) -> Iterator[tuple[str, IO[str], IO[str]]]:
    """Run a script of this folder. Gives the first line it says, its standard input and what it says from then on."""
    program = HERE / "node_modules" / ".bin" / "node"
    if not program.exists():
        if os.environ.get("CI"):
            pytest.fail("the issuers of npm are not installed: npm ci in tests/issuers")
        pytest.skip("the issuers of npm are not installed: npm ci in tests/issuers")
    with subprocess.Popen(
        [program, HERE / script, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            first = process.stdout.readline().strip()
            assert first, f"{script} did not start"
            yield first, process.stdin, process.stdout
        finally:
            process.kill()
