import itertools
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.upstreams.eventually import eventually
from upstreams.credential import Credential, CredentialUnavailable
from upstreams.refreshed import NotObtained, Obtained, Refreshed


class Source:
    """Gives tokens named 1, 2, 3, … each with this life, unless it is out of order."""

    def __init__(self, life_s: float) -> None:
        self.life_s = life_s
        self.broken: Exception | None = None
        self.asked = 0
        self._numbers = itertools.count(1)

    def __call__(self) -> Obtained:
        self.asked += 1
        if self.broken is not None:
            raise self.broken
        return Obtained(Credential("x", str(next(self._numbers)), ()), self.life_s)


@contextmanager
def kept(source: Source) -> Iterator[Refreshed]:
    token = Refreshed("providers.x.auth", "x", source)
    token.work.start()
    try:
        yield token
    finally:
        token.work.stop()


def test_the_token_is_there_once_it_was_obtained_and_asked_for_once() -> None:
    source = Source(3600)
    with kept(source) as token:
        assert token.work.wait(5)
        assert token.now_valid().name == "1"
        assert token.problem is None
        assert 3590 < token.remaining_s <= 3600
        assert source.asked == 1


def test_before_it_is_there_callers_are_told_so() -> None:
    token = Refreshed("providers.x.auth", "x", Source(3600))

    with pytest.raises(CredentialUnavailable, match=r"providers\.x\.auth is not here yet"):
        token.now_valid()


def test_it_is_renewed_at_four_fifths_of_its_life_and_nobody_notices() -> None:
    source = Source(4.0)
    with kept(source) as token:
        assert token.work.wait(5)
        eventually(lambda: token.now_valid().name == "2")  # which never raises meanwhile

        assert source.asked == 2
        assert token.remaining_s > 3


def test_what_cannot_be_renewed_serves_until_its_end_and_comes_back(caplog: pytest.LogCaptureFixture) -> None:
    source = Source(4.0)
    with kept(source) as token:
        assert token.work.wait(5)
        source.broken = NotObtained("was refused")
        eventually(lambda: token.problem == "was refused")
        assert token.now_valid().name == "1"

        eventually(lambda: token.remaining_s == 0)
        with pytest.raises(CredentialUnavailable, match="was refused"):
            token.now_valid()

        source.broken = None
        eventually(lambda: token.remaining_s > 0)
        assert token.now_valid().name == "2"
    errors = [r.getMessage() for r in caplog.records if r.levelno == logging.ERROR]
    assert len(errors) == 1
    assert "the one at hand is good for" in errors[0]


@pytest.mark.parametrize("problem", [NotObtained("no"), RuntimeError("a library's bug"), KeyError("x")])
def test_failures_are_retried_with_growing_pauses(problem: Exception) -> None:
    source = Source(3600)
    source.broken = problem
    with kept(source) as token:
        token.work.wait(5)
        eventually(lambda: source.asked == 2)
        assert source.asked < 4
        source.broken = None

        eventually(lambda: token.remaining_s > 0)


def test_a_token_that_has_run_out_on_arrival_is_none() -> None:
    with kept(Source(-5)) as token:
        assert token.work.wait(5)
        with pytest.raises(CredentialUnavailable, match="clock"):
            token.now_valid()


def test_a_refused_token_is_renewed_at_once_but_not_at_every_refusal() -> None:
    source = Source(3600)
    with kept(source) as token:
        assert token.work.wait(5)
        for _ in range(50):
            token.renew_soon()

        eventually(lambda: token.now_valid().name == "2")
        token.renew_soon()
        assert source.asked == 2


def test_stopping_does_not_wait_for_a_server_that_hangs() -> None:
    held = threading.Event()

    def hang() -> Obtained:
        held.wait(20)
        raise NotObtained("late")

    token = Refreshed("providers.x.auth", "x", hang)
    token.work.start()
    assert not token.work.wait(0.1)
    token.work.stop()
    held.set()
    eventually(lambda: token.problem == "late")  # so that its line is in no other test's log
