"""A front's host: who sees its pages, and what comes of a call that one of them makes. A real worker, a stand-in for
the chat UI, a provider; what each of them received is looked at."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jwt
import pytest

from exchange.principal import Principal
from identities.own_token import mint
from identities.revoked import Revocation, revoke
from identities.session import begin_session, session_keys
from identities.signing import SigningKeys
from storage.journal.rows import Closing, Intent
from tests.addons.running import worker
from tests.addons.test_faults import rows
from tests.journeys.provider import Answer, Provider, completion, streamed
from wire.refused_person import FIELD, RefusedPerson, written

HOST = "chat.localhost"
ORIGIN = f"http://{HOST}"
OTHER = "http://talk.localhost"
BOB = Principal("u-bob", "bob@example.com", "example.com", "corp")
ANN = Principal("u-ann", "ann@example.com", "example.com", "corp")
CHAT = '{"model": "gpt-4o", "messages": [{"role": "user", "content": "こんにちは"}]}'.encode()
STREAM = b'{"model": "gpt-4o", "stream": true, "messages": []}'
SAME = {"Sec-Fetch-Site": "same-origin", "Origin": ORIGIN, "Content-Type": "application/json"}
ACTION = {**SAME, "Next-Action": "2f7a", "Content-Type": "text/plain;charset=UTF-8", "Accept": "text/x-component"}
WORKER = {"Service-Worker": "script"}  # it would stand before our own pages, and read them
PAGE = {"Sec-Fetch-Mode": "navigate", "Accept": "text/html"}
API = "/api/openai/v1/chat/completions"


@dataclass
class Answered:
    status: int
    fields: dict[str, str]
    body: bytes

    @property
    def code(self) -> str:
        return str(json.loads(self.body)["error"]["code"])


@dataclass
class Place:
    """A worker, the chat UI behind it, its provider, and what our own pages would have got."""

    folder: Path
    port: int
    provider: Provider
    ui: Provider
    house: list[bytes] = field(default_factory=list)

    async def ask(self, method: str, target: str, body: bytes = b"", **fields: str) -> Answered:
        return await self.ask_as(None, method, target, body, {k.replace("_", "-"): v for k, v in fields.items()})

    async def ask_as(
        self, cookie: str | None, method: str, target: str, body: bytes = b"", fields: dict[str, str] | None = None
    ) -> Answered:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        given = {"Host": HOST, **(fields or {}), **({"Cookie": cookie} if cookie else {})}
        if body or method == "POST":
            given["Content-Length"] = str(len(body))
        head = "".join(f"{name}: {value}\r\n" for name, value in given.items())
        writer.write(f"{method} {target} HTTP/1.1\r\n{head}Connection: close\r\n\r\n".encode() + body)
        raw = await asyncio.wait_for(reader.read(), 20)
        writer.close()
        top, _, rest = raw.partition(b"\r\n\r\n")
        lines = top.decode("latin-1").split("\r\n")
        found = {n.lower(): v.strip() for n, _, v in (line.partition(":") for line in lines[1:])}
        if found.get("transfer-encoding") == "chunked":
            rest = _unchunked(rest)
        return Answered(int(lines[0].split()[1]), found, rest)

    def intents(self) -> list[Intent]:
        return [row for row in rows(self.folder) if isinstance(row, Intent)]


def _unchunked(raw: bytes) -> bytes:
    out = b""
    while raw:
        size, _, rest = raw.partition(b"\r\n")
        out, raw = out + rest[: int(size, 16)], rest[int(size, 16) + 2 :]
    return out


@contextlib.asynccontextmanager
async def place(
    folder: Path, *, kind: str = "nextchat", profile: str = "gateway", more: str = "", identity: str | None = None
) -> AsyncIterator[Place]:
    with Provider() as provider, Provider() as ui:
        provider.answer = completion("はい")
        ui.answer = Answer(
            chunks=[b"<p>chat</p>"],
            fields=(
                ("content-type", "text/html"),
                ("access-control-allow-origin", "*"),
                (FIELD, "x"),
                ("set-cookie", "sekisho-front=tossed; Path=/"),
                ("set-cookie", "=sekisho-front=tossed; Path=/"),
                ("set-cookie", "theme=dark"),
            ),
        )
        fronts = (
            "sign_in: {preset: oidc, issuer: 'http://127.0.0.1:9', client_id: sekisho}\n"
            f"fronts:\n  - {{host: {HOST}, upstream: '{ui.url}', kind: {kind}, "
            f"models: [gpt-4o, gpt-4o-mini, o3]{more}}}\n"
            f"  - {{host: talk.localhost, upstream: '{ui.url}'}}\n"
        )
        async with worker(folder, provider.url, lane="express", profile=profile, more=fronts, identity=identity) as url:
            here = Place(folder, int(url.rpartition(":")[2]), provider, ui)
            yield here


def session(folder: Path, who: Principal = ANN, origin: str = ORIGIN) -> str:
    return f"sekisho-front={begin_session(folder / 'data', who, origin).token}"


async def test_a_page_that_calls_the_api_reaches_the_provider_with_our_key_and_is_recorded_under_its_person(
    tmp_path: Path,
) -> None:
    async with place(tmp_path) as here:
        typed = {**SAME, "Authorization": "Bearer nk-typed", "x-base-url": "http://evil.test", "Referer": ORIGIN + "/"}
        answer = await here.ask_as(session(tmp_path), "POST", API, CHAT, typed)

    assert (answer.status, json.loads(answer.body)["choices"][0]["message"]["content"]) == (200, "はい")
    (got,) = here.provider.received
    assert (got.method, got.target, got.body) == ("POST", "/v1/chat/completions", CHAT)
    for name in ("cookie", "authorization", "x-base-url", "referer", "origin"):
        assert got.header(name) is None, name
    assert here.ui.received == []
    (intent,) = here.intents()
    assert intent.principal is not None
    assert (intent.principal.email, intent.principal.issuer) == ("ann@example.com", f"session:{HOST}")
    assert (intent.mode, intent.outcome, intent.path) == ("front", "allow", "/v1/chat/completions")


async def test_a_page_of_the_ui_is_asked_for_by_the_name_that_the_browser_sent_and_without_our_cookie(
    tmp_path: Path,
) -> None:
    async with place(tmp_path) as here:
        cookie = session(tmp_path)
        answer = await here.ask_as(
            f"theme=dark; {cookie}; _sekisho=x", "GET", "/_next/static/a.js",
            fields={"X-Forwarded-For": "1.2.3.4", "X-Forwarded-Email": "boss@example.com", "x-base-url": "http://evil"},
        )  # fmt: skip

    assert (answer.status, answer.body) == (200, b"<p>chat</p>")
    assert not [name for name in answer.fields if name.startswith("access-control") or name == FIELD]
    assert answer.fields["set-cookie"] == "theme=dark"
    (got,) = here.ui.received
    assert got.header("host") == HOST
    assert got.header("cookie") == "theme=dark; _sekisho=x"
    assert (got.header("x-forwarded-proto"), got.header("x-forwarded-host")) == ("http", HOST)
    for name in ("x-forwarded-for", "x-forwarded-email", "x-base-url"):
        assert got.header(name) is None, name
    assert here.intents() == []  # a page is no exchange


_FILES = "%2F_next%2Fstatic"
_IMAGE = "/_next/image?url={}&w=64&q=75"

_REFUSED: list[tuple[str, str, str, str | None, dict[str, str], int, str | None]] = [
    # why, method, target, cookie, fields, status, code (None: a page)
    ("nobody, an API call", "POST", API, None, SAME, 401, "missing_identity"),
    ("nobody, a script's GET", "GET", "/api/config", None, {"Accept": "*/*"}, 401, "missing_identity"),
    ("a made-up session", "POST", API, "sekisho-front=ey.not.one", SAME, 401, "invalid_token"),
    ("the session of another front", "POST", API, "OTHER", SAME, 401, "invalid_token"),
    ("a Bearer as the session", "POST", API, "BEARER", SAME, 401, "invalid_token"),
    ("an expired session", "POST", API, "EXPIRED", SAME, 401, "expired_token"),
    ("a session signed by the tokens' key", "POST", API, "OTHER KEY", SAME, 401, "invalid_token"),
    ("a session of another domain", "POST", API, "FOREIGN", SAME, 403, "domain_not_allowed"),
    ("two sessions, one tossed in", "POST", API, "TWO", SAME, 401, "missing_identity"),
    ("a revoked session", "POST", API, "REVOKED", SAME, 401, "invalid_token"),
    ("another site's page", "POST", API, "GOOD", {**SAME, "Sec-Fetch-Site": "cross-site"}, 403, "cross_site"),
    ("a sibling's page", "POST", API, "GOOD", {**SAME, "Sec-Fetch-Site": "same-site"}, 403, "cross_site"),
    ("another origin", "POST", API, "GOOD", {**SAME, "Origin": "http://evil.test"}, 403, "cross_site"),
    ("an opaque origin", "POST", API, "GOOD", {**SAME, "Origin": "null"}, 403, "cross_site"),
    ("no word of the site", "POST", API, "GOOD", {"Content-Type": "text/plain"}, 403, "cross_site"),
    ("another site's form to the UI", "POST", "/api/config", "GOOD", {"Origin": "http://evil.test"}, 403, "cross_site"),
    ("a relay of NextChat", "POST", "/api/proxy/openai/v1/chat", "GOOD", SAME, 403, "path_not_allowed"),
    ("another provider of NextChat", "POST", "/api/anthropic/v1/messages", "GOOD", SAME, 403, "path_not_allowed"),
    ("a rewrite of NextChat", "GET", "/google-fonts/css2?a=b", "GOOD", {}, 403, "path_not_allowed"),
    ("another rewrite of NextChat", "POST", "/sharegpt", "GOOD", SAME, 403, "path_not_allowed"),
    ("its images, of a relay", "GET", _IMAGE.format("%2Fapi%2Fproxy"), "GOOD", {}, 403, "path_not_allowed"),
    ("images out of its files", "GET", _IMAGE.format(_FILES + "%2F..%2F..%2Fapi"), "GOOD", {}, 403, "path_not_allowed"),
    ("images of another host", "GET", _IMAGE.format("http://127.0.0.1:1/"), "GOOD", {}, 403, "path_not_allowed"),
    ("images, named twice", "GET", _IMAGE.format(_FILES + "%2Fa.png") + "&url=x", "GOOD", {}, 403, "path_not_allowed"),
    ("a service worker of the UI", "GET", "/serviceWorker.js", "GOOD", WORKER, 403, "path_not_allowed"),
    ("our chat beside a UI", "GET", "/chat/history", "GOOD", SAME, 403, "path_not_allowed"),
    ("a function of NextChat that is told what to start", "POST", "/", "GOOD", ACTION, 403, "path_not_allowed"),
    ("another method than its pages use", "PUT", "/", "GOOD", SAME, 403, "path_not_allowed"),
    ("a form to its file", "POST", "/serviceWorkerRegister.js", "GOOD", SAME, 403, "path_not_allowed"),
    ("its settings of another site's page", "POST", "/api/config", "GOOD", {"Origin": "null"}, 403, "cross_site"),
    ("the API's path, written otherwise", "POST", "/api/%6fpenai/v1/chat/completions", "GOOD", SAME, 400, "bad_path"),
    ("a path that leaves the API", "POST", "/api/openai/../proxy/x", "GOOD", SAME, 400, "bad_path"),
    ("a whole address", "GET", f"http://{HOST}/", "GOOD", PAGE, 400, None),
    ("a model that no rule allows", "POST", API, "GOOD", {**SAME, "x-model": "o3"}, 403, "model_not_allowed"),
]  # fmt: skip


def _cookie(kind: str | None, folder: Path) -> str | None:
    data, good = folder / "data", session(folder)
    now = int(time.time())
    claims: dict[str, Any] = {
        **jwt.decode(good.partition("=")[2], options={"verify_signature": False}),
        "iat": now - 9 * 3600,
        "exp": now - 3600,
    }
    if kind == "REVOKED":
        number = jwt.decode(good.partition("=")[2], options={"verify_signature": False})["jti"]
        revoke(data, Revocation("token", number, now, "signed out"))
        return good
    fresh = {**claims, "iat": now, "exp": now + 60}
    return {
        "GOOD": good,
        "OTHER": session(folder, origin=OTHER),
        "BEARER": f"sekisho-front={mint(data, email='ann@example.com', days=0.2)}",
        "EXPIRED": f"sekisho-front={session_keys(data).sign(claims)}",
        "OTHER KEY": f"sekisho-front={SigningKeys(data, 'own').sign(fresh)}",
        "FOREIGN": session(folder, Principal("u-mal", "mallory@evil.test", "evil.test", "corp")),
        "TWO": f"{good}; {good}",
    }.get(kind or "", kind)


async def test_whatever_may_not_pass_is_refused_and_neither_ui_nor_provider_hears_of_it(tmp_path: Path) -> None:
    cookies = [_cookie(row[3], tmp_path) for row in _REFUSED]  # before the start: what is revoked is read then
    async with place(tmp_path) as here:
        for (why, method, target, _, fields, status, code), cookie in zip(_REFUSED, cookies, strict=True):
            body = CHAT.replace(b"gpt-4o", fields.get("x-model", "gpt-4o").encode()) if method == "POST" else b""
            answer = await here.ask_as(cookie, method, target, body, fields)
            assert answer.status == status, (why, answer)
            assert code is None or answer.code == code, (why, answer)
            assert "location" not in answer.fields, why
        assert here.provider.received == []
        assert here.ui.received == []

    recorded = [(intent.code, intent.mode) for intent in here.intents()]
    on_the_api = [row[6] for row in _REFUSED if row[2].startswith("/api/openai")]
    assert recorded == [(code, "front") for code in on_the_api]


@pytest.mark.parametrize(
    "target", ["/", "/?_rsc=1", "/_next/static/a.js", _IMAGE.format(_FILES + "%2Fmedia%2Flogo.1a2b.png")]
)
async def test_what_nextchats_own_pages_need_passes(tmp_path: Path, target: str) -> None:
    async with place(tmp_path) as here:
        answer = await here.ask_as(session(tmp_path), "GET", target)

    assert answer.status == 200
    assert [got.target for got in here.ui.received] == [target]


@pytest.mark.parametrize("told", [b"", b"[]"])
async def test_a_function_of_nextchats_server_that_is_told_nothing_passes_as_its_pages_call_it(
    tmp_path: Path, told: bytes
) -> None:
    async with place(tmp_path) as here:
        answer = await here.ask_as(session(tmp_path), "POST", "/", told, ACTION)

    assert answer.status == 200
    assert [(got.target, got.body, got.header("next-action")) for got in here.ui.received] == [("/", told, "2f7a")]


async def test_nextchats_pages_are_told_the_models_that_their_person_may_use_and_its_server_is_not_asked(
    tmp_path: Path,
) -> None:
    async with place(tmp_path) as here:
        answer = await here.ask_as(session(tmp_path), "POST", "/api/config", b"", SAME)
        stranger = await here.ask_as(None, "POST", "/api/config", b"", SAME)

    said = json.loads(answer.body)
    assert (answer.status, stranger.status) == (200, 401)
    assert said["customModels"] == "-all,+gpt-4o@OpenAI,+gpt-4o-mini@OpenAI"
    assert (said["defaultModel"], said["needCode"], said["hideUserApiKey"]) == ("gpt-4o", False, True)
    assert here.ui.received == []


async def test_a_chat_ui_is_told_whose_session_it_is_and_takes_nobody_elses_word(tmp_path: Path) -> None:
    async with place(tmp_path, kind="open-webui", more=", email_header: X-Sekisho-Email") as here:
        made_up = {"X-Sekisho-Email": "boss@example.com", "x_sekisho_email": "boss@example.com"}
        answer = await here.ask_as(session(tmp_path), "GET", "/api/v1/auths/", fields=made_up)
        refused = await here.ask_as(session(tmp_path), "GET", "/", fields={"X-Sekisho-Email": "boss@example.com"})

    assert (answer.status, refused.status) == (400, 200)  # two readings of one name are refused whatever they say
    (got,) = here.ui.received
    assert [value for name, value in got.fields if name.lower() == "x-sekisho-email"] == ["ann@example.com"]


async def test_a_session_is_no_bearer(tmp_path: Path) -> None:
    async with place(tmp_path) as here:
        token = session(tmp_path).partition("=")[2]
        fields = {"Host": "127.0.0.1", "Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        answer = await here.ask_as(None, "POST", "/v1/chat/completions", CHAT, fields)
        by_header = {**SAME, "Host": "127.0.0.1", "sekisho-session": token}
        smuggled = await here.ask_as(None, "POST", "/v1/chat/completions", CHAT, by_header)

    assert (answer.status, answer.code) == (401, "invalid_token")
    assert (smuggled.status, smuggled.code) == (401, "missing_identity")
    assert here.provider.received == []


@pytest.mark.parametrize("profile", ["gateway", "local"])
async def test_who_walks_in_unknown_is_shown_the_way_to_sign_in_whatever_the_profile(
    tmp_path: Path, profile: str
) -> None:
    async with place(tmp_path, profile=profile) as here:
        answer = await here.ask_as(None, "GET", "/?q=%E3%81%82", fields=PAGE)
        call = await here.ask_as(None, "POST", API, CHAT, SAME)

    assert (answer.status, answer.fields["location"]) == (303, "/_sekisho/login?to=%2F%3Fq%3D%25E3%2581%2582")
    assert (call.status, call.code) == (401, "missing_identity")
    assert here.ui.received == here.provider.received == []


@pytest.mark.parametrize("target", [API, "/api/config"])
async def test_whoever_left_a_page_open_is_told_in_it_what_to_do_when_their_session_is_over(
    tmp_path: Path, target: str
) -> None:
    async with place(tmp_path) as here:
        answer = await here.ask_as(_cookie("EXPIRED", tmp_path), "POST", target, CHAT, SAME)

    said = json.loads(answer.body)["error"]["message"]
    assert answer.status == 401
    assert said.startswith("Your session is over. Reload this page")
    assert "再読み込み" in said


async def test_the_models_of_a_front_are_those_that_the_rules_let_this_person_use(tmp_path: Path) -> None:
    async with place(tmp_path) as here:
        answer = await here.ask_as(session(tmp_path), "GET", "/api/openai/v1/models", fields=SAME)
        stranger = await here.ask_as(None, "GET", "/api/openai/v1/models", fields=SAME)

    assert [one["id"] for one in json.loads(answer.body)["data"]] == ["gpt-4o", "gpt-4o-mini"]
    assert stranger.status == 401
    assert here.provider.received == []


async def test_a_person_who_is_revoked_is_out_and_what_streams_to_them_is_cut_where_the_settings_say_so(
    tmp_path: Path,
) -> None:
    identity = "identity: {domains: [example.com], issuers: [{name: own, kind: own_token}], cut_revoked: true}\n"
    async with place(tmp_path, identity=identity) as here:
        here.provider.answer = streamed([f"word {i}" for i in range(40)], pause=0.09)
        asking = asyncio.create_task(here.ask_as(session(tmp_path), "POST", API, STREAM, SAME))
        other = asyncio.create_task(here.ask_as(session(tmp_path, BOB), "POST", API, STREAM, SAME))
        await asyncio.sleep(0.3)
        revoke(tmp_path / "data", Revocation("person", "ann@example.com", int(time.time())))
        with contextlib.suppress(ConnectionError):
            await asking
        theirs = await other
        after = await here.ask_as(session(tmp_path), "POST", API, STREAM, SAME)
        bobs = session(tmp_path, BOB)
        for file in (tmp_path / "data" / "keys").glob("session-*"):
            file.unlink()  # everybody's sessions end
        here.provider.answer = completion("はい")
        began = time.monotonic()
        while (gone := await here.ask_as(bobs, "POST", API, CHAT, SAME)).status == 200:
            assert time.monotonic() - began < 4
            await asyncio.sleep(0.1)
        anew = await here.ask_as(session(tmp_path, BOB), "POST", API, CHAT, SAME)

    assert (after.status, after.code) == (401, "invalid_token")
    assert (gone.status, anew.status) == (401, 200)
    assert b"word 39" in theirs.body
    assert here.provider.gone == 1  # the provider need not go on for nobody
    closings = [(row.observed, row.error, row.status) for row in rows(tmp_path) if isinstance(row, Closing)]
    assert closings[:2] == [("refused", "invalid_token", 200), ("response_ended", None, 200)]


@pytest.mark.parametrize("target", [API, "/api/chat/stream"], ids=["of the API", "of the UI itself"])
async def test_what_streams_under_a_session_is_cut_when_it_is_signed_out(tmp_path: Path, target: str) -> None:
    identity = "identity: {domains: [example.com], issuers: [{name: own, kind: own_token}], cut_revoked: true}\n"
    async with place(tmp_path, identity=identity, kind="other") as here:
        here.provider.answer = here.ui.answer = streamed([f"word {i}" for i in range(36)], pause=0.09)
        cookie = session(tmp_path)
        asking = asyncio.create_task(here.ask_as(cookie, "POST", target, STREAM, SAME))
        other = asyncio.create_task(here.ask_as(session(tmp_path), "POST", target, STREAM, SAME))  # of hers, too
        await asyncio.sleep(0.3)
        number = jwt.decode(cookie.partition("=")[2], options={"verify_signature": False})["jti"]
        revoke(tmp_path / "data", Revocation("token", number, int(time.time()), "signed out"))
        began = time.monotonic()
        with contextlib.suppress(ConnectionError):
            await asking
        after = time.monotonic() - began
        theirs = await other

    assert after < 3
    assert b"word 35" in theirs.body
    assert here.provider.gone + here.ui.gone == 1


async def test_our_own_pages_are_asked_over_a_socket_and_who_they_refuse_is_recorded(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    asked: list[bytes] = []
    told = written(RefusedPerson("domain_not_allowed", "mallory@evil.test: evil.test is not admitted"))

    async def house(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError):
            while True:
                asked.append(await reader.readuntil(b"\r\n\r\n"))
                writer.write(f"HTTP/1.1 403 Forbidden\r\n{FIELD}: {told}\r\ncontent-length: 2\r\n\r\nno".encode())
        writer.close()

    server = await asyncio.start_unix_server(house, tmp_path / "data" / "fronts.sock")
    async with place(tmp_path) as here:
        answer = await here.ask_as("sekisho-login=1", "GET", "/_sekisho/callback?code=secret&state=x", fields=PAGE)
    server.close()

    assert (answer.status, answer.body) == (403, b"no")
    assert FIELD not in answer.fields
    assert b"GET /_sekisho/callback?code=secret&state=x HTTP/1.1" in asked[0]
    assert b"Host: chat.localhost\r\n" in asked[0]
    assert b"sekisho-login=1" in asked[0]
    (intent,) = here.intents()
    assert (intent.code, intent.mode, intent.outcome) == ("domain_not_allowed", "front", "deny")
    assert intent.reason == "mallory@evil.test: evil.test is not admitted"
    assert "secret" not in (intent.path + (intent.query or ""))


async def test_a_front_whose_pages_are_away_says_so_in_words(tmp_path: Path) -> None:
    async with place(tmp_path) as here:
        page = await here.ask_as(None, "GET", "/_sekisho/login", fields={**PAGE, "Accept-Language": "ja"})
        script = await here.ask_as(None, "GET", "/_sekisho/login")

    assert (page.status, page.fields["content-type"]) == (502, "text/html; charset=utf-8")
    assert "しばらくしてから" in page.body.decode()
    assert (script.status, script.code) == (502, "upstream_unreachable")


@pytest.mark.parametrize(
    ("more", "status"),
    [
        (", https: proxy, proxies: [10.9.9.9]", 421),
        (", https: proxy, proxies: [127.0.0.0/8]", 303),
    ],
)
async def test_a_front_behind_a_proxy_answers_that_proxy_alone(tmp_path: Path, more: str, status: int) -> None:
    async with place(tmp_path, more=more) as here:
        said = {**PAGE, "X-Forwarded-Proto": "https", "X-Forwarded-For": "10.9.9.9"}
        answer = await here.ask_as(None, "GET", "/", fields=said)

    assert answer.status == status


async def test_a_front_that_fails_refuses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("a fault of ours")

    async with place(tmp_path) as here:
        monkeypatch.setattr("addons.fronts._place", broken)
        page = await here.ask_as(session(tmp_path), "GET", "/", fields=PAGE)
        call = await here.ask_as(session(tmp_path), "POST", API, CHAT, SAME)

    assert (page.status, call.status) == (500, 500)
    assert here.ui.received == here.provider.received == []
