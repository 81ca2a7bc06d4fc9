"""Who no longer passes, however much time is left: `data_dir/keys/revoked.json`, which every worker looks at.

A person is named by e-mail address or subject, whoever vouches for them; a token by its `jti` (RFC 7519 §4.1.7), a
client certificate by the SHA-256 of its DER in hex.
"""

import asyncio
import contextlib
import fcntl
import json
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from files.whole import write_whole
from identities.claims import json_object
from identities.fetching import off_loop
from identities.private_file import UnusableKey

log = logging.getLogger(__name__)

LOOK_S = 0.5
"""How often is looked whether the file is another, in seconds. With the second between two sweeps of what is open
(lanes.express.limits) whoever is revoked is out within 2 s."""

_READ_S = 5.0

Kind = Literal["person", "token"]

type Mark = tuple[int, int, int] | None
"""Of a file: inode, time of the last change in nanoseconds, bytes; None: there is none, or it cannot be seen."""


@dataclass(frozen=True, slots=True)
class Revocation:
    """`value` names a person or a token, `at` is Unix time in seconds, `reason` is for people. `until` is when it
    counts no more, since what it names has ended by then; None: for good."""

    kind: Kind
    value: str
    at: int
    reason: str = ""
    until: int | None = None


def revoked_path(data_dir: Path) -> Path:
    """Where they stand, whether anybody is revoked yet or not."""
    return data_dir / "keys" / "revoked.json"


def revocations(data_dir: Path) -> tuple[Revocation, ...]:
    """All of them, in the order in which they were said.

    Raises:
        UnusableKey: the file cannot be read, or holds something else.
    """
    path = revoked_path(data_dir)
    try:
        found = json_object(path.read_bytes())
    except FileNotFoundError:
        return ()
    except OSError as cannot:
        raise UnusableKey(f"{path} cannot be read: {cannot.strerror}. Who is revoked must be known") from None
    listed = found.get("revoked") if found else None
    if not isinstance(listed, list):
        raise UnusableKey(f"{path} does not say who is revoked. Restore it, or take it away and revoke again")
    return tuple(_revocation(path, one) for one in listed)


def _revocation(path: Path, given: object) -> Revocation:
    if isinstance(given, dict):
        kind, value, at, reason = (given.get(name) for name in ("kind", "value", "at", "reason"))
        until = given.get("until")
        if (
            kind in ("person", "token")
            and isinstance(value, str)
            and isinstance(at, int)
            and isinstance(reason, str)
            and (until is None or isinstance(until, int))
        ):
            return Revocation(kind, value, at, reason, until)
    raise UnusableKey(f"{path} holds an entry that names nobody. Restore it, or take it away and revoke again")


def revoke(data_dir: Path, one: Revocation) -> bool:
    """Workers refuse them within LOOK_S. False: they were revoked already.

    Raises:
        OSError: the file cannot be written.
        UnusableKey: as `revocations`.
    """
    return revoke_all(data_dir, [one]) == 1


def revoke_all(data_dir: Path, them: Sequence[Revocation]) -> int:
    """As `revoke`, all of them at once; how many were not revoked already. Raises as it does."""
    with _locked(data_dir):
        known = revocations(data_dir)
        named = {(each.kind, each.value) for each in known}
        new = [one for one in them if (one.kind, one.value) not in named]
        if new:
            now = max(one.at for one in new)
            _write(data_dir, [each for each in (*known, *new) if each.until is None or each.until > now])
        return len(new)


def admit_again(data_dir: Path, kind: Kind, value: str) -> bool:
    """Take a revocation back. False: there was none.

    Raises:
        OSError: the file cannot be written.
        UnusableKey: as `revocations`.
    """
    with _locked(data_dir):
        known = revocations(data_dir)
        kept = [each for each in known if (each.kind, each.value) != (kind, value)]
        if len(kept) == len(known):
            return False
        _write(data_dir, kept)
        return True


def _write(data_dir: Path, revoked: Sequence[Revocation]) -> None:
    content = {"revoked": [asdict(one) for one in revoked]}
    write_whole(revoked_path(data_dir), json.dumps(content, indent=1).encode())


@contextlib.contextmanager
def _locked(data_dir: Path) -> Iterator[None]:
    folder = revoked_path(data_dir).parent
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle = os.open(folder / ".revoked.lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


class RevokedFile:
    """Tells `apply` who is revoked: at once, and again whenever the file says otherwise.

    A file that cannot be read any more changes nothing: who was revoked stays so, and the log says it.

    Raises:
        UnusableKey: as `revocations`: who is revoked must be known before anybody passes.
    """

    def __init__(
        self, data_dir: Path, apply: Callable[[Sequence[Revocation]], None], *, look_s: float = LOOK_S
    ) -> None:
        self._data_dir = data_dir
        self._apply = apply
        self._look_s = look_s
        self._seen = _mark(data_dir)  # before it is read: what is written meanwhile is another file
        self._known = revocations(data_dir)
        self._broken = False
        self._keeper: asyncio.Task[None] | None = None
        apply(self._known)

    async def start(self) -> None:
        if self._keeper is None:
            self._keeper = asyncio.create_task(self._keep_looking(), name="revoked")

    async def stop(self) -> None:
        if self._keeper is not None:
            self._keeper.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._keeper
            self._keeper = None

    async def _keep_looking(self) -> None:
        while True:
            await asyncio.sleep(self._look_s)
            try:
                mark, found = await off_loop(self._look, within=_READ_S)
            except (TimeoutError, UnusableKey) as problem:
                if not self._broken:
                    log.error("Who is revoked cannot be read (%s); whoever was stays so.", problem)
                self._broken = True
                continue
            self._broken = False
            self._seen = mark
            if found is not None and found != self._known:
                self._known = found
                self._apply(found)

    def _look(self) -> tuple[Mark, tuple[Revocation, ...] | None]:
        """What the file is, and what it says; None: it is the one that was read, and thousands of signed out sessions
        may stand in it."""
        mark = _mark(self._data_dir)
        if mark == self._seen and not self._broken:
            return mark, None
        return mark, revocations(self._data_dir)


def _mark(data_dir: Path) -> Mark:
    """What tells this file from the one before: it is always written as a whole new one."""
    try:
        found = revoked_path(data_dir).stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size
