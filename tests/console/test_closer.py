"""One exchange from closer: what is new in its turn, its reply again at its pace, where it stands in the chain."""

import http.client
import json
import re
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from exchange.record import Record
from recording.anchors import Anchors
from settings.storage import Heads
from storage.access import access_path, read_access
from storage.sqlite.reading import AuditReader
from tests.cli.records import chat, record, streamed
from tests.console.conftest import Room

if TYPE_CHECKING:
    from playwright.sync_api import Browser

THREAD = "0" * 31 + "1"


def said(role: str, text: str) -> dict[str, str]:
    return {"role": role, "content": text}


def asked(messages: list[dict[str, str]], answer: str, **fields: Any) -> Record:
    reply = {"choices": [{"index": 0, "message": said("assistant", answer)}]}
    one = record({"model": "gpt-4o", "messages": messages, **fields}, reply)
    return replace(one, derived=replace(one.derived, thread_id=THREAD))


FIRST = [said("system", "Be brief."), said("user", "最初の質問")]
SECOND = [*FIRST, said("assistant", "最初の答え"), said("user", "次の質問 <b>")]


def text(page: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", page).split())


def test_what_is_new_in_a_turn_is_shown_against_the_one_before(room: Room) -> None:
    ids = room.store(asked(FIRST, "最初の答え"), asked(SECOND, "次の答え", temperature=0.2))
    page = room.get(f"/exchanges/{ids[1]}/new").text
    shown = text(page)
    assert "次の質問" in shown
    assert "次の答え" in shown
    assert "最初の質問" not in shown
    assert "Be brief." not in shown
    assert "3 turns came again" in shown
    assert "<ins>0.2</ins>" in page
    assert "<b>" not in page
    (look,) = read_access(room.data_dir, 5)
    assert (look.action, look.exchanges) == ("show", "1-2")


def test_a_turn_that_goes_on_from_an_earlier_point_says_so(room: Room) -> None:
    again = [*FIRST, said("assistant", "最初の答え"), said("user", "別の質問")]
    ids = room.store(asked(FIRST, "最初の答え"), asked(SECOND, "次の答え"), asked(again, "別の答え"))
    assert "earlier point" in room.get(f"/exchanges/{ids[2]}/new").text


def test_what_is_new_is_offered_where_something_comes_before(room: Room) -> None:
    ids = room.store(asked(FIRST, "最初の答え"), asked(SECOND, "次の答え"), chat("alone", "b"))
    offered = ["New in this turn" in room.get(f"/exchanges/{each}").text for each in ids]
    assert offered == [False, True, False]


def test_the_id_of_a_conversation_leads_to_it(room: Room) -> None:
    room.store(asked(FIRST, "最初の答え"))
    answer = room.get(f"/exchanges/{THREAD}")
    assert (answer.status, answer.headers["location"]) == (303, f"/threads/{THREAD}")


@pytest.mark.parametrize("which", [0, 1])
def test_where_nothing_comes_before_a_page_says_so(room: Room, which: int) -> None:
    ids = room.store(asked(FIRST, "a"), chat("alone", "b"))
    answer = room.get(f"/exchanges/{ids[which]}/new")
    assert (answer.status, "comes before this" in answer.text) == (404, True)


def events(room: Room, path: str) -> tuple[int, list[tuple[float, str, str]]]:
    """(status, (seconds, name, data) of each event)."""
    connection = http.client.HTTPConnection("127.0.0.1", room.port, timeout=30)
    connection.request("GET", path, headers={"cookie": f"sekisho-console={room.cookie}"})
    answer = connection.getresponse()
    begun, found, block = time.monotonic(), [], ""
    while line := answer.readline().decode():
        if line == "\n":
            name = re.search(r"^event: (.*)$", block, re.M)
            data = "\n".join(re.findall(r"^data: (.*)$", block, re.M))
            found.append((time.monotonic() - begun, name[1] if name else "", data))
            block = ""
        else:
            block += line
    connection.close()
    return answer.status, found


def test_a_reply_is_played_as_it_came_in_words_that_can_do_nothing(room: Room) -> None:
    (given,) = room.store(streamed(["晴れ", " <img src=x onerror=alert(1)>", "\n二行目 \u202e"]))
    status, came = events(room, f"/exchanges/{given}/replay?speed=16")
    words = "".join(data for _, name, data in came if name == "words")
    assert status == 200
    assert words.startswith("晴れ &lt;img")
    assert "\n二行目" in words
    assert "U+202E" in words
    assert came[-1][1:] == ("end", "complete")
    assert [look.action for look in read_access(room.data_dir, 5)] == ["replay"]


def test_a_reply_takes_the_time_that_it_took(room: Room) -> None:
    one = streamed(["a", "b"])
    sizes = [length for _, length in one.raw.arrivals]
    slow = tuple((n * 400_000, size) for n, size in enumerate(sizes))
    (given,) = room.store(replace(one, raw=replace(one.raw, arrivals=slow)))
    _, came = events(room, f"/exchanges/{given}/replay?speed=4")
    assert came[-1][0] >= (len(sizes) - 1) * 0.1 - 0.02


@pytest.mark.parametrize(("speed", "status"), [("0", 400), ("x", 400), ("1e9", 400)])
def test_no_other_speed_is_played(room: Room, speed: str, status: int) -> None:
    (given,) = room.store(streamed(["a"]))
    assert room.get(f"/exchanges/{given}/replay?speed={speed}").status == status


@pytest.mark.parametrize("path", ["new", "replay"])
def test_what_cannot_be_written_down_is_not_shown_or_played(room: Room, path: str) -> None:
    ids = room.store(asked(FIRST, "secret"), asked(SECOND, "secret"))
    access_path(room.data_dir).mkdir()
    answer = room.get(f"/exchanges/{ids[1]}/{path}")
    assert answer.status == 503
    assert "secret" not in answer.text


@pytest.mark.parametrize("path", ["new", "replay"])
def test_without_the_reason_that_is_asked_for_neither_is_shown(strict_room: Room, path: str) -> None:
    ids = strict_room.store(asked(FIRST, "secret"), asked(SECOND, "secret"))
    assert strict_room.get(f"/exchanges/{ids[1]}/{path}").headers["location"].startswith("/reason")


def test_the_chain_says_whether_a_signed_head_stands_over_it_yet(room: Room) -> None:
    (given,) = room.store(chat("a", "b"))
    assert "no signed head stands over it yet" in room.get(f"/exchanges/{given}").text
    reader = AuditReader(room.data_dir)
    hash_ = json.loads(reader.latest(1)[0])["hash"]
    reader.close()
    anchors = Anchors(room.data_dir, Heads())
    anchors.publish({"gw-1": (1, hash_)})
    anchors.close()
    assert "under the signed head of" in room.get(f"/exchanges/{given}").text
    heads = room.data_dir / "heads.txt"
    other = hash_[:-1] + ("1" if hash_.endswith("0") else "0")
    heads.write_text(heads.read_text("ascii").replace(hash_, other), "ascii")
    assert "no signed head stands over it yet" in room.get(f"/exchanges/{given}").text


def test_a_reply_is_played_in_a_browser_and_without_scripts_a_sentence_stands_there(
    room: Room, chromium: "Browser"
) -> None:
    (given,) = room.store(streamed(["晴れ", "です"]))
    for scripts in (True, False):
        context = chromium.new_context(java_script_enabled=scripts)
        context.add_cookies([{"name": "sekisho-console", "value": room.cookie, "url": room.url("/")}])
        page = context.new_page()
        page.set_default_timeout(30_000)
        page.goto(room.url(f"/exchanges/{given}"))
        if scripts:
            page.click("[data-replay] button")
            page.wait_for_selector("output:has-text('complete')")
            assert page.inner_text("#replay") == "晴れです"
        else:
            assert page.is_visible("text=Replay needs JavaScript")
            assert not page.is_visible("[data-replay]")
        context.close()
