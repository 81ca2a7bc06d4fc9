"""What an export is written as. Each form takes records as lines of JSON, one after the other, and gives bytes."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final, Literal, Protocol

if TYPE_CHECKING:
    from storage.sqlite.reading import AuditReader

Format = Literal["jsonl", "openai-chat", "openai-batch", "parquet", "har", "flow", "csv"]


class Form(Protocol):
    """One export in the making."""

    continues: bool
    """Does a second export go on where the first stopped, so that one file behind the other is a whole again?"""
    needs: str
    """What an exchange must be to have a place in this form, for the sentence about those that were left out."""

    def begin(self) -> bytes: ...

    def add(self, line: bytes) -> bytes | None:
        """The bytes for this record, as far as they can be written yet; None: it has no place here."""
        ...

    def end(self) -> bytes: ...


def _lines(_reader: "AuditReader") -> Form:
    from cli.formats.lines import JsonLines

    return JsonLines()


def _chat(_reader: "AuditReader") -> Form:
    from cli.formats.openai import FineTuning

    return FineTuning()


def _batch(_reader: "AuditReader") -> Form:
    from cli.formats.openai import BatchInput

    return BatchInput()


def _csv(_reader: "AuditReader") -> Form:
    from cli.formats.csv_rows import CsvRows

    return CsvRows()


def _parquet(_reader: "AuditReader") -> Form:
    from cli.formats.parquet import Parquet

    return Parquet()


def _har(reader: "AuditReader") -> Form:
    from cli.formats.har import HttpArchive

    return HttpArchive(reader)


def _flow(reader: "AuditReader") -> Form:
    from cli.formats.flow import Flows

    return Flows(reader)


FORMS: Final["Mapping[Format, Callable[[AuditReader], Form]]"] = {
    "jsonl": _lines,
    "openai-chat": _chat,
    "openai-batch": _batch,
    "parquet": _parquet,
    "har": _har,
    "flow": _flow,
    "csv": _csv,
}
"""Each is imported when it is asked for: the plain export is called by programs, often."""
