"""Coding agents and other programs for a terminal, each told one thing, without a login."""

from collections.abc import Callable

from tests.clients.case import Case
from tests.clients.programs import from_npm, from_pypi, installed


def _codex() -> list[str]:
    """In reverse mode Codex is told the address by its settings, as `sekisho env` says."""
    codex = f"{installed('codex')} exec --skip-git-repo-check"
    return ["sh", "-c", f'exec {codex} ${{OPENAI_BASE_URL:+-c openai_base_url="$OPENAI_BASE_URL"}} "say hi"']


def _qwen() -> list[str]:
    """It calls Alibaba's service unless an address is named, so that in forward mode OpenAI's own is."""
    address = "OPENAI_BASE_URL=${OPENAI_BASE_URL:-https://api.openai.com/v1}"
    return ["sh", "-c", f'{address} OPENAI_MODEL=gpt-4o exec {from_npm("qwen")} --auth-type openai -p "say hi"']


def _npm(name: str, *arguments: str) -> Callable[[], list[str]]:
    return lambda: [str(from_npm(name)), *arguments]


def _pypi(name: str, *arguments: str) -> Callable[[], list[str]]:
    return lambda: [str(from_pypi(name)), *arguments]


_GEMINI_SETTINGS = '{"security": {"auth": {"selectedType": "gemini-api-key"}}}'

AGENTS = {
    "Codex": Case(_codex, "responses"),
    "Claude Code": Case(lambda: [str(installed("claude")), "-p", "say hi"], "messages"),
    "Gemini CLI": Case(
        _npm("gemini", "--skip-trust", "-m", "gemini-2.5-flash", "-p", "say hi"),
        "generate_content",
        files=((".gemini/settings.json", _GEMINI_SETTINGS),),
    ),
    "Qwen Code": Case(_qwen),
    "opencode": Case(_npm("opencode", "run", "-m", "openai/gpt-4o", "say hi"), "responses"),
    "llm": Case(_pypi("llm", "-m", "gpt-4o", "say hi")),
    "aider": Case(
        _pypi("aider", "--model", "openai/gpt-4o", "--no-git", "--yes-always", "--no-check-update", "--no-analytics",
              "--no-show-model-warnings", "--no-pretty", "--message", "say hi"),
    ),
}  # fmt: skip
