"""What is derived stands in no hash; held against the exact bytes it cannot be another all the same."""

import json
import sqlite3
from pathlib import Path

import pytest

from recording.comparing import Compared, compared
from storage.journal.rows import Arrivals, Closing
from storage.journal.writing import Journal
from storage.sealing.vault import Locked
from storage.sqlite.driver import audit_path
from storage.sqlite.verifying import verify
from tests.cli.conftest import Desk, desk
from tests.recording.test_recorder import BODY, STREAM, closing, exchange, intent, journal, new_id, record_all

__all__ = ["desk", "journal"]  # the fixtures


def refused() -> Closing:
    return closing("refused", b"", status=403, head=None, arrivals=Arrivals([], []), error="model_not_allowed")


def of(connection: sqlite3.Connection) -> Compared:
    return compared(connection, {"openai": "openai"}, Locked(), lambda _seq: None)


async def written(tmp_path: Path, journal: Journal) -> sqlite3.Connection:
    """A whole stream, one that was cut, a refusal, and an intent without an end."""
    exchange(journal, 1)
    for number, end in ((2, closing("upstream_cut", STREAM[:200])), (3, refused())):
        id_ = new_id()
        journal.append(id_, intent(number, outcome="deny" if number == 3 else "allow"), BODY)
        journal.append(id_, end, STREAM[:200] if number == 2 else b"")
    journal.append(new_id(), intent(4), BODY)
    journal.close()
    record_all(tmp_path)
    connection = sqlite3.connect(audit_path(tmp_path), isolation_level=None)
    connection.row_factory = sqlite3.Row
    return connection


async def test_what_was_just_recorded_is_what_its_bytes_say(tmp_path: Path, journal: Journal) -> None:
    connection = await written(tmp_path, journal)

    assert of(connection) == Compared(4, [], 0)
    connection.execute("update body set raw = 'expired' where seq = 2")
    connection.execute("update exchange set reader = 0 where seq = 4")
    assert of(connection) == Compared(2, [], 2)
    connection.close()


@pytest.mark.parametrize(
    ("sql", "differs"),
    [
        ("update exchange set end_state = 'complete' where seq = 2", [(2, ["end_state"])]),
        ("update exchange set end_state = 'refused' where seq = 1", [(1, ["end_state"])]),
        ("update exchange set output_tokens = 1, usage_source = 'provider' where seq = 1", None),
        ("update exchange set request_model = 'o3' where seq = 3", [(3, ["request_model"])]),
        ("update body set response = (select response from body where seq = 2) where seq = 1", [(1, ["response"])]),
        ("update body set response = null where seq = 1", [(1, ["response"])]),
        ("update body set request_json = (select response from body where seq = 1) where seq = 1", [(1, ["request"])]),
    ],
)
async def test_an_altered_answer_or_end_is_named_though_the_chain_holds(
    tmp_path: Path, journal: Journal, sql: str, differs: list[tuple[int, list[str]]] | None
) -> None:
    connection = await written(tmp_path, journal)
    connection.execute(sql)

    assert verify(connection).broken is None
    found = of(connection)
    assert found.same == 3
    assert differs is None or found.other == differs
    connection.close()


async def test_verify_says_so_where_it_is_asked_to(tmp_path: Path, desk: Desk, journal: Journal) -> None:
    desk.config.write_text(f"data_dir: {tmp_path}\n", encoding="utf-8")
    connection = await written(tmp_path, journal)
    whole = desk.sekisho("verify", "--derived")
    connection.execute("update exchange set end_state = 'complete' where seq = 2")
    connection.close()
    altered = desk.sekisho("verify", "--derived")

    assert (whole.exit_code, altered.exit_code, desk.sekisho("verify").exit_code) == (0, 1, 0)
    assert "What is derived of 4 records is what their exact bytes say." in whole.stdout
    assert "BROKEN: of record 2, end_state is not what its exact bytes say." in altered.stdout
    said = json.loads(desk.sekisho("verify", "--derived", "--json").stdout)
    assert said["derived"]["other"] == [[2, ["end_state"]]]
    assert desk.sekisho("db", "rebuild").exit_code == 0
    assert desk.sekisho("verify", "--derived").exit_code == 0
