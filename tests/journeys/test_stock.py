"""The addons are ordinary mitmproxy addons: stock mitmdump and mitmweb decide and record just the same."""

import contextlib
import json
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from tests.journeys.instance import GATEWAY, ROOT, Instance
from tests.journeys.provider import Provider, completion, failure, streamed
from tests.ports import free_port

TOOLS = Path(sys.executable).parent


@contextlib.contextmanager
def stock(instance: Instance, tool: str, spec: str) -> Iterator[int]:
    """This tool with our addons and this instance's settings; gives the port it listens on."""
    port = free_port()
    web = ["--no-web-open-browser", "--web-port", str(free_port())] if tool == "mitmweb" else []
    log = instance.log.open("wb")
    process = subprocess.Popen(
        [TOOLS / tool, *web, "--mode", spec, "--listen-host", "127.0.0.1", "-p", str(port), "--set",
         f"confdir={instance.folder}/mitm", "-s", "run_proxy.py"],
        cwd=ROOT, env={**instance.environment, "SEKISHO_CONFIG": str(instance.config)},
        stdout=log, stderr=subprocess.STDOUT,
    )  # fmt: skip
    log.close()
    try:
        instance.wait_until(lambda: _listens(port, process), 30)
        yield port
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(20)


@pytest.mark.parametrize("tool", ["mitmdump", "mitmweb"])
@pytest.mark.parametrize("mode", ["reverse", "regular"])
def test_stock_mitmproxy_records_like_sekisho(tmp_path: Path, provider: Provider, tool: str, mode: str) -> None:
    provider.answer = streamed(["Hi", " there"])
    instance = Instance(tmp_path, provider.url)
    spec = f"reverse:{provider.url}" if mode == "reverse" else "regular"
    with stock(instance, tool, spec) as port:
        body = {"model": "gpt-4o", "stream": True, "messages": [{"role": "user", "content": "こんにちは"}]}
        via = {"proxy": f"http://127.0.0.1:{port}"} if mode == "regular" else {}
        base = provider.url if mode == "regular" else f"http://127.0.0.1:{port}"
        with httpx2.Client(**via, trust_env=False) as client:  # type: ignore[arg-type] # a proxy or none
            answer = client.post(f"{base}/v1/chat/completions", json=body)
        (record,) = instance.recorded(1)

    assert answer.content == b"".join(streamed(["Hi", " there"]).chunks)
    assert json.loads(provider.received[0].body) == body
    assert record["end_state"] == "complete"
    assert record["response"]["choices"][0]["message"]["content"] == "Hi there"
    assert record["client"]["mode"] == ("reverse" if mode == "reverse" else "forward")
    assert record["provider"] == "openai"


def test_a_call_that_met_a_401_keeps_it_and_the_next_one_has_the_next_key(tmp_path: Path, provider: Provider) -> None:
    keys = ""
    for label in ("old", "new"):
        (tmp_path / label).write_text(f"sk-{label}-canary")
        year = {"old": 2025, "new": 2026}[label]
        keys += f"\n      - {{label: {label}, secret: {{file: {tmp_path}/{label}}}, from: {year}-01-01}}"
    refused, passes = failure(401, "invalid_api_key"), completion()
    provider.choose = lambda got: refused if got.header("authorization") == "Bearer sk-new-canary" else passes
    instance = Instance(
        tmp_path, provider.url, more=f"providers:\n  openai:\n    upstream: '{provider.url}'\n    keys:{keys}\n"
    )
    with stock(instance, "mitmdump", f"reverse:{provider.url}") as port:
        url = f"http://127.0.0.1:{port}/v1/chat/completions"
        statuses = [httpx2.post(url, json={"model": "gpt-4o", "messages": []}).status_code for _ in range(3)]

    assert statuses == [401, 200, 200]


def test_the_gateway_profile_refuses_to_run_inside_stock_mitmproxy(tmp_path: Path, provider: Provider) -> None:
    instance, port = Instance(tmp_path, provider.url, profile="gateway", more=GATEWAY), free_port()
    done = subprocess.run(
        [TOOLS / "mitmdump", "--mode", f"reverse:{provider.url}", "-p", str(port), "-s", "run_proxy.py"],
        cwd=ROOT, env={**instance.environment, "SEKISHO_CONFIG": str(instance.config)},
        capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip

    assert done.returncode == 2
    assert "would leave the proxy open to everybody" in done.stderr


def _listens(port: int, process: "subprocess.Popen[bytes]") -> bool:
    assert process.poll() is None
    try:
        socket.create_connection(("127.0.0.1", port), 0.2).close()
    except OSError:
        return False
    return True


def test_sekisho_serves_inside_mitmweb_which_shows_conversations(tmp_path: Path, provider: Provider) -> None:
    provider.answer = streamed(["晴れ", "です"])
    instance, web = Instance(tmp_path, provider.url), free_port()
    command = [sys.executable, "run_proxy.py", "serve", "--config", str(instance.config), "--ui", "mitmweb",
               "--ui-port", str(web), "--no-browse"]  # fmt: skip
    with instance.log.open("wb") as log:
        process = subprocess.Popen(
            command, cwd=ROOT, env=instance.environment, stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL
        )
    try:
        instance.wait_until(lambda: _listens(instance.port, process) and _listens(web, process), 60)
        body = {"model": "gpt-4o", "stream": True, "messages": [{"role": "user", "content": "東京の天気は？"}]}
        httpx2.post(f"{instance.url}/v1/chat/completions", json=body)
        (record,) = instance.recorded(1)
        token = re.search(r"\?token=([0-9a-f]+)", instance.log.read_text("utf-8"))
        assert token is not None
        with httpx2.Client(base_url=f"http://127.0.0.1:{web}", trust_env=False) as page:
            page.get(f"/?token={token[1]}")
            (flow,) = page.get("/flows").json()
            said = [page.get(f"/flows/{flow['id']}/{side}/content/auto").json() for side in ("request", "response")]
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(20)

    assert record["response"]["choices"][0]["message"]["content"] == "晴れです"
    assert [each["view_name"] for each in said] == ["Conversation", "Conversation"]
    assert "東京の天気は？" in said[0]["text"]
    assert "晴れです" in said[1]["text"]


def test_a_gateway_is_not_served_inside_mitmweb(tmp_path: Path, provider: Provider) -> None:
    instance = Instance(tmp_path, provider.url, profile="gateway", more=GATEWAY)
    done = instance.sekisho("serve", "--ui", "mitmweb")
    assert done.returncode == 2
    assert "local profile" in done.stderr
