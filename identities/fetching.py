"""One small document from a web server, and never on the event loop.

Each fetch has a daemon thread of its own: the loop's default executor also resolves names for upstream connections,
and a hanging key server must not fill it, nor hold up the end of the process.
"""

import asyncio
import contextlib
import threading
from collections.abc import Callable
from pathlib import Path

from outbound.asking import ask

LARGEST = 512 * 1024
"""Bytes of a document. Key sets in the field have up to some 30 KB."""

DEADLINE_S = 5.0


def document(url: str, *, deadline: float, ca_file: Path | None = None, bearer: str | None = None) -> bytes:
    """The body of a 200 answer. Blocks, at most until `deadline` (time.monotonic) and one look-up of the name.

    Raises:
        NoAnswer: whatever went wrong.
    """
    headers = {"Authorization": f"Bearer {bearer}"} if bearer else {}
    return ask("GET", url, headers=headers, deadline=deadline, largest=LARGEST, hoped_for=(200,), ca_file=ca_file).body


async def off_loop[T](work: Callable[[], T], *, within: float) -> T:
    """The result of blocking work done in a daemon thread of its own.

    Raises:
        TimeoutError: it took longer than `within` seconds; its result will be ignored.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def settle(result: T | None, problem: BaseException | None) -> None:
        if done.done():
            return
        if problem is not None:
            done.set_exception(problem)
        else:
            done.set_result(result)  # type: ignore[arg-type]  # None only beside a problem, or where T is None

    def run() -> None:
        result: T | None = None
        problem: BaseException | None = None
        try:
            result = work()
        except BaseException as raised:  # noqa: BLE001 - handed over to whoever waits
            problem = raised
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits
            loop.call_soon_threadsafe(settle, result, problem)

    threading.Thread(target=run, name="sekisho-keys", daemon=True).start()
    async with asyncio.timeout(within):
        return await done
