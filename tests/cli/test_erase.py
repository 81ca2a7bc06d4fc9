"""erase and hold: a person's content goes, for good; what is held stays."""

import json
import time
from dataclasses import replace

import pytest

from exchange.principal import Principal
from exchange.scope import Scope
from identities.revoked import revocations
from storage.book import Book
from storage.commands import Commands
from storage.query.terms import Query
from storage.sqlite.reading import AuditReader
from storage.sqlite.summary import Steps
from storage.sqlite.tally import DAY
from tests.cli.conftest import Desk
from tests.cli.records import chat

WORDS = ("秘密鑰匙", "canary4711")
ERASE = ("erase", "--person", "ann@example.com", "--reason", "she asked for it")


def on_disk(desk: Desk) -> bytes:
    return b"".join(path.read_bytes() for path in desk.data_dir.rglob("*") if path.is_file())


def prepared(desk: Desk) -> list[str]:
    return desk.store(chat("秘密鑰匙 canary4711", "はい"), chat("もう一つ canary4711", "いいえ"))


def test_as_an_auditor_tries_it(desk: Desk) -> None:
    ids = prepared(desk)
    assert "秘密鑰匙" in desk.sekisho("search", "秘密鑰匙").stdout
    done = desk.sekisho(*ERASE, "--yes")

    assert done.exit_code == 0, done.stderr
    assert "own / ann (ann@example.com): 2 exchanges, 2026-11-18 to 2026-11-18" in done.stderr
    assert "Erased the content of 2 exchanges" in done.stdout
    assert "nothing is found" in done.stdout
    assert [word for word in WORDS if word.encode() in on_disk(desk)] == []
    for query in (*WORDS, "user:ann@example.com"):
        assert "Nothing was found" in desk.sekisho("search", query).stderr
    said = desk.sekisho("verify")
    assert said.exit_code == 0
    assert "2 records were erased" in said.stdout
    assert json.loads(desk.sekisho("show", ids[0], "--json").stdout)["request"] is None
    raw = desk.sekisho("show", ids[0], "--raw", "request")
    assert (raw.exit_code, raw.stdout) == (1, "")
    assert "raw is expired" in raw.stderr


def test_no_sum_names_who_was_erased_and_all_are_counted(desk: Desk) -> None:
    prepared(desk)
    others = chat("b", "c")
    bob = Principal("bob", "bob@example.com", "example.com", "own")
    desk.store(replace(others, seen=replace(others.seen, principal=bob)))
    assert desk.sekisho(*ERASE, "--yes").exit_code == 0

    reader = AuditReader(desk.data_dir)
    try:
        (groups,) = reader.summaries(Query(), Steps(DAY, 0), [("issuer", "subject", "person")])
        users = reader.facets(Query(), 100).values["user"]
    finally:
        reader.close()
    assert users == [("bob@example.com", 1)]
    assert {(each.subject, each.person): each.count for each in groups} == {
        (None, ""): 2,
        ("bob", "bob@example.com"): 1,
    }


def test_the_outcome_is_there_for_programs(desk: Desk) -> None:
    prepared(desk)
    outcome = json.loads(desk.sekisho(*ERASE, "--yes", "--json").stdout)

    assert (outcome["exchanges"], outcome["held"], outcome["still_found"]) == (2, 0, 0)
    assert outcome["identities"][0]["emails"] == ["ann@example.com"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("erase", "--reason", "x", "--yes"), "Name a person"),
        (("erase", "--reason", "x", "--yes", "--issuer", "own"), "Name a person"),
        (
            ("erase", "--reason", "x", "--yes", "--person", "a@b.c", "--issuer", "own", "--subject", "a"),
            "Name a person",
        ),
        (("erase", "--reason", " ", "--yes", "--person", "ann@example.com"), "Say why"),
        (("erase", "--reason", "x", "--json", "--person", "ann@example.com"), "--yes"),
        (ERASE, "Add --yes"),
        (("hold", "add", "--reason", "x"), "Name a person"),
        (("hold", "add", "--reason", "x", "--thread", "0199"), "no whole id"),
        (("hold", "add", "--reason", "x", "--thread", "0" * 32, "--person", "a"), "two holds"),
    ],
)
def test_what_makes_no_sense_changes_nothing(desk: Desk, arguments: tuple[str, ...], said: str) -> None:
    prepared(desk)
    done = desk.sekisho(*arguments)

    assert done.exit_code == 2
    assert said in done.stderr
    assert "秘密鑰匙" in desk.sekisho("search", "秘密鑰匙").stdout


def test_nobody_of_that_name_is_said_before_anything_is_asked(desk: Desk) -> None:
    prepared(desk)
    done = desk.sekisho("erase", "--person", "bob@example.com", "--reason", "x")

    assert done.exit_code == 1
    assert "Nobody called bob@example.com" in done.stderr


def test_one_identity_can_be_named(desk: Desk) -> None:
    prepared(desk)
    done = desk.sekisho("erase", "--issuer", "own", "--subject", "ann", "--reason", "x", "--yes")

    assert "Erased the content of 2 exchanges" in done.stdout


def test_a_hold_forbids_it_and_is_listed_until_it_is_removed(desk: Desk) -> None:
    prepared(desk)
    assert "Hold 1" in desk.sekisho("hold", "add", "--person", "ann@example.com", "--reason", "a lawsuit").stdout
    assert "hold 1 on ann@example.com" in desk.sekisho("hold", "list").stdout
    assert json.loads(desk.sekisho("hold", "list", "--json").stdout)["reason"] == "a lawsuit"
    refused = desk.sekisho(*ERASE, "--yes")
    assert refused.exit_code == 1
    assert "a lawsuit" in refused.stderr
    assert "Hold 1" in desk.sekisho("hold", "remove", "1", "--reason", "it is over").stdout
    assert "There are no holds" in desk.sekisho("hold", "list").stderr
    assert desk.sekisho(*ERASE, "--yes").exit_code == 0
    assert desk.sekisho("verify").exit_code == 0


def test_a_copy_from_before_a_new_schema_goes_with_it(desk: Desk) -> None:
    prepared(desk)
    copy = desk.data_dir / "audit.db.schema-2"
    copy.write_bytes("秘密鑰匙".encode())
    desk.sekisho(*ERASE, "--yes")

    assert not copy.exists()


def test_who_asked_and_why_stays_on_record(desk: Desk) -> None:
    import sqlite3

    prepared(desk)
    desk.sekisho(*ERASE, "--yes")
    record = sqlite3.connect(desk.data_dir / "audit.db")
    rows = record.execute("select kind, actor <> '', reason from tombstone order by id").fetchall()
    record.close()
    commands = Commands(desk.data_dir)

    assert rows == [("erase", 1, "she asked for it"), ("erased", 1, "she asked for it")]
    assert list(commands.open()) == []
    commands.close()


def test_a_record_of_an_older_schema_is_brought_up_to_date_first(desk: Desk) -> None:
    import sqlite3

    prepared(desk)
    record = sqlite3.connect(desk.data_dir / "audit.db", isolation_level=None)
    record.execute("drop table pruned")
    record.execute("drop table unswept")
    for index in ("body_raw_kept", "exchange_rule", "tombstone_kind"):
        record.execute(f"drop index {index}")
    record.execute("delete from _sqlite_migrations where name in ('m007_retention', 'm009_due')")
    record.execute("pragma user_version=6")
    record.close()
    assert "Start this one once" in desk.sekisho("search", "canary4711").stderr
    done = desk.sekisho(*ERASE, "--yes")

    assert done.exit_code == 0, done.stderr
    assert [path.name for path in desk.data_dir.glob("audit.db.schema-*")] == []


def signed_in(desk: Desk, email: str) -> Book:
    """As the fronts write it down."""
    book = Book(desk.data_dir)
    ends = int(time.time()) + 3600
    book.begin_session(f"s-{email}", email, "https://chat.example.com", ends, "Firefox")
    book.begin_token(f"t-{email}", email, "ノートPC", ends, Scope())
    return book


def test_what_the_chat_fronts_know_of_them_is_said_ended_and_gone(desk: Desk) -> None:
    prepared(desk)
    for email in ("ann@example.com", "bob@example.com"):
        book = signed_in(desk, email)
    done = desk.sekisho(*ERASE, "--yes")

    assert done.exit_code == 0, done.stderr
    assert "At the chat fronts: 1 session and 1 token. What is still open of it ends." in done.stderr
    assert (
        "At the chat fronts: 1 session and 1 token of theirs ended and forgotten; looked for afterwards." in done.stdout
    )
    assert {one.value for one in revocations(desk.data_dir)} == {"s-ann@example.com", "t-ann@example.com"}
    assert (book.tokens_of("ann@example.com"), len(book.tokens_of("bob@example.com"))) == ([], 1)
    assert "ノートPC".encode() in b"".join(path.read_bytes() for path in desk.data_dir.glob("fronts.db*"))


def test_who_only_ever_signed_in_is_erased_though_nothing_of_them_is_on_record(desk: Desk) -> None:
    prepared(desk)
    book = signed_in(desk, "carol@example.com")
    done = desk.sekisho("erase", "--person", "Carol@Example.com", "--reason", "ticket 13", "--yes")

    assert done.exit_code == 0, done.stderr
    assert "Found 0 identities" in done.stderr
    assert book.tokens_of("carol@example.com") == []
    assert desk.sekisho("verify").exit_code == 0
    again = desk.sekisho("erase", "--person", "carol@example.com", "--reason", "x", "--yes")
    assert (again.exit_code, "Nobody called carol@example.com" in again.stderr) == (1, True)
