"""export, status and token: what programs and administrators ask."""

import asyncio
import json
import os
import sqlite3
import subprocess

import pytest
import uuid_utils
from typer.testing import CliRunner

from cli.app import app
from storage.journal.rows import Arrivals, Closing, Intent
from storage.journal.writing import Journal
from tests.cli.conftest import SEKISHO, Desk
from tests.cli.records import ANN, chat, record

# -- export -----------------------------------------------------------------------------------------------------------


def test_export_is_jsonl_oldest_first_and_nothing_else(desk: Desk) -> None:
    desk.store(*(chat(f"質問 {i}", "答え") for i in range(450)))
    done = desk.run("export", "--format", "jsonl")
    assert (done.returncode, done.stderr) == (0, b"")
    records = [json.loads(line) for line in done.stdout.splitlines()]
    assert [one["seq"] for one in records] == list(range(1, 451))
    assert done.stdout.endswith(b"}\n")


def test_export_goes_on_after_a_seq(desk: Desk) -> None:
    desk.store(*(chat(str(i), "x") for i in range(3)))
    lines = desk.sekisho("export", "--after", "2").stdout.splitlines()
    assert [json.loads(line)["seq"] for line in lines] == [3]
    assert desk.sekisho("export", "--after", "3").stdout == ""


def test_an_exported_file_is_whole_and_private(desk: Desk) -> None:
    desk.store(chat("a", "b"))
    target = desk.folder / "out.jsonl"
    target.write_text("older")
    done = desk.run("export", "--output", str(target), "--progress")
    assert (done.returncode, done.stdout) == (0, b"")
    assert b"1/1" in done.stderr
    assert json.loads(target.read_bytes())["seq"] == 1
    assert target.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in desk.folder.glob("out*")] == ["out.jsonl"]


def test_an_export_that_cannot_be_written_says_so(desk: Desk) -> None:
    desk.store(chat("a", "b"))
    said = desk.sekisho("export", "--output", str(desk.folder / "no" / "out.jsonl"))
    assert said.exit_code == 1
    assert "No such file or directory" in said.stderr


@pytest.mark.parametrize("command", [["export"], ["show"], ["show", "--json"], ["tail", "--json"], ["search", "word"]])
def test_a_reader_that_has_enough_is_no_failure(desk: Desk, command: list[str]) -> None:
    ids = desk.store(*(chat("word " * 100_000, "y") for _ in range(5)))
    arguments = [command[0], ids[0], *command[1:]] if command[0] == "show" else command
    read, write = os.pipe()
    process = subprocess.Popen([*SEKISHO, *arguments], stdout=write, stderr=subprocess.PIPE, env=desk.environment())
    os.close(write)
    if command[0] != "search":  # whose lines are short: they all fit into a pipe
        os.read(read, 10)
    os.close(read)
    _, said = process.communicate(timeout=20)
    assert (process.returncode, said) == (0, b"")


# -- status -----------------------------------------------------------------------------------------------------------


def test_status_of_nothing_says_that_it_does_not_run(desk: Desk) -> None:
    said = desk.sekisho("status")
    assert said.exit_code == 0
    assert "does not run" in said.stdout
    assert not desk.data_dir.exists()


def intent(number: int) -> Intent:
    return Intent(
        number, 1, "gw-1", ANN, None, None, None, "reverse", "allow", None, None, None, "p", "openai", "openai", "POST",
        "h", "/", None, None, None, 0, True, "chat", "gpt-4o", False,
    )  # fmt: skip


CLOSING = Closing("response_ended", 200, None, Arrivals([], []), 0, False, None, None, None, 1000)


async def test_status_tells_how_much_waits_to_be_recorded(desk: Desk) -> None:
    [known] = desk.store(chat("a", "b"))
    journal = Journal(desk.data_dir, durable=False, file_limit=1 << 20, limit=1 << 30)
    try:
        for exchange, over in (
            (bytes.fromhex(known), True),
            (uuid_utils.uuid7().bytes, True),
            (uuid_utils.uuid7().bytes, False),
        ):
            await journal.commit(exchange, intent(1))
            if over:
                journal.append(exchange, CLOSING)
        await journal.commit(bytes.fromhex(known), intent(1))  # the rows before it are written
        journal.append(bytes.fromhex(known), CLOSING)
        await asyncio.sleep(0.3)
        found = json.loads(desk.sekisho("status", "--json").stdout)
        assert (found["running"], found["recorder"], found["workers"], found["last_seq"]) == (False, False, 1, 1)
        [boot] = found["journal"]
        assert (boot["alive"], boot["rows"], boot["open"], boot["waiting"]) == (True, 7, 1, 1)
        assert boot["bytes"] > 0
        assert 0 < found["disk_free"] <= 1
        assert 0 < boot["lag_s"] < 60
        assert found["lag_s"] == boot["lag_s"]
        assert "the recorder does not run" in desk.sekisho("status").stdout
    finally:
        journal.close()
    [boot] = json.loads(desk.sekisho("status", "--json").stdout)["journal"]
    assert (boot["alive"], boot["open"], boot["waiting"]) == (False, 0, 2)


# -- token ------------------------------------------------------------------------------------------------------------


def test_a_minted_token_stands_alone_on_stdout(desk: Desk) -> None:
    done = desk.run("token", "mint", "--email", "ann@example.com", "--days", "1", "--group", "eng", "--group", "ml")
    assert done.returncode == 0
    [token] = done.stdout.decode().splitlines()
    assert token.count(".") == 2
    assert token.encode() not in done.stderr
    assert b"ann@example.com" in done.stderr


@pytest.fixture
def gateway(desk: Desk) -> Desk:
    desk.config.write_text(
        f"profile: gateway\ndata_dir: {desk.data_dir}\nidentity:\n  domains: [example.com]\n"
        "  issuers: [{name: own, kind: own_token}]\n",
        encoding="utf-8",
    )
    return desk


def test_mint_warns_of_a_domain_that_is_not_admitted(gateway: Desk) -> None:
    said = gateway.sekisho("token", "mint", "--email", "eve@evil.example", "--days", "1")
    assert said.exit_code == 0
    assert "evil.example is not under identity.domains" in said.stderr


def test_a_minted_token_is_explained(gateway: Desk) -> None:
    token = gateway.sekisho("token", "mint", "--email", "ann@example.com", "--days", "1").stdout
    environment = {"SEKISHO_CONFIG": str(gateway.config)}
    good = CliRunner().invoke(app, ["token", "explain"], input=token, env=environment)
    assert good.exit_code == 0, good.output
    assert "passes as ann@example.com" in good.stdout
    assert token.strip() not in good.output
    bad = CliRunner().invoke(app, ["token", "explain"], input="eyJ.a.b", env=environment)
    assert bad.exit_code == 1
    assert CliRunner().invoke(app, ["token", "explain"], input="", env=environment).exit_code == 2


def test_the_public_keys_are_a_jwk_set_without_the_private_half(gateway: Desk) -> None:
    assert json.loads(gateway.sekisho("token", "keys").stdout) == {"keys": []}
    gateway.sekisho("token", "mint", "--email", "ann@example.com", "--days", "1")
    [first] = json.loads(gateway.sekisho("token", "keys").stdout)["keys"]
    assert (first["kty"], first["crv"], "d" in first) == ("OKP", "Ed25519", False)
    kid = gateway.sekisho("token", "rotate").stdout.strip()
    keys = json.loads(gateway.sekisho("token", "keys").stdout)["keys"]
    assert [key["kid"] for key in keys] == [kid, first["kid"]]
    gateway.sekisho("token", "rotate", "--drop-old")
    assert len(json.loads(gateway.sekisho("token", "keys").stdout)["keys"]) == 1


def test_verify_says_that_the_chain_holds_and_which_heads_match(desk: Desk) -> None:
    desk.store(*(record({"model": "m"}, {"n": i}) for i in range(3)))
    done = desk.sekisho("verify")

    assert done.exit_code == 0
    assert "The chain holds over 3 records, seq 1 to 3." in done.stdout


def test_verify_names_the_first_record_that_was_altered_and_exits_1(desk: Desk) -> None:
    desk.store(*(record({"model": "m"}, {"n": i}) for i in range(3)))
    connection = sqlite3.connect(desk.data_dir / "audit.db")
    connection.execute("update exchange set email = 'eve@example.com' where seq = 2")
    connection.commit()
    connection.close()
    done = desk.sekisho("verify", "--json")

    assert done.exit_code == 1
    assert "record 2 was altered" in json.loads(done.stdout)["broken"]


def test_verify_refuses_heads_that_are_not_signed(desk: Desk) -> None:
    desk.store(record({"model": "m"}, {}))
    (desk.folder / "heads").write_text("sekisho/1 gw-1 1 s1:0 2026-11-24T00:00:00+00:00 AAAA\n")
    done = desk.sekisho("verify", "--heads", str(desk.folder / "heads"), "--key", "A" * 43 + "=")

    assert done.exit_code == 1
    assert "signature that does not verify" in done.stdout


def test_explain_lets_subdomains_pass_where_the_gate_does(gateway: Desk) -> None:
    token = gateway.sekisho("token", "mint", "--email", "ann@eu.example.com", "--days", "1").stdout.split()[-1]
    environment = {"SEKISHO_CONFIG": str(gateway.config)}
    refused = CliRunner().invoke(app, ["token", "explain"], input=token, env=environment)
    assert (refused.exit_code, "domain_not_allowed" in refused.stdout) == (1, True)
    text = gateway.config.read_text(encoding="utf-8")
    gateway.config.write_text(text.replace("identity:\n", "identity:\n  include_subdomains: true\n"), encoding="utf-8")
    passes = CliRunner().invoke(app, ["token", "explain"], input=token, env=environment)
    assert (passes.exit_code, "passes as ann@eu.example.com" in passes.stdout) == (0, True)


# -- the keys of others -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "command",
    [["export"], ["search", "天気"], ["status"], ["revoked"], ["token", "mint"]],
    ids=lambda command: command[0],
)
def test_whoever_reads_or_administers_the_record_needs_no_providers_key(desk: Desk, command: list[str]) -> None:
    """They sit at another terminal than the service, and it is not for them to have its secrets."""
    desk.config.write_text(
        f"""
profile: gateway
data_dir: {desk.data_dir}
providers:
  openai: {{upstream: https://api.openai.com, api_key: {{env: NOBODY_SET_THIS}}}}
identity:
  domains: [example.com]
  issuers:
    - {{name: own, kind: own_token}}
    - {{name: webui, kind: open_webui, secret: {{env: NOR_THIS}}}}
""",
        encoding="utf-8",
    )
    desk.store(chat("天気は？", "晴れ"))
    words = {
        "revoked": ["identity", "revoked"],
        "token": ["token", "mint", "--email", "ann@example.com", "--days", "1"],
    }
    done = desk.sekisho(*words.get(command[0], command))

    assert "NOBODY_SET_THIS" not in done.stderr
    assert done.exit_code == 0, done.stderr


def test_serving_needs_them(desk: Desk) -> None:
    desk.config.write_text(
        "providers:\n  openai: {upstream: https://api.openai.com, api_key: {env: NOBODY_SET_THIS}}\n", encoding="utf-8"
    )
    for command in ("check", "serve"):
        done = desk.sekisho(command)
        assert done.exit_code == 2
        assert "providers.openai.api_key names the environment variable NOBODY_SET_THIS" in done.stderr
