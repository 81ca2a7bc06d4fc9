"""`sekisho env`: what it prints, a real shell takes, and a real client comes through with."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from cli.clients.variables import CLIENTS, VALUES
from cli.serve import announce
from settings.reading import parse_settings
from tests.cli.conftest import Desk

FORWARD = "listen: [{address: '127.0.0.1:8080'}, {address: '0.0.0.0:3128', mode: forward}]\n"


def printed(desk: Desk, *arguments: str, **more: str) -> dict[str, str]:
    done = desk.sekisho("env", "--shell", "json", *arguments, **more)
    assert done.exit_code == 0, done.stderr
    found: dict[str, str] = json.loads(done.stdout)["variables"]
    return found


def forward(desk: Desk, more: str = "") -> Desk:
    desk.config.write_text(f"data_dir: {desk.data_dir}\n{FORWARD}{more}", encoding="utf-8")
    return desk


def test_every_client_and_every_variable_of_the_tables_belongs_to_the_other() -> None:
    named = {name for client in CLIENTS.values() for name in (*client.reverse, *client.forward)}
    assert named == set(VALUES)


def test_in_reverse_mode_each_provider_has_its_base_address(desk: Desk) -> None:
    assert printed(desk, "python") == {
        "OPENAI_BASE_URL": "http://127.0.0.1:8080/v1",
        "ANTHROPIC_BASE_URL": "http://127.0.0.1:8080/anthropic",
        "GOOGLE_GEMINI_BASE_URL": "http://127.0.0.1:8080/gemini",
    }


def test_a_provider_of_another_name_keeps_its_prefix(desk: Desk) -> None:
    with desk.config.open("a", encoding="utf-8") as file:
        file.write("providers: {claude: {dialect: anthropic, upstream: 'https://api.anthropic.com'},")
        file.write(" groq: {dialect: openai, upstream: 'https://api.groq.com'}}\n")
    assert printed(desk, "python") == {  # the first provider answers without a prefix
        "OPENAI_BASE_URL": "http://127.0.0.1:8080/groq/v1",
        "ANTHROPIC_BASE_URL": "http://127.0.0.1:8080",
    }


def test_in_forward_mode_the_files_it_names_are_there(desk: Desk) -> None:
    found = printed(forward(desk))
    assert found["HTTPS_PROXY"] == "http://127.0.0.1:3128"
    files = {name: Path(value) for name, value in found.items() if value.startswith("/")}
    assert files["SSL_CERT_FILE"].read_bytes().count(b"BEGIN CERTIFICATE") > 1
    assert files["NODE_EXTRA_CA_CERTS"].read_bytes().count(b"BEGIN CERTIFICATE") == 1
    assert all(path.is_file() for path in files.values())
    assert "OPENAI_BASE_URL" not in found


def test_in_transparent_mode_the_ca_is_trusted_and_no_proxy_is_named(desk: Desk) -> None:
    desk.config.write_text(
        f"data_dir: {desk.data_dir}\nlisten: [{{address: '127.0.0.1:8443', mode: transparent}}]\n", encoding="utf-8"
    )
    found = printed(desk)
    assert not [name for name in found if "PROXY" in name.upper()]
    assert "proxy" not in found["JAVA_TOOL_OPTIONS"].lower().replace("mitmproxy", "")
    assert Path(found["SSL_CERT_FILE"]).is_file()


def test_the_token_goes_into_the_proxys_address(desk: Desk) -> None:
    assert (
        printed(forward(desk), "curl", SEKISHO_TOKEN="a/b+c")["HTTPS_PROXY"] == "http://token:a%2Fb%2Bc@127.0.0.1:3128"
    )


@pytest.mark.parametrize("token", ["", "a/b+c"])
def test_java_may_show_a_proxy_its_authenticators_token_and_has_none_in_its_options(desk: Desk, token: str) -> None:
    options = printed(forward(desk), "java", SEKISHO_TOKEN=token)["JAVA_TOOL_OPTIONS"].split()
    assert ("-Djdk.http.auth.tunneling.disabledSchemes=" in options) is bool(token)
    assert "-Dhttps.proxyHost=127.0.0.1" in options
    assert not [each for each in options if "a/b" in each or "a%2Fb" in each]


def test_for_other_machines_it_names_this_one_and_where_the_files_are_there(desk: Desk) -> None:
    arguments = ["--host", "sekisho.example.com", "--files", "/etc/sekisho", "--shell", "json", "python"]
    done = forward(desk).sekisho("env", *arguments)
    found = json.loads(done.stdout)["variables"]
    assert found["HTTPS_PROXY"] == "http://sekisho.example.com:3128"
    assert found["SSL_CERT_FILE"] == "/etc/sekisho/bundle.pem"
    assert f"Copy {desk.data_dir}/mitmproxy/mitmproxy-ca-cert.pem, bundle.pem and trust.p12" in done.stderr


@pytest.mark.parametrize("shell", ["bash", "sh", "fish", "pwsh"])
def test_a_shell_takes_what_is_printed(desk: Desk, shell: str, tmp_path: Path) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    awkward = tmp_path / "it's a $HOME `dir`"
    desk.config.write_text(f'data_dir: "{awkward}"\n{FORWARD}', encoding="utf-8")
    kind = {"sh": "bash", "pwsh": "powershell"}.get(shell, shell)
    done = desk.sekisho("env", "--shell", kind)
    assert done.exit_code == 0, done.stderr
    script = tmp_path / "script"
    script.write_text(f"{done.stdout}\nenv\n", encoding="utf-8")
    ran = subprocess.run([shell, script], capture_output=True, text=True, timeout=60, check=True)
    assert f"SSL_CERT_FILE={awkward}/mitmproxy/bundle.pem" in ran.stdout
    assert ran.stderr == ""


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nobody"], "No client is called nobody. There are: python, node"),
        (["--mode", "forward"], "No listener has mode"),
    ],
)
def test_what_cannot_be_had_is_said(desk: Desk, arguments: list[str], said: str) -> None:
    done = desk.sekisho("env", *arguments)
    assert (done.exit_code, said in done.stderr) == (2, True), done.stderr


@pytest.mark.parametrize(
    ("listen", "said"),
    [
        ("[::1]:8080", "Sekisho stands at http://[::1]:8080 (local profile"),
        ("0.0.0.0:8080", "export OPENAI_BASE_URL=http://127.0.0.1:8080/v1"),
        ("[{address: '127.0.0.1:3128', mode: forward}]", "Sekisho stands at http://127.0.0.1:3128 (forward) (local"),
        ("[{address: '127.0.0.1:3128', mode: forward}]", 'sekisho env --config its.yaml)"'),
    ],
)
def test_at_the_start_it_is_said_how_to_come_through(
    capsys: pytest.CaptureFixture[str], listen: str, said: str
) -> None:
    announce(parse_settings(f"listen: {listen!r}\n" if "{" not in listen else f"listen: {listen}\n"), Path("its.yaml"))
    assert said in capsys.readouterr().err


def test_a_gateway_without_a_ca_says_how_to_make_it(desk: Desk) -> None:
    gateway = "profile: gateway\nidentity: {domains: [example.com], issuers: [{name: own, kind: own_token}]}\n"
    done = forward(desk, gateway).sekisho("env")
    assert (done.exit_code, "Make one: sekisho ca init" in done.stderr) == (1, True), done.stderr
