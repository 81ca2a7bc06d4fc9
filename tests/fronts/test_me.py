"""/me, and sign-in from a terminal: one's own tokens, one's own record, and nobody else's."""

import json
import re
import time
from dataclasses import replace
from pathlib import Path

import pytest

from exchange.call import Call
from exchange.decision import Allow
from exchange.principal import Principal
from exchange.scope import Scope
from fronts.texts import _JAPANESE
from identities.verifier import Identified, verifier_from
from policies.rules import rulebook_from
from settings.schema import Settings
from storage.access import read_access
from storage.book import Book, Token
from tests.cli.records import chat, store
from tests.fronts.asking import Answered, Browser, fronts, settings

TOKEN = re.compile(r'<code id="token">([^<]+)</code>')


async def _proven(given: Settings, token: str) -> tuple[str | None, Scope | None]:
    found = await _identified(given, token)
    return found.principal.email, found.scope


async def _identified(given: Settings, token: str) -> Identified:
    return await verifier_from(given.identity, data_dir=given.data_dir, profile="gateway").identify(
        [(b"authorization", b"Bearer " + token.encode())], now=time.time()
    )


async def test_a_person_makes_a_token_for_what_they_name_sees_it_once_and_ends_it(tmp_path: Path) -> None:
    given = settings(tmp_path)
    async with fronts(given) as ann:
        ann.sign_in("ann@example.com")
        form = {"name": "ノートPC", "days": "30", "models": "gpt-4o-mini, gpt-4o*", "operations": ["chat", "responses"]}
        made = await ann.post("/me/tokens", form)
        token = TOKEN.findall(made.body)[0]
        page = await ann.get("/me")
        (kept,) = _tokens(ann, "ann@example.com")
        bob = replace(ann, cookies={}).sign_in("bob@example.com")
        others = await bob.post("/me/tokens/end", {"number": kept.number})
        ended = await ann.post("/me/tokens/end", {"number": kept.number})
        after = await ann.get("/me")

    assert await _proven(given, token) == (
        "ann@example.com",
        Scope(("gpt-4o-mini", "gpt-4o*"), ("chat", "responses")),
    )
    assert "ノートPC" in page.body
    assert token not in page.body
    assert token.encode() not in _on_disk(tmp_path)
    assert (others.status, ended.status) == (404, 303)
    assert "revoked" in after.body
    assert (tmp_path / "keys" / "revoked.json").read_text().count(kept.number) == 1


@pytest.mark.parametrize("by", ["page", "terminal"])
async def test_a_persons_own_token_may_by_its_groups_what_their_session_may(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    monkeypatch.setattr("fronts.device._INTERVAL", 0)
    rules = [
        {"name": "research", "groups": ["研究"], "models": ["o3"]},
        {"name": "no-guests", "groups": ["guests"], "action": "deny"},
    ]
    given = settings(tmp_path, policies={"rules": rules})
    allowed: dict[str, list[bool]] = {}
    async with fronts(given) as browser:
        for name, groups in (("ann", ("研究", "staff")), ("bob", ("staff",)), ("eve", ("研究", "guests"))):
            person = replace(browser, cookies={}).sign_in(f"{name}@example.com", groups=groups)
            if by == "page":
                page = await person.post("/me/tokens", {"name": "a", "days": "1"})
                token = TOKEN.findall(page.body)[0]
            else:
                code = await _code(replace(browser, cookies={}))
                page = await person.get(f"/_sekisho/device?user_code={code['user_code']}")
                await person.post("/_sekisho/device", {"user_code": code["user_code"], "approve": "yes"})
                token = json.loads((await _poll(replace(browser, cookies={}), code)).body)["access_token"]
            assert f"It keeps the groups that you are in today, until it ends: {', '.join(groups)}" in page.body
            mine = (await _identified(given, token)).principal
            assert mine.groups == groups
            session = replace(mine, issuer="session")
            book, call = rulebook_from(given.policies, "gateway"), Call("chat", "o3", stream=True, inspected=True)
            allowed[name] = [isinstance(book.decide(who, call, "openai"), Allow) for who in (session, mine)]

    assert allowed == {"ann": [True, True], "bob": [False, False], "eve": [False, False]}


async def test_a_form_that_is_sent_twice_makes_one_token_and_one_that_is_ended_twice_stays_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = settings(tmp_path)
    async with fronts(given) as ann:
        page = await ann.sign_in("ann@example.com").get("/me")
        (once,) = re.findall(r'name="once" value="([^"]+)"', page.body)
        form = {"name": "ノートPC", "days": "1", "once": once}
        clicks = [await ann.post("/me/tokens", form) for _ in range(2)]  # the second takes the first answer away
        (kept,) = _tokens(ann, "ann@example.com")
        other = await replace(ann, cookies={}).sign_in("bob@example.com").post("/me/tokens", form)
        changed = await ann.post("/me/tokens", {**form, "name": "another"})
        monkeypatch.setattr("fronts.tokens._MOMENT_S", -1)
        reloaded = await ann.post("/me/tokens", form)
        monkeypatch.undo()
        proven = [await _identified(given, TOKEN.findall(click.body)[0]) for click in clicks]
        ended = [await ann.post("/me/tokens/end", {"number": kept.number}) for _ in range(2)]
        after = await ann.post("/me/tokens", form)

    assert [answer.status for answer in (*clicks, other, changed, reloaded, after)] == [200, 200, 200, 200, 409, 409]
    assert [one.numbers for one in proven] == [(kept.number,)] * 2
    assert len(_tokens(ann, "ann@example.com")) == 2
    for answer in (reloaded, after):
        assert TOKEN.findall(answer.body) == []
        assert "was made already" in answer.body
    assert [answer.status for answer in ended] == [303, 303]
    assert (tmp_path / "keys" / "revoked.json").read_text().count(kept.number) == 1


def _on_disk(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in folder.rglob("*") if file.is_file())


def _tokens(browser: Browser, email: str) -> list[Token]:
    return Book(browser.data_dir).tokens_of(email)


@pytest.mark.parametrize(
    "changed",
    [
        {"name": ""},
        {"name": "x" * 81},
        {"name": "a\nb"},
        {"days": "0"},
        {"days": "91"},
        {"days": "-1"},
        {"days": "1e9"},
        {"days": "nan"},
        {"operations": "everything"},
        {"models": " ".join(map(str, range(21)))},
    ],
)
async def test_a_token_that_cannot_be_is_not_made(tmp_path: Path, changed: dict[str, str]) -> None:
    async with fronts(settings(tmp_path)) as ann:
        answer = await ann.sign_in("ann@example.com").post("/me/tokens", {"name": "a", "days": "1", **changed})

        assert (answer.status, _tokens(ann, "ann@example.com")) == (400, [])
    assert "Give the token a name" in answer.body


_ONES_OWN = ("/me/exchanges", "/chat/history")


async def test_a_person_sees_what_is_recorded_of_them_and_never_of_another_and_the_look_is_written_down(
    tmp_path: Path,
) -> None:
    mine, other = store(
        tmp_path,
        chat("わたしの質問", "はい"),
        chat("ボブの秘密", "はい", principal=Principal("bob", "bob@example.com", "example.com", "own")),
    )
    async with fronts(settings(tmp_path)) as ann:
        ann.sign_in("ann@example.com")
        page = await ann.get("/me")
        own = await ann.get(f"/me/exchanges/{mine}")
        others = await ann.get(f"/me/exchanges/{other}")
        none = [await ann.get(f"{path}/{given}") for path in _ONES_OWN for given in ("nope", "0")]
        star = await replace(ann, cookies={}).sign_in("*@example.com").get("/me")

    assert mine.replace("-", "") in page.body.replace("-", "")
    assert other.replace("-", "") not in page.body.replace("-", "")
    assert "わたしの質問" in own.body
    assert (others.status, "ボブの秘密" in others.body) == (404, False)
    assert [answer.status for answer in none] == [404] * len(none)
    assert not any(each.replace("-", "") in star.body.replace("-", "") for each in (mine, other))
    (look,) = read_access(tmp_path, 9)
    assert (look.actor, look.action) == ("ann@example.com (their own)", "show")


async def test_a_page_without_a_record_yet_says_so_and_still_serves(tmp_path: Path) -> None:
    async with fronts(settings(tmp_path)) as ann:
        page = await ann.sign_in("ann@example.com").get("/me", **{"accept-language": "ja"})

    assert page.status == 200
    assert "いまは記録を読めません。" in page.body


# -- from a terminal (RFC 8628) --------------------------------------------------------------------------------------

GRANT = "urn:ietf:params:oauth:grant-type:device_code"


async def _code(terminal: Browser) -> dict[str, str]:
    answer = await terminal.post("/_sekisho/device/code", {"client_id": "sekisho", "name": "laptop"}, {})
    assert answer.status == 200, answer
    found: dict[str, str] = json.loads(answer.body)
    return found


async def _poll(terminal: Browser, code: dict[str, str]) -> Answered:
    form = {"grant_type": GRANT, "device_code": code["device_code"]}
    return await terminal.post("/_sekisho/device/token", form, {})


async def test_a_terminal_gets_a_token_once_its_person_says_yes_and_only_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fronts.device._INTERVAL", 0)
    given = settings(tmp_path)
    async with fronts(given) as terminal:
        code = await _code(terminal)
        early = await _poll(terminal, code)
        stranger = await terminal.get(f"/_sekisho/device?user_code={code['user_code']}")
        ann = replace(terminal, cookies={}).sign_in("ann@example.com")
        page = await ann.get(f"/_sekisho/device?user_code={code['user_code'].lower().replace('-', ' ')}")
        yes = await ann.post("/_sekisho/device", {"user_code": code["user_code"], "approve": "yes"})
        twice = await ann.post("/_sekisho/device", {"user_code": code["user_code"], "approve": "yes"})
        bob = replace(terminal, cookies={}).sign_in("bob@example.com")
        strange = await bob.post("/_sekisho/device", {"user_code": code["user_code"], "approve": "yes"})
        got = await _poll(terminal, code)
        again = await _poll(terminal, code)

    assert json.loads(early.body) == {"error": "authorization_pending"}
    assert (stranger.status, (stranger.field("location") or "")[:20]) == (303, "/_sekisho/login?to=%")
    assert "laptop" in page.body
    assert "Done." in yes.body
    assert "Done." in twice.body  # a second click
    assert "Nobody waits" in strange.body
    assert await _proven(given, json.loads(got.body)["access_token"]) == ("ann@example.com", Scope())
    assert json.loads(again.body) == {"error": "expired_token"}


@pytest.mark.parametrize(
    ("language", "said"),
    [
        ("en", ["It calls itself", "<strong>ann@example.com</strong>", "for 30 days", "on My page"]),
        ("ja", ["端末の名乗り", "<strong>ann@example.com</strong>", "30 日間", "マイページで"]),
    ],
)
async def test_whoever_approves_a_terminal_reads_as_whom_for_how_long_and_that_its_name_is_its_own_word(
    tmp_path: Path, language: str, said: list[str]
) -> None:
    async with fronts(settings(tmp_path)) as terminal:
        code = await _code(terminal)
        ann = replace(terminal, cookies={}).sign_in("ann@example.com")
        page = await ann.get(f"/_sekisho/device?user_code={code['user_code']}", **{"accept-language": language})

    assert [each for each in said if each not in page.body] == []


@pytest.mark.parametrize(
    ("how", "error"),
    [("no", "access_denied"), ("too often", "slow_down"), ("unknown", "expired_token"), ("ended", "expired_token")],
)
async def test_a_terminal_is_told_why_it_gets_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str, error: str
) -> None:
    async with fronts(settings(tmp_path)) as terminal:
        code = await _code(terminal)
        if how == "no":
            ann = replace(terminal, cookies={}).sign_in("ann@example.com")
            await ann.post("/_sekisho/device", {"user_code": code["user_code"], "approve": "no"})
        elif how == "too often":
            await _poll(terminal, code)
        elif how == "unknown":
            code["device_code"] = "x"
        else:
            later = time.time() + 601
            monkeypatch.setattr("storage.book.time.time", lambda: later)
        answer = await _poll(terminal, code)

    assert (answer.status, json.loads(answer.body)) == (400, {"error": error})


async def test_of_more_terminals_than_may_wait_the_oldest_goes_and_nobody_is_kept_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("storage.book._WAITING", 2)
    async with fronts(settings(tmp_path)) as terminal:
        codes = [await _code(terminal) for _ in range(4)]
        found = [json.loads((await _poll(terminal, code)).body)["error"] for code in codes]

    assert found == ["expired_token", "expired_token", "authorization_pending", "authorization_pending"]


def test_every_sentence_of_the_pages_is_there_in_japanese() -> None:
    rooms = Path(__file__).resolve().parent.parent.parent / "fronts"
    said = {
        sentence
        for page in (rooms / "templates").glob("*.html")
        for _, sentence in re.findall(r"t\((['\"])(.+?)\1\)", page.read_text(encoding="utf-8"))
    }

    assert said - _JAPANESE.keys() == set()
