"""One-time addresses at the terminal."""

import re

from console.inviting import Invitations
from console.sessions import Sessions


def test_an_address_that_was_used_is_followed_by_a_new_one_at_once_else_there_is_one_in_a_while() -> None:
    now, told = [0.0], list[str]()
    sessions = Sessions(1800.0, clock=lambda: now[0])
    invitations = Invitations(sessions, "http://127.0.0.1:8090", told.append, clock=lambda: now[0])
    for _ in range(3):
        invitations.invite()
    assert len(told) == 1

    key = re.search(r"key=(\S+)", told[0])
    assert key is not None
    assert sessions.enter(key[1], "ann") is not None
    for _ in range(3):
        invitations.invite()
    assert len(told) == 2

    now[0] = 21.0
    invitations.invite()
    assert len(told) == 3


def test_where_nobody_comes_from_this_machine_nobody_is_invited() -> None:
    told: list[str] = []
    Invitations(Sessions(1800.0), None, told.append).invite()
    assert told == []
