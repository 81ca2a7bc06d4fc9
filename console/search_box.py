"""What somebody wrote in the search box, as a query that they may ask."""

from datetime import datetime

from console.roles import may
from console.sessions import Session
from storage.query.parsing import QueryProblem, parse
from storage.query.terms import Exact, Phrase, Query, Word


def read_query(text: str, session: Session) -> Query:
    """The query of the search box, its times in this machine's zone.

    Raises:
        QueryProblem: it cannot be understood; or it asks for words, and this person is not shown what was said: whether
            something is found would tell them.
    """
    query = parse(text, datetime.now().astimezone(), local=datetime.astimezone)
    if not may(session.role, "content"):
        for term in query.terms:
            if isinstance(term.condition, Word | Phrase | Exact):
                raise QueryProblem("Your role shows no content, so no words can be looked for: use user:, model:, …", 1)
    return query
