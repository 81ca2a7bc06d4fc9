"""`sekisho run`: the command is itself, and what it called is on record."""

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import SEKISHO, Desk
from tests.cli.test_demo import leftovers
from tests.journeys.provider import Provider, completion

KEY = "sk-caller-canary-0042"
ASK = """
import json, os, sys, urllib.request
asked = {"model": "gpt-4o", "messages": [{"role": "user", "content": sys.stdin.read()}]}
request = urllib.request.Request(sys.argv[1].replace("BASE", os.environ.get("OPENAI_BASE_URL", "")),
    json.dumps(asked).encode(),
    {"Content-Type": "application/json", "Authorization": "Bearer " + os.environ["CALLER_KEY"]})
with urllib.request.urlopen(request, timeout=50) as reply:
    print(json.load(reply)["choices"][0]["message"]["content"])
sys.exit(7)
"""


@pytest.fixture
def laptop(desk: Desk) -> Iterator[tuple[Desk, Provider]]:
    with Provider() as provider:
        provider.answer = completion("晴れです")
        with desk.config.open("a", encoding="utf-8") as file:
            file.write(f"providers: {{openai: {{upstream: '{provider.url}', hosts: [api.openai.com]}}}}\n")
        yield desk, provider


def run(desk: Desk, *arguments: str, given: str = "", **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*SEKISHO, "run", *arguments], input=given, capture_output=True, text=True, timeout=110, cwd=desk.folder,
        env=desk.environment(NO_COLOR="1", TMPDIR=str(desk.folder), **more), check=False,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("address", "mode"),
    [("BASE/chat/completions", "reverse"), ("https://api.openai.com/v1/chat/completions", "forward")],
)
def test_a_command_is_captured_whichever_way_it_calls(laptop: tuple[Desk, Provider], address: str, mode: str) -> None:
    desk, provider = laptop
    done = run(desk, "--json", "--", sys.executable, "-c", ASK, address, given="天気は？", CALLER_KEY=KEY)
    assert (done.stdout, done.returncode) == ("晴れです\n", 7), done.stderr
    assert provider.received[0].header("authorization") == f"Bearer {KEY}"
    summary = json.loads(done.stderr.splitlines()[-1])
    (exchange,) = summary["exchanges"]
    assert (exchange["mode"], exchange["operation"], exchange["end_state"]) == (mode, "chat", "complete")
    assert summary["exit_code"] == 7
    assert summary["input_tokens"] == exchange["input_tokens"] > 0
    assert "天気" not in done.stderr
    assert leftovers(desk.folder, "sekisho-run-*") == []


def test_nothing_but_the_commands_environment_is_changed(laptop: tuple[Desk, Provider]) -> None:
    desk, _ = laptop
    done = run(
        desk, "--", "env", OPENAI_BASE_URL="http://127.0.0.1:9/v1", NO_PROXY="intra.example", JAVA_TOOL_OPTIONS="-Xmx1g"
    )
    found = dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)
    assert found["OPENAI_BASE_URL"] == "http://127.0.0.1:9/v1"
    assert "OPENAI_BASE_URL is set to http://127.0.0.1:9/v1 and was left so" in done.stderr
    assert found["NO_PROXY"] == "localhost,127.0.0.1,::1,intra.example"
    assert found["JAVA_TOOL_OPTIONS"].startswith("-Xmx1g -Djavax.net.ssl.trustStore=")
    assert done.stderr.splitlines()[-1].startswith("0 exchanges, 0→0 tokens, $0.0000.")


def test_the_commands_umask_and_descriptors_are_the_callers(laptop: tuple[Desk, Provider]) -> None:
    desk, _ = laptop
    command = " ".join([*SEKISHO, "run", "--mode", "reverse", "--", "sh", "-c", "'umask; cat <&9'"])
    done = subprocess.run(
        ["sh", "-c", f"umask 0027; echo handed on > given; exec 9< given; {command}"], capture_output=True, text=True,
        timeout=110, cwd=desk.folder, env=desk.environment(), check=False,
    )  # fmt: skip
    assert done.stdout == "0027\nhanded on\n", done.stderr


def test_a_signal_is_the_commands_and_its_end_is_told_as_shells_do(laptop: tuple[Desk, Provider]) -> None:
    desk, _ = laptop
    started = desk.folder / "started"
    script = f"trap 'echo caught; exit 3' TERM; touch {started}; while :; do sleep 0.1; done"
    with subprocess.Popen(
        [*SEKISHO, "run", "--", "sh", "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        cwd=desk.folder, env=desk.environment(TMPDIR=str(desk.folder)),
    ) as process:  # fmt: skip
        end = time.monotonic() + 60
        while not started.exists() and time.monotonic() < end and process.poll() is None:
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        said, errors = process.communicate(timeout=60)
    assert (said, process.returncode) == ("caught\n", 3), errors
    assert leftovers(desk.folder, "sekisho-run-*") == []


@pytest.mark.parametrize(
    ("command", "code", "said"),
    [
        (["sh", "-c", "kill -9 $$"], 137, ""),
        (["no-such-program"], 127, "no-such-program: No such file or directory."),
        (["/"], 126, "/: Permission denied."),
    ],
)
def test_exit_codes_are_those_of_a_shell(
    laptop: tuple[Desk, Provider], command: list[str], code: int, said: str
) -> None:
    desk, _ = laptop
    done = run(desk, "--mode", "reverse", "--", *command)
    assert (done.returncode, said in done.stderr) == (code, True), done.stderr


def test_without_a_settings_file_it_runs_on_the_defaults(tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "SEKISHO_CONFIG"}
    done = subprocess.run(
        [*SEKISHO, "run", "--", "sh", "-c", "exit 5"], capture_output=True, text=True, timeout=110, cwd=tmp_path,
        env=environment, check=False,
    )  # fmt: skip
    assert done.returncode == 5, done.stderr
    assert (tmp_path / "data" / "audit.db").exists()
    assert done.stderr.rstrip().endswith(f"sekisho show ID --config {tmp_path / 'data' / 'config.yaml'}")


def test_the_hint_at_the_end_leads_to_the_record_wherever_it_is(laptop: tuple[Desk, Provider]) -> None:
    desk, _ = laptop
    place = desk.folder / "another place"
    done = run(
        desk, "--mode", "reverse", "--data-dir", str(place), "--", sys.executable, "-c", ASK, "BASE/chat/completions",
        CALLER_KEY=KEY,
    )  # fmt: skip
    hint = shlex.split(done.stderr.splitlines()[-1].partition("sekisho ")[2])
    found = desk.sekisho(*[done.stderr.splitlines()[-2].split()[0] if word == "ID" else word for word in hint])
    assert (found.exit_code, "晴れです" in found.stdout) == (0, True), done.stderr + found.stderr
    usual = run(desk, "--mode", "reverse", "--", "true")
    assert usual.stderr.rstrip().endswith("sekisho show ID")


def test_a_gateways_settings_are_refused(desk: Desk) -> None:
    with desk.config.open("a", encoding="utf-8") as file:
        file.write("profile: gateway\nidentity: {domains: [a.example], issuers: [{name: own, kind: own_token}]}\n")
    done = desk.sekisho("run", "--", "true")
    assert (done.exit_code, "is a gateway's" in done.stderr) == (2, True)


def test_two_do_not_write_one_record(desk: Desk) -> None:
    from storage.sqlite.lock import in_place_of_the_recorder

    desk.data_dir.mkdir()
    with in_place_of_the_recorder(desk.data_dir):
        done = desk.sekisho("run", "--", "true")
    assert (done.exit_code, "--data-dir DIR" in done.stderr) == (1, True), done.stderr


def test_a_ca_that_does_not_cover_a_provider_is_said_before_anything_starts(laptop: tuple[Desk, Provider]) -> None:
    desk, _ = laptop
    desk.sekisho("ca", "init")
    with desk.config.open("a", encoding="utf-8") as file:
        file.write("hosts: {unknown: pass}\n")
    text = desk.config.read_text(encoding="utf-8").replace("[api.openai.com]", "[api.openai.com, other.example]")
    desk.config.write_text(text, encoding="utf-8")
    done = run(desk, "--", "touch", str(desk.folder / "ran"))
    assert (done.returncode, "may not sign for other.example" in done.stderr) == (2, True), done.stderr
    assert not (desk.folder / "ran").exists()
    assert leftovers(desk.folder, "sekisho-run-*") == []
