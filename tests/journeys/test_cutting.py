"""Whoever is revoked is cut off, by whichever way they came: a real instance, and a watch."""

import contextlib
import json
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.journeys.forwarding import HOST, ForwardInstance, basic
from tests.journeys.provider import Provider, streamed
from tests.journeys.test_forward_ways import Elsewhere

CUT = """
identity: {domains: [example.com], issuers: [{name: own, kind: own_token}], cut_revoked: true}
policies: {rules: [{name: everyone, domains: [example.com], models: ["gpt-4o*"], operations: [chat, responses]}]}
"""
ASKED = {"model": "gpt-4o", "stream": True, "messages": [{"role": "user", "content": "天気は？"}]}
WITHIN = 4.0  # seconds, for 2 that are promised: a machine with other tests on it


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[Elsewhere]:
    running = Elsewhere(tmp_path)
    yield running
    running.close()


def revoke(instance: ForwardInstance, email: str) -> float:
    """Returns when it was said (monotonic)."""
    done = instance.sekisho("identity", "revoke", "--person", email, "--reason", "left")
    assert done.returncode == 0, done.stderr
    return time.monotonic()


class Listener:
    """Reads a stream in a thread of its own."""

    def __init__(self, client: httpx2.Client) -> None:
        self.got, self.ended, self.whole = b"", 0.0, False
        self._client = client
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def _listen(self) -> None:
        try:
            with self._client.stream("POST", f"https://{HOST}/v1/chat/completions", json=ASKED) as answer:
                for piece in answer.iter_raw():
                    self.got += piece
            self.whole = True
        except httpx2.HTTPError:
            pass  # broken off: `whole` says so
        self.ended = time.monotonic()

    def until(self, words: bytes) -> None:
        began = time.monotonic()
        while words not in self.got:
            assert time.monotonic() - began < 20
            time.sleep(0.02)

    def join(self) -> None:
        self._thread.join(30)


@pytest.mark.parametrize("http2", [False, True], ids=["http/1.1", "h2"])
def test_a_stream_in_a_tunnel_is_cut_and_another_persons_goes_on(
    tmp_path: Path, provider: Provider, http2: bool
) -> None:
    provider.answer = streamed([f"word {i} " for i in range(120)], pause=0.09)
    with ForwardInstance(tmp_path, provider.url, profile="gateway", more=CUT) as instance:
        with (
            instance.client(instance.mint("ann@example.com"), http2=http2) as anns,
            instance.client(instance.mint("bob@example.com"), http2=http2) as bobs,
        ):
            ann, bob = Listener(anns), Listener(bobs)
            ann.until(b"word 1 ")
            bob.until(b"word 1 ")
            said = revoke(instance, "ann@example.com")
            ann.join()
            bob.join()

        def of(email: str) -> list[dict[str, Any]]:
            return [r for r in instance.records() if (r["principal"] or {}).get("email") == email]

        instance.wait_until(lambda: len(of("ann@example.com")) == len(of("bob@example.com")) == 1)
        (anns_record,), (bobs_record,) = of("ann@example.com"), of("bob@example.com")

    assert not ann.whole
    assert b"word 119 " not in ann.got
    assert ann.ended - said < WITHIN
    assert bob.whole
    assert b"word 119 " in bob.got
    assert (anns_record["end_state"], anns_record["status"], anns_record["client"]["mode"]) == (
        "refused",
        200,
        "forward",
    )
    assert "word 1 " in json.dumps(anns_record["response"])
    assert bobs_record["end_state"] == "complete"


def test_what_passes_unread_ends_as_well(tmp_path: Path, provider: Provider, elsewhere: Elsewhere) -> None:
    hosts = f"hosts: {{ports: [443, {elsewhere.port}], addresses: [127.0.0.0/8]}}\n"
    context = ssl.create_default_context(cafile=str(elsewhere.trusted))
    with ForwardInstance(tmp_path, provider.url, profile="gateway", more=CUT + hosts) as instance:
        target = f"127.0.0.1:{elsewhere.port}"
        kept = []
        for name in ("ann", "bob"):
            connection, head = instance.knocks(target, basic(instance.mint(f"{name}@example.com")))
            assert head.startswith(b"HTTP/1.1 200 ")
            secured = context.wrap_socket(connection, server_hostname="localhost")
            secured.sendall(b"hello")
            assert secured.recv(100) == b"hello"
            kept.append(secured)
        ann, bob = kept
        said = revoke(instance, "ann@example.com")
        with contextlib.suppress(OSError):  # a reset says the same
            assert ann.recv(100) == b""
        assert time.monotonic() - said < WITHIN
        bob.sendall(b"still here")
        assert bob.recv(100) == b"still here"
        for each in kept:
            each.close()
