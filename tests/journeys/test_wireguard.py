"""WireGuard mode: a peer in user space, its handshake, and what comes through its tunnel."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.journeys.instance import ROOT
from tests.journeys.test_transparent import lacking
from tests.journeys.ways import assert_equal_but_for_the_way


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the road through the tunnel was like."""
    without = lacking() or (None if Path("/dev/net/tun").exists() else "there is no /dev/net/tun")
    if without:
        if os.environ.get("CI"):
            pytest.fail(without)
        pytest.skip(without)
    folder = tmp_path_factory.mktemp("road")
    done = subprocess.run(
        ["unshare", "-n", sys.executable, "-m", "tests.journeys.wireguard_road", folder],
        cwd=ROOT, capture_output=True, text=True, timeout=110, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_a_call_is_of_whoever_holds_the_tunnels_key(seen: dict[str, Any]) -> None:
    assert "Hello from the provider" in seen["got"]["opened"].get("got", ""), seen["log"]
    record, _ = seen["records"]
    assert record["principal"] == {
        "subject": "ann@example.com", "email": "ann@example.com", "domain": "example.com", "issuer": "wireguard",
        "groups": [],
    }  # fmt: skip
    assert (record["client"]["mode"], record["client"]["address"]) == ("wireguard", "127.0.0.1")
    assert record["end_state"] == "complete"
    assert seen["provider"] == 1


@pytest.mark.parametrize("mode", ["forward", "transparent", "wireguard"])
def test_the_record_of_one_and_the_same_call_is_equal_whichever_way_it_came(seen: dict[str, Any], mode: str) -> None:
    """Local capture: tests/journeys/test_local.py."""
    ways = seen["every way"]
    assert set(ways) == {"reverse", "forward", "transparent", "wireguard"}
    assert_equal_but_for_the_way(ways[mode], ways["reverse"])


def test_a_large_reply_comes_through_whole(seen: dict[str, Any]) -> None:
    assert seen["large"] > 2 << 20


def test_nobody_else_gets_in_by_it(seen: dict[str, Any]) -> None:
    assert seen["got"]["another's port"] == {"failed": "no answer to the handshake"}
    assert "unrecognized" in seen["got"]["not admitted"]["failed"].lower()  # a known key, of a domain that is not


def test_what_is_not_read_passes_or_is_blocked_and_is_in_the_coverage(seen: dict[str, Any]) -> None:
    assert seen["got"]["passed"] == {"got": "theirs"}
    assert "unrecognized" in seen["got"]["blocked"]["failed"].lower()
    by_host = {row["host"]: row for row in seen["coverage"]}
    assert by_host["other.example.com"]["why"] == {"noted": 1}
    assert by_host["other.example.com"]["people"] == 1
    assert by_host["bad.example.com"]["why"] == {"blocked": 1}


def test_plain_http_for_a_providers_host_is_refused_and_recorded(seen: dict[str, Any]) -> None:
    assert seen["got"]["plain"]["got"].startswith("HTTP/1.1 400 ")
    assert "plain_http" in seen["got"]["plain"]["got"]
    _, record = seen["records"]
    assert (record["decision"]["code"], record["end_state"]) == ("plain_http", "refused")
    assert record["principal"]["email"] == "ann@example.com"
    assert "sk-plain-canary" not in json.dumps(record)


def test_what_is_no_tls_and_no_tcp_does_not_pass(seen: dict[str, Any]) -> None:
    assert seen["got"]["raw"].get("got", "") == ""
    by_host = {row["host"]: row["why"] for row in seen["coverage"]}
    assert by_host["198.51.100.7"] == {"blocked": 1}
    assert by_host["198.51.100.9"] == {"blocked": 2}  # QUIC, and another port's UDP
