import sqlite3
from collections.abc import Iterator

import pytest

from storage.sqlite.search import match_expression, tokens

TEXTS = [
    "東京都の天気を教えてください",
    "京都の紅葉はいつ見頃ですか。ﾊﾟﾝﾌﾚｯﾄも欲しい",
    "The quick brown fox jumps over the lazy dog",
    "サーバーを再起動する手順 restart_server --now",
    "한국어 검색도 됩니다",
    "Ｐｙｔｈｏｎでグラフを描く",
]


@pytest.fixture
def index() -> Iterator[sqlite3.Connection]:
    db = sqlite3.connect(":memory:")
    db.execute("create virtual table search using fts5(text, content='', tokenize='unicode61 remove_diacritics 2')")
    db.executemany("insert into search (rowid, text) values (?, ?)", [(i, tokens(t)) for i, t in enumerate(TEXTS)])
    yield db
    db.close()


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("東京", [0]),
        ("京都", [0, 1]),
        ("京", [0, 1]),
        ("都", [0, 1]),
        ("東京都の天気", [0]),
        ("紅葉 京都", [1]),
        ("天気 京都の紅葉", []),
        ("パンフレット", [1]),
        ("サーバー", [3]),
        ("ー", [3]),
        ("再起動", [3]),
        ("再起動する手順", [3]),
        ("手順 restart", [3]),
        ("fox", [2]),
        ("FOX dog", [2]),
        ("fo", []),
        ("검색", [4]),
        ("한국어", [4]),
        ("Python", [5]),
        ("pythonで", [5]),
        ("描く", [5]),
        ("く", [0, 5]),
        ("猫", []),
    ],
)
def test_words_of_any_length_find_exactly_the_texts_that_hold_them(
    index: sqlite3.Connection, words: str, found: list[int]
) -> None:
    expression = match_expression(words)

    rows = index.execute("select rowid from search where search match ? order by rowid", (expression,)).fetchall()

    assert [row[0] for row in rows] == found


@pytest.mark.parametrize(
    "words", ['"', "AND", "fox OR dog", "NEAR(fox dog)", "text:fox", "fox*", "-fox", "'; drop table search; --", "^fox"]
)
def test_no_word_of_a_person_is_an_operator(index: sqlite3.Connection, words: str) -> None:
    expression = match_expression(words)

    if expression is not None:
        index.execute("select rowid from search where search match ?", (expression,)).fetchall()


@pytest.mark.parametrize("words", ["", "   ", '"', "-- !!"])
def test_nothing_to_look_for_is_said_as_none(words: str) -> None:
    assert match_expression(words) is None
