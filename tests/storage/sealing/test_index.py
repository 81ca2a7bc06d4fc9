"""The keyed index finds what the plain one finds."""

import re
import sqlite3
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from storage.sealing.index import KeyedIndex
from storage.sqlite.search import RUN, folded, phrase, tokens

KEYED = KeyedIndex(bytes(range(32)))
pieces = st.sampled_from(
    [
        "東",
        "京",
        "都",
        "東京",
        "大阪支社",
        "カタカナ",
        "한국",
        "a",
        "ab",
        "abc",
        "Café",
        "x1",
        "_",
        "-",
        " ",
        "。",
        "Ｚ",
        "42",
    ]
)
texts = st.lists(pieces, min_size=1, max_size=8).map("".join)


@pytest.fixture(scope="module")
def index() -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    for name in ("plain", "keyed"):
        connection.execute(
            f"create virtual table {name} using fts5 (said, content='', tokenize='unicode61 remove_diacritics 2')"
        )
    yield connection
    connection.close()


def found(index: sqlite3.Connection, name: str, cut: Callable[[str], str], text: str, asked: str | None) -> bool:
    if asked is None:
        return False
    index.execute("begin")
    try:
        index.execute(f"insert into {name} (rowid, said) values (1, ?)", (cut(text),))
        return index.execute(f"select 1 from {name} where {name} match ?", (asked,)).fetchone() is not None
    finally:
        index.execute("rollback")


@settings(max_examples=400, deadline=None)
@given(texts, texts, st.booleans(), st.integers(0, 8), st.integers(1, 8))
def test_it_finds_what_the_plain_one_finds(
    index: sqlite3.Connection, text: str, other: str, within: bool, start: int, length: int
) -> None:
    asked = text[start : start + length] if within else other
    plain = found(index, "plain", tokens, text, phrase(asked))
    keyed = found(index, "keyed", KEYED.tokens, text, KEYED.phrase(asked))

    said = folded(asked).strip()
    runs = [run[0] for run in RUN.finditer(said)]
    ends_alone = bool(runs) and len(runs[-1]) == 1 and said.endswith(runs[-1]) and re.search(r"\w", said[:-1])
    if ends_alone:
        assert keyed or not plain  # then it may find more
    else:
        assert keyed == plain, (asked, text)


@settings(max_examples=200, deadline=None)
@given(texts, st.integers(0, 8), st.integers(1, 8))
def test_what_stands_exactly_there_is_among_the_candidates(
    index: sqlite3.Connection, text: str, start: int, length: int
) -> None:
    """Of `exact:`, where its words begin as words do; the last of several may be cut."""
    asked = text[start : start + length]
    if not found(index, "plain", tokens, text, phrase(asked, begun=True)):
        return
    said = folded(asked).strip()
    lone_word = len(re.findall(r"[^\W_]+", said)) == 1 and not RUN.search(said)
    assert lone_word or found(index, "keyed", KEYED.tokens, text, KEYED.phrase(asked, begun=True)), (asked, text)


def test_no_token_says_what_it_stands_for() -> None:
    said = KEYED.tokens("東京 tokyo 東京 tokyo")

    assert re.fullmatch(r"[a-z0-9]{8}( [a-z0-9]{8})*", said)
    assert KeyedIndex(bytes(32)).tokens("東京 tokyo 東京 tokyo") != said
    assert len(set(said.split())) == 5  # 東京, 京 after it, tokyo, and the two characters by themselves


def test_the_order_of_single_characters_says_nothing_of_them() -> None:
    characters = "亜意宇江於"
    singles = KEYED.tokens(characters).split()[-len(characters) :]

    assert singles == sorted(singles)
    assert singles != [KEYED.tokens(each).split()[-1] for each in characters]
