"""Who comes in by a front's pages, and who does not: attacks J1 to J13 of the list, with a provider that may lie."""

import asyncio
import html
import re
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import parse_qs, quote, urlsplit

import jwt
import pytest

from identities.own_token import mint
from identities.revoked import revocations
from storage.book import Book
from tests.fronts.asking import FORM, HOST, ORIGIN, Browser, fronts, settings
from tests.signin.provider import FakeProvider
from wire.refused_person import FIELD, read

SESSION = "__Host-sekisho"


@pytest.fixture(scope="module")
def provider() -> Iterator[FakeProvider]:
    with FakeProvider().running() as running:
        yield running


async def begin(browser: Browser, to: str = "/", more: str = "") -> str:
    answer = await browser.get(f"/_sekisho/begin?to={quote(to, safe='')}{more}")
    assert answer.status == 303, answer
    return answer.field("location") or ""


async def enter(browser: Browser, provider: FakeProvider, to: str = "/") -> str:
    """The whole way in; where it leads."""
    query = provider.authorize(await begin(browser, to))
    answer = await browser.get(f"/_sekisho/callback?{query}")
    assert answer.status == 303, answer
    return answer.field("location") or ""


async def test_a_person_comes_in_with_a_cookie_that_no_script_reads_and_no_other_host_sets(
    tmp_path: Path, provider: FakeProvider
) -> None:
    provider.reset()
    async with fronts(settings(tmp_path, provider.url)) as ann:
        location = await begin(ann, "/me?a=b")
        asked = parse_qs(urlsplit(location).query)
        answer = await ann.get(f"/_sekisho/callback?{provider.authorize(location)}")
        page = await ann.get("/me")

    assert asked["redirect_uri"] == [f"{ORIGIN}/_sekisho/callback"]
    assert asked["code_challenge_method"] == ["S256"]
    assert (answer.status, answer.field("location")) == (303, "/me?a=b")
    (cookie,) = [value for name, value in answer.fields if name == "set-cookie"]
    assert cookie.startswith(f"{SESSION}=ey")
    assert set(cookie.split("; ")[1:]) == {"Path=/", "HttpOnly", "SameSite=Lax", "Secure", "Max-Age=28800"}
    assert page.status == 200
    assert "ann@example.com" in page.body


@pytest.mark.parametrize(
    "to", ["//evil", "/\\evil", "https://evil", "/%0d%0aSet-Cookie:a=b", "\t//evil", "javascript:x"]
)
async def test_j3_wherever_one_wanted_to_go_one_lands_on_a_page_of_ours(
    tmp_path: Path, provider: FakeProvider, to: str
) -> None:
    provider.reset()
    async with fronts(settings(tmp_path, provider.url)) as ann:
        there = await enter(ann, provider, to.replace("%0d%0a", "\r\n"))
        again = await ann.get(f"/_sekisho/login?to={quote(to.replace('%0d%0a', chr(13) + chr(10)), safe='')}")

    assert (there, again.field("location")) == ("/", "/")


async def test_j1_j2_j4_an_answer_that_is_not_of_this_browsers_own_sign_in_lets_nobody_in(
    tmp_path: Path, provider: FakeProvider
) -> None:
    provider.reset()
    async with fronts(settings(tmp_path, provider.url)) as ann:
        mallory = Browser(ann.app, ann.data_dir)
        query = provider.authorize(await begin(ann))
        for why, browser, asked, status in (
            ("no state", ann, provider.authorize(await begin(ann), state=None), 400),
            ("a wrong state", ann, provider.authorize(await begin(ann), state="x"), 400),
            ("state twice", ann, f"{query}&state=x", 400),
            ("another browser's", mallory, query, 400),
            ("another issuer's", ann, provider.authorize(await begin(ann), iss="https://evil.test"), 400),
            ("it said no", ann, provider.authorize(await begin(ann), code=None, error="access_denied"), 403),
        ):
            answer = await browser.get(f"/_sekisho/callback?{asked}")
            assert (answer.status, SESSION in browser.cookies) == (status, False), why
            assert answer.field(FIELD) is None, why  # nobody is proven, so nobody is named
            assert answer.field("location") is None, why
        first = await ann.get(f"/_sekisho/callback?{query}")
        ann.cookies.pop(SESSION)
        replayed = await ann.get(f"/_sekisho/callback?{query}")

    assert (first.status, replayed.status, SESSION in ann.cookies) == (303, 400, False)


@pytest.mark.parametrize(
    ("claims", "code"),
    [
        ({"email": "mallory@evil.test"}, "domain_not_allowed"),
        ({"email": "ann@example.com.evil.test"}, "domain_not_allowed"),
        ({"email_verified": False}, "email_not_verified"),
        ({"email_verified": "false"}, "email_not_verified"),
    ],
)
async def test_j13_who_may_not_come_in_sees_a_page_in_their_language_and_is_named_for_the_record(
    tmp_path: Path, provider: FakeProvider, claims: dict[str, object], code: str
) -> None:
    provider.reset()
    provider.claims = {**provider.claims, **claims}
    async with fronts(settings(tmp_path, provider.url)) as browser:
        query = provider.authorize(await begin(browser))
        answer = await browser.get(f"/_sekisho/callback?{query}", **{"accept-language": "ja,en;q=0.5"})

    told = read(answer.field(FIELD) or "")
    assert answer.status == 403
    assert '<html lang="ja">' in answer.body
    assert 'href="/_sekisho/begin?to=/&amp;another=1"' in answer.body  # a way on, and no loop
    assert SESSION not in browser.cookies
    assert told is not None
    assert told.code == code
    assert str(provider.claims["email"]) in told.reason


async def test_a_session_that_was_there_before_ends_when_one_signs_in(tmp_path: Path, provider: FakeProvider) -> None:
    provider.reset()
    async with fronts(settings(tmp_path, provider.url)) as ann:
        await enter(ann, provider)
        before = ann.cookies[SESSION]
        await enter(ann, provider)
        after = ann.cookies[SESSION]

    number = jwt.decode(before, options={"verify_signature": False})["jti"]
    assert before != after
    assert [(one.kind, one.value) for one in revocations(tmp_path)] == [("token", number)]


async def test_j7_a_session_that_was_signed_out_proves_nothing_any_more_here_or_on_every_device_and_front(
    tmp_path: Path,
) -> None:
    async with fronts(settings(tmp_path)) as ann:
        ann.sign_in("ann@example.com")
        alone = replace(ann, cookies={}).sign_in("ann@example.com")
        talk = replace(ann, host="talk.example.com", cookies={}).sign_in("ann@example.com", "https://talk.example.com")
        bob = replace(ann, cookies={}).sign_in("bob@example.com")
        for browser, email in ((ann, "ann@example.com"), (talk, "ann@example.com"), (bob, "bob@example.com")):
            said = jwt.decode(browser.cookies[SESSION], options={"verify_signature": False})
            _book(ann).begin_session(said["jti"], email, ORIGIN, said["exp"], "a browser")
        stolen = [replace(one, cookies=dict(one.cookies)) for one in (ann, alone)]
        answer = await alone.post("/_sekisho/logout", {})
        assert (answer.status, SESSION in alone.cookies) == (200, False)
        assert "another=1" in answer.body  # the provider asks who, on a device that others use too
        assert len(revocations(tmp_path)) == 1
        await ann.post("/_sekisho/logout?everywhere=1", {})
        for browser in (*stolen, talk):
            await _until_out(browser)
        assert (await bob.get("/me")).status == 200


def _book(browser: Browser) -> Book:
    return Book(browser.data_dir)


async def _until_out(browser: Browser) -> None:
    began = time.monotonic()
    while (await browser.get("/me")).status == 200:
        assert time.monotonic() - began < 4
        await asyncio.sleep(0.1)


async def test_j5_j9_j12_nothing_but_ones_own_session_at_this_front_opens_a_page(tmp_path: Path) -> None:
    async with fronts(settings(tmp_path)) as ann:
        good = ann.sign_in("ann@example.com").cookies[SESSION]
        for why, cookies, host, status in (
            ("nothing", {}, None, 303),
            ("a session of another front", {SESSION: good}, "talk.example.com", 303),
            ("a Bearer", {SESSION: mint(tmp_path, email="ann@example.com", days=0.3)}, None, 303),
            ("a cookie that a sibling could set", {"sekisho-front": good}, None, 303),
            ("tampered with", {SESSION: good[:-4] + "AAAA"}, None, 303),
            ("oversized", {SESSION: "ey" + "a" * 5000 + ".b.c"}, None, 303),
            ("another host", {SESSION: good}, "evil.test", 421),
            ("another port of the host", {SESSION: good}, "chat.example.com:81", 421),
        ):
            answer = await replace(ann, cookies=cookies, host=host or ann.host).get("/me")
            assert answer.status == status, why
            assert "ann@example.com" not in answer.body, why
        two = await ann.get("/me", cookie=f"{SESSION}={good}; {SESSION}={good}")
        script = await ann.ask("GET", "/me", b"", {"accept": "application/json", "cookie": "a=b"})

    assert two.status == 303  # nobody can say which is ours
    assert (script.status, script.field("location")) == (401, None)


_FORMS = ["/_sekisho/logout", "/me/tokens", "/me/tokens/end", "/_sekisho/device"]


@pytest.mark.parametrize(
    "fields",
    [
        {**FORM, "origin": "https://evil.test"},
        {**FORM, "origin": "null"},
        {**FORM, "origin": "https://chat.example.com.evil.test"},
        {**FORM, "sec-fetch-site": "cross-site"},
        {**FORM, "sec-fetch-site": "same-site"},
        {"content-type": "text/plain"},
    ],
)
async def test_j6_a_form_of_another_site_does_nothing(tmp_path: Path, fields: dict[str, str]) -> None:
    async with fronts(settings(tmp_path)) as ann:
        ann.sign_in("ann@example.com")
        for path in _FORMS:
            answer = await ann.post(path, {"name": "a", "days": "1", "user_code": "x", "number": "x"}, fields)
            assert answer.status == 403, path
        assert revocations(tmp_path) == ()
        assert _book(ann).tokens_of("ann@example.com") == []
        for path in _FORMS:
            if path != "/_sekisho/device":
                assert (await ann.get(path)).status == 405, path  # no side effect of a GET


async def test_a_script_of_the_chat_ui_which_has_the_same_origin_makes_no_token_and_reads_no_page(
    tmp_path: Path,
) -> None:
    script = {**FORM, "sec-fetch-mode": "cors", "sec-fetch-dest": "empty"}
    form = {"name": "a", "days": "1"}
    async with fronts(settings(tmp_path)) as ann:
        ann.sign_in("ann@example.com")
        asked = [
            await ann.post("/me/tokens", form, script),
            await ann.post("/me/tokens", {**form, "csrf": "guessed"}),
            await ann.post("/me/tokens", {**form, "csrf": ""}),
            await ann.post("/_sekisho/logout", {}, script),
            await ann.post("/_sekisho/logout?everywhere=1", {"csrf": "guessed"}),
            await ann.post("/_sekisho/device", {"user_code": "BCDF-GHJK", "approve": "yes", "csrf": "guessed"}),
            await ann.get("/me", **{"sec-fetch-mode": "cors", "sec-fetch-dest": "empty"}),
            await ann.get("/me", **{"sec-fetch-dest": "iframe"}),
            await ann.get("/_sekisho/device?user_code=x", **{"sec-fetch-mode": "same-origin"}),
        ]
        page = await ann.get("/me")
        tokens = _book(ann).tokens_of("ann@example.com")

    assert revocations(tmp_path) == ()
    assert [answer.status for answer in asked] == [403] * len(asked)
    assert not any("csrf" in answer.body for answer in asked)
    assert tokens == []
    assert 'name="csrf"' in page.body
    assert page.field("cross-origin-opener-policy") == "same-origin"


async def test_a_slash_too_many_leads_to_the_page_and_not_out_of_https(tmp_path: Path) -> None:
    async with fronts(settings(tmp_path)) as ann:
        answer = await ann.sign_in("ann@example.com").get("/me/")

    assert (answer.status, answer.field("location")) == (307, f"{ORIGIN}/me")


@pytest.mark.parametrize(
    ("first", "second", "status"), [("theme=dark", "MINE", 200), ("MINE", "__Host-sekisho=x", 303)]
)
async def test_cookies_in_two_fields_are_read_as_the_gate_reads_them(
    tmp_path: Path, first: str, second: str, status: int
) -> None:
    async with fronts(settings(tmp_path)) as ann:
        mine = f"{SESSION}={ann.sign_in('ann@example.com').cookies[SESSION]}"
        answer = await ann.get("/me", cookie=first.replace("MINE", mine), Cookie=second.replace("MINE", mine))

    assert answer.status == status


@pytest.mark.parametrize("path", ["/me/tokens", "/me/tokens/end", "/_sekisho/logout", "/_sekisho/device"])
async def test_who_sends_a_form_when_their_session_is_over_is_told_so_on_a_page(tmp_path: Path, path: str) -> None:
    person = {**FORM, "sec-fetch-mode": "navigate", "sec-fetch-dest": "document", "accept-language": "ja"}
    async with fronts(settings(tmp_path)) as nobody:
        answer = await nobody.post(path, {"name": "a", "days": "1"}, person)
        script = await nobody.post(path, {}, {**person, "sec-fetch-mode": "cors", "sec-fetch-dest": "empty"})

    assert (answer.status, answer.field("content-type")) == (401, "text/html; charset=utf-8")
    assert "セッションは終了しています" in answer.body
    assert 'href="/_sekisho/begin?to=/' in answer.body
    assert script.status in (401, 403)
    assert nobody.cookies == {}


async def test_j11_every_page_says_what_browsers_may_do_with_it(tmp_path: Path) -> None:
    async with fronts(settings(tmp_path)) as ann:
        pages = [await ann.get("/_sekisho/login"), await ann.get("/nowhere"), await ann.get("/me")]
        ann.sign_in("ann@example.com")
        pages += [await ann.get("/me"), await ann.get("/nowhere"), await ann.get("/_sekisho/device")]

    for page in pages:
        policy = page.field("content-security-policy") or ""
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert page.field("x-content-type-options") == "nosniff"
        assert page.field("cache-control") == "no-store"


async def test_signing_out_leads_on_to_the_providers_own_sign_out_and_nowhere_else(
    tmp_path: Path, provider: FakeProvider
) -> None:
    provider.reset()
    provider.document["end_session_endpoint"] = f"{provider.url}/out"
    asked = {"preset": "oidc", "issuer": provider.url, "client_id": "sekisho", "sign_out_at_provider": True}
    async with fronts(settings(tmp_path, sign_in=asked)) as ann:
        ann.sign_in("ann@example.com")
        forged = await ann.post(
            "/_sekisho/logout", {"csrf": "guessed", "post_logout_redirect_uri": "https://evil.test"}
        )
        answer = await ann.post(
            "/_sekisho/logout?to=https://evil.test", {"post_logout_redirect_uri": "https://evil.test"}
        )
        back = await ann.get("/_sekisho/signed-out?to=https://evil.test&state=x")
        bob = replace(ann, cookies={}).sign_in("bob@example.com")
        signed_in = await bob.get("/_sekisho/signed-out?to=https://evil.test")
    provider.document.pop("end_session_endpoint")

    assert forged.status == 403
    assert (answer.status, SESSION in ann.cookies) == (200, False)
    (there,) = re.findall(r'http-equiv="refresh" content="1; url=([^"]*)"', answer.body)
    url = urlsplit(html.unescape(there))
    assert f"{url.scheme}://{url.netloc}{url.path}" == f"{provider.url}/out"
    assert parse_qs(url.query) == {
        "client_id": ["sekisho"],
        "post_logout_redirect_uri": [f"{ORIGIN}/_sekisho/signed-out"],
        "logout_hint": ["ann@example.com"],
    }
    assert "https://evil" not in answer.body + back.body
    assert (back.status, back.field("location")) == (200, None)
    assert (signed_in.status, signed_in.field("location")) == (303, "/")


async def test_signing_out_counts_here_though_the_provider_is_away(tmp_path: Path) -> None:
    asked = {"preset": "oidc", "issuer": "http://127.0.0.1:9", "client_id": "sekisho", "sign_out_at_provider": True}
    async with fronts(settings(tmp_path, sign_in=asked)) as ann:
        ann.sign_in("ann@example.com")
        answer = await ann.post("/_sekisho/logout", {})

    assert (answer.status, SESSION in ann.cookies) == (200, False)
    assert "http-equiv" not in answer.body
    assert len(revocations(tmp_path)) == 1


async def test_who_is_in_hundreds_of_groups_gets_a_cookie_that_browsers_take_with_those_that_rules_name(
    tmp_path: Path, provider: FakeProvider
) -> None:
    provider.reset()
    provider.claims = {**provider.claims, "groups": [f"group-{i:04}" for i in range(300)]}
    named = {"rules": [{"name": "all", "groups": ["group-0299"], "models": ["gpt-4o*"]}]}
    async with fronts(settings(tmp_path, provider.url, policies=named)) as ann:
        await enter(ann, provider)
        page = await ann.get("/me")
        cookie = ann.cookies[SESSION]
    provider.reset()

    assert page.status == 200
    assert len(f"{SESSION}={cookie}") <= 4096
    groups = jwt.decode(cookie, options={"verify_signature": False})["groups"]
    assert groups[:2] == ["group-0299", "group-0000"]


async def test_who_is_in_more_groups_that_rules_name_than_a_session_holds_is_told_and_not_let_in_without_them(
    tmp_path: Path, provider: FakeProvider
) -> None:
    provider.reset()
    many = [f"group-{i:04}" for i in range(300)]
    provider.claims = {**provider.claims, "groups": many}
    named = {"rules": [{"name": "none", "groups": many, "action": "deny"}]}
    async with fronts(settings(tmp_path, provider.url, policies=named)) as ann:
        answer = await ann.get(f"/_sekisho/callback?{provider.authorize(await begin(ann))}")
    provider.reset()

    assert (answer.status, SESSION in ann.cookies) == (403, False)
    told = read(answer.field(FIELD) or "")
    assert told is not None
    assert "more groups" in told.reason


UI = {"host": HOST, "https": "proxy", "proxies": ["10.0.0.1"], "upstream": "https://ui.test"}


@pytest.mark.parametrize(
    ("kind", "again", "cleared"),
    [("nextchat", "ann@example.com", False), ("nextchat", "bob@example.com", True),
     ("open-webui", "ann@example.com", False), ("open-webui", "bob@example.com", True)],
)  # fmt: skip
async def test_what_a_ui_kept_of_one_person_in_a_browser_goes_when_another_signs_in_there(
    tmp_path: Path, provider: FakeProvider, kind: str, again: str, cleared: bool
) -> None:
    provider.reset()
    async with fronts(settings(tmp_path, provider.url, fronts=[{**UI, "kind": kind}])) as browser:
        await enter(browser, provider)
        browser.cookies |= {"token": "of Ann", "theme": "dark"}
        browser.cookies.pop(SESSION)  # it has ended; nobody signed out
        provider.claims = {**provider.claims, "email": again}
        query = provider.authorize(await begin(browser))
        answer = await browser.get(f"/_sekisho/callback?{query}")
    provider.reset()

    assert answer.status == 303
    assert (answer.field("clear-site-data") == '"storage"') is cleared
    assert ("token" not in browser.cookies) is cleared
    assert SESSION in browser.cookies


@pytest.mark.parametrize(("kind", "cleared"), [("open-webui", True), ("librechat", True), ("nextchat", False)])
async def test_signing_out_ends_the_uis_own_session_where_nothing_is_lost_by_it(
    tmp_path: Path, kind: str, cleared: bool
) -> None:
    async with fronts(settings(tmp_path, fronts=[{**UI, "kind": kind}])) as ann:
        ann.sign_in("ann@example.com")
        ann.cookies["token"] = "of Ann"
        answer = await ann.post("/_sekisho/logout", {})

    assert answer.status == 200
    assert ("token" not in ann.cookies, answer.field("clear-site-data") == '"storage"') == (cleared, cleared)


async def test_two_tabs_may_sign_in_at_once(tmp_path: Path, provider: FakeProvider) -> None:
    provider.reset()
    async with fronts(settings(tmp_path, provider.url)) as ann:
        queries = [provider.authorize(await begin(ann, to)) for to in ("/me", "/chat")]
        answers = [await ann.get(f"/_sekisho/callback?{query}") for query in queries]
        page = await ann.get("/me")

    assert [answer.field("location") for answer in answers] == ["/me", "/chat"]
    assert page.status == 200
    assert len(revocations(tmp_path)) == 1  # the first of the two sessions
