"""tail, show and search: what people see of the record."""

import json
import re
import signal
import time
from datetime import datetime

import pytest

from cli.exchange_line import when
from storage.sqlite.reading import AuditReader
from tests.cli.conftest import SEKISHO, Desk
from tests.cli.records import EVIL, chat, record, refused, store, streamed, with_tools
from tests.cli.terminal_run import on_a_terminal


def full_id(given: str) -> str:
    return f"{given[:8]}-{given[8:12]}-{given[12:16]}-{given[16:20]}-{given[20:]}"


# -- show -------------------------------------------------------------------------------------------------------------


def test_show_tells_who_when_what_and_how_it_ended(desk: Desk) -> None:
    [given] = desk.store(chat("日本の首都はどこですか", "東京です"))
    said = desk.sekisho("show", given).stdout
    for words in (
        full_id(given), "ann@example.com", "issuer own", "127.0.0.1", "api.openai.com/v1/chat/completions", "gpt-4o",
        "allow, by everyone", "complete, status 200", "12 in, 340 out", "$0.003430", "first byte 412ms", "whole 5.1s",
        "── user ──\n日本の首都はどこですか\n", "── assistant ──\n東京です\n",
    ):  # fmt: skip
        assert words in said


def test_show_lays_out_tools_reasoning_and_refusals(desk: Desk) -> None:
    [given] = desk.store(with_tools())
    said = desk.sekisho("show", given).stdout
    assert '── assistant calls get_weather ──\n{\n  "city": "東京"\n}\n' in said
    assert "── tool result of get_weather ──\n晴れ、25度\n" in said
    assert "── assistant reasoning ──\nThe tool said so.\n" in said
    assert "── assistant refusal ──\nI will not say more.\n" in said


def test_show_says_why_we_refused(desk: Desk) -> None:
    [given] = desk.store(refused())
    said = desk.sekisho("show", given).stdout
    assert "deny, model_not_allowed" in said
    assert "403 model_not_allowed: o3 is on no list" in said


def test_show_json_is_the_line_of_the_export(desk: Desk) -> None:
    ids = desk.store(chat("a", "b"), with_tools())
    exported = desk.sekisho("export").stdout.splitlines()
    assert [desk.sekisho("show", given, "--json").stdout for given in ids] == [f"{line}\n" for line in exported]


def test_an_id_may_be_cut_short_where_it_is_clear(desk: Desk) -> None:
    [given] = desk.store(chat("a", "b"))
    for part in (given[:4], given[:12], full_id(given)[:15], full_id(given).upper(), given):
        assert desk.sekisho("show", part, "--json").exit_code == 0


@pytest.mark.parametrize(("given", "said"), [("zz", "is no id"), ("ffff", "There is no exchange ffff")])
def test_an_id_that_fits_nothing_exits_1(desk: Desk, given: str, said: str) -> None:
    desk.store(chat("a", "b"))
    result = desk.sekisho("show", given)
    assert result.exit_code == 1
    assert said in result.stderr


def test_what_was_said_never_steers_the_terminal(desk: Desk) -> None:
    [given] = desk.store(chat(EVIL, EVIL, user_agent=EVIL, path=f"/{EVIL}"))
    for arguments in (
        ["show", given],
        ["tail", "--no-follow"],
        ["search", "owned"],
        ["replay", given],
        ["show", given, "--json"],
    ):
        code, sent = on_a_terminal([*SEKISHO, *arguments], desk.environment(TERM="dumb"))
        text = sent.decode().replace("\r\n", "\n")  # the terminal's own line ends
        assert code == 0, text
        assert [c for c in "\x1b\x07\x9b\x00\r\u202e" if c in text] == []
        assert "after" in text


def test_json_on_a_terminal_still_says_the_same(desk: Desk) -> None:
    [given] = desk.store(chat(EVIL, "x"))
    _, sent = on_a_terminal([*SEKISHO, "show", given, "--json"], desk.environment())
    assert json.loads(sent)["request"]["messages"][0]["content"] == EVIL


def test_colours_are_for_terminals_that_want_them(desk: Desk) -> None:
    [given] = desk.store(chat("a", "b"))
    plain = desk.environment(TERM="xterm-256color")
    plain.pop("NO_COLOR", None)
    coloured = re.compile(rb"\x1b\[[0-9;]*3[0-7]m")
    assert coloured.search(on_a_terminal([*SEKISHO, "show", given], plain)[1])
    assert not coloured.search(on_a_terminal([*SEKISHO, "show", given], {**plain, "NO_COLOR": "1"})[1])
    assert b"\x1b" not in desk.run("show", given).stdout


def test_raw_bytes_come_out_exactly(desk: Desk) -> None:
    junk = bytes(range(256)) * 10
    [given] = desk.store(chat("a", "b", raw_response=junk, coding="gzip"))
    assert desk.run("show", given, "--raw", "response").stdout == junk
    target = desk.folder / "bytes"
    assert desk.run("show", given, "--raw", "response", "--to", str(target)).stdout == b""
    assert target.read_bytes() == junk
    assert target.stat().st_mode & 0o777 == 0o600


def test_binary_bytes_are_refused_to_a_terminal(desk: Desk) -> None:
    [given] = desk.store(chat("a", "b", raw_response=b"\x1f\x8b\x1b[2J", coding="gzip"))
    for arguments in (["show", given, "--raw", "response"], ["replay", given, "--raw"]):
        code, sent = on_a_terminal([*SEKISHO, *arguments], desk.environment(NO_COLOR="1"))
        assert code == 1
        assert b"not for a terminal" in sent
        assert b"\x1b[2J" not in sent


def test_bytes_that_are_not_kept_are_said_to_be_gone(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    [given] = desk.store(chat("a", "b"))
    real = AuditReader.raw

    def expired(self: AuditReader, *arguments: str) -> object:
        from dataclasses import replace

        return replace(real(self, *arguments), state="expired", content=b"")

    monkeypatch.setattr(AuditReader, "raw", expired)
    for arguments in (["show", given, "--raw", "request"], ["replay", given], ["replay", given, "--raw"]):
        said = desk.sekisho(*arguments)
        assert said.exit_code == 1
        assert "raw is expired" in said.stderr
        assert said.stdout == ""


def test_a_body_that_no_reader_expects_is_shown_as_it_is(desk: Desk) -> None:
    [given] = desk.store(record({"model": "m", "odd": [1, {"two": 2}]}, {"strange": True}, operation="other"))
    said = desk.sekisho("show", given).stdout
    assert '{"model":"m","odd":[1,{"two":2}]}' in said
    assert '{"strange":true}' in said


# -- tail -------------------------------------------------------------------------------------------------------------


def test_tail_has_one_line_per_exchange(desk: Desk) -> None:
    desk.store(chat("日本の首都は\nどこですか", "東京です"), refused())
    first, second = desk.sekisho("tail", "--no-follow").stdout.splitlines()
    for words in ("ann@example.com", "chat", "gpt-4o", "200", "12→340", "5.1s", "日本の首都は どこですか"):
        assert words in first
    assert "model_not_allowed" in second


def test_the_id_on_a_line_of_tail_shows_that_exchange(desk: Desk) -> None:
    ids = desk.store(*(chat(f"question {i}", "x") for i in range(30)))  # many in one millisecond
    for given, line in zip(ids, desk.sekisho("tail", "--no-follow", "-n", "30").stdout.splitlines(), strict=True):
        assert desk.sekisho("show", line.split()[1]).stdout.startswith(f"Exchange {full_id(given)}")


@pytest.mark.parametrize(("number", "seqs"), [("0", []), ("2", [2, 3]), ("9", [1, 2, 3])])
def test_tail_begins_with_as_many_as_asked(desk: Desk, number: str, seqs: list[int]) -> None:
    desk.store(*(chat(str(i), "x") for i in range(3)))
    lines = desk.sekisho("tail", "--no-follow", "-n", number, "--json").stdout.splitlines()
    assert [json.loads(line)["seq"] for line in lines] == seqs


def test_tail_waits_for_the_record_shows_the_new_within_a_second_and_ends_well(desk: Desk) -> None:
    tail = desk.start("tail", "--json")
    assert tail.stdout is not None
    assert tail.stderr is not None
    try:
        assert b"waiting for it" in tail.stderr.readline()
        store(desk.data_dir, chat("one", "x"))
        assert json.loads(tail.stdout.readline())["seq"] == 1
        store(desk.data_dir, chat("two", "x"))
        stored = time.monotonic()
        assert json.loads(tail.stdout.readline())["seq"] == 2
        assert time.monotonic() - stored < 1.0
        tail.send_signal(signal.SIGINT)
        rest, said = tail.communicate(timeout=10)
        assert (tail.returncode, rest, said) == (0, b"", b"")
    finally:
        tail.kill()
        tail.communicate()


# -- search -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "hits"),
    [
        (["東"], ["東京です", "東京は晴れです"]),
        (["東京"], ["東京です", "東京は晴れです"]),
        (["首都", "東京です"], ["首都", "東京です"]),
        (["CAPITAL"], ["the capital of France"]),
    ],
)
def test_search_finds_words_of_any_length_newest_first(desk: Desk, words: list[str], hits: list[str]) -> None:
    ids = desk.store(chat("日本の首都は？", "東京です"), chat("the capital of France", "Paris"), with_tools())
    said = desk.sekisho("search", *words).stdout
    for hit in hits:
        assert hit in said
    found = [json.loads(line)["id"] for line in desk.sekisho("search", "--json", *words).stdout.splitlines()]
    assert found == sorted(found, reverse=True)
    assert set(found) <= {full_id(given) for given in ids}


def test_hits_are_highlighted(desk: Desk) -> None:
    desk.store(chat("Where is the CAPITAL?", "x"))
    environment = desk.environment(TERM="xterm-256color")
    environment.pop("NO_COLOR", None)
    _, sent = on_a_terminal([*SEKISHO, "search", "capital"], environment)
    assert b"mCAPITAL\x1b[0m" in sent


def test_nothing_found_is_no_failure(desk: Desk) -> None:
    desk.store(chat("a", "b"))
    said = desk.sekisho("search", "zebra", "!!!")
    assert (said.exit_code, said.stdout) == (0, "")
    assert "Nothing was found" in said.stderr


# -- replay -----------------------------------------------------------------------------------------------------------


def test_replay_gives_the_words_at_their_pace(desk: Desk) -> None:
    [given] = desk.store(streamed(["東京", "は ", "晴れ", "です"], pause=150_000))
    replay = desk.start("replay", given)
    assert replay.stdout is not None
    try:
        first = replay.stdout.read(len("東京".encode()))
        begun = time.monotonic()
        rest, _ = replay.communicate(timeout=10)
        assert (first + rest).decode() == "東京は 晴れです\n"
        assert time.monotonic() - begun > 0.5
    finally:
        replay.kill()
        replay.wait()


def test_replay_can_be_faster_and_can_give_the_exact_bytes(desk: Desk) -> None:
    one = streamed(["slow", "ly"], pause=2_000_000)
    [given] = desk.store(one)
    begun = time.monotonic()
    assert desk.run("replay", given, "--raw", "--speed", "100").stdout == one.raw.response
    assert time.monotonic() - begun < 3


def test_a_reply_that_is_no_stream_is_replayed_as_its_text(desk: Desk) -> None:
    [given, none] = desk.store(chat("a", "All at once."), refused())
    assert desk.sekisho("replay", given).stdout == "All at once.\n"
    said = desk.sekisho("replay", none)
    assert (said.exit_code, said.stdout) == (0, "")
    assert "no reply" in said.stderr


def test_whom_a_caller_claims_to_speak_for_is_shown_beside_who_it_is(desk: Desk) -> None:
    (claiming,) = desk.store(record({"model": "m", "messages": [], "user": "bob\x1b[2J"}, {"n": 1}))
    (honest,) = desk.store(record({"model": "m", "messages": [], "user": "ann@example.com"}, {"n": 1}))
    shown = desk.sekisho("show", claiming)
    assert "ann@example.com  (issuer own, subject ann, groups eng, claims to speak for bob" in shown.stdout
    assert "\x1b" not in shown.stdout
    assert "claims to" not in desk.sekisho("show", honest).stdout


@pytest.mark.parametrize(
    ("at", "shown"),
    [
        ("2026-11-24T00:00:01+09:00", "00:00:01"),
        ("2026-11-23T23:59:59+09:00", "11-23T23:59"),
        ("2025-11-24T09:00:00+09:00", "2025-11-24"),
    ],
)
def test_what_is_not_of_today_says_of_which_day_it_is(at: str, shown: str) -> None:
    assert when(datetime.fromisoformat(at), datetime.fromisoformat("2026-11-24T12:00:00+09:00")) == shown
