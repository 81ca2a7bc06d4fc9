"""What somebody wrote in the search box, as a query that they may ask."""

from datetime import datetime

from console.looking import Looking, ReasonMissing
from console.roles import may
from console.sessions import Session
from storage.query.parsing import QueryProblem, parse
from storage.query.terms import Exact, Phrase, Query, Word


def read_query(text: str, session: Session, looking: Looking) -> Query:
    """The query of the search box, its times in this machine's zone. Words are content: whether something is found
    tells what was said, so they are looked for by whoever may see it, once they have said why where that is asked.

    Raises:
        QueryProblem: it cannot be understood, or asks for words that this person's role does not show.
        ReasonMissing: it asks for words, and a reason is asked for first.
    """
    query = parse(text, datetime.now().astimezone(), local=datetime.astimezone)
    if has_words(query) and not looking.may(session):
        if may(session.role, "content"):
            raise ReasonMissing
        raise QueryProblem("Your role shows no content, so no words can be looked for: use user:, model:, …", 1)
    return query


def has_words(query: Query) -> bool:
    """Does it ask for anything that was said, or for what was not?"""
    return any(isinstance(term.condition, Word | Phrase | Exact) for term in query.terms)
