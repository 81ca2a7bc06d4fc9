"""Which exchanges are whole: reads the journals of all workers in order, remembers only where rows stand."""

import logging
import shutil
import sqlite3
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from storage.journal.files import is_alive, journal_files, rotate_path, spill_is_away, spill_path
from storage.journal.reading import JournalFile, Place, boots
from storage.journal.rows import CLOSING, INTENT, UNREAD, Intent, Row, Unread
from storage.sealing.journal import JournalOpener
from storage.sealing.master import MasterKeys
from storage.sqlite.writing import Cursor
from storage.upkeep.damage import is_damage, name_aside, put_aside

log = logging.getLogger(__name__)

_STRIDE = 1000  # rows looked at in one go


@dataclass(slots=True)
class Bundle:
    """All rows of one exchange. `died` when its worker is gone and no closing row is there."""

    exchange: bytes
    boot: str
    places: list[Place] = field(default_factory=list)
    died: bool = False


class BootIntake:
    """The journal of one worker's life."""

    def __init__(self, directory: Path, low_water: Mapping[str, int], masters: MasterKeys | None = None) -> None:
        self.directory = directory
        self._opener = JournalOpener(directory, masters)
        self.name = directory.name
        self._low_water = low_water
        self._files: dict[str, JournalFile] = {}
        self._read_to: dict[str, int] = {}
        self._open: dict[bytes, Bundle] = {}
        self._unread: list[tuple[bytes, Place]] = []
        self._said_away = False
        self._damaged: set[str] = set()
        self._waited_for: set[str] = set()
        self.over = False  # the worker is gone and every row has been looked at

    def finished(self, limit: int) -> list[Bundle]:
        """The next exchanges that are whole, at most about so many. What is handed out counts as stored from the
        next call on: the caller stores it, or does not call again."""
        if self._is_away():
            return []
        alive = is_alive(self.directory)  # asked before the files are read: what it wrote until then is there
        found: list[Bundle] = []
        for path in journal_files(self.directory):
            while len(found) < limit:
                rows = self._next_rows(path)
                if rows is None:
                    return found  # later rows of the same exchanges must not overtake these
                for no, exchange, kind in rows:
                    self._read_to[path.name] = no
                    if kind == UNREAD:
                        self._unread.append((exchange, Place(path.name, no, kind)))
                        continue
                    bundle = self._open.get(exchange)
                    if bundle is None:
                        bundle = self._open[exchange] = Bundle(exchange, self.name)
                    bundle.places.append(Place(path.name, no, kind))
                    if kind == CLOSING:
                        found.append(self._open.pop(exchange))
                if len(rows) < _STRIDE:
                    break
            else:
                return found
        if not alive and not self.over:
            self.over = True
            for bundle in self._open.values():
                bundle.died = True
                found.append(bundle)
            self._open.clear()
        return found

    def _is_away(self) -> bool:
        """Rows may be on a second disk that is not there: nothing of this boot is called whole without them."""
        away = spill_is_away(self.directory)
        if away and not self._said_away:
            log.error("The second disk with rows of %s is not there. They are recorded once it is.", self.directory)
        self._said_away = away
        return away

    def _next_rows(self, path: Path) -> list[tuple[int, bytes, int]] | None:
        """None: it cannot be read at the moment."""
        try:
            if (file := self._files.get(path.name)) is None:
                self._read_to[path.name] = self._low_water.get(path.name, 0)
                file = self._files[path.name] = JournalFile(path, self._opener)
            return file.after(self._read_to[path.name], _STRIDE)
        except sqlite3.Error as broken:
            lost = _is_lost(broken)
            if path.name not in (self._damaged if lost else self._waited_for):
                said = "is damaged, its remaining rows are lost" if lost else "cannot be read now, it is tried again"
                log.error("%s %s: %s", path, said, broken)
            (self._damaged if lost else self._waited_for).add(path.name)
            return [] if lost else None

    def rows(self, bundle: Bundle) -> Iterator[tuple[Row, bytes]]:
        """The rows of an exchange with their bodies, one at a time.

        Raises:
            SealProblem: they are sealed, and the key is missing or another. None is lost.
        """
        for place in bundle.places:
            try:
                yield self._files[place.file].row(place.no)
            except (LookupError, sqlite3.Error) as broken:
                if isinstance(broken, sqlite3.Error) and not self._marked(place.file, broken):
                    raise
                log.error("A row of exchange %s is lost: %s", bundle.exchange.hex(), broken)

    def _marked(self, file: str, broken: sqlite3.Error) -> bool:
        """Is the file damaged for good? Then it is put aside in place of being removed."""
        if lost := _is_lost(broken):
            self._damaged.add(file)
        return lost

    def unread(self) -> list[tuple[str, Unread]]:
        """The rows of connections that are not read among those looked at since the last call, (id, row). They count
        as stored as what `finished` hands out does.

        Raises:
            SealProblem: as `rows`.
        """
        found: list[tuple[str, Unread]] = []
        for connection, place in self._unread:
            try:
                row, _ = self._files[place.file].row(place.no)
            except (LookupError, sqlite3.Error) as broken:
                if isinstance(broken, sqlite3.Error) and not self._marked(place.file, broken):
                    raise
                log.error("The row of connection %s is lost: %s", connection.hex(), broken)
                continue
            if isinstance(row, Unread):
                found.append((connection.hex(), row))
        self._unread.clear()
        return found

    def cursors(self) -> list[Cursor]:
        """How far each file is stored, given that everything handed out so far is."""
        marks = dict(self._read_to)
        for bundle in self._open.values():
            for place in bundle.places:
                marks[place.file] = min(marks[place.file], place.no - 1)
        return [Cursor(self.name, file, mark) for file, mark in marks.items()]

    def removable(self) -> list[str]:
        """Files of which nothing is needed any more: all rows stored, and nobody will append."""
        needed = {place.file for bundle in self._open.values() for place in bundle.places}
        names = [path.name for path in journal_files(self.directory)]
        done = names if self.over else names[:-1]
        # A file is read to its end once a later one was read: the worker begins the next after the last commit.
        return [
            name for i, name in enumerate(done) if name not in needed and (self.over or names[i + 1] in self._read_to)
        ]

    def remove(self, names: list[str]) -> None:
        paths = {path.name: path for path in journal_files(self.directory)}
        for name in names:
            if (file := self._files.pop(name, None)) is not None:
                file.close()
            self._read_to.pop(name, None)
            if name in self._damaged and not self._put_aside(paths[name]):
                continue
            for part in ("", "-wal", "-shm"):
                paths[name].with_name(f"{name}{part}").unlink(missing_ok=True)
        if self.over and not journal_files(self.directory):
            if spill_path(self.directory).exists():
                shutil.rmtree(spill_path(self.directory).resolve(), ignore_errors=True)
            shutil.rmtree(self.directory, ignore_errors=True)

    def _put_aside(self, path: Path) -> bool:
        """What the rest of a damaged file holds may still be told by somebody who knows how: it is kept beside the
        record, as a damaged record is. False when it had to stay where it is."""
        beside = self.directory.parent.parent / f"journal-{self.name}-{path.name}"
        aside = name_aside(beside, time.time())
        try:
            put_aside(path, aside)
        except OSError as cannot:
            log.error("%s is damaged and cannot be kept as %s: %s", path, aside, cannot)
            return False
        log.error("%s is kept as %s.", path, aside)
        return True

    def ask_to_rotate(self) -> None:
        """Ask the worker to begin its next file."""
        if not self.over and is_alive(self.directory):
            rotate_path(self.directory).touch(mode=0o600)

    def has_rotated(self) -> bool:
        """Did it, or is it gone?"""
        return not rotate_path(self.directory).exists() or not is_alive(self.directory)

    def running(self) -> Iterator[Intent]:
        """Who asks in the exchanges that are not over yet."""
        for bundle in self._open.values():
            asked = Bundle(bundle.exchange, self.name, [place for place in bundle.places if place.kind == INTENT])
            yield from (row for row, _ in self.rows(asked) if isinstance(row, Intent))

    def keep_only_open(self) -> None:
        """Of the files that are still needed, remove what is stored.

        Raises:
            OSError: it is still there.
        """
        names = [path.name for path in journal_files(self.directory)]
        for name in names if self.over else names[:-1]:
            if (file := self._files.get(name)) is not None:
                try:
                    file.keep_only(self._open)
                except sqlite3.Error as cannot:
                    raise OSError(f"what is stored cannot be removed from {file.path}: {cannot}") from cannot

    def close(self) -> None:
        for file in self._files.values():
            file.close()


class Intake:
    """The journals of all boots under this directory."""

    def __init__(
        self, directory: Path, cursors: Mapping[tuple[str, str], int], masters: MasterKeys | None = None
    ) -> None:
        self._directory = directory
        self._cursors = cursors
        self._masters = masters
        self._boots: dict[str, BootIntake] = {}

    def poll(self, limit: int) -> list[tuple[BootIntake, list[Bundle]]]:
        """What is whole by now, per boot."""
        for path in boots(self._directory):
            if path.name not in self._boots:
                marks = {file: mark for (boot, file), mark in self._cursors.items() if boot == path.name}
                self._boots[path.name] = BootIntake(path, marks, self._masters)
        return [(boot, boot.finished(limit)) for boot in self._boots.values()]

    def has_removable(self) -> bool:
        """Is there a file that is stored whole?"""
        return any(boot.removable() or boot.over for boot in self._boots.values())

    def tidy(self) -> list[tuple[str, str]]:
        """Remove the files that are stored whole. Returns (boot, file) of each."""
        gone: list[tuple[str, str]] = []
        for name, boot in list(self._boots.items()):
            names = boot.removable()
            boot.remove(names)
            gone += [(name, file) for file in names]
            if boot.over and not boot.directory.exists():
                del self._boots[name]
        return gone

    def boots(self) -> list[BootIntake]:
        """The boots that left something to read."""
        return list(self._boots.values())

    def close(self) -> None:
        for boot in self._boots.values():
            boot.close()


def _is_lost(broken: sqlite3.Error) -> bool:
    """Does this say that a journal file is damaged, and no journal any more? Else it may be read another time."""
    code = getattr(broken, "sqlite_errorcode", None)
    return is_damage(broken) or code == sqlite3.SQLITE_ERROR
