"""`sekisho ca`: made, shown, replaced."""

import json

import pytest

from tests.cli.conftest import Desk


def shown(desk: Desk) -> list[dict[str, object]]:
    done = desk.sekisho("ca", "show", "--json")
    assert done.exit_code == 0, done.stderr
    found: list[dict[str, object]] = json.loads(done.stdout)["authorities"]
    return found


def test_it_is_made_for_the_hosts_of_the_providers(desk: Desk) -> None:
    done = desk.sekisho("ca", "init")
    assert done.exit_code == 0, done.stderr
    assert "api.anthropic.com, api.openai.com, generativelanguage.googleapis.com, with all below them" in done.stdout
    (made,) = shown(desk)
    assert made["role"] == "signing"
    assert made["days_left"] == pytest.approx(730, abs=0.2)


def test_what_is_there_is_not_replaced_by_the_way(desk: Desk) -> None:
    desk.sekisho("ca", "init")
    before = shown(desk)
    done = desk.sekisho("ca", "init")
    assert done.exit_code == 1
    assert "There is a CA already" in done.stderr
    assert shown(desk) == before
    assert desk.sekisho("ca", "init", "--force").exit_code == 0
    assert [each["role"] for each in shown(desk)] == ["signing", "former"]


def test_one_for_any_host_is_made_with_a_warning(desk: Desk) -> None:
    done = desk.sekisho("ca", "init", "--any-host")
    assert "may sign for every host" in done.stderr
    assert shown(desk)[0]["hosts"] is None


def test_it_is_replaced_with_an_overlap(desk: Desk) -> None:
    desk.sekisho("ca", "init")
    assert desk.sekisho("ca", "rotate", "--at", "2030-01-31").exit_code == 0
    old, new = shown(desk)
    assert (old["role"], new["role"], new["switch_at"]) == ("signing", "next", "2030-01-31T00:00:00Z")
    assert desk.sekisho("ca", "show", "--pem").stdout.count("BEGIN CERTIFICATE") == 2

    assert desk.sekisho("ca", "rotate", "--switch").exit_code == 0
    signing, former = shown(desk)
    assert (signing["sha256"], former["sha256"]) == (new["sha256"], old["sha256"])
    assert (signing["role"], former["role"]) == ("signing", "former")


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["show"], 1, "Make one: sekisho ca init"),
        (["rotate"], 1, "Make one: sekisho ca init"),
        (["init", "--host", "*.example.com"], 2, "Write example.com: it covers all below"),
        (["init", "--host", "nowhere"], 2, "is no host"),
        (["init", "--any-host", "--host", "a.example"], 2, "say opposite things"),
    ],
)
def test_what_cannot_be_done_is_said_with_the_remedy(desk: Desk, arguments: list[str], code: int, said: str) -> None:
    done = desk.sekisho("ca", *arguments)
    assert (done.exit_code, said in done.stderr) == (code, True), done.stderr
    assert not (desk.data_dir / "mitmproxy").exists()
