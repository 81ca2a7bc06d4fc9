"""Every page, for every role and for nobody; and that one's own record is nobody else's."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args
from urllib.parse import quote

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from console.app import console_app
from console.roles import GRANTS, Need, Page, Role, all_named, may, role_of
from console.sessions import Sessions
from console.store import sqlite_store
from exchange.principal import Principal
from exchange.record import Record
from settings.console import Console
from settings.schema import Settings
from storage.access import read_access, write_access
from tests.cli.records import chat, refused, store
from tests.console.visitor import Visitor

ROLES: tuple[Role, ...] = get_args(Role)
ANN = Principal("ann", "ann@example.com", "example.com", "own", ("eng",))
SAM = Principal("sam", "sam@example.com", "example.com", "sign-in", ("security",))
ZELDA = Principal("zelda", "zelda@example.com", "example.com", "own")

EVERYBODY = "self viewer auditor admin"
OPEN = f"nobody {EVERYBODY}"
WHO_MAY = {
    "GET /": EVERYBODY,
    "GET /exchanges": EVERYBODY,
    "GET /exchanges/complete": EVERYBODY,
    "GET /exchanges/live": EVERYBODY,
    "GET /exchanges/export": "self auditor admin",
    "GET /exchanges/{id}": EVERYBODY,
    "GET /exchanges/{id}/record.json": "self auditor admin",
    "GET /exchanges/{id}/new": "self auditor admin",
    "GET /exchanges/{id}/replay": "self auditor admin",
    "GET /exchanges/{id}/{side:str}": "self auditor admin",
    "GET /threads/{id}": "self auditor admin",
    "GET /overview": EVERYBODY,
    "GET /refusals": EVERYBODY,
    "GET /people": "viewer auditor admin",
    "GET /access": "admin",
    "GET /me": EVERYBODY,
    "POST /saved": EVERYBODY,
    "POST /saved/remove": EVERYBODY,
    "GET /orders": "admin",
    "POST /orders": "admin",
    "GET /orders/new": "admin",
    "GET /orders/table": "admin",
    "POST /orders/{id}/approve": "admin",
    "POST /orders/{id}/decline": "admin",
    "GET /help": EVERYBODY,
    "GET /reason": EVERYBODY,
    "POST /reason": EVERYBODY,
    "POST /preferences": EVERYBODY,
    "POST /leave": EVERYBODY,
    "GET /enter": OPEN,
    "GET /healthz": OPEN,
}
"""What security has agreed to. A page that is not here fails the test, whatever it says of itself."""


class House:
    """The console over a record of Ann's and Zelda's."""

    def __init__(self, data_dir: Path, **console: Any) -> None:
        self.data_dir = data_dir
        self.settings = Settings.model_validate({"data_dir": str(data_dir)})
        self.sessions = Sessions(1800.0)
        self.looks_left = 0
        self.anns, self.zeldas = store(
            data_dir,
            of(ANN, chat("ann asks about 関所", "ann is told")),
            of(ZELDA, chat("zelda has a xylophone", "zelda is told so")),
        )
        store(data_dir, of(ZELDA, refused()))
        self.app: Starlette = console_app(
            self.settings,
            sqlite_store(self.settings),
            self.sessions,
            who="root",
            invite=lambda: None,
            running=self._running,
        )

    def _running(self) -> bool:
        self.looks_left -= 1
        return self.looks_left >= 0

    def as_(self, role: Role | None, principal: Principal = ANN, reason: str | None = None) -> Visitor:
        visitor = Visitor(self.app)
        if role is not None:
            session = self.sessions.begin(principal.email or "", role, principal)
            found = self.sessions.get(session)
            assert found is not None
            found.reason = reason
            visitor.cookies["sekisho-console"] = session
        return visitor

    def csrf(self, visitor: Visitor) -> str:
        session = self.sessions.get(visitor.cookies.get("sekisho-console"))
        return session.csrf if session is not None else ""


def of(who: Principal, record: Record) -> Record:
    """This exchange as theirs, and the beginning of a conversation that has its id."""
    derived = replace(record.derived, thread_id=record.seen.id)
    return replace(record, seen=replace(record.seen, principal=who), derived=derived)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> House:
    return House(tmp_path_factory.mktemp("roles"))


def routes(app: Starlette) -> list[tuple[str, str]]:
    return [
        (method, route.path)
        for route in app.routes
        if isinstance(route, Route)
        for method in sorted((route.methods or set()) - {"HEAD"})
    ]


def test_every_page_stands_in_the_table_and_says_what_it_needs(house: House) -> None:
    assert {f"{method} {path}" for method, path in routes(house.app)} == set(WHO_MAY)
    with pytest.raises(TypeError, match="does not say what it needs"):
        all_named([Route("/new", lambda _: PlainTextResponse("open to all"))])


@pytest.mark.parametrize("role", [None, *ROLES])
async def test_every_page_opens_for_whom_the_table_names_and_nobody_else(house: House, role: Role | None) -> None:
    wrong = []
    for method, path in routes(house.app):
        filled = path.replace("{side:str}", "request").replace("{id}", house.anns)
        visitor = house.as_(role, reason="a test")
        answer = await visitor.ask(
            method, filled, data={"csrf": house.csrf(visitor)} if method == "POST" else None, headers={"accept": "*/*"}
        )
        opened = answer.status_code not in (401, 403) or (path == "/enter" and "used already" in answer.text)
        if opened != ((role or "nobody") in WHO_MAY[f"{method} {path}"].split()):
            wrong.append((method, path, answer.status_code))
    assert wrong == []


def test_what_is_in_no_table_is_forbidden() -> None:
    needs = set(get_args(Need))
    assert set().union(*GRANTS.values()) == needs
    assert [need for need in needs if may(None, need)] == ["nobody"]
    assert Page("/x", lambda _: None, "looks").need == "looks"


@pytest.mark.parametrize(
    "path",
    [
        "/exchanges/{}",
        "/exchanges/{}/record.json",
        "/exchanges/{}/request",
        "/exchanges/{}/new",
        "/exchanges/{}/replay",
        "/threads/{}",
    ],
)
async def test_nobody_opens_another_persons_exchange_by_its_id(house: House, path: str) -> None:
    answer = await house.as_("self").get(path.format(house.zeldas))
    assert answer.status_code == 404
    assert "zelda" not in answer.text
    if not path.endswith("/new"):  # of a conversation's first exchange there is no such page
        assert (await house.as_("self").get(path.format(house.anns))).status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        "/exchanges",
        "/exchanges?q=xylophone",
        "/exchanges?q=user%3Azelda%40example.com",
        "/exchanges?q=user%3Aann%40example.com+user%3Azelda%40example.com",
        "/exchanges?q=-user%3Aann%40example.com",
        "/exchanges?q=exact%3Axylophone",
        "/exchanges?q=decision%3Adeny",
        "/exchanges?before=999",
        "/exchanges/complete?q=user%3A",
        "/overview?range=90d",
        "/overview?q=user%3Azelda%40example.com",
        "/refusals?range=90d",
        "/me",
    ],
)
async def test_no_list_search_facet_or_count_of_ones_own_shows_anybody_else(house: House, path: str) -> None:
    answer = await house.as_("self").get(path)
    assert answer.status_code == 200
    # What was asked for is said again: in the box, in links, as the title.
    text = re.sub(r'(value|href|data-live)="[^"]*"|<title>.*?</title>', "", answer.text)
    assert "zelda" not in text
    assert "xylophone" not in text
    assert "model_not_allowed" not in text


async def test_the_live_tail_of_ones_own_brings_ones_own(house: House) -> None:
    house.looks_left = 1
    answer = await house.as_("self").get("/exchanges/live?after=0")
    assert "関所" in answer.text
    assert "zelda" not in answer.text
    house.looks_left = 0


async def test_a_viewer_sees_who_and_how_much_and_no_word_of_what_was_said(house: House) -> None:
    visitor = house.as_("viewer", reason="a reason does not help")
    before = len(list(read_access(house.data_dir, 1000)))
    for path in ("/exchanges", f"/exchanges/{house.zeldas}", "/overview?range=90d", "/people?range=90d"):
        text = (await visitor.get(path)).text
        assert "xylophone" not in text, path
        assert "zelda is told" not in text, path
    assert "zelda@example.com" in (await visitor.get("/exchanges")).text
    for query in ("xylophone", "-xylophone", "exact:xylophone", '"a xylophone"'):
        assert (await visitor.get(f"/exchanges?q={quote(query)}")).status_code == 400
        assert (await visitor.get(f"/overview?q={quote(query)}")).status_code == 400
        assert (await visitor.get(f"/exchanges/live?q={quote(query)}")).status_code == 400
    assert len(list(read_access(house.data_dir, 1000))) == before


async def test_an_auditor_says_why_first_and_stands_in_the_log_by_their_proven_address(house: House) -> None:
    visitor = house.as_("auditor", SAM)
    assert "関所" not in (await visitor.get("/exchanges")).text
    asked = await visitor.get(f"/exchanges/{house.anns}")
    assert asked.headers["location"].startswith("/reason?")
    await visitor.post("/reason", {"csrf": house.csrf(visitor), "reason": "case 7"})
    assert "関所" in (await visitor.get(f"/exchanges/{house.anns}")).text
    look = next(iter(read_access(house.data_dir, 1)))
    assert (look.actor, look.action, look.reason) == ("sam@example.com (console)", "show", "case 7")


@pytest.mark.parametrize("page", ["/exchanges", "/overview", "/refusals", "/people"])
async def test_words_are_looked_for_with_a_reason_and_that_is_written_down_though_nothing_is_found(
    house: House, page: str
) -> None:
    """That nobody said it, or how many did, is told by the answer."""
    visitor = house.as_("auditor", SAM)
    asked = f"{page}?q={quote('never-said')}"
    answer = await visitor.get(asked)
    assert answer.headers["location"] == f"/reason?next={quote(asked, safe='')}"
    await visitor.post("/reason", {"csrf": house.csrf(visitor), "reason": "case 8"})
    assert (await visitor.get(asked)).status_code == 200
    look = next(iter(read_access(house.data_dir, 1)))
    assert (look.actor, look.asked, look.reason) == ("sam@example.com (console)", {"query": "never-said"}, "case 8")


async def test_people_look_at_their_own_without_a_reason_and_that_is_written_down_too(house: House) -> None:
    assert "関所" in (await house.as_("self").get(f"/exchanges/{house.anns}")).text
    assert next(iter(read_access(house.data_dir, 1))).actor == "ann@example.com (console)"


async def test_whoever_looks_by_their_role_sees_their_own_looks_and_nobody_elses(house: House) -> None:
    write_access(house.data_dir, action="show", asked={"id": "0" * 32}, exchanges="1", reason="case 77", who="x (cli)")
    auditor = house.as_("auditor", SAM, reason="case 42")
    await auditor.get(f"/exchanges/{house.zeldas}")
    page = (await auditor.get("/me")).text
    assert "What I looked at" in page
    assert "case 42" in page
    assert "case 77" not in page


async def test_people_are_told_what_is_recorded_about_them_and_who_looked(house: House) -> None:
    for who, seqs in (("eve@example.com (console)", "1-3"), ("eve (cli)", "2"), ("tail (cli)", "1-")):
        write_access(house.data_dir, action="show", asked={}, exchanges=seqs, reason="a suspicion", who=who)
    page = (await house.as_("self").get("/me")).text
    assert "eve@example.com (console)" in page
    assert "tail (cli)" in page
    assert "eve (cli)" not in page  # that was Zelda's
    assert "suspicion" not in page
    assert f"/exchanges/{house.anns}" in page.replace("-", "")
    assert (
        "自分についての記録"
        in (await Visitor(house.app, language="ja", cookies=house.as_("self").cookies).get("/me")).text
    )


@pytest.mark.parametrize(
    ("principal", "role"),
    [
        (Principal("1", "ann@example.com", "example.com", "x"), "admin"),
        (Principal("2", "sam@example.com", "example.com", "x", ("staff", "security")), "auditor"),
        (Principal("3", "sam@example.com", "example.com", "x", ("Security",)), "self"),
        (Principal("4", "vic@example.com", "example.com", "x", ("security", "root")), "admin"),
        (Principal("5", "vic@example.com", "example.com", "x"), "viewer"),
        (Principal("6", None, "example.com", "x"), None),
    ],
)
def test_the_highest_role_counts_and_without_one_there_is_ones_own_record(principal: Principal, role: Any) -> None:
    roles = {
        "admin": {"emails": ["Ann@example.com"], "groups": ["root"]},
        "auditor": {"groups": ["security"]},
        "viewer": {"emails": ["vic@example.com"]},
    }
    assert role_of(principal, Console.model_validate({"roles": roles, "self": True})) == role
    if role == "self":
        assert role_of(principal, Console.model_validate({"roles": roles})) is None
