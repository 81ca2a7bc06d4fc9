"""One row put to one program, and what there is to object to."""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from tests.attacks.asking import Answer, ask
from tests.attacks.rows import Row, marked
from tests.journeys.instance import PROVIDER_KEY
from tests.journeys.provider import Provider

IN_TIME = 5.0
"""Seconds in which every row must be answered."""


@dataclass(frozen=True, slots=True)
class Outcome:
    answer: Answer
    upstream: tuple[bytes, ...]  # the requests that arrived, chunked coding taken off
    dialled: int  # connections made to the upstream meanwhile


def put(port: int, provider: Provider, row: Row, tokens: Mapping[bytes, bytes], mark: str) -> Outcome:
    """Send it and wait until it is answered; then a moment longer, for what may still arrive upstream."""
    provider.raw.clear()
    before = provider.connections
    answer = ask(port, _pieces(row, tokens, mark), answers=1 + len(row.after), patience=IN_TIME)
    time.sleep(0.02)
    return Outcome(answer, tuple(provider.raw), provider.connections - before)


def _pieces(row: Row, tokens: Mapping[bytes, bytes], mark: str) -> Iterator[bytes]:
    pieces = iter((row.sent,)) if isinstance(row.sent, bytes) else row.sent()
    for number, piece in enumerate(pieces):
        sent = piece
        if number == 0 and row.recorded and b"\r\n" in sent:
            sent = marked(sent, mark)
        head, end, rest = sent.partition(b"\r\n\r\n")
        for word, token in tokens.items():
            head = head.replace(word, token)
        yield head + end + rest.replace(b"Bearer TOKEN", b"Bearer " + tokens[b"TOKEN"])


def objections(row: Row, outcome: Outcome, tokens: Mapping[bytes, bytes]) -> Iterator[str]:
    """What is wrong with it, in words; nothing when it holds."""
    answer = outcome.answer
    statuses = answer.statuses
    arrived = b"\n".join(outcome.upstream)
    if any(token in arrived for token in tokens.values()):
        yield "an identity reached the upstream"
    if PROVIDER_KEY.encode() in answer.raw:
        yield "the provider's key reached the caller"
    if b"HTTP/1.1 100" in answer.raw and not row.passes:
        yield "it was told to go on, and then refused"
    if not statuses:
        if not (row.closed and answer.ended):
            yield "no answer"
        if outcome.upstream:
            yield f"it passed: {arrived[:120]!r}"
        return
    if answer.seconds > IN_TIME:
        yield f"answered after {answer.seconds:.1f} s"
    if statuses[0] not in row.statuses:
        yield f"answered {statuses[0]} {answer.code}, not {row.statuses}"
    if tuple(statuses[1:]) != row.after:
        yield f"then answered {statuses[1:]}, not {row.after}"
    passed = statuses.count(200)
    if len(outcome.upstream) != passed:
        yield f"{len(outcome.upstream)} requests reached the upstream, {passed} were to: {arrived[:120]!r}"
    if statuses[0] == 200:
        yield from _about_what_passed(row, outcome)
    elif answer.code is None:
        yield f"the refusal is no JSON of ours: {answer.raw[:120]!r}"
    elif row.codes and answer.code not in row.codes:
        yield f"refused as {answer.code}, not {row.codes}"
    if not passed and outcome.dialled:
        yield "the upstream was dialled for a refused request"


def _about_what_passed(row: Row, outcome: Outcome) -> Iterator[str]:
    if not outcome.upstream:
        return
    head, _, body = outcome.upstream[0].partition(b"\r\n\r\n")
    if row.body is not None and body != row.body:
        yield f"the upstream got another body: {body[:80]!r}"
    for unwanted in row.absent:
        if unwanted.lower() in outcome.upstream[0].lower():
            yield f"{unwanted!r} reached the upstream"
    if PROVIDER_KEY.encode() not in head:
        yield "the provider's key was not put in"
