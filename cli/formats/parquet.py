"""Parquet (zstd) for DuckDB, pandas and data lakes: the columns of the table, and both bodies as JSON text."""

import io
from typing import Any, Final

import msgspec

from cli.failure import Failed
from cli.formats.columns import COLUMNS, Value
from wire.conversation.record import ShownRecord, read_record

_ROWS: Final = 5_000  # of one row group
_BYTES: Final = 64 << 20  # of bodies in one row group, about


class _Bodies(msgspec.Struct, frozen=True):
    request: msgspec.Raw = msgspec.Raw(b"null")
    response: msgspec.Raw = msgspec.Raw(b"null")


_bodies = msgspec.json.Decoder(_Bodies).decode


class Parquet:
    """Raises:
    Failed: pyarrow, which is not installed with Sekisho, is missing.
    """

    continues = False
    needs = "anything"

    def __init__(self) -> None:
        try:
            import pyarrow
            import pyarrow.parquet
        except ImportError:
            raise Failed(
                "Parquet is written with pyarrow, which is not installed. Run `pip install 'sekisho[parquet]'` in the "
                "environment that Sekisho runs in, or choose another --format."
            ) from None
        self._arrow: Any = pyarrow
        types: dict[str, Any] = {
            "text": pyarrow.string(),
            "integer": pyarrow.int64(),
            "number": pyarrow.float64(),
            "flag": pyarrow.bool_(),
            "time": pyarrow.timestamp("us", tz="UTC"),
        }
        self._schema = pyarrow.schema(
            [
                *((column.name, types[column.kind]) for column in COLUMNS),
                ("request", pyarrow.string()),
                ("response", pyarrow.string()),
            ]
        )
        self._sink = _Sink()
        self._writer: Any = pyarrow.parquet.ParquetWriter(self._sink, self._schema, compression="zstd")
        self._rows: list[dict[str, Value]] = []
        self._size = 0

    def begin(self) -> bytes:
        return self._sink.taken()

    def add(self, line: bytes) -> bytes:
        record, bodies = read_record(line), _bodies(line)
        self._rows.append({**_cells(record), "request": _text(bodies.request), "response": _text(bodies.response)})
        self._size += len(line)
        if len(self._rows) < _ROWS and self._size < _BYTES:
            return b""
        return self._group()

    def end(self) -> bytes:
        rest = self._group()
        self._writer.close()
        return rest + self._sink.taken()

    def _group(self) -> bytes:
        if self._rows:
            self._writer.write_table(self._arrow.Table.from_pylist(self._rows, schema=self._schema))
            self._rows, self._size = [], 0
        return self._sink.taken()


def _cells(record: ShownRecord) -> dict[str, Value]:
    values = ((column.name, column.of(record)) for column in COLUMNS)
    return {name: _whole(value) if isinstance(value, str) else value for name, value in values}


def _text(body: msgspec.Raw) -> str | None:
    said = bytes(body)
    return None if said == b"null" else said.decode("utf-8", "replace")


def _whole(text: str) -> str:
    """Arrow's strings are UTF-8: half a character, which JSON may hold, becomes "?"."""
    return text.encode("utf-8", "replace").decode()


class _Sink(io.RawIOBase):
    """Takes what the writer writes, and gives it on piece by piece."""

    def __init__(self) -> None:
        super().__init__()
        self._kept = bytearray()
        self._before = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._kept += data
        return len(memoryview(data).cast("B"))

    def tell(self) -> int:
        return self._before + len(self._kept)

    def taken(self) -> bytes:
        """What came since the last time."""
        given = bytes(self._kept)
        self._before += len(given)
        self._kept.clear()
        return given
