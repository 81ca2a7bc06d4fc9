"""The query language: what people write, what it means, and what they are told when it means nothing."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from storage.query.parsing import LONGEST, QueryProblem, parse
from storage.query.terms import After, Before, Condition, Exact, Is, Phrase, Query, Term, Word

TOKYO = timezone(timedelta(hours=9))
NOW = datetime(2026, 11, 24, 10, 30, 15, 500_000, tzinfo=TOKYO)


def micro(*when: int, zone: timezone = TOKYO) -> int:
    at = datetime(*when, tzinfo=zone)  # type: ignore[arg-type, misc]
    return (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def ago(**how_long: int) -> int:
    return (NOW - timedelta(**how_long) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def no(condition: Condition) -> Term:
    return Term(condition, negated=True)


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("", []),
        ("  \u3000 ", []),
        ("東京", [Word("東京")]),
        ("東京　meeting\tnotes", [Word("東京"), Word("meeting"), Word("notes")]),
        ('"quarterly report"', [Phrase("quarterly report")]),
        ("「四半期 報告」『予算』", [Phrase("四半期 報告"), Phrase("予算")]),
        ("“smart quotes” ＂wide quotes＂", [Phrase("smart quotes"), Phrase("wide quotes")]),
        ('"he said “hi”"', [Phrase("he said “hi”")]),
        (r'"a \"b\" c:\dir \\"', [Phrase('a "b" c:\\dir \\')]),
        ('"東京"都', [Phrase("東京"), Word("都")]),
        ('5" 東京「大阪」', [Word('5"'), Word("東京「大阪」")]),
        ('exact:"max_tokens = 5"', [Exact("max_tokens = 5")]),
        ("exact:sk-abc", [Exact("sk-abc")]),
        ("exact：「見積 No.1」", [Exact("見積 No.1")]),
        ("user:ann@example.com", [Is("user", "ann@example.com")]),
        ("USER：ａｎｎ", [Is("user", "ann")]),
        ('user:"ann o\'hara"', [Is("user", "ann o'hara")]),
        ("domain:example.com host:api.openai.com", [Is("domain", "example.com"), Is("host", "api.openai.com")]),
        ("model:gpt-4o*", [Is("model", "gpt-4o*")]),
        ("operation:Chat end:upstream_cut", [Is("operation", "chat"), Is("end", "upstream_cut")]),
        ("decision:deny decision:model_not_allowed", [Is("decision", "deny"), Is("decision", "model_not_allowed")]),
        ("tool:get_weather", [Is("tool", "get_weather")]),
        ("thread:0199A1B2-C3D4", [Is("thread", "0199a1b2c3d4")]),
        ("after:7d before:12h", [After(ago(days=7)), Before(ago(hours=12))]),
        ("after:２Ｗ after:30s after:5m", [After(ago(weeks=2)), After(ago(seconds=30)), After(ago(minutes=5))]),
        ("after:2026-11-01", [After(micro(2026, 11, 1))]),
        ("after:2026/11/1 before:２０２６−１１−０２", [After(micro(2026, 11, 1)), Before(micro(2026, 11, 2))]),
        ("after:2026-11-01T09:30", [After(micro(2026, 11, 1, 9, 30))]),
        ('after:"2026-11-01 09:30:15.25"', [After(micro(2026, 11, 1, 9, 30, 15, 250_000))]),
        ("after:2026-11-01t09:30z", [After(micro(2026, 11, 1, 9, 30, zone=UTC))]),
        ("after:2026-11-01T09:30+01:00", [After(micro(2026, 11, 1, 8, 30, zone=UTC))]),
        ("after:9:30", [After(micro(2026, 11, 24, 9, 30))]),
        ("-draft", [no(Word("draft"))]),
        ('－下書き −user:bob -"not this"', [no(Word("下書き")), no(Is("user", "bob")), no(Phrase("not this"))]),
        ("-after:7d", [no(After(ago(days=7)))]),
        ("- --x ーー", [Word("-"), no(Word("-x")), Word("ーー")]),
        ("https://example.com/a?b=c std::vector 12:30 要件：予算 Error: C:\\temp", [
            Word("https://example.com/a?b=c"), Word("std::vector"), Word("12:30"), Word("要件：予算"), Word("Error:"),
            Word("C:\\temp"),
        ]),
    ],
)  # fmt: skip
def test_what_people_write_means(text: str, terms: list[Condition | Term]) -> None:
    wanted = tuple(each if isinstance(each, Term) else Term(each) for each in terms)

    assert parse(text, NOW) == Query(wanted)


@pytest.mark.parametrize(
    ("text", "position", "said"),
    [
        ('東京 "open', 4, 'The quote at 4 is never closed. Add " where it ends'),
        ("「閉じない", 1, "The quote at 1 is never closed. Add 」 where it ends"),
        ('a ""', 3, "A quotation at 3 is empty"),
        ('user:" "', 6, "user: at 6 is empty"),
        ("a user:", 3, "user: at 3 has nothing after it. Write for example user:ann@example.com."),
        ("user: ann", 1, "user: at 1 has nothing after it"),
        ("uesr:ann", 1, "There is no uesr: (at 1). There are user:, domain:"),
        ("-status:500", 2, "put them in quotes"),
        ("operation:chta", 11, "'chta' at 11 is no operation. There are chat, responses"),
        ("decision:maybe", 10, "There are allow, deny or a refusal's code"),
        ("end:ok", 5, "There are complete, client_gone"),
        ("thread:xyz", 8, "Copy one from `sekisho show ID`"),
        ("after:tomorrow", 7, "'tomorrow' at 7 is no time. Write a date (after:2026-11-01)"),
        ("before:2026-02-30", 8, "is no time"),
        ("after:999999w", 7, "is no time"),
        ("after:25:00", 7, "is no time"),
        ('exact:"--->"', 1, "has no letter and no digit"),
        ("a\ud800", 2, "is not valid Unicode"),
        ("a " * 101, 1, "has 101 terms, and 100 is the most"),
        ("a" * (LONGEST + 1), LONGEST + 1, "is the most"),
    ],
)
def test_what_means_nothing_is_said_with_its_place_and_the_remedy(text: str, position: int, said: str) -> None:
    with pytest.raises(QueryProblem) as caught:
        parse(text, NOW)
    assert said in str(caught.value)
    assert caught.value.position == position


def test_a_time_without_a_zone_is_read_by_the_rules_of_its_own_day() -> None:
    def summer_time(at: datetime) -> datetime:
        return at.replace(tzinfo=timezone(timedelta(hours=2 if at.month < 11 else 1)))

    query = parse("after:2026-10-01 before:2026-11-02", NOW, local=summer_time)

    assert str(query) == "after:2026-09-30T22:00:00Z before:2026-11-01T23:00:00Z"


PIECES = st.sampled_from(
    ["user:", "model:", "exact:", "after:", "before:", "decision:", "deny", "7d", "2026-11-01", '"', "“", "”", "「",
     "」", "\\", "-", "－", ":", "：", "*", " ", "\u3000", "ａ", "東京", "x", "http://", "\x00", "\ud800", "é"]
)  # fmt: skip
TEXTS = st.text(max_size=60) | st.lists(PIECES, max_size=25).map("".join)


@given(TEXTS)
@example('-"')
@example('a"b"c')
@example("after:0001-01-01 before:9999-12-31T23:59:59.999999+00:00")
def test_whatever_is_written_is_a_query_or_a_problem_and_a_printed_query_reads_as_the_same(text: str) -> None:
    read = understood(text)
    if isinstance(read, QueryProblem):
        assert 1 <= read.position <= max(1, len(text))
        assert str(read).endswith(".")
    else:
        assert parse(str(read), NOW) == read


def understood(text: str) -> Query | QueryProblem:
    try:
        return parse(text, NOW)
    except QueryProblem as problem:
        return problem
