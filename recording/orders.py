"""Commands of people, carried out by the recorder: the one writer changes the record, whoever asks for it."""

import logging
import sqlite3
import time
from collections.abc import Callable, Collection, Generator
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from recording.people import StillThere, forgotten, known
from storage.commands import NEED_TWO, Command, Commands, commands_path, is_same_person
from storage.problem import StoreProblem
from storage.removal.due import Keeping
from storage.removal.erasing import Erasure
from storage.removal.holds import Holds, add_hold, remove_hold
from storage.removal.retention import Let
from storage.removal.sweeping import Step
from storage.sqlite.driver import audit_path
from storage.sqlite.people import Who, addresses_of, identities_of
from storage.sqlite.transaction import transaction
from storage.sqlite.writing import AuditWriter

log = logging.getLogger(__name__)

_SAYING: Final = 0.2  # seconds between two words on how far it is
_EMPTYING: Final = 30.0  # seconds for readers to let go of the write-ahead log
_BESIDE: Final = ("-wal", "-shm")  # of a file of SQLite's: named with it

type Told = Callable[[Step], None]
"""Told how far a command is."""


class Interrupted(Exception):  # noqa: N818 - not an error: we are to stop
    """The recorder is to stop; the command is carried on with at its next start."""


class CannotBe(Exception):  # noqa: N818 - said to a person
    """The command cannot be carried out; the message says why, and what to do."""


class Orders:
    """Looks for commands and carries them out.

    Args:
        writer: the record, which may be another after it was damaged.
        meanwhile: called between two steps of a command, so that recording goes on. May raise Interrupted.
        caught_up: records what the journals hold by now.
        forgotten: called after an erasure: what is remembered of conversations goes.
        cleared: takes what is stored out of the journals' files; returns what could not be.
        running: how many exchanges of these people, (issuer, subject), are not over yet.
        keeping: how long what is kept.
        alone: called before a command: nothing that changes the record by itself goes on with what it knew before.
        two_people: what takes something away is carried out only when a second person approved it.
    """

    def __init__(
        self,
        data_dir: Path,
        writer: Callable[[], AuditWriter],
        *,
        meanwhile: Callable[[], None],
        caught_up: Callable[[], None],
        forgotten: Callable[[], None],
        cleared: Callable[[], list[str]],
        running: Callable[[Collection[tuple[str, str]]], int],
        keeping: Keeping,
        alone: Callable[[], None],
        two_people: bool,
    ) -> None:
        self._data_dir = data_dir
        self._writer = writer
        self._meanwhile = meanwhile
        self._caught_up = caught_up
        self._forgotten = forgotten
        self._cleared = cleared
        self._running = running
        self._keeping = keeping
        self._alone = alone
        self._two_people = two_people
        self._commands: Commands | None = None
        self._said = 0.0
        self._wrong = ""

    def close(self) -> None:
        if self._commands is not None:
            self._commands.close()
            self._commands = None

    def carry_out(self, told: Told) -> None:
        """All that wait, in order. A command that fails says why in its outcome, and the next one has its turn. Where
        they cannot be read that is logged, once, and tried again: recording goes on."""
        try:
            self._carry_out(told)
            self._wrong = ""
        except (sqlite3.Error, OSError) as cannot:
            if self._wrong != str(cannot):
                self._wrong = str(cannot)
                path = commands_path(self._data_dir)
                log.error(
                    "%s cannot be used, nothing in it is carried out: %s. Move it away if it is damaged.", path, cannot
                )
            self.close()

    def _carry_out(self, told: Told) -> None:
        if self._commands is None:
            if not commands_path(self._data_dir).exists():
                return
            self._commands = Commands(self._data_dir)
        for command in self._commands.open():
            try:
                self._alone()
                outcome = self._one(self._commands, command, told)
            except Interrupted:
                return
            except CannotBe as why:
                self._commands.ended(command.order.uid, {"error": str(why)}, failed=True)
            except StoreProblem as why:
                self._commands.ended(command.order.uid, {"error": str(why)}, failed=True)
            except (sqlite3.Error, OSError) as cannot:
                log.error("The command %s of %s failed: %s", command.kind, command.order.actor, cannot)
                said = f"The record could not be changed: {cannot}. Ask for it again once that is mended."
                self._commands.ended(command.order.uid, {"error": said}, failed=True)
            except Exception:
                log.exception("The command %s of %s failed.", command.kind, command.order.actor)
                said = "It failed by a fault of Sekisho's own; the recorder's log says which."
                self._commands.ended(command.order.uid, {"error": said}, failed=True)
            else:
                self._commands.ended(command.order.uid, outcome)
                log.info("Carried out for %s: %s.", command.order.actor, command.kind)

    def _one(self, commands: Commands, command: Command, told: Told) -> dict[str, Any]:
        if self._two_people and command.kind in NEED_TWO and not _approved(command):
            raise CannotBe(
                "access.two_people: a second person must approve it first, and nobody has. Ask for it again."
            )
        if command.damaged:
            raise CannotBe(f"commands.db was altered or is damaged: {command.damaged}. Ask for it again.")
        if command.kind == "erase":
            return self._erase(commands, command, told)
        if command.kind == "hold":
            return self._hold(command)
        if command.kind == "release":
            return self._release(command)
        if command.kind == "retain":
            return self._retain(commands, command, told)
        raise CannotBe(f"Nobody knows the command {command.kind!r}. A newer Sekisho may have asked for it.")

    def _erase(self, commands: Commands, command: Command, told: Told) -> dict[str, Any]:
        who = Who(**command.arguments)
        connection = self._writer().connection
        self._caught_up()
        found = identities_of(connection, who)
        plan = command.plan or {}
        earlier = [(issuer, subject) for issuer, subject in plan.get("pairs", ())]
        pairs = sorted({*earlier, *((one.issuer, one.subject) for one in found)})
        addresses = sorted({*plan.get("addresses", ()), *addresses_of(who, found)})
        if not pairs and not self._known_at_fronts(command, addresses):
            raise CannotBe(f"Nobody called {who} is on record, or their content was erased already.")
        holds = Holds(connection)
        if (hold := next((h for pair in pairs if (h := holds.on_person(*pair))), None)) is not None:
            raise CannotBe(f"Nothing was erased: {hold} forbids it ({hold.reason}). `sekisho hold remove {hold.id}`.")
        commands.begun(command.order.uid, {"pairs": pairs, "addresses": addresses})
        erasure = Erasure(command.order, pairs)
        self._follow(commands, command, self._writer().eraser().erase(erasure), told)
        self._forgotten()
        told(("sessions and tokens", 0, 0))
        left = self._cleared() + self._copies()
        at_fronts = None
        try:
            at_fronts = forgotten(self._data_dir, addresses, command.order, self._meanwhile)
        except StillThere as why:
            left.append(str(why))
        if not self._emptied():
            left.append("the write-ahead log of audit.db, which somebody reads: end long-running readers")
        counts = erasure.counts
        if counts.still_found:
            raise CannotBe(f"{counts.still_found} phrases are still found after the erasure. Run `sekisho db check`.")
        if left:
            raise CannotBe(f"All is erased from the record, but not from {'; '.join(left)}. Then ask for it again.")
        return {
            "identities": [asdict(one) for one in found],
            **asdict(counts),
            "running": self._running(pairs),
            "fronts": at_fronts,
        }

    def _known_at_fronts(self, command: Command, addresses: Collection[str]) -> bool:
        try:
            return bool(known(self._data_dir, addresses, command.order))
        except StillThere as why:
            raise CannotBe(f"Nothing was erased from {why}. Then ask for it again.") from why

    def _hold(self, command: Command) -> dict[str, Any]:
        thread = command.arguments.get("thread_id")
        who = None if thread else Who(**command.arguments)
        if thread:
            known = "select 1 from exchange where thread_id = ? limit 1"
            self._caught_up()
            if self._writer().connection.execute(known, (thread,)).fetchone() is None:
                raise CannotBe(f"There is no thread {thread}. Copy its id from `sekisho show` of an exchange.")
        with transaction(self._writer().connection):
            return {"hold": add_hold(self._writer().connection, command.order, who, thread)}

    def _release(self, command: Command) -> dict[str, Any]:
        number = int(command.arguments["hold"])
        with transaction(self._writer().connection):
            if not remove_hold(self._writer().connection, command.order, number):
                raise CannotBe(f"There is no hold {number}. `sekisho hold list` shows them.")
        return {"hold": number}

    def _retain(self, commands: Commands, command: Command, told: Told) -> dict[str, Any]:
        let = Let()
        retention = self._writer().retention()
        self._follow(commands, command, retention.run(self._keeping, command.order, time.time_ns() // 1000, let), told)
        if let.exchanges:  # by hand there is time to write the index anew, so that no page has what is gone
            self._follow(commands, command, self._writer().eraser().settle(), told)
        return asdict(let)

    def _follow(self, commands: Commands, command: Command, work: Generator[Step], told: Told) -> None:
        try:
            for step in work:
                told(step)
                if time.monotonic() - self._said > _SAYING:
                    self._said = time.monotonic()
                    commands.progress(command.order.uid, *step)
                self._meanwhile()
        finally:
            work.close()

    def _copies(self) -> list[str]:
        """Copies from before a new schema hold what was erased, and go. A damaged file that was put aside may still be
        needed: that is for people to say."""
        name = audit_path(self._data_dir).name
        damaged = [*self._data_dir.glob(f"{name}.corrupt-*Z*"), *self._data_dir.glob("journal-*.corrupt-*Z*")]
        left = [f"{path}, which was put aside: remove it" for path in damaged if not path.name.endswith(_BESIDE)]
        for copy in self._data_dir.glob(f"{name}.schema-*"):
            try:
                copy.unlink()
            except OSError as cannot:
                left.append(f"{copy} ({cannot.strerror})")
            else:
                log.info("Removed %s: it held what was erased.", copy)
        return left

    def _emptied(self) -> bool:
        until = time.monotonic() + _EMPTYING
        while not self._writer().empty_log():
            if time.monotonic() > until:
                return False
            self._meanwhile()
        return True


def _approved(command: Command) -> bool:
    order = command.order
    return order.approver is not None and not is_same_person(order.actor, order.approver)
