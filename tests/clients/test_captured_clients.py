"""Clients that people use, unmodified, under `sekisho run`: each by the variables of `sekisho env` alone, either way.

Those of PyPI that are no dependency of ours are asked where $SEKISHO_TEST_CLIENTS names a virtual environment with
them: `python -m venv V && V/bin/pip install llm litellm langchain-openai langchain-anthropic aider-chat`.
"""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.clients.test_reverse_clients import BIN, HERE, installed, message_stream, responses_stream
from tests.journeys.instance import ROOT
from tests.journeys.provider import STREAM, Answer, Provider, completion, streamed

KEY = "sk-client-canary-1207"
SAID = "晴れです"

_CHAT = """
import openai
asked = [{"role": "user", "content": "x"}]
reply = openai.OpenAI(max_retries=0).chat.completions.create(model="gpt-4o", messages=asked)
print(reply.choices[0].message.content)
"""
_MESSAGES = """
import anthropic
asked = [{"role": "user", "content": "x"}]
messages = anthropic.Anthropic(max_retries=0).messages
with messages.stream(model="claude-sonnet-4-5", max_tokens=9, messages=asked) as reply:
    print("".join(reply.text_stream))
"""
_REQUESTS = """
import os, requests
base = os.environ.get("OPENAI_BASE_URL", "https://api.openai.com/v1")
reply = requests.post(f"{base}/chat/completions", json={"model": "gpt-4o", "messages": []}, timeout=60,
                      headers={"Authorization": f"Bearer {os.environ['OPENAI_API_KEY']}"})
print(reply.json()["choices"][0]["message"]["content"])
"""
_NODE = f"""
import OpenAI from {json.dumps(str(HERE / "node_modules/openai/index.mjs"))};
const reply = await new OpenAI({{ maxRetries: 0 }}).chat.completions.create({{ model: 'gpt-4o', messages: [] }});
console.log(reply.choices[0].message.content);
"""
_GEMINI = """
from google import genai
client = genai.Client()
print(client.models.generate_content(model="gemini-2.5-flash", contents="x").text)
"""
_LITELLM = """
import litellm, sys
reply = litellm.completion(sys.argv[1], [{"role": "user", "content": "x"}])
print(reply.choices[0].message.content)
"""
_LANGCHAIN = """
from langchain_openai import ChatOpenAI
print(ChatOpenAI(model="gpt-4o", max_retries=0).invoke("x").content)
"""


@dataclass(frozen=True)
class Case:
    """A client, what it is given, how the provider answers it, and what is on record afterwards."""

    command: Callable[[], list[str]]
    answer: Callable[[], Answer]
    operation: str = "chat"
    modes: tuple[str, ...] = ("reverse", "forward")


def _python(code: str) -> Callable[[], list[str]]:
    return lambda: [sys.executable, "-c", code]


def _of_pypi(program: str, *arguments: str) -> Callable[[], list[str]]:
    def command() -> list[str]:
        folder = os.environ.get("SEKISHO_TEST_CLIENTS")
        if folder is None or not (Path(folder) / "bin" / program).exists():
            pytest.skip(f"{program} is not in $SEKISHO_TEST_CLIENTS")
        return [str(Path(folder) / "bin" / program), *arguments]

    return command


def _codex() -> list[str]:
    """In reverse mode Codex is told the address by its settings, as `sekisho env` says."""
    codex = f"{installed('codex')} exec --skip-git-repo-check"
    return ["sh", "-c", f'exec {codex} ${{OPENAI_BASE_URL:+-c openai_base_url="$OPENAI_BASE_URL"}} "say hi"']


def _curl() -> list[str]:
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    return ["curl", "-sS", "https://api.openai.com/v1/chat/completions", "-H", f"Authorization: Bearer {KEY}",
            "-H", "Content-Type: application/json", "-d", '{"model":"gpt-4o","messages":[]}']  # fmt: skip


def _gemini() -> list[str]:
    if importlib.util.find_spec("google.genai") is None:
        pytest.skip("google-genai is not installed")
    return [sys.executable, "-W", "ignore", "-c", _GEMINI]


def _generated() -> Answer:
    candidate = {"content": {"role": "model", "parts": [{"text": SAID}]}, "finishReason": "STOP", "index": 0}
    usage = {"promptTokenCount": 3, "candidatesTokenCount": 2, "totalTokenCount": 5}
    body = {"candidates": [candidate], "usageMetadata": usage, "modelVersion": "gemini-2.5-flash"}
    return Answer(chunks=[json.dumps(body).encode()])


def _chat() -> Answer:
    return completion(SAID)


def _streamed() -> Answer:
    return streamed([SAID])


def _messages() -> Answer:
    return Answer(chunks=message_stream(SAID), fields=STREAM)


def _message() -> Answer:
    usage = {"input_tokens": 3, "output_tokens": 5}
    content = [{"type": "text", "text": SAID}]
    body = {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-sonnet-4-5", "content": content,
            "stop_reason": "end_turn", "stop_sequence": None, "usage": usage}  # fmt: skip
    return Answer(chunks=[json.dumps(body).encode()])


CASES = {
    "OpenAI SDK for Python": Case(_python(_CHAT), _chat),
    "Anthropic SDK for Python": Case(_python(_MESSAGES), _messages, "messages"),
    "Google Gen AI SDK for Python": Case(_gemini, _generated, "generate_content"),
    "requests": Case(_python(_REQUESTS), _chat),
    "OpenAI SDK for Node": Case(lambda: [str(installed("node")), "--input-type=module", "-e", _NODE], _chat),
    "curl": Case(_curl, _chat, modes=("forward",)),
    "Codex": Case(_codex, lambda: Answer(chunks=responses_stream(SAID), fields=STREAM), "responses"),
    "Claude Code": Case(lambda: [str(installed("claude")), "-p", "say hi"], _messages, "messages"),
    "llm": Case(_of_pypi("llm", "-m", "gpt-4o", "say hi"), _streamed),
    "LiteLLM, OpenAI": Case(_of_pypi("python", "-c", _LITELLM, "gpt-4o"), _chat),
    "LiteLLM, Anthropic": Case(
        _of_pypi("python", "-c", _LITELLM, "anthropic/claude-sonnet-4-5"), _message, "messages"
    ),
    "LangChain": Case(_of_pypi("python", "-c", _LANGCHAIN), _chat),
    "aider": Case(
        _of_pypi("aider", "--model", "openai/gpt-4o", "--no-git", "--yes-always", "--no-check-update", "--no-analytics",
                 "--no-show-model-warnings", "--no-pretty", "--message", "say hi"), _streamed,
    ),
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "mode"), [(name, mode) for name, case in CASES.items() for mode in case.modes]
)  # fmt: skip
def test_it_works_and_is_on_record(name: str, mode: str, tmp_path: Path, provider: Provider) -> None:
    case = CASES[name]
    command = case.command()
    provider.answer = case.answer()
    config, home = tmp_path / "config.yaml", tmp_path / "home"
    home.mkdir()
    config.write_text(
        f"data_dir: {tmp_path / 'data'}\nhosts: {{services: block, unknown: block}}\nproviders:\n"
        f"  openai: {{upstream: '{provider.url}', hosts: [api.openai.com]}}\n"
        f"  anthropic: {{upstream: '{provider.url}', hosts: [api.anthropic.com]}}\n"
        f"  gemini: {{upstream: '{provider.url}', hosts: [generativelanguage.googleapis.com]}}\n",
        encoding="utf-8",
    )
    done = subprocess.run(
        [sys.executable, ROOT / "run_proxy.py", "run", "--config", config, "--mode", mode, "--json", "--", *command],
        env={"PATH": f"{BIN}:{os.environ['PATH']}", "HOME": str(home), "NO_COLOR": "1", "PYTHONUTF8": "1",
             "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1", "IS_SANDBOX": "1", "LITELLM_LOCAL_MODEL_COST_MAP": "True",
             **dict.fromkeys(["OPENAI_API_KEY", "CODEX_API_KEY", "ANTHROPIC_API_KEY", "GEMINI_API_KEY"], KEY)},
        cwd=home, capture_output=True, text=True, timeout=115, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert SAID in done.stdout
    summary = json.loads(done.stderr.splitlines()[-1])
    asked = [each for each in summary["exchanges"] if each["operation"] == case.operation and each["status"] == 200]
    # Codex opens a WebSocket ahead and may leave it without a word: an exchange of its own, `client_gone`.
    whole = [each for each in asked if each["end_state"] == "complete"]
    assert whole, summary
    assert {each["mode"] for each in asked} == {mode}
    assert all(each["output_tokens"] for each in whole)
    assert KEY.encode() in b"".join(provider.raw), "the caller's own key went through"
