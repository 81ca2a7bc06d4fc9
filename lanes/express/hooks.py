"""Calling addons: mitmproxy's order, without a task for hooks that do not wait."""

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable, Generator, Iterable
from types import CoroutineType
from typing import Any

from mitmproxy import exceptions
from mitmproxy.addonmanager import traverse

log = logging.getLogger(__name__)

type Hook = Callable[[Any], Any]
type Ran = "bool | Waiting"
"""True: all ran. False: one raised (it is logged). Else one waits: await it for that answer."""

NAMES = (
    "client_connected",
    "client_disconnected",
    "server_connect",
    "server_connected",
    "server_connect_error",
    "server_disconnected",
    "requestheaders",
    "request",
    "responseheaders",
    "response",
    "error",
)
_OF_FLOWS = frozenset({"requestheaders", "request", "responseheaders", "response", "error"})


class Hooks:
    """Each hook's functions, one tuple a name. `resolve` looks again and is cheap when no addon came or went."""

    __slots__ = ("_addons", *NAMES)

    client_connected: tuple[Hook, ...]
    client_disconnected: tuple[Hook, ...]
    server_connect: tuple[Hook, ...]
    server_connected: tuple[Hook, ...]
    server_connect_error: tuple[Hook, ...]
    server_disconnected: tuple[Hook, ...]
    requestheaders: tuple[Hook, ...]
    request: tuple[Hook, ...]
    responseheaders: tuple[Hook, ...]
    response: tuple[Hook, ...]
    error: tuple[Hook, ...]

    def __init__(self) -> None:
        self._addons: list[object] = []
        for name in NAMES:
            setattr(self, name, ())

    def resolve(self, chain: Iterable[object]) -> None:
        """`chain` is the addon manager's; addons within addons are found as mitmproxy finds them."""
        addons = list(traverse(chain))
        if len(addons) == len(self._addons) and all(a is b for a, b in zip(addons, self._addons, strict=True)):
            return
        self._addons = addons
        updates = [f for a in addons if callable(f := getattr(a, "update", None))]
        for name in NAMES:
            functions = [f for a in addons if callable(f := getattr(a, name, None))]
            if name in _OF_FLOWS:
                # mitmproxy fires `update` with a list of flows after each of a flow's hooks.
                functions += [_updating(f) for f in updates]
            setattr(self, name, tuple(functions))


def _updating(update: Callable[[list[object]], Any]) -> Hook:
    return lambda flow: update([flow])


def fire(functions: tuple[Hook, ...], subject: Any, halt: bool = False) -> Ran:
    """Call them in order. An exception is logged and the rest still run, unless `halt`. AddonHalt ends the hook."""
    clean = True
    for i, function in enumerate(functions):
        try:
            waiting = function(subject)
        except exceptions.AddonHalt:
            break
        except Exception:
            log.exception("An addon failed in %s.", _name(function))
            clean = False
            if halt:
                break
        else:
            if waiting is not None and (type(waiting) is CoroutineType or inspect.isawaitable(waiting)):
                return Waiting(waiting, functions, i, subject, halt, clean)
    if getattr(subject, "intercepted", False):
        return Waiting(subject.wait_for_resume(), (subject.wait_for_resume,), 0, subject, halt, clean)
    return clean


class Waiting:
    """A hook that waits: for `first`, then for the functions after it, then for a flow that an addon intercepted."""

    __slots__ = ("_clean", "_functions", "_halt", "_i", "_subject", "first")

    def __init__(
        self, first: Awaitable[Any], functions: tuple[Hook, ...], i: int, subject: Any, halt: bool, clean: bool
    ) -> None:
        self.first = first
        self._functions = functions
        self._i = i
        self._subject = subject
        self._halt = halt
        self._clean = clean

    def rest(self) -> Ran:
        """Once `first` has come without a fault: the functions after it."""
        ran = fire(self._functions[self._i + 1 :], self._subject, self._halt)
        if isinstance(ran, bool):
            return ran and self._clean
        ran._clean = ran._clean and self._clean
        return ran

    def __await__(self) -> Generator[Any, Any, bool]:
        return self._all().__await__()

    async def _all(self) -> bool:
        answer: list[bool] = []
        await self.then(answer.append)
        return answer[0]

    async def then(self, go_on: Callable[[bool], object]) -> None:
        """Wait, and tell `go_on` whether all ran: one coroutine for both, since every forwarded request pays for it."""
        functions = self._functions[self._i + 1 :]
        clean = self._clean
        try:
            await self.first
        except exceptions.AddonHalt:
            functions = ()
        except (Exception, asyncio.CancelledError):
            # A CancelledError that escapes a hook is that hook's fault; swallowed here, it cannot hang the flow.
            log.exception("An addon failed in %s.", _name(self._functions[self._i]))
            clean = False
            if self._halt:
                functions = ()
        ran = fire(functions, self._subject, self._halt)
        go_on((ran if isinstance(ran, bool) else await ran) and clean)


def _name(function: Hook) -> str:
    return getattr(function, "__qualname__", repr(function))
