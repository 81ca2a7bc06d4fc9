"""Does the SQLite that is in use here find what it should? Distributions build it in many ways; this asks it."""

import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sqlite_utils import Database

from storage.sqlite.driver import StoreProblem, audit_path, open_for_reading
from storage.sqlite.migrations import migrations
from storage.sqlite.search import TOKENS_VERSION, all_of, phrase, tokens

OLDEST: Final = (3, 37, 0)  # STRICT tables

TEXTS: Final = (
    "東京都の天気を教えてください",
    "京都の紅葉はいつ見頃ですか。ﾊﾟﾝﾌﾚｯﾄも欲しい",
    "Restart the サーバー with restart_server --now",
    "한국어 검색도 됩니다",
    "Ｐｙｔｈｏｎでグラフを描く café",
)
ANSWERS: Final = {
    "東京": {1},
    "京都": {1, 2},
    "京": {1, 2},
    "東京都の天気": {1},
    "パンフレット": {2},
    "サーバー": {3},
    "restart": {3},
    "검색": {4},
    "python": {5},
    "cafe": {5},
    "猫": set(),
}
"""What is looked for → which of TEXTS, from 1, must be found, and no other."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at; `problem` says what to do, None when it is well."""

    what: str
    problem: str | None = None


def findings(data_dir: Path | None = None) -> list[Finding]:
    """All that was looked at: the library, its answers to known questions, and this instance's record where there is
    one. Nothing is written but in memory."""
    found = [_version(), _answers()]
    if data_dir is not None and audit_path(data_dir).exists():
        found.append(_record(data_dir))
    return found


def _version() -> Finding:
    what = f"SQLite {sqlite3.sqlite_version}"
    if sqlite3.sqlite_version_info < OLDEST:
        wanted = ".".join(map(str, OLDEST))
        return Finding(what, f"It is older than {wanted}. Use a Python that was built with a newer one.")
    return Finding(what)


def _answers() -> Finding:
    what = "full-text search, known questions in Japanese, Korean and English"
    connection = sqlite3.connect(":memory:", isolation_level=None)
    try:
        migrations.apply(Database(connection, execute_plugins=False))
        for text in TEXTS:
            connection.execute(
                "insert into search (user_text, answer_text, tool_text) values (?, '', '')", (tokens(text),)
            )
        wrong = [question for question, rows in ANSWERS.items() if _found(connection, question) != rows]
    except sqlite3.Error as cannot:
        return Finding(what, f"It cannot be used: {cannot}. Use a Python whose SQLite has FTS5.")
    finally:
        connection.close()
    if wrong:
        return Finding(what, f"Wrong answers to {', '.join(wrong)}. Use another build of SQLite, and report this one.")
    return Finding(what)


def _found(connection: sqlite3.Connection, question: str) -> set[int]:
    asked = phrase(question)
    if asked is None:
        return set()
    rows = connection.execute("select rowid from search where search match ? order by rowid desc", (all_of([asked]),))
    return {int(row[0]) for row in rows}


def _record(data_dir: Path) -> Finding:
    what = f"the record at {audit_path(data_dir)}"
    try:
        database = open_for_reading(audit_path(data_dir))
    except StoreProblem as problem:
        return Finding(what, str(problem))
    try:
        cut = database.conn.execute("select value from meta where name = 'search_tokens'").fetchone()
        count = database.conn.execute("select count(*) from exchange").fetchone()[0]
    except sqlite3.Error as cannot:
        return Finding(what, f"It cannot be read: {cannot}.")
    finally:
        database.close()
    if cut is None or cut[0] != TOKENS_VERSION:
        return Finding(
            what, f"Its index was cut in another way (tokens {cut and cut[0]}). Use the Sekisho that made it."
        )
    return Finding(f"{what}: {count} exchanges")
