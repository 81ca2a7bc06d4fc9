"""Local capture: a program on this machine, told nothing, in namespaces of its own."""

import contextlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from lanes.mitm import local
from tests.journeys.instance import ROOT, Instance
from tests.journeys.provider import Provider
from tests.journeys.test_transparent import lacking
from tests.journeys.ways import assert_equal_but_for_the_way


def _lacking() -> str | None:
    if without := lacking():
        return without
    for program in ("sudo", "curl"):
        if shutil.which(program) is None:
            return f"{program} is not installed"
    tried = subprocess.run(
        ["unshare", "-m", "mount", "-t", "cgroup2", "none", "/mnt"], capture_output=True, text=True, check=False
    )
    return f"cgroup v2 cannot be had here: {tried.stderr.strip()}" if tried.returncode else None


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the captured program got, and what is on record."""
    if without := _lacking():
        pytest.skip(without)  # in CI as well: it takes more rights than most machines give
    folder = tmp_path_factory.mktemp("road")
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"  # where the redirector is
    done = subprocess.run(
        ["unshare", "-m", "-n", sys.executable, "-m", "tests.journeys.local_road", folder],
        cwd=ROOT, env={**os.environ, "PATH": path}, capture_output=True, text=True, timeout=110, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_a_captured_programs_call_is_opened_and_recorded(seen: dict[str, Any]) -> None:
    assert "Hello from the provider" in seen["got"]["opened"]["got"], seen
    (record,) = seen["records"]
    assert (record["client"]["mode"], record["end_state"]) == ("local", "complete")
    assert record["principal"]["issuer"] == "local"


@pytest.mark.parametrize("mode", ["forward", "local"])
def test_the_record_of_one_and_the_same_call_is_equal_though_it_was_captured(seen: dict[str, Any], mode: str) -> None:
    """The other ways: tests/journeys/test_wireguard.py."""
    ways = seen["every way"]
    assert set(ways) == {"reverse", "forward", "local"}, seen["log"]
    assert_equal_but_for_the_way(ways[mode], ways["reverse"])


def test_what_is_blocked_is_in_the_coverage(seen: dict[str, Any]) -> None:
    assert seen["got"]["blocked"]["got"] == ""
    assert any(row["host"] == "other.example.com" and row["why"] == {"blocked": 1} for row in seen["coverage"])


def test_cgroups_of_the_first_version_are_said_to_be_in_the_way(tmp_path: Path) -> None:
    said = local.lacking(tmp_path)
    assert said is not None
    assert f"{tmp_path} is not cgroup v2" in said
    (tmp_path / "cgroup.controllers").write_text("cpu io memory\n")
    assert local.lacking(tmp_path) is None


def test_where_nothing_can_be_captured_it_does_not_start_and_says_why(tmp_path: Path, provider: Provider) -> None:
    instance = Instance(tmp_path, provider.url, more="capture: [curl]\n")
    (tmp_path / "sudo").write_text("#!/bin/sh\nexit 1\n")  # no rights
    (tmp_path / "sudo").chmod(0o755)
    instance.environment["PATH"] = f"{tmp_path}:/usr/bin:/bin"
    with contextlib.suppress(AssertionError):  # it may be noticed at once, or by its end
        instance.start()
    instance.wait_until(lambda: not instance.pids("serve"), 20)
    instance.stop()
    assert "Programs on this machine cannot be captured: " in instance.log.read_text(encoding="utf-8")
