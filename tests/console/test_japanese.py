"""In Japanese every page is Japanese: texts, tooltips, labels, what scripts say. Codes of the record stay codes."""

import ast
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, quote, urlsplit

import pytest
from markupsafe import escape

from console.texts import translated
from exchange.decision import CODES
from exchange.principal import Principal
from exchange.record import Record
from settings.schema import Settings
from storage.access import access_path
from storage.commands import commands_path
from storage.sealing.vault import NOT_SET
from storage.sqlite.driver import audit_path
from tests.cli.records import ANN, chat, record, refused, streamed
from tests.console.conftest import Room, opened
from tests.console.test_counting import HOUR, at
from tests.console.test_orders import carry_out, put_in
from tests.console.test_signing_in import Room as SigningRoom
from tests.console.test_signing_in import provider as provider
from tests.console.test_signing_in import room as signing_room  # noqa: F401 - a fixture

HOME: Final = Path(__file__).parents[2]
THREAD = "0" * 31 + "1"
JAPANESE: Final = re.compile("[\u3040-\u30ff\u4e00-\u9fff]")
TOKEN: Final = re.compile(r"\S*[@._/:=*\d]\S*|\S+-\S+")
"""Names, addresses, numbers, paths, settings: said the same in every language."""

SAID: Final = "Say it slowly."
"""What tests.cli.records has somebody say."""

WORDS: Final = frozenset(
    "Sekisho JSON Lines English curl API ID OpenAI UTC ms min KiB own chat openai console ann bob eng zebra".split()  # noqa: SIM905
)
"""The short list of what may stand in Latin letters alone: names, units, and what the records below are made of."""

QUIET: Final = frozenset(("script", "style", "code", "kbd", "pre"))
SPOKEN: Final = ("aria-label", "title", "placeholder", "alt")


class Texts(HTMLParser):
    """What of a page a person reads, or is read to."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self._open: list[bool] = []  # of each element: may it be in another language?

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        quiet = tag in QUIET or (given.get("lang") == "en" and tag != "html")
        for name, value in attrs:
            if value and (name in SPOKEN or (name.startswith("data-") and " " in value and not _is_address(value))):
                self.found.append(value)
        if tag not in ("meta", "link", "input", "img", "br", "path", "circle", "rect", "line", "polyline", "hr"):
            self._open.append(quiet)

    def handle_endtag(self, tag: str) -> None:
        if self._open:
            self._open.pop()

    def handle_data(self, data: str) -> None:
        if data.strip() and not any(self._open):
            self.found.append(" ".join(data.split()))


def _is_address(value: str) -> bool:
    return value.startswith(("/", "#"))


def untranslated(page: str, own: str = "") -> list[str]:
    """Texts that no Japanese reader should have to read; `own` is what they wrote themselves."""
    assert '<html lang="ja"' in page
    texts = Texts()
    texts.feed((page.replace(escape(own), "") if own else page).replace(SAID, ""))
    return [text for text in texts.found if not _is_fine(text)]


def _is_fine(text: str) -> bool:
    rest = [word for word in TOKEN.sub(" ", text).split() if word.strip("()・。、:,…+") not in WORDS]
    latin = [word for word in rest if re.search("[A-Za-z]{2}", word) and not JAPANESE.search(word)]
    if JAPANESE.search(text):
        return not re.search(r"[A-Za-z]{2,} [A-Za-z]{2,} [A-Za-z]{2,}", " ".join(latin))
    return not latin


@pytest.mark.parametrize(
    ("text", "fine"),
    [
        ("Nothing was found.", False),
        ("見つかりませんでした。", True),
        ("client gone", False),
        ("ann@example.com", True),
        ("検索 does not work here", False),
        ("OpenAI/Python 3.54.0", True),
        ("gpt-4o", True),
        ("Overview", False),
        ("user: model: end: after:", True),
        ("1.2 s", True),
    ],
)
def test_the_net_holds_what_it_should(text: str, fine: bool) -> None:
    assert _is_fine(text) is fine


def threaded(one: Record) -> Record:
    return replace(one, derived=replace(one.derived, thread_id=THREAD))


def talk(turns: list[dict[str, Any]], answer: str, **more: Any) -> Record:
    reply = {"choices": [{"index": 0, "message": {"role": "assistant", "content": answer}}]}
    return record({"model": "gpt-4o", "messages": turns, **more}, reply)


def said_no(code: str) -> Record:
    one = refused()
    asked = talk([{"role": "user", "content": "よいですか？"}], "").raw.request
    seen = replace(one.seen, code=code)
    return replace(one, seen=seen, derived=replace(one.derived, request=asked), raw=replace(one.raw, request=asked))


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Room, list[str]]]:
    """Every kind of exchange that pages speak of."""
    data_dir = tmp_path_factory.mktemp("japanese") / "data"
    settings = Settings.model_validate({"data_dir": str(data_dir), "access": {"two_people": True}})
    first: list[dict[str, Any]] = [{"role": "system", "content": "簡潔に。"}, {"role": "user", "content": "最初の質問"}]
    picture = [
        {"type": "text", "text": "これは？"},
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{'A' * 400}"}},
    ]
    second = [*first, {"role": "assistant", "content": "答え"}, {"role": "user", "content": picture}]
    call = {"id": "call_1", "type": "function", "function": {"name": "get_weather", "arguments": '{"city":"東京"}'}}
    third: list[dict[str, Any]] = [
        {"role": "user", "content": "天気は？"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": "晴れ" * 600},
    ]
    bob = Principal("b@own", "bob@example.co.jp", "example.co.jp", "own", ("eng",))
    ends = ("client_gone", "upstream_cut", "upstream_error", "timed_out", "proxy_died")
    made = [
        threaded(talk(first, "答え")),
        threaded(talk(second, "犬です。", temperature=0.2)),
        talk(third, "晴れです。" * 300),
        streamed(["晴れ", "です"]),
        said_no("model_not_allowed"),
        chat("質問", "答え", changed=("safety_identifier",), capture_truncated=True),
        *(chat("質問", "途中", end_state=end, status=429 if end == "upstream_error" else 200) for end in ends),
        *(said_no(code) for code in CODES),
        replace(chat("質問", "答え"), content=False),
    ]
    with opened(settings) as room:
        ids = room.store(*[at(each, (n + 1) * HOUR // 60, (ANN, bob)[n % 2]) for n, each in enumerate(made)])
        room.store(
            at(chat("だれか", "答え"), HOUR, None),
            at(chat("消す", "答え"), HOUR, replace(bob, subject="c", email="c@x.jp")),
        )
        for kind, person in (("hold", "ann@example.com"), ("erase", "c@x.jp"), ("erase", "bob@example.co.jp")):
            form = {"csrf": room.csrf, "kind": kind, "person": person, "reason": "監査", "sure": "1"}
            assert room.post("/orders", form).status == 303
        put_in(room, "bob")
        _approve_one(room)
        carry_out(room, two_people=True)
        room.get("/exchanges?q=%E8%B3%AA%E5%95%8F")
        yield room, ids


def _approve_one(room: Room) -> None:
    from storage.commands import Commands

    commands = Commands(room.data_dir)
    try:
        for each in commands.listed(10):
            if each.state == "proposed" and each.arguments.get("person") == "c@x.jp":
                commands.approve(each.order.uid, "bob")
            elif each.state == "proposed" and each.arguments.get("person") == "bob@example.co.jp":
                commands.decline(each.order.uid, "bob")
    finally:
        commands.close()


PATHS = [
    "/exchanges",
    "/exchanges?q=%E8%B3%AA%E5%95%8F",
    "/exchanges?q=zebra",
    "/exchanges?q=&before=20",
    "/exchanges?q=decision:deny",
    "/exchanges?q=end:upstream_error+end:client_gone",
    f"/threads/{THREAD}",
    "/overview",
    "/overview?range=24h",
    "/overview?q=zebra",
    "/refusals",
    "/refusals?q=zebra",
    "/people",
    "/people?q=zebra",
    "/access",
    "/orders",
    "/help",
    "/reason",
    "/me",
    "/orders/new?kind=erase&person=ann@example.com",
    "/orders/new?kind=hold&person=ann@example.com",
    f"/orders/new?kind=hold&thread={THREAD}",
    "/orders/new?kind=release&hold=1",
    "/orders/new?kind=release&hold=99",
    "/orders/new?kind=erase&person=nobody",
    "/orders/new",
    "/nothing",
    f"/exchanges/{'f' * 32}",
    "/exchanges/nonsense",
    f"/exchanges/{'f' * 32}/new",
    f"/exchanges/{'f' * 32}/request",
    f"/threads/{'f' * 32}",
    "/exchanges/export?q=usr:x",
]


@pytest.mark.parametrize("path", PATHS)
def test_every_page_is_japanese(full: tuple[Room, list[str]], path: str) -> None:
    own = parse_qs(urlsplit(path).query).get("q", [""])[0]
    assert untranslated(full[0].get(path, accept_language="ja").text, own) == []


def test_every_kind_of_exchange_is_japanese(full: tuple[Room, list[str]]) -> None:
    room, ids = full
    for each in ids:
        assert untranslated(room.get(f"/exchanges/{each}", accept_language="ja").text) == [], each
    assert untranslated(room.get(f"/exchanges/{ids[1]}/new", accept_language="ja").text) == []


@pytest.mark.parametrize("page", ["/exchanges", "/overview"])
@pytest.mark.parametrize(
    "query",
    [
        "usr:x",
        '"open',
        '""',
        "user:",
        'user:""',
        "after:never",
        "decision:x",
        "end:x",
        "thread:zz",
        "exact:!!!",
        "x" * 3000,
        " ".join("ab"[i % 2] for i in range(300)),
    ],
)
def test_what_is_wrong_with_a_query_is_said_in_japanese(full: tuple[Room, list[str]], page: str, query: str) -> None:
    answer = full[0].get(f"{page}?q={quote(query)}", accept_language="ja")
    assert answer.status == 400
    assert untranslated(answer.text, query) == []


def test_answers_to_forms_are_japanese(full: tuple[Room, list[str]]) -> None:
    room, _ = full
    forms: list[tuple[str, dict[str, str]]] = [
        ("/orders", {"kind": "erase", "person": "ann@example.com", "reason": " "}),
        ("/orders", {"kind": "erase", "person": "ann@example.com", "reason": "監査"}),
        (f"/orders/{'0' * 32}/approve", {}),
        ("/saved", {"q": "usr:x", "name": "名前"}),
        ("/saved", {"q": " ", "name": "名前"}),
    ]
    for path, form in forms:
        answer = room.post(path, {"csrf": room.csrf, **form}, accept_language="ja")
        assert answer.status in (400, 404), path
        assert untranslated(answer.text) == [], path
    assert untranslated(room.post("/orders", {"csrf": "x"}, accept_language="ja").text) == []


FAULTS: dict[str, Callable[[Room], object]] = {
    "no record": lambda room: audit_path(room.data_dir).unlink(),
    "damaged": lambda room: audit_path(room.data_dir).write_bytes(b"no database" * 1000),
    "no looks": lambda room: access_path(room.data_dir).write_bytes(b"no database" * 1000),
    "no orders": lambda room: commands_path(room.data_dir).write_bytes(b"no database" * 1000),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_are_said_in_japanese(room: Room, fault: str) -> None:
    room.store(chat("質問", "答え"))
    for beside in ("audit.db-wal", "audit.db-shm"):
        (room.data_dir / beside).unlink(missing_ok=True)
    FAULTS[fault](room)
    answers = [room.get(path, accept_language="ja") for path in ("/exchanges", "/orders", "/access")]
    assert 503 in [answer.status for answer in answers] or fault == "no looks"
    for answer in answers:
        assert untranslated(answer.text) == []


def test_empty_pages_and_the_way_in_are_japanese(room: Room) -> None:
    room.store()
    for path in ("/exchanges", "/overview", "/refusals", "/people", "/access", "/orders"):
        assert untranslated(room.get(path, accept_language="ja").text) == [], path
    room.cookie = ""
    for path in ("/exchanges", "/enter?key=x"):
        assert untranslated(room.get(path, accept_language="ja").text) == [], path
    assert untranslated(room.get("/exchanges", accept_language="ja", host="evil.example").text) == []


async def test_pages_of_the_sign_in_and_of_roles_are_japanese(signing_room: SigningRoom) -> None:  # noqa: F811
    visitor = signing_room.visitor(language="ja")
    assert untranslated((await visitor.get("/sign-in/back?code=x&state=y")).text) == []
    signing_room.provider.claims["email"] = "nobody@example.com"
    assert untranslated((await signing_room.back(visitor)).text) == []


async def test_somebody_with_a_role_reads_japanese(signing_room: SigningRoom) -> None:  # noqa: F811
    for role in ("self", "viewer", "auditor"):
        visitor = signing_room.visitor(language="ja")
        session = signing_room.sessions.begin("ann@example.com", role, ANN)
        visitor.cookies["__Host-sekisho-console"] = session
        for path in ("/exchanges", "/me", "/overview", "/people", "/orders"):
            page = (await visitor.get(path)).text.replace("the secret question", "")
            assert untranslated(page) == [], (role, path)


SAYS: Final = {
    "storage/query/parsing.py": "QueryProblem",
    "console/search_box.py": "QueryProblem",
    "storage/sqlite/driver.py": "StoreProblem",
    "storage/sqlite/reading.py": "StoreProblem NoSuchId TookTooLong",
    "storage/sqlite/wording.py": "StoreProblem",
    "storage/sqlite/shape.py": "StoreProblem",
    "storage/sealing/vault.py": "SealProblem KeyGone Altered",
    "storage/sealing/master.py": "SealProblem",
    "storage/commands.py": "NotOpen NotYours",
    "storage/access.py": "AccessUnwritable",
    "recording/orders.py": "CannotBe",
    "console/orders.py": "OrdersUnusable",
}
UNSHOWN: Final = ("To record unsealed", "7 7.")
"""Said by whoever writes, never by the console; and what is a setting's path with a sentence that is there itself."""


@pytest.mark.parametrize("file", SAYS)
def test_every_sentence_with_values_in_it_is_there_in_japanese(file: str) -> None:
    found = list(_sentences(HOME / file, SAYS[file].split()))
    assert found
    say = translated("ja")
    assert [each for each in found if say(each) == each and not any(part in each for part in UNSHOWN)] == []


def _sentences(file: Path, raised: list[str]) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in raised and node.args:
            match node.args[0]:
                case ast.Constant(str(text)):
                    yield text
                case ast.JoinedStr(parts):
                    yield "".join(_value(part) for part in parts)


def _value(part: ast.expr) -> str:
    if isinstance(part, ast.Constant):
        return str(part.value)
    assert isinstance(part, ast.FormattedValue)
    name = part.value.id if isinstance(part.value, ast.Name) else ""
    return {"NOT_SET": NOT_SET, "what": "user:"}.get(name, "7")
