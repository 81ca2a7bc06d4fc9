"""What a text becomes before a terminal gets it, and where a word is found in it."""

import pytest

from cli.hits import excerpts
from cli.terminal import is_plain, one_line, visible
from wire.conversation import Turn


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain\n\ttext", "plain\n\ttext"),
        ("日本語 ー 😀 é", "日本語 ー 😀 é"),
        ("👩‍💻", "👩‍💻"),  # a joiner that belongs there
        ("\x1b[31m", "␛[31m"),
        ("a\r\nb", "a␍\nb"),
        ("\x7f\x00", "␡␀"),
        ("\x9b2J", "<U+009B>2J"),
        ("\u202e\u2066", "<U+202E><U+2066>"),
        ("\u2028", "<U+2028>"),
        ("\U000e0041", "<U+E0041>"),
        ("\ud83d", "<U+D83D>"),
    ],
)
def test_controls_and_what_cannot_be_seen_become_visible(text: str, shown: str) -> None:
    assert visible(text) == shown


def test_one_line_is_one_line() -> None:
    assert one_line("a\n\n b\tc\x1b" + "d" * 500, 10) == "a b c␛dddd"


@pytest.mark.parametrize(
    ("data", "plain"),
    [(b"text\r\n\n", True), ("猫".encode(), True), (b"\x1b[0m", False), (b"\xff", False), (b"\x00", False)],
)
def test_bytes_are_plain_when_a_terminal_may_have_them(data: bytes, plain: bool) -> None:
    assert is_plain(data) is plain


@pytest.mark.parametrize(
    ("text", "words", "hits"),
    [
        ("東京は東京", ["東京"], ["東京", "東京"]),
        ("The CAPITAL of", ["capital"], ["CAPITAL"]),
        ("ＡＢＣ and ﾃｽﾄ", ["abc", "テスト"], ["ＡＢＣ", "ﾃｽﾄ"]),
        ("overlapping", ["over", "verlap"], ["overlap"]),
        ("nothing", ["zebra"], []),
    ],
)
def test_hits_are_what_search_would_find(text: str, words: list[str], hits: list[str]) -> None:
    found = [
        line.plain[span.start : span.end]
        for line in excerpts([Turn("user", "text", text)], words)
        for span in line.spans
    ]
    assert [hit for hit in found if hit != "user: "] == hits


def test_long_texts_are_cut_around_the_hit() -> None:
    [line] = excerpts([Turn("user", "text", "x" * 500 + " needle " + "y" * 500)], ["needle"])
    assert "…" in line.plain
    assert len(line.plain) < 200
