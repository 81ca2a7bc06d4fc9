import os
import sys
import time
from pathlib import Path

import pytest
from pydantic import ValidationError
from ruamel.yaml import YAML

from settings.credentials import ProviderCredentials
from settings.secrets import ProviderSecret

UUID = "6a1d1c5e-0f8e-4c4f-9f1e-3a8f2f0d9b11"
EXCHANGE = "{kind: token_exchange, token_url: 'https://auth.example/token', subject_token: {file: /var/token}}"


def read(text: str) -> ProviderCredentials:
    return ProviderCredentials.model_validate(YAML(typ="safe", pure=True).load(text))


def problems(text: str) -> str:
    with pytest.raises(ValidationError) as raised:
        read(text)
    return "\n".join(f"{'.'.join(map(str, e['loc']))} {e['msg']}" for e in raised.value.errors())


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        "api_key: {env: OPENAI_API_KEY}",
        "api_key: {file: /run/secrets/openai}",
        "api_key: {command: [vault, read, -field=key, secret/openai], every: 10 m}",
        "keys: [{label: one, secret: {env: A}}, {label: two, secret: {env: B}, from: 2027-01-31T09:00:00Z}]",
        "keys: [{label: one, secret: {env: A}, domains: [a.example]}, {label: two, secret: {env: B}, rules: research}]",
        f"auth: {EXCHANGE}",
        f"auth: {EXCHANGE[:-1]}, body: json, parameters: {{identity_provider_id: idp_1, service_account_id: sa_1}}}}",
        "auth: {kind: aws_sigv4, region: eu-central-1}",
        "auth: {kind: aws_sigv4, region: us-gov-west-1, access_key_id: {env: A}, secret_access_key: {env: B}}",
        "auth: {kind: entra}",
        f"auth: {{kind: entra, tenant: {UUID}, client_id: {UUID}, client_secret: {{env: A}}}}",
        f"auth: {{kind: entra, tenant: {UUID}, client_id: {UUID}, token_file: /var/run/secrets/azure/tokens/token}}",
        "auth: {kind: google}",
        "auth: {kind: google, scopes: [https://www.googleapis.com/auth/cloud-platform], quota_project: my-project}",
    ],
)
def test_each_way_may_be_written_like_this(text: str) -> None:
    read(text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{api_key: {env: A}, keys: [{label: a, secret: {env: B}}]}", "has api_key and keys. Keep one"),
        ("keys: [{label: a, secret: {env: B}}, {label: a, secret: {env: C}, from: 2027-01-01}]", "labelled a"),
        ("keys: [{label: a, secret: {env: B}}, {label: b, secret: {env: C}}]", "Give the newer one a `from`"),
        ("keys: [{label: a b, secret: {env: B}}]", "keys.0.label"),
        ("keys: [{label: a}]", "keys.0.secret Field required"),
        ("keys: [{label: a, secret: {env: B}, from: soon}]", "keys.0.from"),
        ("keys: [{label: a, secret: {env: B}, from: 7}]", "2027-01-31T09:00:00Z"),
        ("keys: [{label: a, secret: {env: B}, starts: 2027-01-01}]", "keys.0.starts Extra inputs"),
        ("keys: [{label: a, secret: {env: B}, domains: [Example.com]}]", "Write it in lower case"),
        ("api_key: {}", "exactly one of env, file and command"),
        ("api_key: {env: A, file: /b}", "exactly one of env, file and command"),
        ("api_key: {command: []}", "api_key.command"),
        ("api_key: {file: /b, every: 10 s}", "Take it out"),
        ("{api_key: {env: A}, auth: {kind: google}}", "has api_key and auth. Keep one"),
        ("auth: {kind: magic}", "does not match any of the expected tags"),
        ("auth: {kind: token_exchange, token_url: 'https://auth.example/token'}", "subject_token Field required"),
        (f"auth: {EXCHANGE.replace('https', 'http')}", "plain http://"),
        (f"auth: {EXCHANGE[:-1]}, parameters: {{grant_type: x}}}}", "has grant_type among its parameters"),
        (
            "auth: {kind: token_exchange, token_url: 'https://a.example', subject_token: {command: [x], every: 1 m}}",
            "read whenever a new token is got",
        ),
        ("auth: {kind: aws_sigv4}", "region Field required"),
        ("auth: {kind: aws_sigv4, region: somewhere}", "Write it as in eu-central-1"),
        ("auth: {kind: aws_sigv4, region: eu-west-1, access_key_id: {env: A}}", "both access_key_id and secret"),
        ("auth: {kind: aws_sigv4, region: eu-west-1, session_token: {env: A}}", "without the key pair"),
        ("auth: {kind: entra, client_secret: {env: A}}", "needs tenant and client_id"),
        (f"auth: {{kind: entra, tenant: {UUID}}}", "neither client_secret nor token_file"),
        ("auth: {kind: entra, tenant: common, client_id: x}", "Write it as in 6a1d1c5e"),
        ("auth: {kind: google, scopes: []}", "auth.google.scopes"),
    ],
)
def test_what_cannot_work_is_said_by_path_with_the_remedy(text: str, words: str) -> None:
    assert words in problems(text)


@pytest.mark.parametrize(
    "text",
    [
        "api_key: sk-inline-canary",
        "keys: [{label: a, secret: sk-inline-canary}]",
        f"auth: {{kind: entra, tenant: {UUID}, client_id: {UUID}, client_secret: sk-inline-canary}}",
        "auth: {kind: aws_sigv4, region: eu-west-1, access_key_id: sk-inline-canary, secret_access_key: {env: B}}",
    ],
)
def test_a_secret_in_the_settings_is_refused_and_not_echoed(text: str) -> None:
    said = problems(text)

    assert "{env: NAME}" in said
    assert "sk-inline-canary" not in said


@pytest.mark.parametrize(
    ("written", "hour"),
    [("2027-01-31T09:00:00Z", 9), ("2027-01-31T09:00:00+09:00", 0), ("2027-01-31", 0), ("'2027-01-31T09:00:00Z'", 9)],
)
def test_a_start_is_a_moment_whatever_yaml_makes_of_it(written: str, hour: int) -> None:
    (key,) = read(f"keys: [{{label: a, secret: {{env: B}}, from: {written}}}]").keys

    assert key.starts is not None
    assert key.starts.timestamp() == 1801353600 + hour * 3600


def test_what_this_machine_lacks_is_said_by_path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("NOT_SET_HERE", raising=False)
    open_to_all = tmp_path / "open"
    open_to_all.write_text("sk-x")
    open_to_all.chmod(0o666)
    asked = read(
        "keys: [{label: a, secret: {env: NOT_SET_HERE}},"
        f" {{label: b, secret: {{file: {open_to_all}}}, rules: [r]}},"
        " {label: c, secret: {command: [/not/here, x]}, rules: [s]}]"
    ).problems()

    assert [said.split(" ")[0] for said in asked] == ["keys[0].secret", "keys[1].secret", "keys[2].secret"]
    assert "chmod o-w" in asked[1]
    assert "/not/here" in asked[2]


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    (said,) = read(f"auth: {{kind: google, credentials_file: {tmp_path}/none.json}}").problems()

    assert said == f"auth.credentials_file names the file {tmp_path}/none.json, which is not there"


@pytest.mark.parametrize(
    ("auth", "remedy"),
    [
        ("{kind: aws_sigv4, region: eu-west-1}", "pip install 'sekisho[aws]'"),
        ("{kind: entra}", "pip install 'sekisho[azure]'"),
        ("{kind: google}", "pip install 'sekisho[google]'"),
    ],
)
def test_a_library_that_is_missing_is_said_with_its_remedy(
    auth: str, remedy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    (said,) = read(f"auth: {auth}").problems()

    assert remedy in said
    assert said.startswith("auth ")


def secret(*command: str) -> ProviderSecret:
    return ProviderSecret.model_validate({"command": list(command)})


def test_a_program_prints_the_secret() -> None:
    assert secret(sys.executable, "-c", "print('sk-from-a-program')").read() == "sk-from-a-program"


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("raise SystemExit(3)", "ended with status 3"),
        ("pass", "printed nothing"),
        ("import sys; sys.stdout.buffer.write(bytes([255, 254]))", "not text"),
        ("print('x' * 100_000)", "more than 65536 bytes"),
        ("print('sk-canary'); raise SystemExit(1)", "ended with status 1"),
    ],
)
def test_a_program_that_fails_is_named_and_what_it_printed_is_not(code: str, words: str) -> None:
    with pytest.raises(ValueError, match=words) as raised:
        secret(sys.executable, "-c", code).read()

    assert "sk-canary" not in str(raised.value)


def test_a_program_that_hangs_is_ended_with_all_it_started(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("settings.program.TIME_S", 1.5)
    child = "import os, time; print(os.getpid(), flush=True); time.sleep(60)"
    code = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}], stdout=open(sys.argv[1], 'w'))"
    began = time.monotonic()

    with pytest.raises(ValueError, match=r"took longer than 1\.5 s"):
        secret(sys.executable, "-c", code, str(tmp_path / "pid")).read()

    assert time.monotonic() - began < 15
    pid = int((tmp_path / "pid").read_text())
    for _ in range(200):
        if _is_gone(pid):
            return
        time.sleep(0.02)
    pytest.fail("its child still runs")


def _is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        return b") Z " in Path(f"/proc/{pid}/stat").read_bytes()
    except (ProcessLookupError, FileNotFoundError):
        return True
