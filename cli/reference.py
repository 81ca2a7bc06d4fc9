"""docs/cli.md, made from the help texts: `python -m cli.reference` writes it, a test says when it is out of date."""

from pathlib import Path
from typing import Any

import typer

from cli.app import app

PAGE = Path(__file__).resolve().parent.parent / "docs" / "cli.md"

_HEAD = """\
# The command line

Made from the help texts by `python -m cli.reference`; edit those.

Exit codes: 0 well, 1 failed, 2 wrong use or settings. The answer goes to standard output and nothing else does;
everything said beside it goes to standard error. Without a command Sekisho serves: `python run_proxy.py --config X` is
`sekisho serve --config X`. `NO_COLOR` is obeyed, and what is no terminal gets no colours.
"""


def page() -> str:
    """The whole page, Markdown."""
    root: Any = typer.main.get_command(app)
    parts = [_HEAD]
    panel = None
    for name, command in root.commands.items():
        if command.rich_help_panel != panel:
            panel = command.rich_help_panel
            parts.append(f"## {panel}\n")
        if subcommands := getattr(command, "commands", None):
            parts += [_section(f"{name} {sub}", each) for sub, each in subcommands.items()]
        else:
            parts.append(_section(name, command))
    return "\n".join(parts)


def _section(name: str, command: Any) -> str:
    arguments = [each for each in command.params if each.param_type_name == "argument"]
    options = [each for each in command.params if each.param_type_name == "option" and each.name != "help"]
    usage = " ".join(["sekisho", name, *(each.metavar or each.name.upper() for each in arguments)])
    lines = [f"### {name}", "", f"`{usage}`", "", command.help or "", "", "| | |", "| --- | --- |"]
    lines += [f"| {each.metavar or each.name.upper()} | {each.help} |" for each in arguments]
    lines += [f"| {_names(each)} | {each.help}{_default(each)} |" for each in options]
    return "\n".join([*lines, ""])


def _names(option: Any) -> str:
    value = "" if option.is_flag else f" {option.metavar or str(option.name).upper()}"
    return ", ".join(f"`{name}{value}`" for name in [*option.opts, *option.secondary_opts]).replace("|", r"\|")


def _default(option: Any) -> str:
    if option.required:
        return " Required."
    if option.is_flag or option.default in (None, "", ()) or not option.show_default:
        return ""
    return f" Default: {option.default}."


if __name__ == "__main__":
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(page(), encoding="utf-8")
