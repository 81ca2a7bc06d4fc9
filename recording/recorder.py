"""The recorder: takes what is whole from the journals, understands it, stores it, removes what is not needed."""

import logging
import os
import signal
import sqlite3
import time
from collections.abc import Callable, Collection, Sequence
from functools import partial
from pathlib import Path

from exchange.record import Record
from recording.anchors import Anchors
from recording.attempts import LARGE, Attempts
from recording.clearing import Clearing
from recording.costs import Prices
from recording.damage import DailyLook, begin_anew, open_whole
from recording.intake import BootIntake, Bundle, Intake
from recording.letting_go import LettingGo
from recording.orders import Interrupted, Orders, Told
from recording.threads import Threads
from recording.understanding import READER, Journaled, keep_only, put_together, understand
from recording.watch import Watch
from settings.schema import Settings
from settings.sealing import Seal
from settings.storage import Heads
from storage.heads import signing_key
from storage.journal.files import hold_lock, journal_dir
from storage.journal.reading import boots
from storage.journal.rows import Unread
from storage.removal.due import Keeping
from storage.removal.retention import keeping_from
from storage.removal.tombstones import NODE as TOMBSTONES
from storage.room import Ballast, DiskRoom, ballast_from, is_full, rooms_from
from storage.sealing.journal import JournalOpener
from storage.sealing.master import MasterKeys
from storage.sealing.vault import Vault, masters_for_writing
from storage.sqlite.driver import StoreProblem, audit_path
from storage.sqlite.writing import AuditWriter
from storage.upkeep.damage import is_damage

log = logging.getLogger(__name__)

_BATCH = 200  # exchanges in one transaction
_BYTES = 16 << 20  # of bodies in one transaction, and so in memory; one exchange may have more
_REST = 0.1  # seconds between looks when there is nothing to do
_HOUSEKEEPING = 2.0  # seconds between removing journal files
_CATCHING_UP = 100  # batches, at most, that are recorded before a command is carried out
_BACK_OFF = 1.0  # seconds until a store that refused is tried again


class Recorder:
    """One instance's recorder. Only one runs at a time: it holds `audit.db.lock`.

    Raises:
        StoreProblem: another recorder runs, or audit.db cannot be used, or it is sealed and the key is another.
    """

    def __init__(
        self,
        data_dir: Path,
        heads: Heads | None = None,
        seal: Seal | None = None,
        rooms: Sequence[DiskRoom] = (),
        ballast: Ballast | None = None,
        keeping: Keeping | None = None,
        *,
        two_people: bool = False,
    ) -> None:
        data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            self._lock = hold_lock(data_dir / "audit.db.lock")
        except BlockingIOError:
            raise StoreProblem(
                f"Another Sekisho records into {data_dir} already. Stop it, or use another data_dir."
            ) from None
        self._data_dir = data_dir
        self._seal = seal
        self._heads = heads or Heads()
        self._heads_file = self._heads.file or data_dir / "heads.txt"
        try:
            signing_key(data_dir)  # a damaged one is said before anything is touched
            self._masters = masters_for_writing(data_dir, seal)
            for boot in boots(journal_dir(data_dir)):
                JournalOpener(boot, self._masters).check()
            self._take_up(open_whole(data_dir, self._heads_file, self._open))
        except StoreProblem:
            os.close(self._lock)
            raise
        self._attempts = Attempts(journal_dir(data_dir) / "attempts.json")
        self._prices = Prices()
        self._look = DailyLook(audit_path(data_dir))
        self._ballast = ballast
        wal = audit_path(data_dir).with_name("audit.db-wal")
        self._watch = Watch(wal, lambda: self._writer.empty_log(), rooms, ballast)
        self._tidied = 0.0
        self._anchors = Anchors(data_dir, self._heads)
        self._anchored = time.monotonic()
        self._stopping = False
        keeping = keeping or Keeping()
        self._letting_go = LettingGo(lambda: self._writer, keeping)
        self._clearing = Clearing(lambda: self._intake.boots(), self._catch_up, self._persist)
        self._orders = Orders(
            data_dir,
            lambda: self._writer,
            meanwhile=self._meanwhile,
            caught_up=self._catch_up,
            forgotten=self._forget,
            cleared=self._clearing.now,
            running=self._running,
            keeping=keeping,
            alone=self._letting_go.break_off,
            two_people=two_people,
        )

    def _open(self) -> AuditWriter:
        return _writer(self._data_dir, self._masters, self._seal)

    def _take_up(self, writer: AuditWriter) -> None:
        """Work on this record from here on."""
        self._writer = writer
        writer.tally_here()
        self._intake = Intake(journal_dir(self._data_dir), writer.cursors(), self._masters)
        self._threads = Threads(writer.thread_of)

    def close(self) -> None:
        self._anchor()
        self._anchors.close()
        self._orders.close()
        self._intake.close()
        self._writer.close()
        os.close(self._lock)

    def step(self) -> int:
        """Store what is whole by now. Returns how many exchanges there were.

        A file that turns out to be damaged is put aside, and the journals are read again into a new one.
        """
        try:
            if (why := self._look.found()) is not None:
                self._begin_anew(why)
            self._watch.look()
            return self._step()
        except sqlite3.Error as wrong:
            if not is_damage(wrong):
                raise
            self._begin_anew(str(wrong))
            return 1  # there is something to do

    def _begin_anew(self, why: str) -> None:
        try:
            self._anchor()
        except sqlite3.Error as wrong:  # the damage may be where the heads are read
            log.error("The last heads of the damaged record cannot be signed: %s", wrong)
        self._intake.close()
        self._letting_go.break_off()
        self._writer.close()
        self._take_up(begin_anew(self._data_dir, self._heads_file, why, self._open))

    def _step(self) -> int:
        count = 0
        for boot, bundles in self._intake.poll(_BATCH):
            unread = boot.unread()
            if bundles or unread:
                self._store(boot, bundles, unread)
            count += len(bundles) + len(unread)
        if not count and time.monotonic() - self._tidied > _HOUSEKEEPING:
            self.tidy()
        if time.monotonic() - self._anchored > self._heads.every:
            self._anchor()
            self._writer.tally_here()
        self._clearing.in_passing()
        return count

    def _store(self, boot: BootIntake, bundles: list[Bundle], unread: list[tuple[str, Unread]]) -> None:
        """Store these. The cursors go with the last: what was stored before a death in between is known by its id."""
        known = self._writer.has(bundle.exchange.hex() for bundle in bundles)
        records: list[Record] = []
        size = 0
        for bundle in bundles:
            if bundle.exchange.hex() in known:
                continue
            record = self._record(put_together(bundle.exchange, bundle.boot, boot.rows(bundle)))
            records.append(record)
            if not self._writer.keeps(record):
                self._clearing.owe()
            size += len(record.raw.request) + len(record.raw.response)
            if size > _BYTES:
                self._insist(partial(self._writer.store, records, []))
                self._attempts.stored([bytes.fromhex(each.seen.id) for each in records])
                records, size = [], 0
        self._insist(partial(self._writer.store, records, boot.cursors(), unread=unread))
        self._attempts.stored([bytes.fromhex(each.seen.id) for each in records])

    def _record(self, journaled: Journaled) -> Record:
        large = len(journaled.request) + sum(map(len, journaled.pieces)) > LARGE
        if large and not self._attempts.begin(journaled.exchange):
            return self._threads.linked(keep_only(journaled))
        return self._threads.linked(understand(journaled, self._prices))

    def carry_out(self, told: Told = lambda _step: None) -> None:
        """Carry out the commands that wait (commands.db), recording meanwhile."""
        self._orders.carry_out(told)

    def let_go(self) -> bool:
        """One step of retention, where any is due. True while there is more to do now."""
        return self._letting_go.step()

    def stop(self) -> None:
        """Carry on with no command; the next recorder does."""
        self._stopping = True

    def _meanwhile(self) -> None:
        if self._stopping:
            raise Interrupted
        self.step()

    def _catch_up(self) -> None:
        """Record what is in the journals by now; on a busy road something always is."""
        for _ in range(_CATCHING_UP):
            if not self.step():
                return

    def _forget(self) -> None:
        self._threads = Threads(self._writer.thread_of)

    def _running(self, pairs: Collection[tuple[str, str]]) -> int:
        """How many exchanges of these people are not over yet."""
        intents = (intent for boot in self._intake.boots() for intent in boot.running())
        return sum(who is not None and (who.issuer, who.subject) in pairs for who in (i.principal for i in intents))

    def _persist(self) -> None:
        """Remove the journal files that are stored whole, and wait until the disk has what was in the others."""
        self.tidy()
        self._insist(self._writer.persist)

    def _anchor(self) -> None:
        self._anchored = time.monotonic()
        heads = self._writer.heads()
        if (last := self._writer.tombstone_head()) is not None:
            heads[TOMBSTONES] = last
        self._anchors.publish(heads)

    def tidy(self) -> None:
        """Remove the journal files that are not needed any more."""
        self._tidied = time.monotonic()
        if not self._intake.has_removable():
            return
        self._insist(self._writer.persist)
        gone = self._intake.tidy()
        self._insist(partial(self._writer.store, [], [], gone))

    def _insist(self, store: Callable[[], None]) -> None:
        """A store that refuses (full disk, locked file) is asked again until it takes the records: they are owed."""
        while True:
            try:
                store()
            except (sqlite3.Error, OSError) as cannot:
                if isinstance(cannot, sqlite3.Error) and is_damage(cannot):
                    raise
                if is_full(cannot) and self._ballast is not None and self._ballast.release():
                    continue
                log.error("audit.db cannot be written, trying again: %s", cannot)
                time.sleep(_BACK_OFF)
            else:
                return


def _writer(data_dir: Path, masters: MasterKeys | None, seal: Seal | None) -> AuditWriter:
    """The keys before the record, so that a record which must be sealed is never opened without."""
    vault = Vault(data_dir, masters, seal.index) if masters and seal else None
    try:
        return AuditWriter(audit_path(data_dir), reader_version=READER, vault=vault)
    except BaseException:
        if vault is not None:
            vault.close()
        raise


def recorder_from(settings: Settings) -> Recorder:
    """The recorder that these settings describe.

    Raises:
        StoreProblem: it cannot begin.
    """
    storage = settings.storage
    keeping = keeping_from(storage.keep, settings.policies.rules)
    rooms, ballast = rooms_from(settings), ballast_from(settings)
    two_people = settings.access.two_people
    return Recorder(settings.data_dir, storage.heads, storage.seal, rooms, ballast, keeping, two_people=two_people)


def run(settings: Settings, ready: Callable[[], None]) -> None:
    """Record until SIGTERM or SIGINT; then store what is whole by then, and return."""
    stopping = False
    recorder: Recorder | None = None

    def stop(_signal: int, _frame: object) -> None:
        nonlocal stopping
        stopping = True
        if recorder is not None:
            recorder.stop()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    recorder = recorder_from(settings)
    ready()
    try:
        while not stopping:
            recorded = recorder.step()
            if not recorder.let_go() and not recorded:
                time.sleep(_REST)
            recorder.carry_out()
        while recorder.step():
            pass
        recorder.tidy()
    finally:
        recorder.close()
