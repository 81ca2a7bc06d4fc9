"""`sekisho demo`: the whole road, with nothing but this machine."""

import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.cli.conftest import SEKISHO, Desk


def leftovers(folder: Path, pattern: str = "sekisho-demo-*") -> list[str]:
    """Processes that carry this folder in their command line, and what is left in it."""
    running = []
    for line in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if str(folder).encode() in line.read_bytes():
                running.append(line.parent.name)
        except OSError:
            continue  # it ended meanwhile
    return running + [path.name for path in folder.glob(pattern)]


def test_the_demo_shows_the_words_and_the_records_and_leaves_nothing(desk: Desk) -> None:
    begun = time.monotonic()
    done = desk.run("demo", TMPDIR=str(desk.folder), NO_COLOR="1", HTTP_PROXY="http://127.0.0.1:9", OPENAI_API_KEY="")
    said = done.stdout.decode()
    assert done.returncode == 0, done.stderr.decode()
    assert time.monotonic() - begun < 15
    for operation in ("chat", "responses"):
        assert f"({operation}, openai, streamed)" in said
    assert said.count("A checkpoint asks who you are") == 2  # live, and on record
    assert said.count("関所は、街道を行き来する人と荷物を調べた場所です。") == 2
    assert said.count("complete, status 200") == 2
    assert leftovers(desk.folder) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_demo_that_is_stopped_takes_everything_along(desk: Desk, number: signal.Signals) -> None:
    demo = subprocess.Popen(
        [*SEKISHO, "demo"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=desk.environment(TMPDIR=str(desk.folder)),
    )
    assert demo.stdout is not None
    try:
        assert b"Sekisho stands at" in demo.stdout.readline()
        demo.send_signal(number)
        _, said = demo.communicate(timeout=20)
        assert b"Traceback" not in said
        assert leftovers(desk.folder) == []
    finally:
        demo.kill()
        demo.communicate()


def test_without_the_sdk_the_demo_says_how_to_get_it(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "openai", None)
    said = desk.sekisho("demo")
    assert said.exit_code == 1
    assert "make demo" in said.stderr
