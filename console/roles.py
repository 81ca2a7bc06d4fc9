"""Who may see what: one table, and the routes that ask it. What is not in the table is forbidden."""

from collections.abc import Callable, Iterable
from typing import Any, Final, Literal

from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute, Mount, Route
from starlette.types import Receive, Scope, Send

from exchange.principal import Principal
from settings.console import Console, GivenRole

Role = Literal["self", "viewer", "auditor", "admin"]
Need = Literal["nobody", "somebody", "records", "content", "everybody", "looks", "orders"]
"""nobody: open to all · somebody: signed in · records: who, when, how much · content: what was said, too · everybody:
what is about all people at once · looks: who looked at what · orders: what changes the record."""

GRANTS: Final[dict[Role, frozenset[Need]]] = {
    "self": frozenset({"nobody", "somebody", "records", "content"}),  # of a store that shows their own alone
    "viewer": frozenset({"nobody", "somebody", "records", "everybody"}),
    "auditor": frozenset({"nobody", "somebody", "records", "content", "everybody"}),
    "admin": frozenset({"nobody", "somebody", "records", "content", "everybody", "looks", "orders"}),
}

_HIGHEST_FIRST: Final[tuple[GivenRole, ...]] = ("admin", "auditor", "viewer")


def may(role: Role | None, need: Need) -> bool:
    """May whoever has this role, or none?"""
    return need == "nobody" if role is None else need in GRANTS[role]


def role_of(principal: Principal, console: Console) -> Role | None:
    """The highest role that the settings give them; None for whom they give none."""
    for role in _HIGHEST_FIRST:
        members = console.roles.get(role)
        if members is None:
            continue
        if principal.email in members.emails or not members_of(principal).isdisjoint(members.groups):
            return role
    return "self" if console.own and principal.email else None


def members_of(principal: Principal) -> frozenset[str]:
    """The groups they are in, as their provider says; compared as they are written."""
    return frozenset(principal.groups)


class Page(Route):
    """A route that names what it needs."""

    def __init__(
        self, path: str, endpoint: Callable[..., Any], need: Need, *, methods: Iterable[str] | None = None
    ) -> None:
        super().__init__(path, endpoint, methods=list(methods) if methods else None)
        self.need: Need = need

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        session = scope["state"]["session"]
        if not may(session.role if session is not None else None, self.need):
            raise HTTPException(401 if session is None else 403)
        await super().handle(scope, receive, send)


def all_named(routes: list[BaseRoute]) -> list[BaseRoute]:
    """These routes, each of which says who may.

    Raises:
        TypeError: one does not. It would be open to whoever is signed in.
    """
    for route in routes:
        if not isinstance(route, Page) and not (isinstance(route, Mount) and route.path == "/static"):
            raise TypeError(f"{route} does not say what it needs: make it a console.roles.Page")
    return routes
