"""Variables as a shell takes them."""

import json
import shlex
from collections.abc import Sequence
from typing import Final, Literal

from cli.clients.variables import Variable

Shell = Literal["bash", "fish", "powershell", "json"]


def written(shell: Shell, variables: Sequence[Variable], notes: Sequence[str]) -> str:
    """The whole text. In a shell's, comments say why; all of it can be evaluated."""
    if shell == "json":
        return json.dumps(
            {
                "variables": {each.name: each.value for each in variables},
                "why": {each.name: each.why for each in variables},
                "notes": list(notes),
            },
            ensure_ascii=False,
        )
    line = _LINES[shell]
    lines = [text for each in variables for text in (f"# {each.why}", line(each))]
    return "\n".join([*lines, *(f"# {note}" for note in notes)])


def _bash(each: Variable) -> str:
    return f"export {each.name}={shlex.quote(each.value)}"


def _fish(each: Variable) -> str:
    value = each.value.replace("\\", "\\\\").replace("'", "\\'")
    return f"set -gx {each.name} '{value}'"


def _powershell(each: Variable) -> str:
    value = each.value.replace("'", "''")
    return f"$Env:{each.name} = '{value}'"


_LINES: Final = {"bash": _bash, "fish": _fish, "powershell": _powershell}
