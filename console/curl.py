"""The request again, as a command for a shell. No secret is in it: none is kept."""

import shlex
from typing import Final

from wire.conversation.record import ShownRecord

_LONGEST: Final = 32 << 10  # characters of a body that stands in the command itself
_AUTHORITY: Final = {"anthropic": "x-api-key: $ANTHROPIC_API_KEY", "gemini": "x-goog-api-key: $GEMINI_API_KEY"}


def curl(record: ShownRecord, body: str | None) -> str:
    """The command; a body that is long is read from a file, which is the raw request of the same page."""
    path = record.path + (f"?{record.query}" if record.query else "")
    key = _AUTHORITY.get(record.provider, "authorization: Bearer $OPENAI_API_KEY")
    lines = [f"curl -X {shlex.quote(record.method)} {shlex.quote(f'https://{record.host}{path}')}", f'-H "{key}"']
    if record.provider == "anthropic":
        lines.append("-H 'anthropic-version: 2023-06-01'")
    if body:
        lines.append("-H 'content-type: application/json'")
        lines.append(f"--data-binary {'@request.json' if len(body) > _LONGEST else shlex.quote(body)}")
    return " \\\n  ".join(lines)
