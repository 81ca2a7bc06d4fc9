"""`sekisho search`: exchanges in which words occur, newest first."""

from typing import Annotated

import typer

from cli.options import AsJson, Config, settings_at


def search(
    words: Annotated[list[str], typer.Argument(metavar="WORDS...", help="All of them must occur, in any order.")],
    config: Config = None,
    number: Annotated[int, typer.Option("-n", "--lines", min=1, metavar="N", help="At most N exchanges.")] = 20,
    as_json: AsJson = False,
) -> None:
    """Find exchanges by what was said in them, newest first.

    Questions, answers and tool results are searched, in any language: 一字でも 日本語の単語でも.
    """
    from cli.exchange_line import exchange_line
    from cli.hits import excerpts
    from cli.record import read_record
    from cli.terminal import err, out, write_json
    from storage.sqlite.reading import AuditReader

    reader = AuditReader(settings_at(config).data_dir)
    try:
        lines = reader.search(" ".join(words), number)
    finally:
        reader.close()
    console = out()
    for line in lines:
        if as_json:
            write_json(line)
            continue
        record = read_record(line)
        console.print(exchange_line(record), overflow="ignore")
        for excerpt in excerpts(record.turns(), words):
            console.print(excerpt, overflow="ignore")
    if not lines:
        err().print("Nothing was found.")
