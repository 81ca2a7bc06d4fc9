"""Transparent mode, IPv4 and IPv6, in network namespaces of its own."""

import json
import os
import shutil
import subprocess
import sys
from typing import Any

import pytest

from tests.journeys.instance import ROOT


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the road through three namespaces was like."""
    if without := lacking():
        if os.environ.get("CI"):
            pytest.fail(without)
        pytest.skip(without)
    folder = tmp_path_factory.mktemp("road")
    done = subprocess.run(
        ["unshare", "-n", sys.executable, "-m", "tests.journeys.transparent_road", folder],
        cwd=ROOT, capture_output=True, text=True, timeout=110, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def lacking() -> str | None:
    """What this machine does not have or permit; None: nothing."""
    for program in ("ip", "unshare", "nsenter"):
        if shutil.which(program) is None:
            return f"{program} is not installed"
    tried = subprocess.run(
        ["unshare", "-n", "ip", "link", "add", "v0", "type", "veth", "peer", "name", "v1"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return f"network namespaces are not permitted here: {tried.stderr.strip()}" if tried.returncode else None


@pytest.mark.parametrize("which", ["opened", "opened, IPv6"])
def test_a_providers_host_is_opened_by_its_name_in_tls(seen: dict[str, Any], which: str) -> None:
    assert "Hello from the provider" in seen["got"][which].get("got", ""), seen["log"]


def test_each_request_says_who_it_is_of(seen: dict[str, Any]) -> None:
    assert seen["got"]["nobody"]["got"].startswith("HTTP/1.1 401 ")
    records = seen["records"]
    assert {record["client"]["mode"] for record in records} == {"transparent"}
    assert [record["principal"] and record["principal"]["email"] for record in records] == [
        "ann@example.com", "ann@example.com", None,
    ]  # fmt: skip
    assert {record["client"]["address"] for record in records} == {"10.9.0.2", "fd09::2"}
    assert seen["provider"] >= 2


@pytest.mark.parametrize("which", ["passed", "passed, IPv6"])
def test_others_pass_to_where_they_were_going_with_their_own_certificate(seen: dict[str, Any], which: str) -> None:
    assert seen["got"][which] == {"got": "theirs"}


def test_what_is_blocked_gets_an_alert(seen: dict[str, Any]) -> None:
    assert "unrecognized" in seen["got"]["blocked"]["failed"].lower()


@pytest.mark.parametrize("program", ["nft", "iptables"])
def test_the_printed_rules_do_what_they_say(seen: dict[str, Any], program: str) -> None:
    found = seen["rules"][program]
    if isinstance(found, str):
        if os.environ.get("CI"):
            pytest.fail(found)
        pytest.skip(found)
    assert "Hello from the provider" in found["IPv4"].get("got", ""), seen["log"]
    assert "Hello from the provider" in found["IPv6"].get("got", ""), seen["log"]
    assert found["QUIC"] == found["QUIC, IPv6"] == {"failed": "ConnectionRefusedError"}, "clients fall back at once"


def test_all_that_was_not_read_is_in_the_coverage(seen: dict[str, Any]) -> None:
    by_host = {row["host"]: row["why"] for row in seen["coverage"]}
    assert by_host["other.example.com"] == {"noted": 2}
    assert by_host["bad.example.com"] == {"blocked": 1}
    assert by_host["api.openai.com"] == {"tls_refused_by_client": 1}
