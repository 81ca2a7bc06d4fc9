"""Clients that people use, through the forward mode, by variables of their environment alone."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.clients.answers import message_stream, responses_stream
from tests.clients.programs import GO_CACHE, HERE, installed, on_path, run
from tests.journeys.forwarding import HOST, ForwardInstance
from tests.journeys.instance import GATEWAY, PROVIDER_KEY
from tests.journeys.provider import STREAM, Answer, Provider, completion, streamed

KEY = "sk-client-canary-0815"
ANTHROPIC = "api.anthropic.com"
MORE = GATEWAY.replace('models: ["gpt-4o*"], operations: [chat, responses]', "operations: [chat, responses, messages]")
CLOSED = "hosts: {services: block, unknown: block}\n"
"""Nothing but providers: no test is to look for the Internet."""


class Gate(ForwardInstance):
    """A gateway with both providers, and the environment of a person's machine."""

    def __init__(self, folder: Path, provider: Provider) -> None:
        anthropic = (
            f"  anthropic: {{upstream: '{provider.url}', hosts: [{ANTHROPIC}], api_key: {{env: JOURNEY_KEY}}}}\n"
        )
        super().__init__(folder, provider.url, profile="gateway", more=MORE + CLOSED, providers=anthropic)

    def environment_of(self, email: str) -> dict[str, str]:
        """What `sekisho env` tells somebody who has named their token, and the token."""
        self.environment["SEKISHO_TOKEN"] = token = self.mint(email)
        told = self.sekisho("env", "--mode", "forward", "--shell", "json")
        assert told.returncode == 0, told.stderr
        return {**json.loads(told.stdout)["variables"], "SEKISHO_TOKEN": token}

    def operation(self, name: str) -> dict[str, Any]:
        """The first record of this operation that ended whole."""
        found: list[dict[str, Any]] = []

        def there() -> bool:
            found[:] = [r for r in self.records() if r["operation"] == name and r["end_state"] == "complete"]
            return bool(found)

        self.wait_until(there)
        return found[0]


def of_ann(record: dict[str, Any], provider: Provider) -> None:
    assert record["principal"]["email"] == "ann@example.com"
    assert record["client"]["mode"] == "forward"
    assert PROVIDER_KEY.encode() in b"".join(provider.raw)
    assert KEY.encode() not in b"".join(provider.raw)


def test_curl(tmp_path: Path, provider: Provider) -> None:
    curl = on_path("curl", "curl")
    provider.answer = completion("Hello from afar")
    with Gate(tmp_path, provider) as instance:
        environment = instance.environment_of("ann@example.com")
        for more in (["--http1.1"], ["--http2"]):
            said = run(
                [curl, "-sS", *more, "--cacert", str(instance.authority), f"https://{HOST}/v1/chat/completions",
                 "-H", f"Authorization: Bearer {KEY}", "-H", "Content-Type: application/json",
                 "-d", '{"model":"gpt-4o","messages":[]}'],
                environment, tmp_path,
            )  # fmt: skip
            assert json.loads(said)["choices"][0]["message"]["content"] == "Hello from afar"
        of_ann(instance.operation("chat"), provider)


def test_the_python_sdk_by_its_environment_alone(tmp_path: Path, provider: Provider) -> None:
    provider.answer = streamed(["晴れ", "です"])
    script = tmp_path / "chat.py"
    script.write_text(
        "import openai\n"
        "said = openai.OpenAI(max_retries=0).chat.completions.create(model='gpt-4o', messages=[], stream=True)\n"
        "print(''.join(c.choices[0].delta.content or '' for c in said if c.choices))\n",
        encoding="utf-8",
    )
    with Gate(tmp_path, provider) as instance:
        environment = {**instance.environment_of("ann@example.com"), "OPENAI_API_KEY": KEY, "PYTHONUTF8": "1"}
        said = run([sys.executable, script], environment, tmp_path)
        of_ann(instance.operation("chat"), provider)
    assert said.strip() == "晴れです"


def test_the_node_sdk(tmp_path: Path, provider: Provider) -> None:
    """Node's fetch heeds HTTPS_PROXY from version 24 on, or 22.21 with NODE_USE_ENV_PROXY."""
    provider.answer = streamed(["晴れ", "です"])
    with Gate(tmp_path, provider) as instance:
        environment = {**instance.environment_of("ann@example.com"), "OPENAI_API_KEY": KEY}
        said = run([installed("node"), HERE / "chat.mjs"], environment, tmp_path)
        of_ann(instance.operation("chat"), provider)
    assert said.strip() == "晴れです"


def test_go(tmp_path: Path, provider: Provider) -> None:
    provider.answer = streamed(["晴れ", "です"])
    command: list[str | Path] = [on_path("go", "golang-go"), "run", HERE / "chat.go"]
    with Gate(tmp_path, provider) as instance:
        environment = {
            **instance.environment_of("ann@example.com"), "OPENAI_API_KEY": KEY, "GOCACHE": str(GO_CACHE),
        }  # fmt: skip
        said = run(command, environment, tmp_path)
        of_ann(instance.operation("chat"), provider)
    assert said.strip() == "晴れです"


@pytest.mark.parametrize("client", ["HttpClient", "HttpURLConnection"])
def test_java_with_an_authenticator(tmp_path: Path, provider: Provider, client: str) -> None:
    """Java takes no token from its options; its programs say who calls when the proxy asks."""
    provider.answer = streamed(["晴れ", "です"])
    command: list[str | Path] = [on_path("java", "default-jdk-headless"), HERE / "Chat.java", client]
    with Gate(tmp_path, provider) as instance:
        environment = {**instance.environment_of("ann@example.com"), "OPENAI_API_KEY": KEY}
        said = run(command, environment, tmp_path)
        of_ann(instance.operation("chat"), provider)
    assert said.strip() == "晴れです"


def test_java_shows_a_proxy_no_token_where_it_is_not_allowed_to(tmp_path: Path, provider: Provider) -> None:
    """Why `sekisho env` says more to Java where a token is named."""
    command = [on_path("java", "default-jdk-headless"), str(HERE / "Chat.java"), "HttpClient"]
    with Gate(tmp_path, provider) as instance:
        environment = instance.environment_of("ann@example.com")
        options = environment["JAVA_TOOL_OPTIONS"].replace("-Djdk.http.auth.tunneling.disabledSchemes=", "")
        done = subprocess.run(
            command, env={**os.environ, **environment, "JAVA_TOOL_OPTIONS": options},
            capture_output=True, text=True, timeout=90, check=False,
        )  # fmt: skip
    assert "407" in done.stderr
    assert provider.received == []


def test_codex(tmp_path: Path, provider: Provider) -> None:
    provider.answer = Answer(chunks=responses_stream("Hi from the provider"), fields=STREAM)
    home = tmp_path / "home"
    home.mkdir()
    with Gate(tmp_path, provider) as instance:
        environment = {**instance.environment_of("ann@example.com"), "OPENAI_API_KEY": KEY}
        said = run([installed("codex"), "exec", "--skip-git-repo-check", "say hi"], environment, home)
        record = instance.operation("responses")
        of_ann(record, provider)
        instance.wait_until(lambda: any(row["why"].get("blocked") for row in instance.coverage()))
        unread = instance.coverage()
    assert "Hi from the provider" in said
    assert record["response"]["output"][0]["content"][0]["text"] == "Hi from the provider"
    assert {row["service"] for row in unread} == {"OpenAI"}, "its telemetry, which is not read"
    assert any(row["host"].endswith("chatgpt.com") and row["people"] == 1 for row in unread)


def test_claude_code(tmp_path: Path, provider: Provider) -> None:
    provider.answer = Answer(chunks=message_stream("Hi from the provider"), fields=STREAM)
    home = tmp_path / "home"
    home.mkdir()
    with Gate(tmp_path, provider) as instance:
        environment = {**instance.environment_of("ann@example.com"), "IS_SANDBOX": "1", "ANTHROPIC_API_KEY": KEY}
        said = run([installed("claude"), "-p", "say hi"], environment, home)
        record = instance.operation("messages")
        of_ann(record, provider)
    assert "Hi from the provider" in said
    assert record["provider"] == "anthropic"
    assert record["response"]["content"][0]["text"] == "Hi from the provider"
