"""Ready-made lines for programs, with the token where the API key goes. Tried: docs/how-to/clients.md."""

from typing import Final

from settings.schema import Settings

TOKEN: Final = "$SEKISHO_TOKEN"  # noqa: S105 - it stands for one


def snippets(settings: Settings, host: str) -> list[tuple[str, str]]:
    """(what for, lines). `host` is a name by which this machine is known, for where the settings name none."""
    api = api_address(settings, host)
    model = next((model for front in settings.fronts for model in front.models), "gpt-4o-mini")
    found = [
        ("Python", _PYTHON.format(api=api, model=model)),
        ("Node", _NODE.format(api=api, model=model)),
        ("curl", _CURL.format(api=api, model=model)),
        ("Codex", f"export CODEX_API_KEY={TOKEN}\ncodex -c openai_base_url={api}/v1"),
    ]
    anthropic = next((name for name, one in settings.providers.items() if one.dialect == "anthropic"), None)
    if anthropic is not None:
        prefix = "" if anthropic == settings.default_provider else f"/{anthropic}"
        lines = f"export ANTHROPIC_BASE_URL={api}{prefix}\nexport ANTHROPIC_AUTH_TOKEN={TOKEN}\nclaude"
        found.append(("Claude Code", lines))
    forward = next((each for each in settings.listen if each.mode == "forward"), None)
    if forward is not None:
        name = host if forward.address.host in ("0.0.0.0", "::") else forward.address.host  # noqa: S104 - compared
        scheme = "https" if forward.tls else "http"
        found.append(("HTTPS_PROXY", f"export HTTPS_PROXY={scheme}://sekisho:{TOKEN}@{name}:{forward.address.port}"))
    return found


def api_address(settings: Settings, host: str) -> str:
    """Where programs find the API: `api_url`, else the first listener of mode reverse."""
    if settings.api_url is not None:
        return settings.api_url
    listener = next(each for each in settings.listen if each.mode == "reverse")
    name = host if listener.address.host in ("0.0.0.0", "::") else listener.address.host  # noqa: S104 - compared
    return f"{'https' if listener.tls else 'http'}://{name}:{listener.address.port}"


_PYTHON: Final = """\
import os
from openai import OpenAI

client = OpenAI(base_url="{api}/v1", api_key=os.environ["SEKISHO_TOKEN"])
for chunk in client.chat.completions.create(
    model="{model}", stream=True, messages=[{{"role": "user", "content": "こんにちは"}}]
):
    print(chunk.choices[0].delta.content or "" if chunk.choices else "", end="", flush=True)"""

_NODE: Final = """\
import OpenAI from "openai";

const client = new OpenAI({{ baseURL: "{api}/v1", apiKey: process.env.SEKISHO_TOKEN }});
const messages = [{{ role: "user", content: "こんにちは" }}];
const stream = await client.chat.completions.create({{ model: "{model}", messages, stream: true }});
for await (const chunk of stream) process.stdout.write(chunk.choices[0]?.delta?.content ?? "");"""

_CURL: Final = """\
curl -N {api}/v1/chat/completions -H "Authorization: Bearer $SEKISHO_TOKEN" -H "Content-Type: application/json" \\
  -d '{{"model": "{model}", "stream": true, "messages": [{{"role": "user", "content": "こんにちは"}}]}}'"""
