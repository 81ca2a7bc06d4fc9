"""Calls of gRPC through an opened host, frame by frame: HTTP/2 and trailers from end to end, judged and bounded."""

import hashlib
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import h2.errors
import h2.events
import h2.settings
import pytest

from tests.attacks.http2_caller import Http2Caller
from tests.attacks.http2_provider import HEAD, Asked, Http2Provider, Peer, echo, echo_at_once, message
from tests.attacks.test_table import peak_memory
from tests.journeys.grpc_gate import ALLOWED, GrpcInstance
from tests.journeys.instance import PROVIDER_KEY
from tests.ports import free_port

type Gate = tuple[GrpcInstance, Http2Provider, str]


@pytest.fixture(scope="module")
def gate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gate]:
    folder = tmp_path_factory.mktemp("grpc")
    limits = "limits: {head: 16 KiB, body: 1 MiB, body_time: 2 s}\n"
    with (
        Http2Provider(folder) as provider,
        GrpcInstance(folder, provider.url, provider.ca_file, profile="gateway", more=ALLOWED + limits) as instance,
    ):
        yield instance, provider, instance.mint("ann@example.com")


@pytest.fixture(autouse=True)
def _anew(gate: Gate) -> None:
    gate[1].script, gate[1].takes = echo, True


def test_a_call_goes_by_http2_and_its_trailers_come_back(gate: Gate) -> None:
    instance, provider, token = gate
    sent = message("天気は？".encode())
    with Http2Caller(instance, token) as caller:
        more = [("grpc-timeout", "5S"), ("x-own", "1"), ("cookie", "a=1")]
        (got,) = caller.wait(caller.call(sent, more=more, path="/test.Echo/Unary"))
    assert (got.status, got.body, got.trailers, got.ended) == (200, sent, {"grpc-status": "0"}, True)
    asked = provider.received[-1]
    assert (asked.body, asked.ended, asked.reset) == (sent, True, None)
    assert dict(asked.fields) == {
        ":method": "POST", ":scheme": "https", ":authority": provider.url.removeprefix("https://"),
        ":path": "/test.Echo/Unary", "content-type": "application/grpc+proto", "te": "trailers",
        "user-agent": "grpc-test/1", "grpc-timeout": "5S", "x-own": "1", "authorization": f"Bearer {PROVIDER_KEY}",
    }  # fmt: skip
    (record,) = instance.by_path("/test.Echo/Unary")
    assert (record["operation"], record["end_state"], record["status"]) == ("other", "complete", 200)
    assert record["principal"]["email"] == "ann@example.com"
    assert (record["request_bytes"], record["response_bytes"]) == (len(sent), len(sent))
    for body in (record["request"], record["response"]):
        assert (body["_bytes"], body["_sha256"]) == (len(sent), hashlib.sha256(sent).hexdigest())
    assert record["response"]["_extra"] == {"grpc_status": 0}


def test_messages_go_on_as_they_come_both_ways(gate: Gate) -> None:
    instance, provider, token = gate
    provider.script = echo_at_once
    said = b""
    with Http2Caller(instance, token) as caller:
        stream = caller.call(end=False, path="/test.Echo/Both")
        for number in range(20):
            part = message(b"no %d" % number)
            caller.h2.send_data(stream, part)
            caller.flush()
            said += part
            while caller.got[stream].body != said:
                assert caller.read()
        assert not provider.received[-1].ended
        caller.h2.end_stream(stream)
        caller.flush()
        (got,) = caller.wait(stream)
    assert (got.body, got.trailers["grpc-status"]) == (said, "0")
    (record,) = instance.by_path("/test.Echo/Both")
    assert (record["request"]["_sha256"], record["end_state"]) == (hashlib.sha256(said).hexdigest(), "complete")


def test_calls_at_once_share_a_connection_and_get_each_their_own(gate: Gate) -> None:
    instance, provider, token = gate
    before = len(provider.chosen)
    with Http2Caller(instance, token) as caller:
        streams = [caller.call(message(b"no %d" % i)) for i in range(20)]
        answers = caller.wait(*streams)
        later = caller.wait(caller.call(message(b"later")))
    assert [got.body for got in answers] == [message(b"no %d" % i) for i in range(20)]
    assert later[0].body == message(b"later")
    assert len(provider.chosen) == before + 1
    assert {asked.connection for asked in provider.received[-21:]} == {before + 1}


def test_what_is_no_grpc_stays_on_http1_and_shares_nothing_with_it(tmp_path: Path) -> None:
    with (
        Http2Provider(tmp_path, protocols=("h2", "http/1.1")) as provider,
        GrpcInstance(tmp_path, provider.url, provider.ca_file) as instance,
        Http2Caller(instance) as caller,
    ):
        for _ in range(2):
            assert caller.wait(caller.call(message(b"x")))[0].trailers == {"grpc-status": "0"}
            assert caller.wait(caller.ask(b"{}"))[0].status == 200
        assert sorted(str(one) for one in provider.chosen) == ["None", "h2"]
        assert len(provider.http1) == 2
        assert len(provider.received) == 2


def test_a_provider_that_chooses_http1_gets_http1(tmp_path: Path) -> None:
    sent = message(b"old")
    with (
        Http2Provider(tmp_path, protocols=("http/1.1",)) as provider,
        GrpcInstance(tmp_path, provider.url, provider.ca_file) as instance,
        Http2Caller(instance) as caller,
    ):
        for _ in range(3):
            (got,) = caller.wait(caller.call(sent))
            assert (got.status, got.trailers) == (200, {})
        assert [raw.partition(b"\r\n\r\n")[2] for raw in provider.http1] == [sent] * 3
        assert provider.chosen == ["http/1.1"]
        (record, *_) = instance.recorded(3)
    assert record["request_bytes"] == len(sent)
    assert record["request"]["_sha256"] == hashlib.sha256(sent).hexdigest()


REFUSED = [
    ("two identities", [("authorization", "Bearer a"), ("authorization", "Bearer b")], 400, "3", "duplicate_header"),
    ("two people", [("authorization", "bob")], 400, "3", "conflicting_identity"),
    ("an underscore", [("x_forwarded_email", "root@example.com")], 400, "3", "bad_header"),
    ("a trailer announced", [("trailer", "x")], 400, "3", "trailers_not_supported"),
    ("compressed as a whole", [("content-encoding", "gzip")], 415, "12", "content_encoding_not_supported"),
    ("a path with JSON", [], 415, "12", "media_type_not_supported"),
]  # fmt: skip


@pytest.mark.parametrize(("what", "more", "status", "grpc", "code"), REFUSED, ids=[what for what, *_ in REFUSED])
def test_a_refusal_speaks_grpc_and_reaches_no_provider(
    gate: Gate, what: str, more: list[tuple[str, str]], status: int, grpc: str, code: str
) -> None:
    instance, provider, token = gate
    more = [(name, f"Bearer {instance.mint('bob@example.com')}" if value == "bob" else value) for name, value in more]
    before = len(provider.received)
    path = "/v1/chat/completions" if "JSON" in what else "/test.Echo/Refused"
    with Http2Caller(instance, token) as caller:
        (got,) = caller.wait(caller.call(message(b"x"), more=more, path=path))
        assert (got.status, got.fields["grpc-status"], got.body) == (status, grpc, b"")
        assert got.fields["grpc-message"].startswith(f"{code}: ")
        assert got.fields["content-type"] == "application/grpc"
        assert caller.wait(caller.call(message(b"after")))[0].trailers == {"grpc-status": "0"}
    assert len(provider.received) == before + 1


def test_without_a_rule_for_what_nobody_knows_no_call_passes(tmp_path: Path) -> None:
    with (
        Http2Provider(tmp_path) as provider,
        GrpcInstance(
            tmp_path, provider.url, provider.ca_file, profile="gateway", more=ALLOWED.replace(", other]", "]")
        ) as instance,
        Http2Caller(instance, instance.mint("ann@example.com")) as caller,
    ):
        (got,) = caller.wait(caller.call(message(b"x"), end=False))
        (record,) = instance.recorded(1)
    assert (got.status, got.fields["grpc-status"]) == (403, "7")
    assert (record["decision"]["code"], record["end_state"]) == ("path_not_allowed", "refused")
    assert provider.received == []


def test_each_call_is_of_whoever_it_says(gate: Gate) -> None:
    """A second identity on one connection: the same person's passes, another's does not, and nothing stays behind."""
    instance, provider, token = gate
    another = instance.mint("ann@example.com"), instance.mint("bob@example.com")
    before = len(provider.received)
    with Http2Caller(instance, token) as caller:
        own = caller.call(message(b"1"), more=[("authorization", f"Bearer {another[0]}")])
        other = caller.call(message(b"2"), more=[("authorization", f"Bearer {another[1]}")])
        none = caller.call(message(b"3"))
        answers = caller.wait(own, other, none)
    assert [got.status for got in answers] == [200, 400, 200]
    assert answers[1].fields["grpc-message"].startswith("conflicting_identity")
    received = provider.received[before:]
    assert sorted(asked.body for asked in received) == [message(b"1"), message(b"3")]
    assert {value for asked in received for value in asked.named("authorization")} == {f"Bearer {PROVIDER_KEY}"}


def test_a_status_in_a_head_alone_comes_back_and_is_a_failure_on_record(gate: Gate) -> None:
    instance, provider, token = gate

    def fail(peer: Peer, event: h2.events.Event, asked: Asked) -> None:
        if isinstance(event, h2.events.RequestReceived):
            peer.head(asked.stream, [*HEAD, ("grpc-status", "5"), ("grpc-message", "no such thing")], end=True)

    provider.script = fail
    with Http2Caller(instance, token) as caller:
        (got,) = caller.wait(caller.call(message(b"x"), end=False, path="/test.Echo/Fails"))
    assert (got.status, got.fields["grpc-status"], got.fields["grpc-message"]) == (200, "5", "no such thing")
    assert got.reset in (None, h2.errors.ErrorCodes.NO_ERROR)
    (record,) = instance.by_path("/test.Echo/Fails")
    assert (record["end_state"], record["status"]) == ("upstream_error", 200)
    assert record["response"]["_extra"] == {"grpc_status": 5}
    asked = provider.received[-1]
    instance.wait_until(lambda: asked.reset == h2.errors.ErrorCodes.NO_ERROR)


def test_a_reply_without_a_status_is_not_called_complete(gate: Gate) -> None:
    instance, provider, token = gate

    def half(peer: Peer, event: h2.events.Event, asked: Asked) -> None:
        if isinstance(event, h2.events.StreamEnded):
            peer.head(asked.stream)
            peer.say(asked.stream, asked.body)
            peer.h2.end_stream(asked.stream)

    provider.script = half
    with Http2Caller(instance, token) as caller:
        (got,) = caller.wait(caller.call(message(b"x"), path="/test.Echo/Half"))
    assert (got.body, got.trailers, got.ended) == (message(b"x"), {}, True)
    (record,) = instance.by_path("/test.Echo/Half")
    assert record["end_state"] == "upstream_cut"


def test_a_caller_that_gives_up_is_on_record_and_the_provider_is_told(gate: Gate) -> None:
    instance, provider, token = gate
    provider.script = echo_at_once
    with Http2Caller(instance, token) as caller:
        stream = caller.call(message(b"one"), end=False, path="/test.Echo/Cancelled")
        while not caller.got[stream].body:
            assert caller.read()
        caller.h2.reset_stream(stream, h2.errors.ErrorCodes.CANCEL)
        caller.flush()
        asked = provider.received[-1]
        instance.wait_until(lambda: asked.reset == h2.errors.ErrorCodes.CANCEL)
        provider.script = echo
        assert caller.wait(caller.call(message(b"on")))[0].body == message(b"on"), "the connection goes on"
    assert provider.received[-1].connection == asked.connection
    (record,) = instance.by_path("/test.Echo/Cancelled")
    assert (record["end_state"], record["request_bytes"]) == ("client_gone", len(message(b"one")))


@pytest.mark.parametrize("code", ["CANCEL", "ENHANCE_YOUR_CALM", "INTERNAL_ERROR"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_provider_that_resets_breaks_off_that_call_alone(gate: Gate, when: str, code: str) -> None:
    instance, provider, token = gate
    number = h2.errors.ErrorCodes[code]

    def reset(peer: Peer, event: h2.events.Event, asked: Asked) -> None:
        if asked.body == message(b"reset") and isinstance(event, h2.events.DataReceived):
            if when == "after":
                peer.head(asked.stream)
                peer.say(asked.stream, message(b"some"))
            peer.h2.reset_stream(asked.stream, number)
            peer.flush()
        elif asked.body != message(b"reset"):
            echo(peer, event, asked)

    provider.script = reset
    path = f"/test.Echo/Reset{when}{number}"
    with Http2Caller(instance, token) as caller:
        first = caller.call(message(b"reset"), end=False, path=path)
        second = caller.call(message(b"other"))
        cut, whole = caller.wait(first, second)
    assert (whole.body, whole.trailers) == (message(b"other"), {"grpc-status": "0"})
    if when == "after":
        assert (cut.status, cut.body, cut.reset, cut.ended) == (200, message(b"some"), number, False)
    else:
        assert (cut.status, cut.fields["grpc-status"]) == (502, "14")
    (record,) = instance.by_path(path)
    assert record["end_state"] == "upstream_cut"


def test_a_provider_that_goes_away_ends_what_it_has_and_the_next_call_opens_anew(gate: Gate) -> None:
    instance, provider, token = gate

    def leave(peer: Peer, event: h2.events.Event, asked: Asked) -> None:
        if isinstance(event, h2.events.RequestReceived):
            goaway = b"\x00\x00\x08\x07\x00\x00\x00\x00\x00" + asked.stream.to_bytes(4) + bytes(4)
            peer.raw(goaway)
            peer.head(asked.stream)
        elif isinstance(event, h2.events.StreamEnded):
            peer.say(asked.stream, asked.body)
            peer.trailers(asked.stream)

    provider.script = leave
    before = len(provider.chosen)
    with Http2Caller(instance, token) as caller:
        stream = caller.call(message(b"first"), end=False)
        while not caller.got[stream].status:
            assert caller.read()
        provider.script = echo
        (second,) = caller.wait(caller.call(message(b"second")))
        provider.script = leave
        caller.h2.end_stream(stream)
        caller.flush()
        (first,) = caller.wait(stream)
    assert (first.body, first.trailers) == (message(b"first"), {"grpc-status": "0"})
    assert second.body == message(b"second")
    assert len(provider.chosen) == before + 2


FORBIDDEN = [
    ("content-length", "3"), ("host", "evil.example.com"), ("authorization", "Bearer x"), ("set-cookie", "a=1"),
    ("content-type", "text/html"), ("trailer", "x"), ("content-encoding", "gzip"),
]  # fmt: skip


def test_trailers_that_say_what_only_a_head_may_do_not_go_on(gate: Gate) -> None:
    instance, provider, token = gate

    def forbidden(peer: Peer, event: h2.events.Event, asked: Asked) -> None:
        if isinstance(event, h2.events.StreamEnded):
            peer.head(asked.stream)
            peer.trailers(asked.stream, [("grpc-status", "0"), *FORBIDDEN, ("x-own-bin", "AAEC")])

    provider.script = forbidden
    with Http2Caller(instance, token) as caller:
        (got,) = caller.wait(caller.call(message(b"x")))
    assert got.trailers == {"grpc-status": "0", "x-own-bin": "AAEC"}


@pytest.mark.parametrize(
    "bad",
    [("x-bad", "a\r\nset-cookie: b"), ("x-bad", "a\0b"), ("X-Upper", "a"), (":status", "200"), ("connection", "close"),
     ("x bad", "a"), ("transfer-encoding", "chunked"), ("", "a"), ("x-long", "y" * (300 << 10))],
    ids=["line break", "zero", "upper case", "pseudo-header", "connection", "space", "transfer-encoding", "no name",
         "endless"],
)  # fmt: skip
@pytest.mark.parametrize("where", ["head", "trailers"])
def test_fields_that_two_could_read_differently_go_nowhere(gate: Gate, where: str, bad: tuple[str, str]) -> None:
    instance, provider, token = gate

    def inject(peer: Peer, event: h2.events.Event, asked: Asked) -> None:
        if not isinstance(event, h2.events.StreamEnded):
            return
        peer.head(asked.stream, [*HEAD, bad] if where == "head" else None)
        if where == "trailers":
            peer.trailers(asked.stream, [("grpc-status", "0"), bad])

    provider.script = inject
    with Http2Caller(instance, token) as caller:
        (got,) = caller.wait(caller.call(message(b"x")))
        provider.script = echo
        assert caller.wait(caller.call(message(b"after")))[0].trailers == {"grpc-status": "0"}
    assert not got.trailers
    # What came in one read with it was lost with it.
    assert got.status == 502 or (where == "trailers" and got.reset is not None and not got.ended)
    assert not any(name in got.fields for name in ("x-bad", "X-Upper", "x-long", "connection", "set-cookie"))


@pytest.mark.parametrize("kind", ["ping", "settings", "empty data", "window updates", "interim replies", "unknown"])
def test_a_provider_that_sends_frames_without_end_is_left(gate: Gate, kind: str) -> None:
    instance, provider, token = gate
    frames = {
        "ping": b"\x00\x00\x08\x06\x00\x00\x00\x00\x0012345678",
        "settings": b"\x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x64",
        "window updates": b"\x00\x00\x04\x08\x00\x00\x00\x00\x00\x00\x00\x00\x01",
        "unknown": b"\x00\x00\x08\xf0\x00\x00\x00\x00\x0012345678",
    }

    def flood(peer: Peer, event: h2.events.Event, asked: Asked) -> None:
        if not isinstance(event, h2.events.StreamEnded):
            return
        if kind == "empty data":
            peer.head(asked.stream)
        frame = frames.get(kind, b"\x00\x00\x00\x00\x00" + asked.stream.to_bytes(4))
        for _ in range(2000):
            if kind == "interim replies":
                for _ in range(50):
                    peer.h2.send_headers(asked.stream, [(":status", "103"), ("link", "x" * 100)])
                peer.flush()
            else:
                peer.raw(frame * 1000)

    provider.script = flood
    (worker,) = instance.pids("worker")
    before = peak_memory(worker)
    with Http2Caller(instance, token) as caller:
        (got,) = caller.wait(caller.call(message(b"x")))
    provider.script = echo
    assert got.status == 502 or got.reset is not None
    assert peak_memory(worker) - before < 32
    with Http2Caller(instance, token) as caller:
        assert caller.wait(caller.call(message(b"after")))[0].trailers == {"grpc-status": "0"}


def test_ten_thousand_tiny_frames_go_on_whole(gate: Gate) -> None:
    instance, provider, token = gate
    said = message(b"z" * 9_995)

    def tiny(peer: Peer, event: h2.events.Event, asked: Asked) -> None:
        if isinstance(event, h2.events.StreamEnded):
            peer.head(asked.stream)
            for at in range(len(said)):
                peer.h2.send_data(asked.stream, said[at : at + 1])
            peer.trailers(asked.stream)

    provider.script = tiny
    (worker,) = instance.pids("worker")
    before = peak_memory(worker)
    with Http2Caller(instance, token) as caller:
        stream = caller.call(end=False, path="/test.Echo/Tiny")
        for at in range(len(said)):
            caller.h2.send_data(stream, said[at : at + 1])
        caller.h2.end_stream(stream)
        caller.flush()
        (got,) = caller.wait(stream)
    assert (got.body, got.trailers) == (said, {"grpc-status": "0"})
    assert provider.received[-1].body == said
    assert peak_memory(worker) - before < 32
    (record,) = instance.by_path("/test.Echo/Tiny")
    assert record["request"]["_sha256"] == record["response"]["_sha256"] == hashlib.sha256(said).hexdigest()


def test_trailers_of_a_request_are_refused(gate: Gate) -> None:
    instance, provider, token = gate
    with Http2Caller(instance, token) as caller:
        stream = caller.call(message(b"x"), end=False, path="/test.Echo/Trailed")
        caller.h2.send_headers(stream, [("authorization", "Bearer other")], end_stream=True)
        caller.flush()
        (got,) = caller.wait(stream)
    assert (got.status, got.fields["grpc-status"]) == (400, "3")
    (record,) = instance.by_path("/test.Echo/Trailed")
    assert (record["decision"]["code"], record["end_state"]) == ("trailers_not_supported", "refused")
    for asked in provider.received:
        assert not asked.trailers


def test_a_body_that_is_too_large_is_refused_wherever_it_is(gate: Gate) -> None:
    instance, provider, token = gate
    with Http2Caller(instance, token) as caller:
        stream = caller.call(end=False, path="/test.Echo/Large")
        sent = 0
        while sent < 2 << 20 and not caller.got[stream].status:
            room = min(caller.h2.local_flow_control_window(stream), 16000)
            if room <= 0:
                assert caller.read()
                continue
            caller.h2.send_data(stream, bytes(room))
            caller.flush()
            sent += room
        (got,) = caller.wait(stream)
        assert (got.status, got.fields["grpc-status"]) == (413, "8")
        assert caller.wait(caller.call(message(b"after")))[0].trailers == {"grpc-status": "0"}
    large = next(asked for asked in provider.received if (":path", "/test.Echo/Large") in asked.fields)
    instance.wait_until(lambda: large.reset is not None)
    assert len(large.body) <= 1 << 20
    (record,) = instance.by_path("/test.Echo/Large")
    assert (record["decision"]["code"], record["end_state"]) == ("body_too_large", "refused")


def test_a_provider_that_takes_nothing_holds_its_caller_back_and_nobody_else(tmp_path: Path) -> None:
    with (
        Http2Provider(tmp_path) as provider,
        GrpcInstance(tmp_path, provider.url, provider.ca_file) as instance,
        Http2Caller(instance) as caller,
    ):
        (worker,) = instance.pids("worker")
        provider.takes = False
        stream = caller.call(end=False)
        sent, quiet = 0, 0
        caller.socket.settimeout(1)
        while quiet < 2:
            room = min(caller.h2.local_flow_control_window(stream), 16000)
            if room > 0:
                caller.h2.send_data(stream, bytes(room))
                caller.flush()
                sent += room
                continue
            try:
                assert caller.read()
            except TimeoutError:
                quiet += 1
        assert sent <= (64 << 10) + 2 * (256 << 10), "the provider's window, and ours twice"
        assert peak_memory(worker) < 400
        provider.takes = True
        caller.socket.settimeout(20)
        assert caller.wait(caller.call(message(b"other")))[0].trailers == {"grpc-status": "0"}


def test_a_caller_that_takes_nothing_of_one_call_gets_the_others(tmp_path: Path) -> None:
    def endless(peer: Peer, event: h2.events.Event, asked: Asked) -> None:
        if asked.body != message(b"endless"):
            echo(peer, event, asked)
        elif isinstance(event, h2.events.StreamEnded):
            peer.head(asked.stream)
        while asked.body == message(b"endless") and asked.ended and not asked.reset:
            room = peer.h2.local_flow_control_window(asked.stream)
            if room <= 0:
                return
            peer.say(asked.stream, bytes(min(room, 16000)))
            asked.parts.append((0.0, bytes(min(room, 16000))))

    with (
        Http2Provider(tmp_path, endless) as provider,
        GrpcInstance(tmp_path, provider.url, provider.ca_file) as instance,
        Http2Caller(instance, slow=True) as caller,
    ):
        caller.h2.increment_flow_control_window(10 << 20)  # of the connection, and of no stream
        stream = caller.call(message(b"endless"))
        while len(caller.got[stream].body) < 60_000:
            assert caller.read()
        for _ in range(5):
            other = caller.call(message(b"other"))
            (got,) = caller.wait(other)
            assert got.body == message(b"other")
        sent = sum(len(part) for _, part in provider.received[0].parts if part.strip(b"\0") == b"")
        assert sent <= 1 << 20


def test_a_call_outlives_the_time_for_bodies(gate: Gate) -> None:
    instance, provider, token = gate
    provider.script = echo_at_once
    with Http2Caller(instance, token) as caller:  # body_time: 2 s
        stream = caller.call(message(b"one"), end=False)
        time.sleep(4)
        caller.h2.send_data(stream, message(b"two"), end_stream=True)
        caller.flush()
        (got,) = caller.wait(stream)
    assert (got.body, got.trailers) == (message(b"one") + message(b"two"), {"grpc-status": "0"})


def test_whoever_is_revoked_says_no_more(tmp_path: Path) -> None:
    with (
        Http2Provider(tmp_path, echo_at_once) as provider,
        GrpcInstance(tmp_path, provider.url, provider.ca_file, profile="gateway", more=ALLOWED) as instance,
        Http2Caller(instance, instance.mint("ann@example.com")) as caller,
    ):
        stream = caller.call(message(b"one"), end=False)
        while not caller.got[stream].body:
            assert caller.read()
        done = instance.sekisho("identity", "revoke", "--person", "ann@example.com")
        assert done.returncode == 0, done.stderr
        time.sleep(5)
        caller.h2.send_data(stream, message(b"two"), end_stream=True)
        caller.flush()
        (got,) = caller.wait(stream)
        (record,) = instance.recorded(1)
    assert got.reset is not None
    assert provider.received[0].body == message(b"one")
    assert (record["end_state"], record["decision"]["code"]) == ("refused", "invalid_token")


def test_an_answer_to_somebody_revoked_is_cut_where_the_settings_say_so(tmp_path: Path) -> None:
    def begin(peer: Peer, event: h2.events.Event, asked: Asked) -> None:
        if isinstance(event, h2.events.StreamEnded):
            peer.head(asked.stream)
            peer.say(asked.stream, message(b"some"))

    more = ALLOWED.replace("identity:\n", "identity:\n  cut_revoked: true\n")
    with (
        Http2Provider(tmp_path, begin) as provider,
        GrpcInstance(tmp_path, provider.url, provider.ca_file, profile="gateway", more=more) as instance,
        Http2Caller(instance, instance.mint("ann@example.com")) as caller,
    ):
        stream = caller.call(message(b"one"))
        while not caller.got[stream].body:
            assert caller.read()
        done = instance.sekisho("identity", "revoke", "--person", "ann@example.com")
        assert done.returncode == 0, done.stderr
        (got,) = caller.wait(stream)
        (record,) = instance.recorded(1)
        asked = provider.received[0]
        instance.wait_until(lambda: asked.reset == h2.errors.ErrorCodes.CANCEL)
    assert (got.body, got.ended) == (message(b"some"), False)
    assert got.reset is not None
    assert (record["end_state"], record["decision"]["code"]) == ("refused", "invalid_token")


@pytest.mark.parametrize("who", ["provider", "caller"])
def test_a_window_made_smaller_than_what_is_under_way_breaks_nothing(tmp_path: Path, who: str) -> None:
    code: h2.settings.SettingCodes | int = h2.settings.SettingCodes.INITIAL_WINDOW_SIZE
    first, second = message(b"a" * 40_000), message(b"b" * 10_000)

    def shrink(peer: Peer, event: h2.events.Event, asked: Asked) -> None:
        if who == "provider" and isinstance(event, h2.events.DataReceived) and len(asked.body) == len(first):
            peer.h2.update_settings({code: 10})
            peer.flush()
            time.sleep(1)  # more comes for it meanwhile
            peer.h2.update_settings({code: 1 << 20})
            peer.flush()
        echo_at_once(peer, event, asked)

    with (
        Http2Provider(tmp_path, shrink) as provider,
        GrpcInstance(tmp_path, provider.url, provider.ca_file) as instance,
        Http2Caller(instance, slow=True) as caller,
    ):
        provider.takes = False
        stream = caller.call(first, end=False)
        if who == "caller":
            while len(caller.got[stream].body) < len(first):
                assert caller.read()
            caller.h2.update_settings({code: 10})
            caller.flush()
        time.sleep(0.3)
        caller.h2.send_data(stream, second, end_stream=True)
        caller.flush()
        if who == "caller":
            time.sleep(0.5)
            caller.h2.update_settings({code: 1 << 20})
            caller.flush()
        (got,) = caller.wait(stream)
        assert provider.received[0].body == first + second
        assert (got.body, got.trailers) == (first + second, {"grpc-status": "0"})
        assert "crashed" not in instance.log.read_text(encoding="utf-8")


class Diverted(GrpcInstance):
    """Callers come to its transparent listener, and say of nobody who they are but in their requests."""

    def __init__(self, folder: Path, upstream: str, ca_file: Path) -> None:
        super().__init__(folder, upstream, ca_file, profile="gateway", more=ALLOWED)
        self.diverted = free_port()
        listener = f"  - {{address: '127.0.0.1:{self.diverted}', mode: transparent}}\n"
        text = self.config.read_text(encoding="utf-8")
        self.config.write_text(text.replace("data_dir:", f"{listener}data_dir:", 1), encoding="utf-8")

    def knocks(self, target: str, *fields: str) -> tuple[socket.socket, bytes]:
        connection = socket.create_connection(("127.0.0.1", self.diverted), 5)
        connection.settimeout(20)
        self._sockets.append(connection)
        return connection, b"HTTP/1.1 200 "


def test_a_call_that_does_not_say_whose_it_is_gets_a_status_of_grpc(tmp_path: Path) -> None:
    with (
        Http2Provider(tmp_path) as provider,
        Diverted(tmp_path, provider.url, provider.ca_file) as instance,
        Http2Caller(instance) as caller,
    ):
        (nobody,) = caller.wait(caller.call(message(b"x"), end=False))
        (false,) = caller.wait(caller.call(message(b"x"), more=[("authorization", "Bearer a.b.c")]))
        own = [("authorization", f"Bearer {instance.mint('ann@example.com')}")]
        (ann,) = caller.wait(caller.call(message(b"x"), more=own))
        records = instance.recorded(3)
    assert [(got.status, got.fields["grpc-status"]) for got in (nobody, false)] == [(401, "16")] * 2
    assert nobody.fields["grpc-message"].startswith("missing_identity")
    assert (ann.status, ann.trailers) == (200, {"grpc-status": "0"})
    assert len(provider.received) == 1
    assert provider.received[0].named("authorization") == [f"Bearer {PROVIDER_KEY}"]
    assert {record["client"]["mode"] for record in records} == {"transparent"}
    assert [record["end_state"] for record in records] == ["refused", "refused", "complete"]
