"""Pages of docs/ made from the code: `python -m cli.reference` writes them, a test says when one is out of date."""

import sqlite3
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import typer
from sqlite_utils import Database

from cli.app import app
from exchange.decision import CODES
from storage.sqlite.migrations import SCHEMA_VERSION, migrations
from storage.sqlite.readable import columns

DOCS = Path(__file__).resolve().parent.parent / "docs"

_HEAD = """\
# The command line

Made from the help texts by `python -m cli.reference`; edit those.

Exit codes: 0 well, 1 failed, 2 wrong use or settings. The answer goes to standard output and nothing else does;
everything said beside it goes to standard error. Without a command Sekisho serves: `python run_proxy.py --config X` is
`sekisho serve --config X`. `NO_COLOR` is obeyed, and what is no terminal gets no colours.
"""


_CODES = """\
# What a refusal says

Made from `exchange/decision.py` by `python -m cli.reference`; edit that.

A refusal is `{"error": {"message", "type", "code", "param"}}` in the shape of the API that was called, with
`x-should-retry`, which the official SDKs obey. Codes are stable. The exact reason stands in the record
(`decision.reason`), never in the answer.

| code | status | sentence | retry |
| --- | --- | --- | --- |
"""


def codes_page() -> str:
    """docs/codes.md: every code that a caller can be told."""
    rows = [
        f"| `{name}` | {code.status} | {code.message} | {'yes' if code.retry else ''} |" for name, code in CODES.items()
    ]
    return _CODES + "\n".join(rows) + "\n"


def page() -> str:
    """docs/cli.md: the whole command line."""
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
    said = "\n\n".join(_filled(each) for each in (command.help or "").split("\n\n"))
    lines = [f"### {name}", "", f"`{usage}`", "", said, "", "| | |", "| --- | --- |"]
    lines += [f"| {each.metavar or each.name.upper()} | {each.help} |" for each in arguments]
    lines += [f"| {_names(each)} | {each.help}{_default(each)} |" for each in options]
    return "\n".join([*lines, ""])


def _filled(paragraph: str) -> str:
    return textwrap.fill(paragraph, 120, break_long_words=False, break_on_hyphens=False)


def _names(option: Any) -> str:
    value = "" if option.is_flag else f" {option.metavar or str(option.name).upper()}"
    return ", ".join(f"`{name}{value}`" for name in [*option.opts, *option.secondary_opts]).replace("|", r"\|")


def _default(option: Any) -> str:
    if option.required:
        return " Required."
    if option.is_flag or option.default in (None, "", ()) or not option.show_default:
        return ""
    return f" Default: {option.default}."


_SCHEMA = """\
# The file of the record

Made from the schema by `python -m cli.reference`; edit the comments in `storage/sqlite`.

`audit.db` is SQLite (WAL, schema {version}). Look at it with what you like, read-only; the recorder alone writes:

```sh
sqlite3 -readonly data/audit.db "select started_at, email, request_model, end_state from exchange_readable limit 5"
datasette data/audit.db      # where it is installed; better on a copy (`sekisho db backup FILE`)
```

Begin with `exchange_readable`. What was said is in no column: it is cut up, packed and kept once (`body`, `chunk`).
`sekisho show ID`, `search` and `export` put it together again.

## exchange_readable

| column | what it is |
| --- | --- |
"""


def schema_page() -> str:
    """docs/schema.md: the view for people, column by column, and the tables as they are made."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    try:
        migrations.apply(Database(connection, execute_plugins=False))
        made = connection.execute(
            "select type, name, sql from sqlite_schema where sql is not null and name not like 'search_%' "
            "and name not like '\\_sqlite%' escape '\\' and name not like 'sqlite%' order by rowid"
        ).fetchall()
    finally:
        connection.close()
    view = next(sql for _, name, sql in made if name == "exchange_readable")
    rows = [f"| `{name}` | {meaning} |" for name, meaning in columns(view)]
    tables = [
        f"## {name}\n\n```sql\n{textwrap.dedent('        ' + sql).rstrip()}\n```"
        for kind, name, sql in made
        if kind == "table"
    ]
    indexes = "\n".join(f"{sql};" for kind, _, sql in made if kind == "index")
    parts = [_SCHEMA.format(version=SCHEMA_VERSION) + "\n".join(rows), *tables, f"## Indexes\n\n```sql\n{indexes}\n```"]
    return "\n\n".join(parts) + "\n"


PAGES: dict[str, Callable[[], str]] = {"cli.md": page, "codes.md": codes_page, "schema.md": schema_page}


if __name__ == "__main__":
    for name, written in PAGES.items():
        (DOCS / name).write_text(written(), encoding="utf-8")
