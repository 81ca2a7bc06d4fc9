"""CSV (RFC 4180, UTF-8) for spreadsheets: what was asked and answered, and all that is known about it.

A spreadsheet runs a cell that begins like a formula, and what callers and models say is theirs to choose: such a cell
gets an apostrophe in front, and every cell quotes (OWASP, CSV Injection).
"""

import csv
import io
from typing import Final

from cli.formats.columns import COLUMNS, Value
from wire.conversation.record import read_record

_FORMULA: Final = frozenset("=+-@\t\r\n" + "＝＋－＠")


class CsvRows:
    continues = False  # the second file would have a line of names in the middle
    needs = "anything"

    def __init__(self) -> None:
        self._text = io.StringIO()
        self._writer = csv.writer(self._text, quoting=csv.QUOTE_ALL, lineterminator="\r\n")

    def begin(self) -> bytes:
        return self._row([column.name for column in COLUMNS])

    def add(self, line: bytes) -> bytes:
        record = read_record(line)
        return self._row([cell(column.of(record)) for column in COLUMNS])

    def end(self) -> bytes:
        return b""

    def _row(self, cells: list[str]) -> bytes:
        self._writer.writerow(cells)
        written = self._text.getvalue()
        self._text.seek(0)
        self._text.truncate()
        return written.encode("utf-8", "replace")  # half a character, which JSON may hold, becomes "?"


def cell(value: Value) -> str:
    """A value as a cell that no spreadsheet takes for a formula. NUL, which ends a cell in some readers, becomes ␀."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(int(value))
    if not isinstance(value, str):
        return value.isoformat().replace("+00:00", "Z") if hasattr(value, "isoformat") else str(value)
    text = value.replace("\0", "␀")
    dangerous = text[:1] in _FORMULA or text.lstrip()[:1] in _FORMULA if text else False
    return f"'{text}" if dangerous else text
