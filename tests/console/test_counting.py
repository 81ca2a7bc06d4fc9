"""Overview, refusals, people, access: the numbers are those of the record."""

import re
import time
from dataclasses import replace
from html import unescape
from urllib.parse import quote

import pytest

from console.explaining import explained
from console.overview import Sum
from console.span import Span
from console.texts import keys
from exchange.decision import CODES
from exchange.principal import Principal
from exchange.record import Record
from storage.sqlite.tally import FIRST_BYTE
from tests.cli.records import ANN, chat, refused
from tests.console.conftest import Room

NOW = time.time_ns() // 1000
HOUR = 3_600_000_000


def at(record: Record, ago: int, who: Principal | None = ANN) -> Record:
    """The same, so many microseconds ago."""
    return replace(record, seen=replace(record.seen, started_at=NOW - ago, principal=who))


def text(page: str) -> str:
    """What a person reads."""
    return " ".join(re.sub(r"<[^>]+>", " ", page).split())


BOB_EMAIL = "bob@example.co.jp"
BOB = Principal("bob", BOB_EMAIL, "example.co.jp", "own")


def test_the_overview_counts_what_is_in_its_time_and_in_its_query(room: Room) -> None:
    room.store(
        at(chat("a", "b"), 24 * 90 * HOUR), at(chat("a", "b"), HOUR), at(chat("a", "b"), 30 * HOUR, BOB),
        at(chat("a", "b", end_state="client_gone"), HOUR), at(refused(), HOUR), at(chat("a", "b", status=429), HOUR),
    )  # fmt: skip
    assert (
        "Exchanges 5 Cost $0.0171 Tokens in 60 Tokens out 1,700 Refused 1 20.0 % Cut off 1 20.0 % Errors 1 20.0 %"
        in text(room.get("/overview?range=7d").text)
    )
    assert "Exchanges 4 Cost" in text(room.get("/overview?range=24h").text)
    assert "Exchanges 1 Cost" in text(room.get(f"/overview?range=7d&q={quote('user:bob@example.co.jp')}").text)
    assert room.get("/overview?q=usr:x").status == 400
    assert "Nothing was found" in room.get("/overview?q=nowhere-said").text
    assert room.get("/overview?range=nonsense").status == 200


def test_each_code_of_a_refusal_says_what_was_told_and_what_would_have_let_it_pass(room: Room) -> None:
    room.store(at(refused(), HOUR), at(refused(), 2 * HOUR, BOB), at(chat("a", "b"), HOUR))
    page = text(room.get("/refusals").text)
    for said in (
        "model_not_allowed",
        "This model is not allowed here.",
        "o3 is on no list ×2",
        "policies.rules",
        "bob@",
    ):
        assert said in page


@pytest.mark.parametrize("code", CODES)
def test_every_code_is_explained_in_both_languages(code: str) -> None:
    assert explained(code).told == CODES[code].message
    assert explained(code).remedy in keys()
    assert CODES[code].message in keys(), "its sentence in Japanese belongs into console/code_texts.py"


def test_people_are_listed_with_what_they_used_and_who_is_new(room: Room) -> None:
    room.store(at(chat("a", "b"), 24 * 60 * HOUR), at(chat("a", "b"), HOUR), at(chat("a", "b"), HOUR, BOB))
    rows = room.get("/people?range=7d").text.split("<tr>")
    new = {name: "badge new" in next(row for row in rows if f">{name}<" in row) for name in (ANN.email, BOB.email)}
    assert new == {ANN.email: False, BOB.email: True}


@pytest.mark.parametrize(
    ("sort", "first"),
    [
        ("exchanges", ANN.email),
        ("refused", BOB_EMAIL),
        ("last", BOB_EMAIL),
        ("cost", ANN.email),
        ("nonsense", ANN.email),
    ],
)
def test_people_are_in_the_order_that_somebody_asks_for(room: Room, sort: str, first: str) -> None:
    room.store(*[at(chat("a", "b"), 3 * HOUR) for _ in range(3)], at(refused(), HOUR, BOB))
    rows = room.get(f"/people?range=7d&sort={sort}").text.partition("<tbody>")[2]
    assert first in rows.partition("</tr>")[0]


@pytest.mark.parametrize("path", ["/overview", "/people", "/refusals"])
@pytest.mark.parametrize("range_", ["24h", "7d"])
def test_a_number_leads_to_the_exchanges_that_it_counts(room: Room, path: str, range_: str) -> None:
    room.store(*[at(refused(), ago * HOUR) for ago in (1, 2, 5 * 24, 8 * 24 + 1, 60 * 24)], at(refused(), HOUR, BOB))
    page = room.get(f"{path}?range={range_}&q=user:ann").text
    found = re.search(r'href="(/exchanges\?q=user%3Aann[^"]*after%3A[^"]*)"', page)
    assert found is not None
    lines = room.get(unescape(found[1])).text.count('class="line ')
    assert lines == {"24h": 2, "7d": 3}[range_]


def test_a_long_log_of_looks_is_walked_at_its_end_alone_and_the_page_says_so(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("console.access_page._WALKED", 3)
    room.store(chat("a", "b"))
    for _ in range(5):
        room.get("/exchanges")
    assert (
        "The chain holds over the newest 3 looks; <code>sekisho verify</code> walks all of it."
        in room.get("/access").text
    )


def test_a_chart_says_what_its_columns_are_to_whoever_points_at_them(room: Room) -> None:
    room.store(at(chat("a", "b"), HOUR), at(refused(), HOUR))
    assert re.search(r"<title>\d\d-\d\d · Refused: 1</title>", room.get("/overview").text)
    assert re.search(r"<title>\d\d-\d\d · 拒否: 1</title>", room.get("/overview", accept_language="ja").text)


def test_who_looked_is_on_a_page_of_its_own_that_shows_nothing_of_what_was_said(room: Room) -> None:
    (given,) = room.store(chat("secret question", "secret answer"))
    room.post("/reason", {"csrf": room.csrf, "reason": "ticket <7>"})
    room.get(f"/exchanges/{given}")
    page = room.get("/access").text
    assert "ticket &lt;7&gt;" in page
    assert "The chain holds over 1 looks." in page
    assert "secret" not in page


@pytest.mark.parametrize("path", ["/overview", "/refusals", "/people", "/access"])
def test_pages_that_count_show_nothing_that_was_said(room: Room, path: str) -> None:
    room.store(at(chat("secret question", "secret answer"), HOUR), at(refused(), HOUR))
    assert "secret" not in room.get(path).text


def test_half_of_all_first_bytes_come_before_the_median() -> None:
    slow = [0] * (len(FIRST_BYTE) + 1)
    slow[1], slow[3] = 10, 10  # 0.25 to 0.5 s, 1 to 2 s
    total = Sum(slow=slow)
    assert total.percentile(0.5) == 0.5
    assert 1.0 < total.percentile(0.95) <= 2.0
    assert Sum().percentile(0.5) == -1.0


def test_a_stretch_of_time_is_whole_steps() -> None:
    for name in ("24h", "7d", "30d", "90d"):
        span = Span.of(name)
        assert (span.begin + span.offset) % span.step == 0
        assert len(span.steps()) in {"24h": (25,), "7d": (8,), "30d": (31,), "90d": (91,)}[name]
