"""The query language on the command line: one grammar for search, tail and export."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Final

import typer

from cli.failure import WrongUse

if TYPE_CHECKING:
    from storage.query.terms import Query

GRAMMAR: Final = """\
Every term must hold; of several values for one field, any does. A minus before a term turns it round.

  東京 meeting             both words, in questions, answers and tool results; any language, from one character on
  "quarterly report"       these words one after the other
  exact:"max_tokens=5"     these very characters, capitals and punctuation too; they begin where a word begins
  user:ann@example.com     who: the address, or the subject
  domain:example.com       the domain of the address
  model:gpt-4o*            asked for or answered; * is anything (also in user:, domain:, host: and tool:)
  host:api.openai.com      the upstream
  operation:chat           chat, responses, messages, embeddings, …
  decision:deny            allow, deny, or a refusal's code: decision:model_not_allowed
  end:upstream_cut         complete, client_gone, upstream_error, timed_out, refused, …
  tool:get_weather         the model called this tool
  thread:0199a1b2          of this thread; the first characters of its id will do
  after:7d before:12h      so long ago (s, m, h, d, w); or after:2026-11-01, after:2026-11-01T09:30, after:09:30
  -draft -user:bob         not this

Full-width spaces, quotes, colons and 「…」 are understood. Write the whole query in single quotes, so that the shell
leaves it alone:

  sekisho search '見積 -draft user:ann@example.com after:7d'
  sekisho search 'exact:"sk-" decision:allow model:gpt-4o*'
"""

QueryOption = Annotated[
    str | None,
    typer.Option("--query", "-q", metavar="QUERY", help="Only what this finds; `sekisho search --help` shows how."),
]


def read_query(text: str | None) -> "Query":
    """The query, its times taken in this machine's zone. None is every exchange.

    Raises:
        WrongUse: it cannot be understood.
    """
    from storage.query.parsing import QueryProblem, parse

    try:
        # Each time by the rules of its own day: a date before the clocks were changed is meant as it was then.
        return parse(text or "", datetime.now().astimezone(), local=datetime.astimezone)
    except QueryProblem as problem:
        raise WrongUse(f"The query cannot be used. {problem}") from None


def say_what_was_left_out(query: "Query") -> None:
    """Words that the index cannot know are passed over, never silently."""
    from cli.terminal import err, visible
    from storage.sqlite.selection import unsearchable

    if left_out := unsearchable(query):
        words = ", ".join(visible(word) for word in left_out)
        err().print(
            f'Left out, for the index knows letters and digits only: {words}. Try exact:"…" with a word beside.'
        )
