"""IDENTITY I: key endpoints that are down, slow, broken or hostile, and rotation."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from identities.issuer import JwksUrl
from identities.jwk import Key, KeyRules
from identities.key_files import FileKeys
from identities.keys import FetchedKeys, KeysUnavailable
from tests.identities.certificates import authority, server_tls
from tests.identities.key_server import (
    Behaviour,
    KeyServer,
    by_path,
    dripping,
    hanging,
    key_server,
    resetting,
    serving,
)
from tests.identities.minting import NOW, answer, b64, bearer, claims, jwks, public_jwk, rsa_key, token, verifier

ONE = jwks(public_jwk(rsa_key(), "k1"))
TWO = jwks(public_jwk(rsa_key(), "k1"), public_jwk(rsa_key("b"), "k2"))
ROTATED = jwks(public_jwk(rsa_key("b"), "k2"))


@pytest.fixture
def server() -> Iterator[KeyServer]:
    with key_server() as one:
        yield one


@asynccontextmanager
async def store(server: KeyServer, *, start: bool = True, **more: Any) -> AsyncIterator[FetchedKeys]:
    one = FetchedKeys("corp", JwksUrl(server.url()), KeyRules(("RS256",)), **more)
    if start:
        await one.start()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asyncio.shield(one.refresh()), 1)
    try:
        yield one
    finally:
        await one.stop()


async def found(one: FetchedKeys, kid: str = "k1") -> str:
    try:
        return "a key" if isinstance(await one.find(kid), Key) else "no such key"
    except KeysUnavailable:
        return "unavailable"


async def test_keys_at_hand_cost_no_fetch(server: KeyServer) -> None:
    server.behave = serving(ONE)
    async with store(server) as one:
        assert [await found(one) for _ in range(1000)] == ["a key"] * 1000
        assert len(server.asked) == 1


BROKEN: list[tuple[str, Behaviour]] = [
    ("I1 500", serving(b"", "500 Internal Server Error")),
    ("I1 hangs", hanging),
    ("I3 HTML", serving(b"<html>maintenance</html>")),
    ("I3 a list", serving(b"[]")),
    ("I3 an empty object", serving(b"{}")),
    ("I3 keys null", serving(b'{"keys":null}')),
    ("I3 no key", serving(b'{"keys":[]}')),
    ("I3 UTF-16", serving(ONE.decode().encode("utf-16"))),
    ("I3 gzip", serving(ONE, "200 OK", "content-encoding: gzip")),
    ("I3 deep", serving(b"[" * 200_000)),
    ("I4 five megabytes", serving(b" " * 5_000_000 + ONE)),
    ("I4 drips", dripping),
    ("I4 short", serving(ONE, length=len(ONE) + 10)),
    ("I4 reset", resetting),
    ("I5 redirect", serving(b"", "302 Found", "location: /evil")),
    ("I6 only poison", serving(jwks({"kty": "RSA", "kid": "k1", "alg": "none", "n": "AA", "e": "AQAB"}))),
    ("204", serving(b"", "204 No Content")),
]


@pytest.mark.parametrize(("what", "behave"), BROKEN, ids=[what for what, _ in BROKEN])
async def test_old_keys_serve_on_while_the_endpoint_is_broken(server: KeyServer, what: str, behave: Behaviour) -> None:
    server.behave = serving(ONE)
    async with store(server, deadline_s=0.5) as one:
        server.behave = behave
        worst = await stall_during(one.refresh)
        assert one.state == "stale"
        assert await found(one) == "a key"
        assert "/evil" not in server.asked
        assert worst < 0.25
        server.behave = serving(TWO)
        await one.refresh()
        assert one.state == "ready"
        assert await found(one, "k2") == "a key"


async def stall_during(work: Callable[[], Any]) -> float:
    """The longest time the event loop did not turn while this ran, in seconds."""
    worst, last = 0.0, time.perf_counter()
    task = asyncio.ensure_future(work())
    while not task.done():
        await asyncio.sleep(0.005)
        worst, last = max(worst, time.perf_counter() - last), time.perf_counter()
    await task
    return worst


@pytest.mark.parametrize(("what", "behave"), BROKEN[:4], ids=[what for what, _ in BROKEN[:4]])
async def test_i2_a_cold_issuer_answers_unavailable_until_its_keys_come(
    tmp_path: Path, server: KeyServer, what: str, behave: Behaviour
) -> None:
    server.behave = behave
    entry = {"name": "corp", "kind": "oidc", "issuer": "https://idp.example.com", "audience": "sekisho"}
    one = verifier(tmp_path, entry | {"jwks_url": server.url()})
    began = time.monotonic()
    await one.start()
    assert time.monotonic() - began < 0.5, "start waits for no network"
    try:
        assert await answer(one, bearer(token())) == "identity_keys_unavailable"
        assert one.key_states == {"corp": "cold"}
        if behave is hanging:
            return
        server.behave = serving(ONE)
        for _ in range(60):
            if await answer(one, bearer(token())) == "ann@example.com":
                break
            await asyncio.sleep(0.05)
        assert await answer(one, bearer(token())) == "ann@example.com"
    finally:
        await one.stop()


async def test_i6_i9_one_bad_key_never_spoils_the_set(server: KeyServer) -> None:
    first = public_jwk(rsa_key(), "k1")
    poison: list[Any] = [
        7,
        {},
        {"kty": "RSA"},
        {"kty": "XYZ", "kid": "x"},
        {"kty": "RSA", "kid": "none", "alg": "none", "n": first["n"], "e": first["e"]},
        {"kty": "RSA", "kid": "text", "n": 5, "e": []},
        {"kty": "EC", "kid": "curve", "crv": "P-1", "x": "AA", "y": "AA"},
        {"kty": "EC", "kid": "off", "crv": "P-256", "x": b64(bytes(32)), "y": b64(bytes(32))},
        {"kty": "oct", "kid": "oct", "k": b64(b"s" * 32)},
        public_jwk(rsa_key(), "private", d="AQAB"),
        public_jwk(rsa_key(), "enc", use="enc"),
        public_jwk(rsa_key("short", 1024), "short"),
        first,
        public_jwk(rsa_key("b"), "k1"),
    ]
    server.behave = serving(json.dumps({"keys": poison, "public_cert": {"x": 1}}).encode())
    async with store(server) as one:
        key = await one.find("k1")
        assert key is not None
        assert key.material == rsa_key().public_key(), "of two with one id the first holds"
        for kid in ("x", "none", "text", "curve", "off", "oct", "private", "enc", "short"):
            assert await found(one, kid) == "no such key"


async def test_i7_a_new_key_is_accepted_within_one_request_and_a_removed_one_ends(server: KeyServer) -> None:
    server.behave = serving(ONE)
    async with store(server) as one:
        before = one.generation
        server.behave = serving(TWO)
        began = time.monotonic()
        assert await found(one, "k2") == "a key"
        assert time.monotonic() - began < 1.5
        assert one.generation == before, "nothing that was verified became doubtful"
        server.behave = serving(ROTATED)
        await one.refresh()
        assert await found(one, "k1") == "no such key"
        assert one.generation == before + 1


async def test_i7_rotation_under_load_loses_no_request(tmp_path: Path, server: KeyServer) -> None:
    server.behave = serving(ONE)
    entry = {"name": "corp", "kind": "oidc", "issuer": "https://idp.example.com", "audience": "sekisho"}
    one = verifier(tmp_path, entry | {"jwks_url": server.url()})
    await one.start()
    try:
        assert await answer(one, bearer(token())) == "ann@example.com"
        server.behave = serving(TWO)
        shown = [
            bearer(token(claims(jti=str(n)), key=rsa_key("b") if n % 2 else rsa_key(), kid="k2" if n % 2 else "k1"))
            for n in range(200)
        ]
        said = await asyncio.gather(*(answer(one, field) for field in shown))
        assert set(said) == {"ann@example.com"}
        assert len(server.asked) == 2
    finally:
        await one.stop()


async def test_i8_unknown_key_ids_cause_one_fetch(server: KeyServer) -> None:
    server.behave = serving(ONE)
    async with store(server) as one:
        said = await asyncio.gather(*(found(one, f"bad-{n}") for n in range(200)))
        assert set(said) == {"no such key"}
        assert len(server.asked) == 2
        for n in range(5000):
            assert await found(one, f"worse-{n}") == "no such key"
        assert len(server.asked) == 2
        assert len(one._unknown) <= 1024


async def test_an_unknown_key_id_is_not_asked_for_again_after_the_cooldown(server: KeyServer) -> None:
    server.behave = serving(ONE)
    async with store(server, cooldown_s=0.0) as one:
        for _ in range(5):
            assert await found(one, "bad") == "no such key"
        assert len(server.asked) == 2
        assert await found(one, "new") == "no such key"
        assert len(server.asked) == 3


async def test_known_keys_do_not_wait_for_a_hanging_endpoint(server: KeyServer) -> None:
    server.behave = serving(ONE)
    async with store(server, patience_s=0.2, deadline_s=0.6) as one:
        server.behave = hanging
        waiting = asyncio.ensure_future(found(one, "bad"))
        await asyncio.sleep(0.02)
        began = time.perf_counter()
        assert await found(one) == "a key"
        assert time.perf_counter() - began < 0.01
        assert await waiting == "no such key"


async def test_stale_keys_serve_for_a_day_and_no_longer(server: KeyServer) -> None:
    server.behave = serving(ONE)
    async with store(server, fresh_s=0.05, stale_s=0.4, cooldown_s=0.05) as one:
        server.behave = serving(b"", "500 No")
        await asyncio.sleep(0.2)
        assert (one.state, await found(one)) == ("stale", "a key")
        before = one.generation
        await asyncio.sleep(0.3)
        assert (await found(one), one.state) == ("unavailable", "cold")
        assert one.generation > before, "what was remembered ends with the keys"


async def test_the_last_good_set_survives_a_restart_during_an_outage(tmp_path: Path, server: KeyServer) -> None:
    server.behave = serving(ONE)
    kept = tmp_path / "keys" / "jwks-corp.json"
    async with store(server, kept_at=kept):
        pass
    assert kept.stat().st_mode & 0o777 == 0o600
    server.behave = serving(b"", "500 No")
    async with store(server, kept_at=kept) as one:
        assert await found(one) == "a key"
    old = json.loads(kept.read_text())
    others: tuple[Any, ...] = (
        old | {"fetched_at": time.time() - 90000},
        old | {"url": "https://other.example.com"},
        [],
        {},
    )
    for changed in others:
        kept.write_text(json.dumps(changed))
        async with store(server, kept_at=kept) as one:
            assert await found(one) == "unavailable"


async def test_i10_no_proxy_of_the_environment_is_asked(server: KeyServer, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    server.behave = serving(ONE)
    async with store(server) as one:
        assert await found(one) == "a key"


DISCOVERED: list[tuple[str, Callable[[KeyServer], dict[str, Any]], str]] = [
    ("its own", lambda s: {"issuer": s.url(""), "jwks_uri": s.url("/k")}, "a key"),
    ("another issuer's", lambda s: {"issuer": "https://evil.test", "jwks_uri": s.url("/k")}, "unavailable"),
    ("keys on plain http elsewhere", lambda s: {"issuer": s.url(""), "jwks_uri": "http://keys.test/k"}, "unavailable"),
    ("keys in a file", lambda s: {"issuer": s.url(""), "jwks_uri": "file:///etc/passwd"}, "unavailable"),
    ("no keys", lambda s: {"issuer": s.url("")}, "unavailable"),
]


@pytest.mark.parametrize(("what", "document", "expected"), DISCOVERED, ids=[row[0] for row in DISCOVERED])
async def test_discovery_believes_only_the_issuer_itself(
    server: KeyServer, what: str, document: Callable[[KeyServer], dict[str, Any]], expected: str
) -> None:
    server.behave = by_path({"/.well-known/openid-configuration": json.dumps(document(server)).encode(), "/k": ONE})
    one = FetchedKeys("corp", JwksUrl(server.url(""), discover=True), KeyRules(("RS256",)))
    assert await found(one) == expected
    await one.stop()


async def test_an_endpoint_that_wants_a_token_gets_it(tmp_path: Path, server: KeyServer) -> None:
    bearer_file = tmp_path / "token"
    bearer_file.write_text("pod-token\n")
    server.behave = serving(ONE)
    entry = {
        "name": "k8s",
        "kind": "kubernetes",
        "issuer": server.url(""),
        "audience": "sekisho",
        "bearer_file": str(bearer_file),
        "map": {"system:serviceaccount:ml:*": "ml@example.com"},
    }
    one = verifier(tmp_path, entry)
    shown = token(claims(iss=server.url(""), sub="system:serviceaccount:ml:a", email=...))
    assert await answer(one, bearer(shown), now=NOW) == "ml@example.com"
    assert server.asked == ["/openid/v1/jwks"]
    assert "authorization: bearer pod-token" in server.heads[0].lower()
    await one.stop()


async def test_keys_in_a_file_are_read_again_when_it_changes_and_kept_when_it_breaks(tmp_path: Path) -> None:
    path = tmp_path / "jwks.json"
    path.write_bytes(ONE)
    one = FileKeys("corp", path, KeyRules(("RS256",)), look_s=0.02)
    await one.start()
    try:
        path.write_bytes(TWO)
        assert isinstance(await one.find("k2"), Key)
        before = one.generation
        for broken in (b"", b"<html>", b'{"keys":[]}'):
            path.write_bytes(broken)
            await asyncio.sleep(0.05)
            assert isinstance(await one.find("k1"), Key)
        assert one.generation == before
        path.write_bytes(ROTATED)
        for _ in range(100):
            if one.generation > before:
                break
            await asyncio.sleep(0.02)
        assert await one.find("k1") is None
    finally:
        await one.stop()


async def test_a_file_that_is_not_there_makes_a_cold_issuer_until_it_comes(tmp_path: Path) -> None:
    path = tmp_path / "jwks.json"
    one = FileKeys("corp", path, KeyRules(("RS256",)))
    with pytest.raises(KeysUnavailable):
        await one.find("k1")
    path.write_bytes(ONE)
    assert isinstance(await one.find("k1"), Key)


@pytest.mark.parametrize(
    ("certified", "trusted", "expected"),
    [("localhost", True, "a key"), ("localhost", False, "unavailable"), ("other.test", True, "unavailable")],
    ids=["its own authority", "nobody's", "another host's"],
)
async def test_keys_come_only_from_whom_the_certificate_names(
    tmp_path: Path, certified: str, trusted: bool, expected: str
) -> None:
    ca_file = authority(tmp_path)
    with key_server(server_tls(tmp_path, certified)) as server:
        server.behave = serving(ONE)
        url = f"https://localhost:{server.port}/jwks"
        one = FetchedKeys("corp", JwksUrl(url, ca_file=ca_file if trusted else None), KeyRules(("RS256",)))
        assert await found(one) == expected
        await one.stop()
