"""Holds: what must stay as it is, whoever asks for its erasure and however old it becomes."""

import json
import sqlite3
import time
from dataclasses import dataclass
from typing import Any

from storage.removal.tombstones import HOLD, RELEASE, Order, Tombstones
from storage.sqlite.people import Who, pairs_of


@dataclass(frozen=True, slots=True)
class Hold:
    """One hold, on a person, an identity or a thread."""

    id: int
    who: Who | None
    thread_id: str | None
    reason: str
    actor: str
    at: int  # microseconds since 1970

    def __str__(self) -> str:
        return f"hold {self.id} on {self.who or f'thread {self.thread_id}'}"


class Holds:
    """The holds as they are now. Ask for them anew for each command: people get new identities."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.all = [_hold(row) for row in connection.execute("select * from hold order by id")]
        self._threads = {hold.thread_id: hold for hold in self.all if hold.thread_id is not None}
        self._people = {pair: h for h in self.all if h.who is not None for pair in pairs_of(connection, h.who)}

    def on_person(self, issuer: str | None, subject: str | None) -> Hold | None:
        """The hold on this identity."""
        return self._people.get((issuer, subject)) if issuer is not None and subject is not None else None

    def on(self, issuer: str | None, subject: str | None, thread_id: str | None) -> Hold | None:
        """The hold on an exchange of this identity and thread."""
        return self.on_person(issuer, subject) or (None if thread_id is None else self._threads.get(thread_id))


def add_hold(connection: sqlite3.Connection, order: Order, who: Who | None, thread_id: str | None) -> int:
    """Hold a person or a thread, within the caller's transaction. Returns the hold's id; the same for the same command
    again."""
    tombstones = Tombstones(connection)
    if (earlier := tombstones.of(order, HOLD)) is not None:
        detail = "select json_extract(detail, '$.hold') from tombstone where id = ?"
        return int(connection.execute(detail, (earlier,)).fetchone()[0])
    number = int(connection.execute("select coalesce(max(id), 0) + 1 from hold").fetchone()[0])
    said = (who.person, who.issuer, who.subject, thread_id) if who is not None else (None, None, None, thread_id)
    row = (number, *said, order.reason or "", order.actor, time.time_ns() // 1000)
    connection.execute("insert into hold values (?, ?, ?, ?, ?, ?, ?, ?)", row)
    tombstones.add(HOLD, order, {"hold": number, **_named(*said)})
    return number


def remove_hold(connection: sqlite3.Connection, order: Order, number: int) -> bool:
    """Let a hold go, within the caller's transaction. False when there is none of this id."""
    found = connection.execute("select * from hold where id = ?", (number,)).fetchone()
    if found is None:
        return Tombstones(connection).of(order, RELEASE) is not None
    connection.execute("delete from hold where id = ?", (number,))
    Tombstones(connection).add(RELEASE, order, {"hold": number, **_named(*tuple(found)[1:5])})
    return True


def problem_of_holds(connection: sqlite3.Connection, *, carried_over: bool) -> str | None:
    """Why the holds are not those that tombstones name; None when they are. `carried_over`: some may come from a
    damaged file, and their tombstones with it.

    The chain of tombstones was verified before.
    """
    said: dict[int, tuple[object, ...]] = {}
    asked = "select kind, detail, actor, reason from tombstone where kind in (?, ?) order by id"
    for kind, text, actor, reason in connection.execute(asked, (HOLD, RELEASE)):
        detail = json.loads(text)
        number = detail.pop("hold")
        if kind == HOLD:
            said[number] = (detail, actor, reason or "")
        else:
            said.pop(number, None)
    columns = "select id, actor, reason, person, issuer, subject, thread_id from hold"
    found = {number: (_named(*named), actor, reason) for number, actor, reason, *named in connection.execute(columns)}
    for number, detail in said.items():
        if found.pop(number, None) != detail:
            return f"hold {number} was taken away or altered, and no tombstone says so"
    if found and not carried_over:
        return f"hold {min(found)} was put in, and no tombstone says so"
    return None


def _named(person: str | None, issuer: str | None, subject: str | None, thread_id: str | None) -> dict[str, Any]:
    named = {"person": person, "issuer": issuer, "subject": subject, "thread_id": thread_id}
    return {name: value for name, value in named.items() if value is not None}


def _hold(row: tuple[Any, ...]) -> Hold:
    number, person, issuer, subject, thread_id, reason, actor, at = row
    who = Who(person, issuer, subject) if thread_id is None else None
    return Hold(number, who, thread_id, reason, actor, at)
