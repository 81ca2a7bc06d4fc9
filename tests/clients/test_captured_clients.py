"""Clients that people use, unmodified, under `sekisho run`: each by the variables of `sekisho env`, either way, and
with both of them set, as `sekisho run` does.

What is tried is in `sdks` and `agents`; those that the locks do not name run once `make clients` has fetched them.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.clients.agents import AGENTS
from tests.clients.answers import saying
from tests.clients.case import KEY, SAID
from tests.clients.programs import BIN, GO_CACHE
from tests.clients.sdks import SDKS
from tests.journeys.instance import ROOT
from tests.journeys.provider import Provider

CASES = {**SDKS, **AGENTS}
PROVIDERS = {
    "openai": "hosts: [api.openai.com]",
    "anthropic": "hosts: [api.anthropic.com]",
    "gemini": "hosts: [generativelanguage.googleapis.com]",
    "cohere": "hosts: [api.cohere.com], dialect: cohere",
    "mistral": "hosts: [api.mistral.ai], dialect: openai",
}
KEYS = ["OPENAI_API_KEY", "CODEX_API_KEY", "ANTHROPIC_API_KEY", "GEMINI_API_KEY", "CO_API_KEY", "MISTRAL_API_KEY"]


@pytest.mark.parametrize(("name", "mode"), [(name, mode) for name, case in CASES.items() for mode in case.modes])
def test_it_works_and_is_on_record(name: str, mode: str, tmp_path: Path, provider: Provider) -> None:
    case = CASES[name]
    command = case.command()
    provider.choose = saying(SAID)
    config, home = tmp_path / "config.yaml", tmp_path / "home"
    home.mkdir()
    for path, content in case.files:
        (home / path).parent.mkdir(parents=True, exist_ok=True)
        (home / path).write_text(content, encoding="utf-8")
    config.write_text(
        f"data_dir: {tmp_path / 'data'}\nhosts: {{services: block, unknown: block}}\nproviders:\n"
        + "".join(f"  {name}: {{upstream: '{provider.url}', {more}}}\n" for name, more in PROVIDERS.items()),
        encoding="utf-8",
    )
    done = subprocess.run(
        [sys.executable, ROOT / "run_proxy.py", "run", "--config", config, "--mode", mode, "--json", "--", *command],
        env={"PATH": f"{BIN}:{os.environ['PATH']}", "HOME": str(home), "NO_COLOR": "1", "PYTHONUTF8": "1",
             "GOCACHE": str(GO_CACHE), "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1", "IS_SANDBOX": "1",
             "LITELLM_LOCAL_MODEL_COST_MAP": "True", **dict.fromkeys(KEYS, KEY)},
        cwd=home, capture_output=True, text=True, timeout=115, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert SAID in done.stdout, done.stdout + done.stderr
    summary = json.loads(done.stderr.splitlines()[-1])
    asked = [each for each in summary["exchanges"] if each["operation"] == case.operation and each["status"] == 200]
    # Codex opens a WebSocket ahead and may leave it without a word: an exchange of its own, `client_gone`.
    whole = [each for each in asked if each["end_state"] == "complete"]
    assert whole, summary
    assert {each["mode"] for each in asked} <= ({"reverse", "forward"} if mode == "both" else {mode})
    assert all(each["output_tokens"] for each in whole)
    assert KEY.encode() in b"".join(provider.raw), "the caller's own key went through"
