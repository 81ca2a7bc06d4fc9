"""Orders: what people want changed in the record. The console asks, in commands.db; the recorder carries it out."""

import contextlib
import re
import sqlite3
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from console.exchange import NotFound
from console.house import House, session_of
from console.looking import actor_of
from console.roles import Page
from storage.book import BookReader, Held, book_path
from storage.commands import NEED_TWO, Command, Commands, NotOpen, NotYours, commands_path, is_same_person
from storage.journal.files import is_held
from storage.removal.holds import Hold
from storage.sqlite.lock import lock_path
from storage.sqlite.people import Identity, Who, addresses_of

KINDS: Final = ("erase", "hold", "release")
TABLE: Final = "/orders/table"
"""A page that asks for this by itself is nobody's presence."""

_SHOWN: Final = 100
_REASON: Final = 500  # characters
_NAME: Final = 320  # characters of an address or a subject (RFC 5321, 4.5.3.1)


class OrdersUnusable(Exception):  # noqa: N818 - a page says it
    """commands.db cannot be read or written; the message says what to do."""


class Orders:
    """The pages on orders and holds."""

    def __init__(self, house: House) -> None:
        self._house = house

    def routes(self) -> list[Page]:
        """Where they are."""
        return [
            Page("/orders", self.page, "orders"),
            Page("/orders", self.ask, "orders", methods=["POST"]),
            Page("/orders/new", self.form, "orders"),
            Page(TABLE, self.table, "orders"),
            Page("/orders/{id}/approve", self.approve, "orders", methods=["POST"]),
            Page("/orders/{id}/decline", self.decline, "orders", methods=["POST"]),
        ]

    def page(self, request: Request) -> HTMLResponse:
        """GET /orders"""
        with self._house.store(request) as store:
            holds = [(hold, _moment(hold.at)) for hold in store.holds()]
        shown = self._listed(request)
        more = {"two_people": self._two, "alone": self._alone, "whom": _whom}
        return self._house.page(request, "orders.html", holds=holds, **more, **shown)

    def table(self, request: Request) -> HTMLResponse:
        """GET /orders/table: the list alone, while something is under way."""
        return self._house.page(request, "order_table.html", **self._listed(request))

    def form(self, request: Request) -> HTMLResponse:
        """GET /orders/new?kind=…: what would be done, to whom, before it is asked for."""
        return self._form(request, dict(request.query_params))

    async def ask(self, request: Request) -> Response:
        """POST /orders"""
        return await _in_thread(self._ask, request)

    async def approve(self, request: Request) -> Response:
        """POST /orders/ID/approve: the second person says yes."""
        return await _in_thread(self._answer, request, "approve")

    async def decline(self, request: Request) -> Response:
        """POST /orders/ID/decline: somebody says no, or whoever asked takes it back."""
        return await _in_thread(self._answer, request, "decline")

    @property
    def _two(self) -> bool:
        return self._house.settings.access.two_people

    @property
    def _alone(self) -> bool:
        return not is_held(lock_path(self._house.settings.data_dir))

    def _ask(self, request: Request) -> Response:
        form: dict[str, str] = request.state.form
        reason = " ".join(form.get("reason", "").split())[:_REASON]
        kind, arguments = _named(form)
        if not reason:
            return self._form(request, form, "Say why: the reason stays on record.")
        if kind == "erase" and form.get("sure") != "1":
            return self._form(request, form, "Confirm that it cannot be brought back.")
        self._about(request, kind, arguments)  # what is not there is said now, not by the recorder later
        with self._commands() as commands:
            commands.ask(kind, arguments, actor=actor_of(session_of(request)), reason=reason, two_people=self._two)
        return RedirectResponse("/orders", 303)

    def _answer(self, request: Request, yes_or_no: str) -> Response:
        uid, who = request.path_params["id"], actor_of(session_of(request))
        with self._commands() as commands:
            try:
                commands.approve(uid, who) if yes_or_no == "approve" else commands.decline(uid, who)
            except LookupError:
                raise NotFound("There is no such order.") from None
            except (NotOpen, NotYours) as why:
                return self._house.page(
                    request, "message.html", 409, title="Orders", said=str(why), remedy=None, onward="/orders"
                )
        return RedirectResponse("/orders", 303)

    def _form(self, request: Request, given: dict[str, str], problem: str | None = None) -> HTMLResponse:
        kind, arguments = _named(given)
        identities, hold = self._about(request, kind, arguments)
        return self._house.page(
            request,
            "order.html",
            400 if problem else 200,
            kind=kind,
            arguments=arguments,
            about=_about_text(arguments, hold),
            thread=arguments.get("thread_id"),
            identities=[(each, _only(kind, each)) for each in identities],
            at_fronts=self._at_fronts(arguments, identities) if kind == "erase" else None,
            hold=hold,
            reason=given.get("reason", "")[:_REASON] or session_of(request).reason or "",
            needs_two=self._two and kind in NEED_TWO,
            problem=problem,
        )

    def _about(self, request: Request, kind: str, arguments: dict[str, Any]) -> tuple[list[Identity], Hold | None]:
        """Whom it is about, or which hold.

        Raises:
            NotFound: there is nobody of that name, or no such hold or conversation.
        """
        with self._house.store(request) as store:
            if kind == "release":
                hold = next((each for each in store.holds() if each.id == arguments["hold"]), None)
                if hold is None:
                    raise NotFound("There is no such hold.")
                return [], hold
            if "thread_id" in arguments:
                if not store.has_thread(arguments["thread_id"]):
                    raise NotFound("There is no such conversation.")
                return [], None
            found = store.identities(Who(**arguments))
        if not found and not (kind == "erase" and self._at_fronts(arguments, found)):
            raise NotFound("Nobody of that name is on record, or their content was erased already.")
        return found, None

    def _at_fronts(self, arguments: dict[str, Any], identities: list[Identity]) -> Held:
        """What the chat fronts know of this person: it goes with an erasure."""
        data_dir = self._house.settings.data_dir
        if not book_path(data_dir).exists():
            return Held()
        return BookReader(data_dir).held(addresses_of(Who(**arguments), identities), time.time())

    def _listed(self, request: Request) -> dict[str, Any]:
        found: list[Command] = []
        if commands_path(self._house.settings.data_dir).exists():
            with self._commands() as commands:
                found = commands.listed(_SHOWN)
        me = actor_of(session_of(request))
        orders = [
            {
                "command": each,
                "at": _moment(each.order.asked_at),
                "ended": _moment(each.ended_at) if each.ended_at else None,
                "mine": is_same_person(each.order.actor, me),
                "error": (each.outcome or {}).get("error"),
                **self._to_decide(request, each),
            }
            for each in found
        ]
        return {"orders": orders, "under_way": any(each.state in ("waiting", "running") for each in found)}

    def _to_decide(self, request: Request, command: Command) -> dict[str, Any]:
        """What it is about; while a second person has to decide, whom it reaches by now, or which hold it ends."""
        identities: list[Identity] = []
        hold: Hold | None = None
        if command.kind in KINDS and command.state == "proposed":
            with contextlib.suppress(NotFound):  # gone meanwhile; carrying it out says so
                identities, hold = self._about(request, command.kind, command.arguments)
        return {"about": _about_text(command.arguments, hold), "identities": identities, "hold": hold}

    @contextlib.contextmanager
    def _commands(self) -> Iterator[Commands]:
        path = commands_path(self._house.settings.data_dir)
        try:
            commands = Commands(self._house.settings.data_dir)
            try:
                yield commands
            finally:
                commands.close()
        except (sqlite3.Error, OSError) as cannot:
            raise OrdersUnusable(
                f"{path} cannot be used: {cannot}. See that the disk has room and that it may be written; if it is "
                "damaged, move it away: only orders that wait are lost."
            ) from cannot


async def _in_thread(what: Any, *given: Any) -> Response:
    from anyio import to_thread

    answer: Response = await to_thread.run_sync(what, *given)
    return answer


def _named(given: dict[str, str]) -> tuple[str, dict[str, Any]]:
    """What was asked for, and on whom, as the queue names it.

    Raises:
        NotFound: nobody is named, or it is no order.
    """
    kind = given.get("kind", "")
    person, issuer, subject = (given.get(name, "")[:_NAME] for name in ("person", "issuer", "subject"))
    thread, hold = given.get("thread", "").replace("-", "").lower(), given.get("hold", "")
    if kind == "release" and re.fullmatch(r"[0-9]{1,9}", hold):
        return kind, {"hold": int(hold)}
    if kind == "hold" and re.fullmatch(r"[0-9a-f]{32}", thread):
        return kind, {"thread_id": thread}
    if kind in ("erase", "hold") and issuer and subject:
        return kind, {"issuer": issuer, "subject": subject}
    if kind in ("erase", "hold") and person:
        return kind, {"person": person}
    raise NotFound("There is no such order.")


def _about_text(arguments: dict[str, Any], hold: Hold | None) -> str:
    if hold is not None:
        return hold.thread_id or _whom(hold.who)
    if "hold" in arguments:
        return f"# {arguments['hold']}"
    if "thread_id" in arguments:
        return str(arguments["thread_id"])
    known = {name: value for name, value in arguments.items() if name in ("person", "issuer", "subject")}
    return _whom(Who(**known)) if known else ""


def _whom(who: Who | None) -> str:
    """In no language: the name, or the subject and who vouches for it."""
    return "" if who is None else who.person or f"{who.subject} ({who.issuer})"


def _only(kind: str, identity: Identity) -> str:
    return f"/orders/new?{urlencode({'kind': kind, 'issuer': identity.issuer, 'subject': identity.subject})}"


def _moment(microseconds: int) -> datetime:
    return datetime.fromtimestamp(microseconds / 1e6, tz=UTC).astimezone()
