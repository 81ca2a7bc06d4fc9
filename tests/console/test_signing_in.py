"""Into the console with the company account, and everything that must not get anybody in."""

import asyncio
import html
import re
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx2
import pytest

from console.app import console_app
from console.sessions import LIFE_S, Sessions
from console.store import sqlite_store
from identities.revoked import Revocation, revoke
from settings.schema import Settings
from signin.relying_party import SignIn, sign_in_from
from tests.cli.records import chat, store
from tests.console.visitor import Visitor
from tests.signin.provider import SECRET, FakeProvider

HOST = "audit.example.com"
PROXY = "10.0.0.9"
SESSION = "__Host-sekisho-console"
LOGIN = "__Host-sekisho-login"


@pytest.fixture(scope="module")
def provider() -> Iterator[FakeProvider]:
    with FakeProvider().running() as running:
        yield running


@dataclass
class Room:
    """The console behind a proxy that brings https. Its clock runs `ahead` seconds."""

    data_dir: Path
    sign_in: SignIn
    sessions: Sessions
    provider: FakeProvider
    app: Any
    invited: list[bool]

    def visitor(self, **more: Any) -> Visitor:
        return Visitor(self.app, **{"host": HOST, "peer": PROXY, **more})

    async def sent(self, visitor: Visitor, to: str = "/exchanges") -> str:
        """The provider's address that the browser is sent to."""
        answer = await visitor.get(f"/sign-in?to={to}")
        assert answer.status_code == 303, answer.text
        return str(answer.headers["location"])

    async def back(
        self, visitor: Visitor, to: str = "/exchanges", change: dict[str, str | None] | None = None
    ) -> httpx2.Response:
        query = self.provider.authorize(await self.sent(visitor, to), **change or {})
        return await visitor.get(f"/sign-in/back?{query}")


def settings(data_dir: Path, issuer: str, **console: Any) -> Settings:
    return Settings.model_validate(
        {
            "data_dir": str(data_dir),
            "identity": {"domains": ["example.com"]},
            "sign_in": {
                "preset": "oidc",
                "issuer": issuer,
                "client_id": "sekisho",
                "client_secret": {"env": "SIGN_IN_SECRET"},
                "sign_out_at_provider": True,
            },
            "console": {
                "listen": "0.0.0.0:8090",
                "public_url": f"https://{HOST}",
                "proxies": [PROXY],
                "contact": "it@example.com",
                "roles": {"auditor": {"emails": ["ann@example.com"]}, "admin": {"groups": ["audit"]}},
                **console,
            },
        }
    )


@pytest.fixture
async def room(tmp_path: Path, provider: FakeProvider, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Room]:
    monkeypatch.setenv("SIGN_IN_SECRET", SECRET)
    provider.reset()
    chosen = settings(tmp_path, provider.url)
    store(tmp_path, chat("the secret question", "the answer"))
    sign_in = sign_in_from(chosen)
    sessions = Sessions(chosen.console.idle, admits=sign_in.still_admits)
    invited: list[bool] = []
    app = console_app(
        chosen,
        sqlite_store(chosen),
        sessions,
        who="root",
        invite=lambda: invited.append(True),
        running=lambda: False,
        sign_in=sign_in,
    )
    await sign_in.start()
    yield Room(tmp_path, sign_in, sessions, provider, app, invited)
    await sign_in.stop()


async def test_a_colleague_signs_in_and_comes_to_the_page_they_asked_for(room: Room) -> None:
    visitor = room.visitor()
    first = await visitor.get("/exchanges?q=model%3Agpt-4o")
    assert first.status_code == 303
    assert first.headers["location"] == "/sign-in?to=%2Fexchanges%3Fq%3Dmodel%253Agpt-4o"
    sent = await visitor.get(first.headers["location"])
    answer = await visitor.get(f"/sign-in/back?{room.provider.authorize(sent.headers['location'])}")
    assert answer.headers["location"] == "/exchanges?q=model%3Agpt-4o"
    (cookie,) = answer.headers.get_list("set-cookie")
    assert cookie.startswith(f"{SESSION}=")
    assert {"HttpOnly", "Secure", "SameSite=Lax", "Path=/"} <= set(cookie.split("; "))
    page = await visitor.get("/exchanges")
    assert page.status_code == 200
    assert "ann@example.com" in page.text
    assert page.headers["strict-transport-security"] == "max-age=31536000"


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"state": None}, 400),
        ({"state": "x"}, 400),
        ({"state": ""}, 400),
        ({"iss": None}, 400),
        ({"iss": "https://evil.example"}, 400),
        ({"code": None}, 400),
        ({"code": "of-nobody"}, 502),
        ({"error": "access_denied"}, 403),
    ],
    ids=str,
)
async def test_an_answer_that_is_not_of_this_sign_in_begins_no_session(
    room: Room, change: dict[str, str | None], status: int
) -> None:
    visitor = room.visitor()
    answer = await room.back(visitor, change=change)
    assert answer.status_code == status
    assert SESSION not in visitor.cookies
    assert "/sign-in" in answer.text


async def test_an_answer_counts_once_and_in_the_browser_that_began_it(room: Room) -> None:
    ann, eve = room.visitor(), room.visitor()
    query = room.provider.authorize(await room.sent(ann))
    await room.sent(eve)
    for stranger in (eve, room.visitor()):
        assert (await stranger.get(f"/sign-in/back?{query}")).status_code == 400
        assert SESSION not in stranger.cookies
    assert (await ann.get(f"/sign-in/back?{query}&state=twice")).status_code == 400
    assert (await ann.get(f"/sign-in/back?{query}")).status_code == 303
    del ann.cookies[SESSION]
    assert (await ann.get(f"/sign-in/back?{query}")).status_code == 400
    assert SESSION not in ann.cookies


@pytest.mark.parametrize(
    "to", ["//evil.example", "/%5Cevil.example", "https://evil.example", "/%0d%0aset-cookie:x=y", "x"]
)
async def test_nobody_is_led_to_another_site_after_signing_in(room: Room, to: str) -> None:
    assert (await room.back(room.visitor(), to)).headers["location"] == "/exchanges"


@pytest.mark.parametrize(
    ("spoilt", "status", "said"),
    [
        ({"email": "eve@evil.example"}, 403, "Accounts of this mail domain"),
        ({"email_verified": False}, 403, "has not verified your e-mail address"),
        ({"nonce": "another"}, 401, "do not hold"),
        ({"iat": 3_900_000_000}, 401, "do not hold"),
        ({"email": "bob@example.com"}, 403, "no role here"),
    ],
    ids=str,
)
async def test_whom_the_settings_do_not_name_sees_a_page_that_says_whom_to_ask_and_no_loop(
    room: Room, spoilt: dict[str, Any], status: int, said: str
) -> None:
    room.provider.spoil = lambda claims: claims.update(spoilt)
    visitor = room.visitor()
    answer = await room.back(visitor)
    assert answer.status_code == status
    assert said in answer.text
    assert "it@example.com" in answer.text
    assert "another=1" in answer.text
    assert SESSION not in visitor.cookies


async def test_the_pages_of_signing_in_speak_japanese(room: Room) -> None:
    room.provider.claims["email"] = "eve@evil.example"
    assert "会社のアカウントをお使いください" in (await room.back(room.visitor(language="ja"))).text
    room.provider.claims["email"] = "bob@example.com"
    assert "役割がありません" in (await room.back(room.visitor(language="ja-JP,ja;q=0.9"))).text


@pytest.mark.parametrize(("ahead", "status"), [(20, 303), (60, 401)])
async def test_clocks_may_be_apart_by_the_skew_of_the_settings(room: Room, ahead: int, status: int) -> None:
    room.provider.spoil = lambda claims: claims.update(iat=int(time.time()) + ahead)
    assert (await room.back(room.visitor())).status_code == status


async def test_a_session_is_new_at_every_sign_in_and_the_old_one_ends(room: Room) -> None:
    visitor = room.visitor()
    visitor.cookies[SESSION] = "chosen-by-eve"
    await room.back(visitor)
    first = visitor.cookies[SESSION]
    assert first != "chosen-by-eve"
    await room.back(visitor)
    assert visitor.cookies[SESSION] != first
    assert room.sessions.get(first) is None


async def test_after_signing_out_the_cookie_is_worth_nothing_and_everywhere_means_everywhere(room: Room) -> None:
    ann, again, other = room.visitor(), room.visitor(), room.visitor()
    await room.back(ann)
    await room.back(other)
    again.cookies = dict(ann.cookies)
    session = room.sessions.get(ann.cookies[SESSION])
    assert session is not None
    out = await ann.post("/leave", {"csrf": session.csrf})
    assert out.status_code == 200
    assert SESSION not in ann.cookies
    assert (await again.get("/exchanges")).headers["location"].startswith("/sign-in?")
    assert (await other.get("/exchanges")).status_code == 200
    await room.back(ann)
    session = room.sessions.get(ann.cookies[SESSION])
    assert session is not None
    await ann.post("/leave", {"csrf": session.csrf, "everywhere": "1"})
    assert (await other.get("/exchanges")).status_code == 303


@pytest.mark.parametrize(
    "cookies",
    [
        lambda session: f"{SESSION}={session[:-1]}",
        lambda session: f"{SESSION}={session}; {SESSION}=evil",
        lambda session: f"sekisho-console={session}",
        lambda session: f"{SESSION}={'a' * 5000}",
        lambda session: f"{SESSION}={session}x; " + "; ".join(f"c{i}={'x' * 200}" for i in range(100)),
        lambda session: "",
    ],
    ids=["cut", "tossed", "without its prefix", "too large", "many", "none"],
)
async def test_a_cookie_that_is_not_ours_as_it_was_set_is_none(room: Room, cookies: Callable[[str], str]) -> None:
    visitor = room.visitor()
    await room.back(visitor)
    answer = await visitor.get("/exchanges", headers={"cookie": cookies(visitor.cookies[SESSION])})
    assert answer.status_code == 303
    assert "secret" not in answer.text


@pytest.mark.parametrize(
    ("host", "peer", "headers"),
    [
        (HOST, "203.0.113.7", {}),
        (HOST, "203.0.113.7", {"x-forwarded-proto": "https"}),
        (HOST, "203.0.113.7", {"x-forwarded-for": PROXY, "forwarded": f"for={PROXY};proto=https"}),
        (HOST, PROXY, {"x-forwarded-proto": "http"}),
        ("evil.example", PROXY, {"x-forwarded-host": HOST}),
        (f"{HOST}.evil.example", PROXY, {}),
        ("127.0.0.1:8090", "203.0.113.7", {}),
        ("127.0.0.1:8090", PROXY, {}),
        ("127.0.0.1:8090", "127.0.0.1", {"x-forwarded-for": "203.0.113.7"}),
        ("localhost", "203.0.113.7", {"x-forwarded-for": "127.0.0.1"}),
        ("0.0.0.0", "203.0.113.7", {}),
    ],
)
async def test_no_name_no_peer_and_no_forwarded_header_opens_a_way_round_https(
    room: Room, host: str, peer: str, headers: dict[str, str]
) -> None:
    visitor = room.visitor()
    await room.back(visitor)
    for path in ("/exchanges", "/sign-in", f"/enter?key={room.sessions.one_time_key()}", "/static/console.css"):
        answer = await visitor.get(path, host=host, peer=peer, headers=headers)
        assert answer.status_code == 421, path
        assert "secret" not in answer.text
        assert not answer.headers.get_list("set-cookie")


async def test_the_one_time_address_is_for_this_machine_alone(room: Room) -> None:
    key = room.sessions.one_time_key()
    assert (await room.visitor().get(f"/enter?key={key}")).status_code == 303  # to the sign-in, the key unused
    here = room.visitor(host="127.0.0.1:8090", peer="127.0.0.1")
    answer = await here.get(f"/enter?key={key}")
    assert answer.headers["location"] == "/exchanges"
    assert "sekisho-console" in here.cookies
    assert "secret" in (await here.get("/exchanges")).text
    sent = await here.get("/sign-in?to=/people")
    assert sent.headers["location"] == f"https://{HOST}/sign-in?to=%2Fpeople"


async def test_a_script_without_a_session_is_told_so_and_not_sent_away(room: Room) -> None:
    for headers in ({"hx-request": "true"}, {"accept": "application/json"}, {"accept": "text/event-stream"}):
        assert (await room.visitor().get("/exchanges", headers=headers)).status_code == 401
    assert (await room.visitor().post("/leave", {})).status_code == 401
    assert (await room.visitor().post("/sign-in", {})).status_code == 405
    assert not room.invited


async def test_whoever_is_revoked_is_out_within_seconds(room: Room) -> None:
    visitor = room.visitor()
    await room.back(visitor)
    revoke(room.data_dir, Revocation("person", "ann@example.com", 0))
    for _ in range(80):
        if (await visitor.get("/exchanges")).status_code == 303:
            break
        await asyncio.sleep(0.05)
    assert (await visitor.get("/exchanges")).status_code == 303
    assert (await room.back(visitor)).status_code == 401


async def test_without_the_provider_a_page_says_so(
    tmp_path: Path, provider: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SIGN_IN_SECRET", SECRET)
    chosen = settings(tmp_path, "http://127.0.0.1:9")
    app = console_app(
        chosen,
        sqlite_store(chosen),
        Sessions(60.0),
        who="root",
        invite=lambda: None,
        running=lambda: False,
        sign_in=sign_in_from(chosen),
    )
    answer = await Visitor(app, host=HOST, peer=PROXY).get("/sign-in")
    assert answer.status_code == 503
    assert "cannot be reached" in answer.text


def test_a_session_ends_after_eight_hours_however_busy() -> None:
    now = 0.0
    sessions = Sessions(1800.0, lambda: now)
    session = sessions.begin("ann@example.com", "auditor")
    while now <= LIFE_S:
        assert sessions.get(session) is not None
        now += 1000.0
    assert sessions.get(session) is None


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"public_url": None, "proxies": []}, "by which https:// address"),
        ({"proxies": []}, "nothing brings it"),
        ({"public_url": "http://audit.example.com"}, "is plain http://"),
        ({"public_url": "https://audit.example.com/console"}, "is no address of a site"),
        ({"tls": {"cert": "c.pem", "key": "k.pem"}}, "leave proxies out"),
        ({"sign_in": False}, "nobody would have to sign in"),
        ({"roles": {}, "sign_in": True}, "would see nothing"),
        ({"roles": {"auditor": {"emails": ["ann"]}}}, "no e-mail address"),
        ({"roles": {"root": {}}}, "roles"),
        ({"proxies": ["proxy.example.com"]}, "what is no address"),
    ],
    ids=str,
)
def test_a_console_that_would_be_open_to_strangers_or_empty_for_all_does_not_start(
    tmp_path: Path, change: dict[str, Any], said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        settings(tmp_path, "https://id.example.com", **change)


async def test_who_leaves_is_led_on_to_the_providers_own_sign_out_and_comes_back_to_a_page_for_everybody(
    room: Room,
) -> None:
    room.provider.document["end_session_endpoint"] = f"{room.provider.url}/out"
    ann = room.visitor()
    await room.back(ann)
    session = room.sessions.get(ann.cookies[SESSION])
    assert session is not None
    foreign = await ann.post("/leave", {"csrf": "guessed"})
    out = await ann.post("/leave", {"csrf": session.csrf, "to": "https://evil.test"})
    room.provider.document.pop("end_session_endpoint")
    back = await room.visitor().get("/sign-in/out")

    signed_in = room.visitor()
    await room.back(signed_in)
    assert (await signed_in.get("/sign-in/out")).headers["location"] == "/exchanges"
    assert foreign.status_code == 403
    assert out.status_code == 200
    (there,) = re.findall(r'http-equiv="refresh" content="1; url=([^"]*)"', out.text)
    url = urlsplit(html.unescape(there))
    assert f"{url.scheme}://{url.netloc}{url.path}" == f"{room.provider.url}/out"
    asked = dict(parse_qsl(url.query))
    assert asked["post_logout_redirect_uri"] == f"https://{HOST}/sign-in/out"
    assert "evil" not in out.text
    assert (back.status_code, "You are signed out." in back.text) == (200, True)
    assert (await ann.get("/exchanges")).status_code == 303
