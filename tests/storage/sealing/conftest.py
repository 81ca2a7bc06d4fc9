"""A data directory that is sealed, and what looks into its files."""

import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from exchange.call import Text
from exchange.record import Record
from settings.sealing import MasterKeySource, Seal
from storage.sealing.keyring import new_key
from storage.sealing.master import written
from storage.sealing.vault import Index, Vault, masters_for_writing
from storage.sqlite.driver import audit_path
from storage.sqlite.reading import AuditReader
from storage.sqlite.writing import AuditWriter
from tests.cli.records import record

QUESTION = "秘密の契約書について、大阪支社の顧客名簿をください。Zanzibar marzipan. " * 4
ANSWER = "顧客名簿は金庫にあります。Xylophone quartz. " * 6
ARGUMENT = "配送先は淡路島 Bumblebee"
PATH, QUERY, CLIENT = "/v1/files/極秘-Kumquat", "name=極秘-Persimmon", "極秘-Tangerine/1.0"
SAID = (QUESTION, ANSWER, ARGUMENT, PATH, QUERY, CLIENT)


def told(question: str = QUESTION, answer: str = ANSWER, **more: Any) -> Record:
    """An exchange with secrets in every place that may hold one."""
    call = {
        "id": "c1",
        "type": "function",
        "function": {"name": "ship_parcel", "arguments": json.dumps({"to": ARGUMENT})},
    }
    request = {"model": "gpt-4o", "messages": [{"role": "user", "content": question}]}
    response = {
        "id": "chatcmpl-1", "object": "chat.completion",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": answer, "tool_calls": [call]}}],
    }  # fmt: skip
    raw = b"data: " + json.dumps(response, ensure_ascii=False).encode() + b"\n\n"
    made = record(
        request, response, raw_response=raw, arrivals=((5, len(raw)),), path=PATH, query=QUERY, user_agent=CLIENT,
        texts=(Text("user", question), Text("answer", answer), Text("tool", ARGUMENT)), **more,
    )  # fmt: skip
    derived = replace(made.derived, tools=("ship_parcel",), thread_keys=(b"K" * 16,), thread_id="0" * 31 + "1")
    return replace(made, derived=derived)


@dataclass
class Place:
    """A data directory, and the settings that seal it."""

    data_dir: Path
    seal: Seal | None

    def write(self, *records: Record) -> None:
        masters = masters_for_writing(self.data_dir, self.seal)
        vault = Vault(self.data_dir, masters, self.seal.index) if masters and self.seal else None
        writer = AuditWriter(audit_path(self.data_dir), reader_version=1, vault=vault)
        try:
            writer.store(records, ())
        finally:
            writer.close()

    def reader(self) -> AuditReader:
        return AuditReader(self.data_dir, self.seal)

    def connection(self) -> sqlite3.Connection:
        found = sqlite3.connect(audit_path(self.data_dir), isolation_level=None)
        found.row_factory = sqlite3.Row
        return found

    def records(self) -> list[dict[str, Any]]:
        reader = self.reader()
        try:
            return [json.loads(line) for _, line in reader.export()]
        finally:
            reader.close()


def key_file(folder: Path, name: str = "master.key") -> MasterKeySource:
    path = folder / name
    if not path.exists():
        path.write_text(written(new_key()) + "\n", encoding="ascii")
    return MasterKeySource(file=path)


def sealed(folder: Path, index: Index = "keyed", *, key: str = "master.key", old: Sequence[str] = ()) -> Place:
    """A place under this folder; the key lies beside it."""
    source, olds = key_file(folder, key), tuple(key_file(folder, name) for name in old)
    return Place(folder / "data", Seal(key=source, old_keys=olds, index=index))


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return sealed(tmp_path)


def found_in_files(folder: Path, said: Iterable[str]) -> set[str]:
    """Every piece of what was said that stands in a file under this folder, in whatever form: words and pairs of
    characters, in UTF-8 and UTF-16, as JSON escapes, in upper and lower case."""
    content = b"\0".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())
    lowered = content.lower()
    return {piece for text in said for piece in pieces(text) if any(form in lowered for form in forms(piece))}


def pieces(text: str) -> Iterator[str]:
    """Words of five letters or more, pairs of Japanese characters, and the text itself."""
    yield text
    word = ""
    for a, b in zip(text, f"{text[1:]} ", strict=True):
        if not a.isascii() and not b.isascii():
            yield a + b
    for character in f"{text} ":
        if character.isascii() and character.isalpha():
            word += character
            continue
        if len(word) >= 5:
            yield word
        word = ""


def forms(piece: str) -> set[bytes]:
    low = piece.lower()
    escaped = json.dumps(low)[1:-1]
    return {low.encode(), low.encode("utf-16-le"), low.encode("utf-16-be"), escaped.encode()}
