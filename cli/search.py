"""`sekisho search`: exchanges by what was said in them, by whom, when, and how it ended; newest first."""

import re
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from cli.looking import Look, Reason
from cli.options import AsJson, Config, settings_at
from cli.query import GRAMMAR, read_query, say_what_was_left_out

_OWN_OPTION = re.compile(r"--.*|-h|-n\d*", re.DOTALL)


class SearchCommand(TyperCommand):
    """Terms may begin with a minus, as options do; and its help shows the grammar."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """`-draft` is no option here: it becomes the minus sign that the grammar takes for the same."""
        end = args.index("--") if "--" in args else len(args)
        mine = [f"−{arg[1:]}" if arg[:1] == "-" and not _OWN_OPTION.fullmatch(arg) else arg for arg in args[:end]]
        return super().parse_args(ctx, mine + args[end:])

    def format_help(self, ctx: Any, formatter: Any) -> None:
        super().format_help(ctx, formatter)
        typer.echo(GRAMMAR)


def search(
    terms: Annotated[list[str], typer.Argument(metavar="QUERY...", help="Words and conditions; all must hold.")],
    config: Config = None,
    number: Annotated[int, typer.Option("-n", "--lines", min=1, metavar="N", help="At most N exchanges.")] = 20,
    before: Annotated[
        int | None, typer.Option("--before", min=1, metavar="SEQ", help="Go on: only what came before this seq.")
    ] = None,
    as_json: AsJson = False,
    reason: Reason = None,
) -> None:
    """Find exchanges by what was said in them, by whom, when and how it ended; newest first.

    Questions, answers and tool results are searched, in any language: 一字でも 日本語の単語でも. So are conditions:
    user:, domain:, model:, host:, operation:, decision:, end:, tool:, thread:, after:, before:, exact:"…", -not.
    """
    from cli.exchange_line import exchange_line
    from cli.hits import excerpts
    from cli.terminal import err, out, write_json
    from storage.sqlite.reading import AuditReader
    from wire.conversation.record import read_record

    query = read_query(" ".join(terms))
    settings = settings_at(config)
    look = Look(settings, "search", reason, query=" ".join(terms), before=before)
    reader = AuditReader(settings.data_dir, settings.storage.seal)
    try:
        lines = reader.search(query, number, before)
    finally:
        reader.close()
    look.at(read_record(line).seq for line in lines)
    console = out()
    seq = 0
    for line in lines:
        record = read_record(line)
        seq = record.seq
        if as_json:
            write_json(line)
            continue
        console.print(exchange_line(record), overflow="ignore")
        for excerpt in excerpts(record.turns(), query.texts()):
            console.print(excerpt, overflow="ignore")
    say_what_was_left_out(query)
    if not lines:
        err().print("Nothing was found.")
    elif len(lines) == number and seq > 1:
        err().print(f"There may be more: add --before {seq}.")
