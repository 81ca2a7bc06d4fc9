"""What was looked for stands out where it is read, the way back leads to the same search, and nothing of it can run."""

import re
from dataclasses import replace
from urllib.parse import quote, urlencode

import pytest

from console.markdown import as_written, markdown
from console.turns import bubbles
from exchange.record import identifier
from tests.cli.records import chat, record
from tests.console.conftest import Room
from tests.console.hostile import XSS
from wire.conversation import Turn
from wire.conversation.hits import folded_words, has_any, spans_of


@pytest.mark.parametrize(
    ("text", "word", "shown"),
    [
        ("みらい商事の高橋様へ", "高橋様", "<p>みらい商事の<mark>高橋様</mark>へ</p>\n"),
        ("**高橋様**", "高橋", "<p><strong><mark>高橋</mark>様</strong></p>\n"),
        ("ＡＢＣ abc", "abc", "<p><mark>ＡＢＣ</mark> <mark>abc</mark></p>\n"),
        ("a < b & c", "b", "<p>a &lt; <mark>b</mark> &amp; c</p>\n"),
        ("\ue002x\ue003", "x", None),
    ],
)
def test_it_is_marked_in_what_is_laid_out(text: str, word: str, shown: str | None) -> None:
    html = str(markdown(text, spans_of(text, folded_words([word]))))
    assert html.count("<mark>") == html.count("</mark>") >= 1
    assert shown is None or html == shown
    assert "\ue002" not in html


def test_it_is_marked_in_what_is_shown_as_it_was_written() -> None:
    assert str(as_written("a <b>\r\n", [(2, 5)])) == '<pre class="plain">a <mark>&lt;b&gt;</mark>\n</pre>'


@pytest.mark.parametrize("hostile", XSS)
def test_marks_in_what_strangers_wrote_let_nothing_through(hostile: str) -> None:
    for word in ("script", "onerror", "img", "<", "javascript", "style"):
        html = str(markdown(hostile, spans_of(hostile, [word])))
        assert not re.search(
            r"<(?!/?(?:mark|p|h\d|ul|ol|li|blockquote|pre|code|em|strong|s|hr|br|table|thead|tbody|tr|th|td|span)\b)",
            html,
        )
        assert not re.search(r"<(?!span)\w+ \w+=", html.replace('<pre class="plain">', ""))


@pytest.mark.parametrize("text", ["東京の天気", "Ｐｙｔｈｏｎ", "none", "İstanbul"])
@pytest.mark.parametrize("word", ["東京", "python", "i"])
def test_whether_there_is_a_hit_is_said_as_where_it_is(text: str, word: str) -> None:
    words = folded_words([word])
    assert has_any(text, words) == bool(spans_of(text, words))


def test_what_was_found_is_unfolded_and_reached_by_a_link(room: Room) -> None:
    turns = [{"role": "user" if i % 2 == 0 else "assistant", "content": f"message-{i:04d}."} for i in range(9)]
    turns[2]["content"] = "みらい商事の高橋様へ"
    (given,) = room.store(record({"model": "gpt-4o", "messages": turns}, None))
    plain = room.get(f"/exchanges/{given}").text
    page = room.get(f"/exchanges/{given}?q={quote('高橋様 after:90d')}").text
    assert '<details class="history"' in plain
    assert '<details class="history"' not in page
    assert "<mark>高橋様</mark>" in page
    assert page.count('id="hit"') == 1
    assert 'href="#hit"' in page
    assert f'href="/exchanges?q={quote("高橋様")}+after%3A90d" data-up' in page


def test_the_whole_conversation_has_it_too_once_to_be_reached_and_the_way_back(room: Room) -> None:
    thread = "0" * 31 + "1"
    ids = room.store(
        *[
            replace(one, derived=replace(one.derived, thread_id=thread))
            for one in (chat("高橋様", "b"), chat("x", "高橋様"))
        ]
    )
    asked = quote("高橋様")
    assert f'href="/threads/{identifier(thread)}?q={asked}"' in room.get(f"/exchanges/{ids[0]}?q={asked}").text
    page = room.get(f"/threads/{thread}?q={asked}").text
    assert page.count("<mark>高橋様</mark>") == 2
    assert page.count('id="hit"') == 1
    assert f'href="/exchanges?q={asked}" data-up' in page
    assert f'href="/exchanges/{identifier(ids[1])}?q={asked}"' in page


def test_a_search_in_the_log_of_looks_can_be_made_again(room: Room) -> None:
    room.store(chat("東京", "b"))
    room.get(f"/exchanges?q={quote('東京 user:ann')}")
    assert f'href="/exchanges?{urlencode({"q": "東京 user:ann"})}"' in room.get("/access").text


def test_a_long_conversation_begins_where_it_was_found(room: Room) -> None:
    turns = [{"role": "user", "content": f"message-{i:04d}."} for i in range(1000)]
    (given,) = room.store(record({"model": "gpt-4o", "messages": turns}, None))
    page = room.get(f"/exchanges/{given}?q=message-0300").text
    assert "<mark>message-0300</mark>." in page
    assert "message-0999." not in page
    assert re.search(r'href="\?from=\d+&amp;q=message-0300"', page)


def test_long_tool_results_open_where_something_was_found_in_them() -> None:
    turn = Turn("tool", "tool_result", "晴れ" * 600 + "高橋様")
    assert [each.folded for each in (*bubbles([turn]), *bubbles([turn], ["高橋様"]))] == [True, False]


def test_comparing_has_an_end() -> None:
    many = [Turn("user", "text", "高橋様" + "x" * 199_000) for _ in range(50)]
    made = bubbles(many, ["高橋様"])
    assert [each.hit for each in made] == [True] * 50
    assert sum("<mark>" in each.html for each in made) == 1


def test_the_list_hands_the_search_on(room: Room) -> None:
    room.store(chat("東京", "b"))
    assert f'?q={quote("東京")}"' in room.get(f"/exchanges?q={quote('東京')}").text.partition('id="lines"')[2]
    assert "?q=" not in room.get("/exchanges").text.partition('id="lines"')[2].partition("</tbody>")[0]


@pytest.mark.parametrize("query", ["usr:x", '"open'])
def test_a_query_that_cannot_be_read_is_no_reason_not_to_show_an_exchange(room: Room, query: str) -> None:
    (given,) = room.store(chat("東京", "b"))
    assert room.get(f"/exchanges/{given}?q={quote(query)}").status == 200
