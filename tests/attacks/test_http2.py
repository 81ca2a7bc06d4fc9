"""HTTP/2 towards callers: judged like any other request, and bounded (RFC 9113)."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import h2.errors
import h2.exceptions
import pytest

from tests.attacks.http2_caller import Http2Caller
from tests.attacks.test_table import peak_memory
from tests.journeys.forwarding import ForwardInstance
from tests.journeys.instance import GATEWAY
from tests.journeys.provider import STREAM, Answer, Provider, Received, completion, streamed

ASKED = b'{"model":"gpt-4o","messages":[]}'


@pytest.fixture(scope="module")
def gate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ForwardInstance, Provider, str]]:
    limits = "limits: {head: 16 KiB, body: 1 MiB, body_time: 2 s}\n"
    with (
        Provider() as provider,
        ForwardInstance(
            tmp_path_factory.mktemp("h2"), provider.url, profile="gateway", more=GATEWAY + limits
        ) as instance,
    ):
        yield instance, provider, instance.mint("ann@example.com")


def test_many_requests_at_once_get_each_its_own_answer(gate: tuple[ForwardInstance, Provider, str]) -> None:
    instance, provider, token = gate

    def own(received: Received) -> Answer:
        said = json.loads(received.body)["messages"][0]["content"]
        return streamed([said, "!"], pause=0.02)

    provider.choose = own
    try:
        with Http2Caller(instance, token) as caller:
            asked = [{"role": "user", "content": f"no {i}"} for i in range(20)]
            bodies = [{"model": "gpt-4o", "stream": True, "messages": [each]} for each in asked]
            streams = [caller.ask(json.dumps(body).encode()) for body in bodies]
            answers = caller.wait(*streams)
    finally:
        provider.choose = None
    assert [got.status for got in answers] == [200] * 20
    assert all(f'"no {i}"'.encode() in got.body for i, got in enumerate(answers))
    assert all("transfer-encoding" not in got.fields for got in answers)


def test_requests_one_after_the_other_share_a_connection_to_the_provider(
    gate: tuple[ForwardInstance, Provider, str],
) -> None:
    instance, provider, token = gate
    provider.answer = completion()
    before = provider.connections
    with Http2Caller(instance, token) as caller:
        for _ in range(10):
            assert caller.wait(caller.ask(ASKED))[0].status == 200
    assert provider.connections == before + 1


REFUSED = [
    ("another authority", {":authority": "evil.example.com"}, [], "host_mismatch"),
    ("another host", {}, [("host", "evil.example.com")], None),
    ("a whole address", {":path": "http://evil.example.com/v1"}, [], "absolute_form"),
    ("no slash", {":path": "v1/models"}, [], "absolute_form"),
    ("a space", {":path": "/v1/mo dels"}, [], "bad_path"),
    ("dots", {":path": "/v1/../x"}, [], "bad_path"),
    ("another method", {":method": "TRACE"}, [], "method_not_allowed"),
    ("a tunnel in the tunnel", {":method": "CONNECT"}, [], "connect_not_allowed"),
    ("two identities", {}, [("authorization", "Bearer a"), ("authorization", "Bearer b")], "duplicate_header"),
    ("an underscore", {}, [("x_forwarded_email", "root@example.com")], "bad_header"),
    ("a model nobody may use", {}, [], "model_not_allowed"),
]


@pytest.mark.parametrize(("what", "changed", "more", "code"), REFUSED, ids=[what for what, *_ in REFUSED])
def test_what_may_not_pass_is_refused_and_the_connection_goes_on(
    gate: tuple[ForwardInstance, Provider, str],
    what: str, changed: dict[str, str], more: list[tuple[str, str]], code: str | None,
) -> None:  # fmt: skip
    instance, provider, token = gate
    provider.answer = completion()
    before = len(provider.received)
    body = b'{"model":"o3","messages":[]}' if "model" in what else ASKED
    with Http2Caller(instance, token) as caller:
        (got,) = caller.wait(caller.ask(body, changed=changed, more=more))
        assert got.status in (400, 403, 405) or (code is None and (got.reset is not None or caller.over is not None))
        if code is not None:
            assert json.loads(got.body)["error"]["code"] == code
            (after,) = caller.wait(caller.ask(ASKED))
            assert after.status == 200
    assert len(provider.received) == before + (code is not None)


def test_a_body_is_not_taken_before_its_head_may_pass(gate: tuple[ForwardInstance, Provider, str]) -> None:
    instance, provider, token = gate
    before = len(provider.received)
    with Http2Caller(instance, token) as caller:
        stream = caller.ask(b"x" * 1000, changed={":path": "/v1/../x"}, end=False)
        (got,) = caller.wait(stream)
        assert got.status == 400
        assert got.reset in (None, h2.errors.ErrorCodes.NO_ERROR)
    assert len(provider.received) == before


def test_a_body_that_is_too_large_is_refused(gate: tuple[ForwardInstance, Provider, str]) -> None:
    instance, provider, token = gate
    before = len(provider.received)
    with Http2Caller(instance, token) as caller:
        by_length = caller.ask(b"x", more=[("content-length", str(2 << 20))], end=False)
        (got,) = caller.wait(by_length)
        assert (got.status, json.loads(got.body)["error"]["code"]) == (413, "body_too_large")
        stream = caller.ask(b"{", end=False)
        sent = 0
        while sent < 2 << 20 and not caller.got[stream].status:
            room = min(caller.h2.local_flow_control_window(stream), 16000)
            if room <= 0:
                assert caller.read()
                continue
            caller.h2.send_data(stream, b" " * room)
            caller.flush()
            sent += room
        (got,) = caller.wait(stream)
        assert got.status == 413
        assert sent <= (1 << 20) + (512 << 10)
    assert len(provider.received) == before


def test_a_body_that_does_not_come_is_refused(gate: tuple[ForwardInstance, Provider, str]) -> None:
    instance, _, token = gate
    with Http2Caller(instance, token) as caller:
        (got,) = caller.wait(caller.ask(b"{", end=False))
        assert (got.status, json.loads(got.body)["error"]["code"]) == (408, "body_timeout")


def test_trailers_are_refused(gate: tuple[ForwardInstance, Provider, str]) -> None:
    instance, provider, token = gate
    before = len(provider.received)
    with Http2Caller(instance, token) as caller:
        stream = caller.ask(ASKED, end=False)
        caller.h2.send_headers(stream, [("x-more", "1")], end_stream=True)
        caller.flush()
        (got,) = caller.wait(stream)
        assert (got.status, json.loads(got.body)["error"]["code"]) == (400, "trailers_not_supported")
    assert len(provider.received) == before


def test_heads_are_bounded(gate: tuple[ForwardInstance, Provider, str]) -> None:
    instance, _, token = gate
    with Http2Caller(instance, token) as caller:
        (got,) = caller.wait(caller.ask(ASKED, more=[(f"x-{i}", "v") for i in range(250)]))
        assert got.status == 431
    with Http2Caller(instance, token) as caller:
        stream = caller.ask(ASKED, more=[("x-long", "v" * 15000), ("x-longer", "v" * 15000)])
        caller.wait(stream)
        assert caller.over is not None


def test_streams_opened_and_reset_without_end_end_the_connection(
    gate: tuple[ForwardInstance, Provider, str],
) -> None:
    instance, provider, token = gate
    before = len(provider.received)
    with Http2Caller(instance, token) as caller:
        opened = 0
        try:
            for _ in range(2000):
                stream = caller.ask(b"{", end=False)
                caller.h2.reset_stream(stream)
                caller.flush()
                opened += 1
        except (OSError, h2.exceptions.ProtocolError):
            pass
        while caller.read():
            pass
        assert caller.over is not None
    assert len(provider.received) == before
    with Http2Caller(instance, token) as caller:
        provider.answer = completion()
        assert caller.wait(caller.ask(ASKED))[0].status == 200


def test_a_caller_that_takes_nothing_holds_the_provider_back(tmp_path: Path, provider: Provider) -> None:
    provider.answer = Answer(chunks=[b"x" * (1 << 20)] * 100, fields=STREAM)
    with ForwardInstance(tmp_path, provider.url) as instance, Http2Caller(instance, slow=True) as caller:
        (worker,) = instance.pids("worker")
        stream = caller.ask(ASKED)
        while not caller.got[stream].body:
            caller.read()
        before = peak_memory(worker)
        time.sleep(3)
        grown = peak_memory(worker) - before
    assert grown < 32, f"{grown} MB"


def test_a_caller_that_gives_up_is_on_record_and_the_provider_is_left(tmp_path: Path, provider: Provider) -> None:
    provider.answer = streamed(["one ", "two ", "three "] * 100, pause=0.05)
    with ForwardInstance(tmp_path, provider.url) as instance, Http2Caller(instance) as caller:
        stream = caller.ask(b'{"model":"gpt-4o","messages":[],"stream":true}')
        while b"two" not in caller.got[stream].body:
            caller.read()
        caller.h2.reset_stream(stream, h2.errors.ErrorCodes.CANCEL)
        caller.flush()
        instance.wait_until(lambda: provider.gone == 1)
        (record,) = instance.recorded(1)
    assert record["end_state"] == "client_gone"


def test_an_answer_that_the_provider_breaks_off_breaks_off(tmp_path: Path, provider: Provider) -> None:
    provider.answer = streamed(["one ", "two "], ending="cut")
    with ForwardInstance(tmp_path, provider.url) as instance, Http2Caller(instance) as caller:
        (got,) = caller.wait(caller.ask(b'{"model":"gpt-4o","messages":[],"stream":true}'))
        (record,) = instance.recorded(1)
    assert got.status == 200
    assert got.reset is not None
    assert not got.ended
    assert record["end_state"] in ("complete", "upstream_cut")


def test_all_bodies_together_are_bounded_and_what_is_over_counts_no_more(tmp_path: Path, provider: Provider) -> None:
    provider.answer = completion()
    limits = "limits: {body: 1 MiB, bodies: 2 MiB}\n"
    with ForwardInstance(tmp_path, provider.url, more=limits) as instance, Http2Caller(instance) as caller:
        begun = []
        for _ in range(4):
            stream = caller.ask(b" ", end=False)
            begun.append(stream)
            sent = 0
            while sent < 700 << 10 and not caller.got[stream].status:
                room = min(caller.h2.local_flow_control_window(stream), 16000)
                if room <= 0:
                    assert caller.read()
                    continue
                caller.h2.send_data(stream, b" " * room)
                caller.flush()
                sent += room
        last = caller.wait(begun[-1])[0]
        assert (last.status, json.loads(last.body)["error"]["code"]) == (503, "overloaded")
        for stream in begun[:-1]:
            if not caller.got[stream].status:
                caller.h2.reset_stream(stream)
        caller.flush()
        (got,) = caller.wait(caller.ask(ASKED))
        assert got.status == 200
