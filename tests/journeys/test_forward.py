"""Forward mode, as a caller with HTTPS_PROXY uses it: a real instance, a real provider, real TLS."""

import hashlib
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import openai
import pytest

from tests.journeys.forwarding import ASKED, HOST, ForwardInstance, basic, read_answer, read_head
from tests.journeys.instance import GATEWAY, PROVIDER_KEY
from tests.journeys.provider import Answer, Provider, completion, streamed

URL = f"https://{HOST}/v1/chat/completions"
OTHER = "here.sekisho.example"
"""A name that resolves to nothing; what is asked of it never leaves the machine."""


@pytest.fixture(scope="module")
def laptop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ForwardInstance, Provider]]:
    with Provider() as provider, ForwardInstance(tmp_path_factory.mktemp("laptop"), provider.url) as instance:
        yield instance, provider


@pytest.fixture(scope="module")
def gate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ForwardInstance, Provider]]:
    blocked = "hosts: {rules: [{host: '*-blocked.example.com', then: block}]}\n"
    folder = tmp_path_factory.mktemp("gate")
    with (
        Provider() as provider,
        ForwardInstance(folder, provider.url, profile="gateway", more=GATEWAY + blocked) as instance,
    ):
        yield instance, provider


def refused(instance: ForwardInstance, code: str, count: int = 1) -> list[dict[str, Any]]:
    """The records of CONNECTs refused for this reason, as soon as there are so many."""
    found: list[dict[str, Any]] = []

    def enough() -> bool:
        found[:] = [r for r in instance.records() if r["decision"]["code"] == code and r["method"] == "CONNECT"]
        return len(found) >= count

    instance.wait_until(enough)
    return found


def marked(instance: ForwardInstance, mark: str, count: int) -> list[dict[str, Any]]:
    """The records of requests whose query is this mark, in order, as soon as there are so many."""
    found: list[dict[str, Any]] = []

    def enough() -> bool:
        found[:] = [r for r in instance.records() if r["query"] == mark]
        return len(found) >= count

    instance.wait_until(enough)
    return found


def in_tls(instance: ForwardInstance, connection: socket.socket, name: str | None = HOST) -> ssl.SSLSocket:
    context = instance.trusting()
    context.check_hostname = name is not None
    return context.wrap_socket(connection, server_hostname=name)


@pytest.mark.parametrize("http2", [False, True], ids=["http/1.1", "h2"])
def test_the_official_sdk_streams_through_the_proxy(laptop: tuple[ForwardInstance, Provider], http2: bool) -> None:
    instance, provider = laptop
    provider.answer = streamed(["晴れ", "です"])
    before = len(provider.received)
    said = ""
    with openai.OpenAI(api_key="sk-mine", max_retries=0, http_client=instance.client(http2=http2)) as sdk:
        for _ in range(2):  # on one connection
            stream = sdk.chat.completions.create(
                model="gpt-4o", messages=[], stream=True, extra_query={"sdk": str(http2)}
            )
            for chunk in stream:
                said += (chunk.choices[0].delta.content or "") if chunk.choices else ""
    assert said == "晴れです" * 2
    received = provider.received[before:]
    assert [one.target for one in received] == [f"/v1/chat/completions?sdk={http2}"] * 2
    assert {one.header("authorization") for one in received} == {"Bearer sk-mine"}
    assert {one.header("host") for one in received} == {provider.url.removeprefix("http://")}
    record = marked(instance, f"sdk={http2}", 2)[-1]
    assert (record["client"]["mode"], record["provider"], record["end_state"]) == ("forward", "openai", "complete")
    assert record["response"]["choices"][0]["message"]["content"] == "晴れです"


def test_the_record_of_a_call_is_the_same_whichever_way_it_came(
    laptop: tuple[ForwardInstance, Provider],
) -> None:
    instance, provider = laptop
    provider.answer = streamed(["なる", "ほど"])
    asked = {**ASKED, "stream": True}
    key = {"authorization": "Bearer sk-mine"}
    with httpx2.Client() as direct:
        direct.post(f"{instance.url}/v1/chat/completions?equal", json=asked, headers=key).read()
    for http2 in (False, True):
        with instance.client(http2=http2) as through:
            assert through.post(f"{URL}?equal", json=asked, headers=key).status_code == 200
    records = marked(instance, "equal", 3)
    assert [record["client"]["mode"] for record in records] == ["reverse", "forward", "forward"]
    for record in records:
        for own in ("id", "seq", "started_at", "timing", "thread_id", "hash", "prev_hash"):
            del record[own]
        del record["client"]["mode"]
    assert records[0] == records[1] == records[2]
    assert records[0]["path"] == "/v1/chat/completions"
    assert records[0]["host"] == "127.0.0.1"


@pytest.mark.parametrize("kind", ["application/grpc+proto", "application/x-ndjson", "audio/L16", None])
def test_content_that_nobody_knows_passes_as_it_is_and_is_recorded_by_size_and_hash(
    laptop: tuple[ForwardInstance, Provider], kind: str | None
) -> None:
    instance, provider = laptop
    sent, back = b"\0\0\0\0\x07\x0a\x05hello" + bytes(range(256)), b"\0\0\0\0\x02\x08\x01" + bytes(range(255, -1, -1))
    provider.answer = Answer(chunks=[back[:50], back[50:]], fields=(("content-type", kind or "x/y"),))
    mark = f"unknown={len(kind or '')}"
    with instance.client(http2=True) as caller:
        fields = {"content-type": kind, "te": "trailers"} if kind else {}
        got = caller.post(f"https://{HOST}/some.v1.Service/Method?{mark}", content=sent, headers=fields)
    assert (got.status_code, got.content) == (200, back)
    assert provider.received[-1].body == sent
    (record,) = marked(instance, mark, 1)
    assert (record["operation"], record["end_state"], record["client"]["mode"]) == ("other", "complete", "forward")
    assert (record["request_bytes"], record["response_bytes"]) == (len(sent), len(back))
    for body, raw in (("request", sent), ("response", back)):
        assert record[body]["_bytes"] == len(raw)
        assert record[body]["_sha256"] == hashlib.sha256(raw).hexdigest()


def test_whoever_does_not_say_who_they_are_gets_407_and_nothing_passes(
    gate: tuple[ForwardInstance, Provider],
) -> None:
    instance, provider = gate
    before = provider.connections
    _, head = instance.knocks(f"{HOST}:443")
    assert head.startswith(b"HTTP/1.1 407 ")
    assert b"proxy-authenticate: basic " in head.lower()
    _, head = instance.knocks(f"{HOST}:443", basic("no.token.here"))
    assert head.startswith(b"HTTP/1.1 407 ")
    assert provider.connections == before
    (record, *_) = refused(instance, "missing_identity")
    assert (record["status"], record["end_state"], record["host"], record["path"]) == (
        407, "refused", HOST, f"{HOST}:443",
    )  # fmt: skip
    assert (record["client"]["mode"], record["provider"]) == ("forward", "openai")


def test_a_token_in_the_proxys_address_is_who_calls_and_goes_nowhere(
    gate: tuple[ForwardInstance, Provider],
) -> None:
    instance, provider = gate
    token, provider.answer = instance.mint("ann@example.com"), completion("Hello, Ann")
    with instance.client(token) as caller:
        for _ in range(2):
            answer = caller.post(f"{URL}?own", json=ASKED, headers={"authorization": "Bearer sk-anns-own"})
            assert answer.json()["choices"][0]["message"]["content"] == "Hello, Ann"
    assert {r["principal"]["email"] for r in marked(instance, "own", 2)} == {"ann@example.com"}
    assert provider.received[-1].header("authorization") == f"Bearer {PROVIDER_KEY}"
    assert token.encode() not in b"".join(provider.raw)
    assert token.encode() not in instance.on_disk()
    assert b"sk-anns-own" not in b"".join(provider.raw) + instance.on_disk()


def test_a_bearer_counts_as_well(gate: tuple[ForwardInstance, Provider]) -> None:
    instance, provider = gate
    provider.answer = completion()
    connection, head = instance.knocks(f"{HOST}:443", f"Proxy-Authorization: Bearer {instance.mint('ann@example.com')}")
    assert head.startswith(b"HTTP/1.1 200 ")
    with in_tls(instance, connection) as inner:
        inner.sendall(
            b"POST /v1/chat/completions HTTP/1.1\r\nHost: api.openai.com\r\nContent-Type: application/json\r\n"
            b'Content-Length: 32\r\n\r\n{"model":"gpt-4o","messages":[]}'
        )
        assert read_answer(inner).startswith(b"HTTP/1.1 200 ")


def test_a_request_in_a_tunnel_must_be_of_the_same_person(gate: tuple[ForwardInstance, Provider]) -> None:
    instance, provider = gate
    provider.answer = completion()
    ann, bob = instance.mint("ann@example.com"), instance.mint("bob@example.com")
    with instance.client(ann) as caller:
        mixed = caller.post(URL, json=ASKED, headers={"authorization": f"Bearer {bob}"})
        assert (mixed.status_code, mixed.json()["error"]["code"]) == (400, "conflicting_identity")
        both = caller.post(URL, json=ASKED, headers={"authorization": f"Bearer {ann}"})
        assert both.status_code == 200
        assert provider.received[-1].header("authorization") == f"Bearer {PROVIDER_KEY}"


@pytest.mark.parametrize("http2", [False, True], ids=["http/1.1", "h2"])
def test_people_who_take_turns_are_never_taken_for_each_other(
    gate: tuple[ForwardInstance, Provider], http2: bool
) -> None:
    instance, provider = gate
    provider.answer = completion()
    people = [f"{name}@example.com" for name in ("ann", "bob", "cyd")]
    callers = {who: instance.client(instance.mint(who), http2=http2) for who in people}
    try:
        for turn in range(12):
            who = people[turn * 5 % 3]
            asked = {**ASKED, "messages": [{"role": "user", "content": who}]}
            assert callers[who].post(f"{URL}?turns={http2}", json=asked).status_code == 200
    finally:
        for caller in callers.values():
            caller.close()
    records = marked(instance, f"turns={http2}", 12)
    assert len(records) == 12
    assert all(r["request"]["messages"][0]["content"] == r["principal"]["email"] for r in records)


def test_requests_on_one_plain_connection_are_each_of_their_own_person(
    gate: tuple[ForwardInstance, Provider],
) -> None:
    """Without TLS a proxy's connection may carry several people's requests: nothing of one counts for the next."""
    instance, provider = gate
    provider.answer = completion()
    connection = socket.create_connection(("127.0.0.1", instance.forward), 5)
    connection.settimeout(20)
    got = []
    for who in ("ann@example.com", "bob@example.com", None):
        token = f"{basic(instance.mint(who))}\r\n" if who else ""
        body = b'{"model":"gpt-4o","messages":[]}'
        connection.sendall(
            f"POST http://{HOST}/v1/chat/completions?plain HTTP/1.1\r\nHost: {HOST}\r\n{token}"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode()
            + body
        )
        got.append(read_answer(connection)[9:12])
    connection.close()
    assert got == [b"200", b"200", b"407"]
    emails = [r["principal"] and r["principal"]["email"] for r in marked(instance, "plain", 3)]
    assert emails == ["ann@example.com", "bob@example.com", None]
    assert b"proxy-authorization" not in b"".join(provider.raw).lower()


TARGETS = [
    ("an address", "93.184.215.14:443", 403, "destination_not_allowed"),
    ("this machine", "127.0.0.1:443", 403, "destination_not_allowed"),
    ("this machine, short", "127.1:443", 403, "destination_not_allowed"),
    ("this machine, as a number", "2130706433:443", 403, "destination_not_allowed"),
    ("this machine, in six", "[::1]:443", 403, "destination_not_allowed"),
    ("this machine, mapped", "[::ffff:7f00:1]:443", 403, "destination_not_allowed"),
    ("metadata", "169.254.169.254:443", 403, "destination_not_allowed"),
    ("localhost", "localhost:443", 403, "destination_not_allowed"),
    ("another port", f"{HOST}:22", 403, "destination_not_allowed"),
    ("a blocked host", "our-blocked.example.com:443", 403, "destination_not_allowed"),
    ("no port", HOST, 400, "bad_request"),
    ("userinfo", f"x@{HOST}:443", 400, "bad_request"),
    ("a path", f"{HOST}:443/x", 400, "bad_request"),
    ("a port too large", f"{HOST}:65536", 400, "bad_request"),
]


@pytest.mark.parametrize(("what", "target", "status", "code"), TARGETS, ids=[what for what, *_ in TARGETS])
def test_where_nobody_may_go_is_refused_and_recorded(
    gate: tuple[ForwardInstance, Provider], what: str, target: str, status: int, code: str
) -> None:
    instance, provider = gate
    before = provider.connections
    _, head = instance.knocks(target, basic(instance.mint("ann@example.com")))
    assert head.startswith(f"HTTP/1.1 {status} ".encode()), what
    assert provider.connections == before
    records = refused(instance, code)
    instance.wait_until(lambda: any(r["path"] == target for r in refused(instance, code)))
    assert all(r["principal"]["email"] == "ann@example.com" for r in records if r["path"] == target and status == 403)


@pytest.mark.parametrize(
    ("fields", "code"),
    [(("Content-Length: 5",), "connect_body"), (("Transfer-Encoding: chunked",), "connect_body")],
)
def test_a_connect_carries_no_body(gate: tuple[ForwardInstance, Provider], fields: tuple[str, ...], code: str) -> None:
    instance, _ = gate
    _, head = instance.knocks(f"{HOST}:443", *fields)
    assert head.startswith(b"HTTP/1.1 400 ")
    assert refused(instance, code)


def test_a_name_that_resolves_to_this_machine_is_refused_after_the_look_up(
    gate: tuple[ForwardInstance, Provider],
) -> None:
    """`ip6-localhost` and the like have no domain; this one has, and a resolver of one's own may answer anything."""
    instance, _ = gate
    _, head = instance.knocks("x.localhost:443", basic(instance.mint("ann@example.com")))
    assert head[9:12] in (b"403", b"502")


def test_what_is_no_tls_after_connect_does_not_pass(gate: tuple[ForwardInstance, Provider]) -> None:
    instance, provider = gate
    before = len(provider.raw), provider.connections
    for sent in (b"GET /v1/models HTTP/1.1\r\nHost: api.openai.com\r\n\r\n", b"SSH-2.0-x\r\n", b"\x16\x02garbage"):
        connection, head = instance.knocks(f"{HOST}:443", basic(instance.mint("ann@example.com")))
        assert head.startswith(b"HTTP/1.1 200 ")
        connection.sendall(sent)
        assert ended(connection)
    assert (len(provider.raw), provider.connections) == before
    assert len(refused(instance, "not_tls", 3)) >= 3


def ended(connection: socket.socket) -> bool:
    try:
        return connection.recv(100) == b""
    except ConnectionResetError:
        return True


@pytest.mark.parametrize("name", ["evil.example.com", None], ids=["another name", "no name"])
def test_tls_must_ask_for_the_host_of_the_connect(gate: tuple[ForwardInstance, Provider], name: str | None) -> None:
    instance, provider = gate
    before = provider.connections
    connection, _ = instance.knocks(f"{HOST}:443", basic(instance.mint("ann@example.com")))
    with pytest.raises(ssl.SSLError, match=r"(?i)unrecognized"):
        in_tls(instance, connection, name)
    assert provider.connections == before
    assert refused(instance, "sni_mismatch")


@pytest.mark.parametrize(
    ("line", "host", "code"),
    [
        ("/v1/models", "evil.example.com", "host_mismatch"),
        ("/v1/models", "api.openai.com:444", "host_mismatch"),
        ("http://evil.example.com/v1/models", HOST, "absolute_form"),
        (f"https://{HOST}/v1/models", HOST, "absolute_form"),
    ],
)
def test_a_request_in_a_tunnel_may_name_no_other_host(
    gate: tuple[ForwardInstance, Provider], line: str, host: str, code: str
) -> None:
    instance, provider = gate
    before = provider.connections
    connection, _ = instance.knocks(f"{HOST}:443", basic(instance.mint("ann@example.com")))
    with in_tls(instance, connection) as inner:
        inner.sendall(f"GET {line} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        answer = read_answer(inner)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert code.encode() in answer
    assert provider.connections == before


@pytest.mark.parametrize(
    ("line", "host", "status"),
    [
        ("http://evil.example.com/x", "evil.example.com", 403),
        ("http://127.0.0.1:1/x", "127.0.0.1:1", 403),
        ("/v1/chat/completions", HOST, 403),
        (f"http://{HOST}/v1/chat/completions", "evil.example.com", 400),
    ],
)
def test_plain_requests_go_to_providers_alone(
    gate: tuple[ForwardInstance, Provider], line: str, host: str, status: int
) -> None:
    instance, provider = gate
    before = provider.connections
    connection = socket.create_connection(("127.0.0.1", instance.forward), 5)
    connection.settimeout(20)
    token = basic(instance.mint("ann@example.com"))
    connection.sendall(f"GET {line} HTTP/1.1\r\nHost: {host}\r\n{token}\r\n\r\n".encode())
    assert read_head(connection).startswith(f"HTTP/1.1 {status} ".encode())
    connection.close()
    assert provider.connections == before


def test_a_caller_that_does_not_take_our_certificate_is_noted_each_time(
    gate: tuple[ForwardInstance, Provider],
) -> None:
    instance, provider = gate
    before = provider.connections
    for _ in range(2):
        connection, _ = instance.knocks(f"{HOST}:443", basic(instance.mint("ann@example.com")))
        with pytest.raises(ssl.SSLCertVerificationError):
            ssl.create_default_context().wrap_socket(connection, server_hostname=HOST)
        connection.close()
    assert provider.connections == before

    def noted() -> bool:
        rows = instance.coverage()
        return any(r["host"] == HOST and r["why"].get("tls_refused_by_client", 0) >= 2 for r in rows)

    instance.wait_until(noted)
    (row,) = [r for r in instance.coverage() if r["host"] == HOST]
    assert (row["service"], row["people"]) == ("OpenAI", 1)


def test_blocked_hosts_are_in_the_coverage(gate: tuple[ForwardInstance, Provider]) -> None:
    instance, _ = gate
    instance.knocks("bobs-blocked.example.com:443", basic(instance.mint("bob@example.com")))
    instance.wait_until(lambda: any(r["host"].startswith("bobs-") for r in instance.coverage("--all")))
    (row,) = [r for r in instance.coverage("--all") if r["host"] == "bobs-blocked.example.com"]
    assert row["people"] == 1


def test_half_a_hello_and_silence_are_let_go(tmp_path: Path, provider: Provider) -> None:
    with ForwardInstance(tmp_path, provider.url, more="limits: {head_time: 1 s}\n") as instance:
        silent = [socket.create_connection(("127.0.0.1", instance.forward), 5) for _ in range(20)]
        half, _ = instance.knocks(f"{HOST}:443")
        half.sendall(b"\x16\x03\x01\x02\x00\x01")
        slow = socket.create_connection(("127.0.0.1", instance.forward), 5)
        slow.sendall(b"CONNECT api.op")
        slow.settimeout(20)
        for one in [*silent, half]:
            one.settimeout(20)
            assert ended(one)
            one.close()
        assert read_head(slow).startswith(b"HTTP/1.1 408 ")
        slow.close()
        (row,) = instance.covered(1)
        assert row["why"] == {"tls_failed": 1}
