"""Clients that people use, pointed at Sekisho by their own settings alone."""

import json
import os
import ssl
import subprocess
from pathlib import Path

import pytest

from certificates.bundle import JAVA_PASSWORD, java_store
from tests.clients.answers import message_stream, responses_stream
from tests.clients.programs import HERE, installed, on_path, run
from tests.identities.certificates import authority, server_tls
from tests.journeys.instance import GATEWAY, Instance
from tests.journeys.provider import STREAM, Answer, Provider, completion, streamed

KEY = "sk-client-canary-0815"


def test_the_node_sdk_streams_chat_and_responses(tmp_path: Path, provider: Provider) -> None:
    provider.answer = streamed(["晴れ", "です"])
    with Instance(tmp_path, provider.url) as instance:
        environment = {"OPENAI_BASE_URL": f"{instance.url}/v1", "OPENAI_API_KEY": KEY}
        said = run([installed("node"), HERE / "chat.mjs"], environment, tmp_path)
        (record,) = instance.recorded(1)

    assert said.strip() == "晴れです"
    assert provider.received[0].header("authorization") == f"Bearer {KEY}"
    assert record["end_state"] == "complete"
    assert record["response"]["choices"][0]["message"]["content"] == "晴れです"
    assert "OpenAI/JS" in record["client"]["user_agent"]


def test_the_node_sdk_reads_unstreamed_answers_and_errors(tmp_path: Path, provider: Provider) -> None:
    script = tmp_path / "plain.mjs"
    script.write_text(
        f"""
        import OpenAI from {json.dumps(str(HERE / "node_modules/openai/index.mjs"))};
        const client = new OpenAI({{ maxRetries: 0 }});
        const reply = await client.chat.completions.create({{ model: 'gpt-4o', messages: [] }});
        console.log(reply.choices[0].message.content);
        """,
        encoding="utf-8",
    )
    provider.answer = completion("Hello from afar")
    with Instance(tmp_path, provider.url) as instance:
        environment = {"OPENAI_BASE_URL": f"{instance.url}/v1", "OPENAI_API_KEY": KEY}
        said = run([installed("node"), script], environment, tmp_path)
        (record,) = instance.recorded(1)

    assert said.strip() == "Hello from afar"
    assert record["usage"]["source"] == "provider"


def test_codex_falls_back_from_its_websocket_and_works(tmp_path: Path, provider: Provider) -> None:
    provider.answer = Answer(chunks=responses_stream("Hi from the provider"), fields=STREAM)
    home = tmp_path / "home"
    home.mkdir()
    with Instance(tmp_path, provider.url, more="websockets: refuse\n") as instance:
        base_url = f'openai_base_url="{instance.url}/v1"'
        said = run(
            [installed("codex"), "exec", "--skip-git-repo-check", "-c", base_url, "say hi"],
            {"OPENAI_API_KEY": KEY},
            home,
        )
        records = instance.recorded(2)
        instance.wait_until(lambda: any(r["end_state"] == "complete" for r in instance.records()), 8)
        records = instance.records()

    assert "Hi from the provider" in said
    refused = [r for r in records if r["decision"]["code"] == "websocket_not_supported"]
    passed = [r for r in records if r["method"] == "POST" and r["path"] == "/v1/responses"]
    assert refused
    assert passed
    assert passed[0]["end_state"] == "complete"
    assert passed[0]["response"]["output"][0]["content"][0]["text"] == "Hi from the provider"
    assert passed[0]["request"]["stream"] is True
    assert any(r.target == "/v1/responses" and len(r.body) > 10_000 for r in provider.received)


def test_claude_code_works_through_its_prefix(tmp_path: Path, provider: Provider) -> None:
    provider.answer = Answer(chunks=message_stream("Hi from the provider"), fields=STREAM)
    home = tmp_path / "home"
    home.mkdir()
    more = f"providers:\n  openai: {{upstream: '{provider.url}'}}\n  anthropic: {{upstream: '{provider.url}'}}\n"
    with Instance(tmp_path, provider.url, more=more) as instance:
        said = run(
            [installed("claude"), "-p", "say hi"],
            {"IS_SANDBOX": "1", "ANTHROPIC_BASE_URL": f"{instance.url}/anthropic", "ANTHROPIC_API_KEY": KEY,
             "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1"}, home,
        )  # fmt: skip
        instance.wait_until(lambda: any(r["operation"] == "messages" for r in instance.records()), 8)
        records = [r for r in instance.records() if r["operation"] == "messages"]

    assert "Hi from the provider" in said
    assert records[0]["end_state"] == "complete"
    assert records[0]["provider"] == "anthropic"
    assert records[0]["path"] == "/v1/messages"
    assert records[0]["query"] == "beta=true"
    assert records[0]["response"]["content"][0]["text"] == "Hi from the provider"
    assert records[0]["usage"]["input_tokens"] == 10
    posted = [r for r in provider.received if r.method == "POST"]
    assert posted[0].target.startswith("/v1/messages")
    assert posted[0].header("x-api-key") == KEY


@pytest.mark.parametrize("client", ["HttpClient, HTTP/1.1", "HttpURLConnection"])
def test_java_comes_through_a_gateway_with_its_token_for_a_key(tmp_path: Path, provider: Provider, client: str) -> None:
    provider.answer = streamed(["晴れ", "です"])
    command: list[str | Path] = [on_path("java", "default-jdk-headless"), HERE / "Chat.java", client]
    with Instance(tmp_path, provider.url, profile="gateway", more=GATEWAY) as instance:
        token = instance.mint("ann@example.com")
        said = run(command, {"OPENAI_BASE_URL": f"{instance.url}/v1", "OPENAI_API_KEY": token}, tmp_path)
        (record,) = instance.recorded(1)
    assert said.strip() == "晴れです"
    assert (record["principal"]["email"], record["end_state"]) == ("ann@example.com", "complete")


def test_javas_wish_for_http2_is_refused_in_plain_http_with_what_to_do(tmp_path: Path, provider: Provider) -> None:
    command = [on_path("java", "default-jdk-headless"), str(HERE / "Chat.java"), "HttpClient"]
    with Instance(tmp_path, provider.url, profile="gateway", more=GATEWAY) as instance:
        environment = {"OPENAI_BASE_URL": f"{instance.url}/v1", "OPENAI_API_KEY": instance.mint("ann@example.com")}
        done = subprocess.run(
            command, env={**os.environ, **environment}, capture_output=True, text=True, timeout=90, check=False
        )
        (record,) = instance.recorded(1)
    assert "400" in done.stderr
    assert "version(HTTP_1_1)" in done.stderr
    assert record["decision"]["code"] == "upgrade_not_allowed"
    assert provider.received == []


def test_java_speaks_to_a_gateway_over_tls_as_it_is(tmp_path: Path, provider: Provider) -> None:
    provider.answer = streamed(["晴れ", "です"])
    command: list[str | Path] = [on_path("java", "default-jdk-headless"), HERE / "Chat.java", "HttpClient"]
    trusted = tmp_path / "trust.p12"
    trusted.write_bytes(java_store([ssl.PEM_cert_to_DER_cert(authority(tmp_path).read_text())]))
    server_tls(tmp_path, "localhost")
    with Instance(
        tmp_path, provider.url, profile="gateway", more=GATEWAY, tls=tmp_path / "localhost.pem"
    ) as instance:  # fmt: skip
        options = f"-Djavax.net.ssl.trustStore={trusted} -Djavax.net.ssl.trustStorePassword={JAVA_PASSWORD}"
        token = instance.mint("ann@example.com")
        environment = {"OPENAI_BASE_URL": f"{instance.url}/v1", "OPENAI_API_KEY": token, "JAVA_TOOL_OPTIONS": options}
        said = run(command, environment, tmp_path)
        (record,) = instance.recorded(1)
    assert said.strip() == "晴れです"
    assert record["principal"]["email"] == "ann@example.com"
