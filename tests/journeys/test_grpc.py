"""Real clients of gRPC through an opened host, to a real server of it."""

import hashlib
import importlib.util
import os
import queue
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

if importlib.util.find_spec("grpc") is None and not os.environ.get("CI"):
    pytest.skip("grpcio is not installed: make dev", allow_module_level=True)

import grpc

from tests.attacks.http2_provider import message
from tests.journeys.grpc_gate import ALLOWED, GrpcInstance
from tests.journeys.grpc_provider import SERVICE, GrpcProvider, channel
from tests.journeys.instance import PROVIDER_KEY

type Gate = tuple[GrpcInstance, GrpcProvider, str]


@pytest.fixture(scope="module")
def gate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gate]:
    folder = tmp_path_factory.mktemp("grpc")
    with (
        GrpcProvider(folder) as provider,
        GrpcInstance(folder, provider.url, provider.ca_file, profile="gateway", more=ALLOWED) as instance,
    ):
        yield instance, provider, instance.mint("ann@example.com")


def recorded(instance: GrpcInstance, method: str, sent: bytes, got: bytes | None) -> dict[str, Any]:
    """The record of the call of this method with these bytes, as soon as it is there."""
    found: list[dict[str, Any]] = []

    def is_there() -> bool:
        digest = hashlib.sha256(sent).hexdigest()
        found[:] = [
            record
            for record in instance.records()
            if record["path"] == f"/{SERVICE}/{method}" and (record["request"] or {}).get("_sha256") == digest
        ]
        return bool(found)

    instance.wait_until(is_there)
    (record,) = found
    assert record["principal"]["email"] == "ann@example.com"
    assert (record["client"]["mode"], record["operation"], record["provider"]) == ("forward", "other", "openai")
    assert record["request_bytes"] == len(sent)
    if got is not None:
        assert record["response"]["_sha256"] == hashlib.sha256(got).hexdigest()
        assert record["response_bytes"] == len(got)
    return record


def test_a_unary_call(gate: Gate) -> None:
    instance, provider, token = gate
    with channel(instance, token) as made:
        answer, call = made.unary_unary(f"/{SERVICE}/Unary").with_call(
            b"hello", metadata=(("x-own", "1"), ("x-own-bin", b"\0\xff")), timeout=20
        )
    assert answer == b"olleh"
    assert dict(call.initial_metadata())["x-first"] == "1"
    assert dict(call.trailing_metadata())["x-last-bin"] == b"\0\1\2"
    assert call.code() is grpc.StatusCode.OK
    _, metadata, messages = provider.received[-1]
    assert messages == [b"hello"]
    assert (metadata["x-own"], metadata["x-own-bin"]) == ("1", b"\0\xff")
    assert metadata["authorization"] == f"Bearer {PROVIDER_KEY}"
    record = recorded(instance, "Unary", message(b"hello"), message(b"olleh"))
    assert (record["end_state"], record["response"]["_extra"]) == ("complete", {"grpc_status": 0})


def test_the_servers_messages_come_one_by_one(gate: Gate) -> None:
    instance, _, token = gate
    came: list[tuple[float, bytes]] = []
    with channel(instance, token) as made:
        answers = made.unary_stream(f"/{SERVICE}/Tells")(b"no ", timeout=20)
        came += ((time.monotonic(), answer) for answer in answers)
    assert [answer for _, answer in came] == [b"no %d" % number for number in range(5)]
    assert came[-1][0] - came[0][0] > 0.3, "they were held together"
    record = recorded(instance, "Tells", message(b"no "), b"".join(message(answer) for _, answer in came))
    assert record["end_state"] == "complete"


def test_the_clients_messages_arrive(gate: Gate) -> None:
    instance, provider, token = gate
    said = [b"one", b"two", "三".encode()]
    with channel(instance, token) as made:
        assert made.stream_unary(f"/{SERVICE}/Hears")(iter(said), timeout=20) == b"|".join(said)
    assert provider.received[-1][2] == said
    record = recorded(instance, "Hears", b"".join(map(message, said)), message(b"|".join(said)))
    assert record["end_state"] == "complete"


def test_both_talk_in_turn(gate: Gate) -> None:
    instance, _, token = gate
    turns: queue.Queue[bytes | None] = queue.Queue()
    heard = []
    with channel(instance, token) as made:
        answers = made.stream_stream(f"/{SERVICE}/Talks")(iter(turns.get, None), timeout=20)
        for word in (b"a", b"b", b"c"):
            turns.put(word)
            heard.append(next(answers))  # each before the next is said
        turns.put(None)
        assert list(answers) == []
    assert heard == [b"A", b"B", b"C"]
    record = recorded(instance, "Talks", b"".join(map(message, (b"a", b"b", b"c"))), b"".join(map(message, heard)))
    assert record["end_state"] == "complete"


def test_a_status_of_the_provider_comes_back(gate: Gate) -> None:
    instance, _, token = gate
    with channel(instance, token) as made, pytest.raises(grpc.RpcError) as raised:
        made.unary_unary(f"/{SERVICE}/Fails")(b"x", timeout=20)
    assert raised.value.code() is grpc.StatusCode.NOT_FOUND
    assert raised.value.details() == "そんなものはない"
    record = recorded(instance, "Fails", message(b"x"), None)
    assert (record["end_state"], record["response"]["_extra"]) == ("upstream_error", {"grpc_status": 5})


def test_a_method_that_is_not_there_is_said_so(gate: Gate) -> None:
    instance, _, token = gate
    with channel(instance, token) as made, pytest.raises(grpc.RpcError) as raised:
        made.unary_unary(f"/{SERVICE}/Nothing")(b"x", timeout=20)
    assert raised.value.code() is grpc.StatusCode.UNIMPLEMENTED
    (record,) = instance.by_path(f"/{SERVICE}/Nothing")
    assert record["response"]["_extra"] == {"grpc_status": 12}


def test_a_deadline_ends_the_call_on_both_sides(gate: Gate) -> None:
    instance, provider, token = gate
    with channel(instance, token) as made, pytest.raises(grpc.RpcError) as raised:
        made.unary_unary(f"/{SERVICE}/Slow")(b"late", timeout=1)
    assert raised.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    instance.wait_until(lambda: "Slow" in provider.cancelled, 20)
    record = recorded(instance, "Slow", message(b"late"), None)
    assert record["end_state"] in ("client_gone", "upstream_error")  # whichever of both was first


def test_a_cancelled_call_ends_on_both_sides(gate: Gate) -> None:
    instance, provider, token = gate
    before = provider.cancelled.count("Slow")
    with channel(instance, token) as made:
        call = made.unary_unary(f"/{SERVICE}/Slow").future(b"cancelled", timeout=30)
        instance.wait_until(lambda: provider.received[-1][2] == [b"cancelled"])
        call.cancel()
        instance.wait_until(lambda: provider.cancelled.count("Slow") > before, 20)
    record = recorded(instance, "Slow", message(b"cancelled"), None)
    assert record["end_state"] == "client_gone"


@pytest.mark.parametrize(("who", "status"), [("ann@other.example", "PERMISSION_DENIED"), (None, "UNAVAILABLE")])
def test_whoever_may_not_pass_gets_a_status_of_grpc(gate: Gate, who: str | None, status: str) -> None:
    instance, provider, _ = gate
    before = len(provider.received)
    with channel(instance, instance.mint(who) if who else None) as made, pytest.raises(grpc.RpcError) as raised:
        made.unary_unary(f"/{SERVICE}/Unary")(b"x", timeout=5)
    assert raised.value.code().name in (status, "UNAVAILABLE"), raised.value.details()
    assert len(provider.received) == before


def test_a_call_that_no_rule_allows_is_told_its_reason(gate: Gate) -> None:
    instance, _, token = gate
    with channel(instance, token) as made, pytest.raises(grpc.RpcError) as raised:
        made.unary_unary("/v1/chat/completions")(b"x", timeout=5)
    assert raised.value.code() is grpc.StatusCode.UNIMPLEMENTED
    assert raised.value.details() == "media_type_not_supported: This API takes application/json."


def test_many_calls_at_once(gate: Gate) -> None:
    instance, _, token = gate
    got: list[bytes] = []
    with channel(instance, token) as made:
        ask = made.stream_unary(f"/{SERVICE}/Hears")

        def one(number: int) -> None:
            got.append(ask(iter([b"many", b"%d" % number]), timeout=30))

        threads = [threading.Thread(target=one, args=(number,)) for number in range(40)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(40)
    assert sorted(got) == sorted(b"many|%d" % number for number in range(40))
