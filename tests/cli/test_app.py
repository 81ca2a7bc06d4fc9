"""What holds for every command: exit codes, help, settings, what goes where."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli.app import app
from cli.reference import DOCS, PAGES, page
from tests.cli.conftest import ROOT, SEKISHO, Desk
from tests.cli.records import chat

COMMANDS = ["serve", "demo", "check", "status", "tail", "show", "search", "replay", "export", "token"]


def test_the_version_is_said() -> None:
    said = subprocess.run([*SEKISHO, "--version"], capture_output=True, text=True, timeout=20, check=True)
    assert said.stdout.startswith("sekisho 0.")


def test_help_names_every_command_in_its_group(desk: Desk) -> None:
    said = desk.sekisho("--help")
    assert said.exit_code == 0
    for word in (*COMMANDS, "Run", "Look at the record", "Administer"):
        assert word in said.output


@pytest.mark.parametrize(
    "command", [*([c] for c in COMMANDS), ["token", "mint"], ["token", "keys"], ["token", "explain"]]
)
def test_every_command_has_help(desk: Desk, command: list[str]) -> None:
    said = desk.sekisho(*command, "--help")
    assert said.exit_code == 0
    assert "Usage: sekisho" in said.output


@pytest.mark.parametrize(
    "arguments",
    [
        ["nonsense"],
        ["tail", "--nonsense"],
        ["show"],
        ["show", "01a2", "--raw", "both"],
        ["show", "01a2", "--to", "x"],
        ["show", "01a2", "--json", "--raw", "request"],
        ["search"],
        ["replay", "01a2", "--speed", "0"],
        ["export", "--format", "xml"],
        ["export", "--after", "-1"],
        ["token", "mint", "--email", "ann@example.com"],
        ["token", "mint", "--email", "nobody", "--days", "1"],
        ["token", "mint", "--email", "ann@example.com", "--days", "-1"],
    ],
)
def test_wrong_use_exits_2_and_says_why(desk: Desk, arguments: list[str]) -> None:
    said = desk.sekisho(*arguments)
    assert said.exit_code == 2
    assert said.stderr.strip()
    assert "Traceback" not in said.output


@pytest.mark.parametrize("command", [["check"], ["tail"], ["export"], ["status"], ["serve"], ["token", "keys"], []])
def test_settings_that_cannot_be_used_exit_2_with_all_problems(desk: Desk, command: list[str]) -> None:
    desk.config.write_text("profil: local\ndrain_s: soon\n", encoding="utf-8")
    said = desk.sekisho(*command)
    assert said.exit_code == 2
    assert "cannot be used: 2 problems" in said.stderr
    assert "profil" in said.stderr
    assert "drain_s" in said.stderr
    assert said.stdout == ""


@pytest.mark.parametrize(
    "arguments", [["show", "01a2"], ["export"], ["tail", "--no-follow"], ["search", "word"], ["replay", "01a2"]]
)
def test_where_there_is_no_record_yet_that_is_said_and_the_exit_code_is_1(desk: Desk, arguments: list[str]) -> None:
    said = desk.sekisho(*arguments)
    assert said.exit_code == 1
    assert "There is no record at" in said.stderr
    assert said.stdout == ""


def test_a_broken_record_is_no_traceback(desk: Desk) -> None:
    desk.data_dir.mkdir()
    (desk.data_dir / "audit.db").write_bytes(b"this is no database" * 1000)
    for arguments in (["export"], ["status"], ["show", "01a2"], ["search", "word"]):
        done = desk.run(*arguments)
        assert (done.returncode, done.stdout) == (1, b"")
        assert b"cannot be read" in done.stderr
        assert b"Traceback" not in done.stderr


def test_the_config_may_stand_before_the_command_or_after_it(desk: Desk, tmp_path: Path) -> None:
    desk.store(chat("Hi", "Hello"))
    for arguments in (["--config", str(desk.config), "export"], ["export", "--config", str(desk.config)]):
        said = desk.sekisho(*arguments, SEKISHO_CONFIG=str(tmp_path / "another.yaml"))
        assert json.loads(said.stdout)["seq"] == 1


def test_only_options_serve(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    served: list[Path] = []

    def serve(_settings: object, path: Path) -> int:
        served.append(path)
        return 0

    monkeypatch.setattr("cli.serve.serve", serve)
    for arguments in ([], ["--config", str(desk.config)], ["serve"], ["serve", "--config", str(desk.config)]):
        assert desk.sekisho(*arguments).exit_code == 0
    assert served == [desk.config] * 4


def test_check_says_what_the_settings_mean(desk: Desk) -> None:
    said = desk.sekisho("check")
    assert said.exit_code == 0
    assert "can be used" in said.stdout
    assert "127.0.0.1:8080" in said.stdout


def test_no_command_but_serve_needs_mitmproxy() -> None:
    code = (
        "import sys; import cli.app, cli.tail, cli.export, cli.show, cli.demo_road; print('mitmproxy' in sys.modules)"
    )
    said = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=20, cwd=ROOT, check=True
    )
    assert said.stdout.strip() == "False"


@pytest.mark.parametrize("name", PAGES)
def test_the_reference_pages_are_up_to_date(name: str) -> None:
    assert (DOCS / name).read_text(encoding="utf-8") == PAGES[name](), "run: python -m cli.reference"


def test_every_command_is_on_the_reference_page() -> None:
    names = [command.name or getattr(command.callback, "__name__", "") for command in app.registered_commands]
    assert [name for name in names if f"### {name}\n" not in page()] == []


@pytest.mark.parametrize("command", [["check"], ["serve"], ["identity", "test", "-H", "a: b"]])
def test_issuers_that_cannot_be_used_exit_2_each_by_its_path(desk: Desk, command: list[str]) -> None:
    desk.config.write_text(
        f"profile: gateway\ndata_dir: {desk.data_dir}\n"
        "listen: [{address: '127.0.0.1:8080', tls: {cert: a.pem, key: a.pem}}]\n"
        "identity:\n  domains: [example.com]\n  issuers:\n"
        "    - {name: people, kind: mtls, ca_file: nowhere.pem}\n"
        "    - {name: own, kind: own_token}\n"
        "    - {name: chat, kind: open_webui, secret: {env: SHORT}}\n",
        encoding="utf-8",
    )
    said = desk.sekisho(*command, SHORT="hunter2")
    assert said.exit_code == 2
    assert "identity.issuers[0].ca_file names nowhere.pem, which cannot be read: No such file" in said.stderr
    assert "identity.issuers[2].secret has under 32 bytes" in said.stderr
    assert "hunter2" not in said.output
    assert not desk.data_dir.exists()


def test_help_texts_are_broken_by_the_terminal_and_not_by_the_code() -> None:
    for command in (["tail"], ["db", "check"], ["export"]):
        said = CliRunner().invoke(app, [*command, "--help"], env={"COLUMNS": "400", "NO_COLOR": "1"}).stdout
        text = said.partition("╭─")[0]
        assert [line for line in text.splitlines() if line.strip() and not line.rstrip().endswith((".", "]"))] == []
