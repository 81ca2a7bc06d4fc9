"""`sekisho identity test`: what the gate would say, without the gate."""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import typer
from ruamel.yaml import YAML
from typer.testing import CliRunner, Result

from cli import identity
from cli.app import Commands
from tests.identities.client_certificates import authority, email, mtls, person
from tests.identities.key_server import KeyServer, key_server, serving
from tests.identities.minting import claims, jwks, public_jwk, rsa_key, token

ONE = jwks(public_jwk(rsa_key(), "k1"))
ROOT = authority()


@dataclass(frozen=True)
class Desk:
    """Somebody with settings, at a command line."""

    folder: Path
    server: KeyServer

    def settings(self, *more: dict[str, Any], **changed: Any) -> None:
        corp = {
            "name": "corp",
            "kind": "oidc",
            "issuer": "https://idp.example.com",
            "audience": "sekisho",
            "jwks_url": self.server.url(),
        }
        settings = {
            "profile": "gateway",
            "data_dir": str(self.folder / "data"),
            "listen": [
                {"address": "127.0.0.1:8080", "tls": {"cert": "t.pem", "key": "t.pem"}},
                {"address": "127.0.0.1:8081", "issuers": ["corp"]},
            ],
            "identity": {"domains": ["example.com"], "issuers": [*more, corp]},
        } | changed
        with (self.folder / "config.yaml").open("w", encoding="utf-8") as file:
            YAML(typ="safe", pure=True).dump(settings, file)

    def tries(self, *arguments: str, given: str | None = None) -> Result:
        root = typer.Typer(cls=Commands)
        root.add_typer(identity.app, name="identity")
        environment = {"SEKISHO_CONFIG": str(self.folder / "config.yaml"), "NO_COLOR": "1"}
        return CliRunner().invoke(root, ["identity", "test", *arguments], input=given, env=environment)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with key_server() as server:
        server.behave = serving(ONE)
        found = Desk(tmp_path, server)
        found.settings()
        yield found


ANN = token()
LATE = token(claims(iat=1_700_000_000, exp=1_700_000_600))
EVE = token(claims(email="eve@evilexample.com"))

SHOWN: list[tuple[str, list[str], int, list[str]]] = [
    (
        "the usual",
        [f"Authorization: Bearer {ANN}"],
        0,
        [
            "✓ corp: issuer: iss is https://idp",
            "✓ corp: key: the key is known",
            "ann@example.com (example.com), by corp",
        ],
    ),
    ("spaces around", [f"authorization:   Bearer {ANN}  "], 0, ["ann@example.com"]),
    ("expired", [f"Authorization: Bearer {LATE}"], 1, ["✗ corp: expired_token: exp", "Refused with 401 expired_token"]),
    ("another domain", [f"Authorization: Bearer {EVE}"], 1, ["evilexample.com is not admitted", "403 domain_not"]),
    ("spoilt", [f"Authorization: Bearer {ANN[:-4]}AAAA"], 1, ["signature does not fit", "401 invalid_token"]),
    ("an unknown key", [f"Authorization: Bearer {token(kid='k9')}"], 1, ["✗ corp: key: no key has the id 'k9'"]),
    (
        "an issuer nobody named",
        [f"Authorization: Bearer {token(claims(iss='https://x.test'))}"],
        1,
        ["✗ corp: issuer: iss is 'https://x.test'", "401 invalid_token"],
    ),
    (
        "a provider's key",
        ["Authorization: Bearer sk-1"],
        1,
        ["✗ corp: header: no token came in authorization", "401 m"],
    ),
    ("twice", [f"Authorization: Bearer {ANN}"] * 2, 1, ["400 duplicate_header: A header that may come once"]),
    ("in a header nobody reads", [f"X-Token: {ANN}"], 1, ["Refused with 401 missing_identity"]),
    ("a name with an underscore", [f"Authorization: Bearer {ANN}", "X_User: eve"], 1, ["Refused with 400 bad_header"]),
    ("no token at all", ["Authorization: Bearer eyJ.x"], 1, ["✗ token: shape: what came in authorization: the token"]),
]


@pytest.mark.parametrize(("what", "headers", "code", "said"), SHOWN, ids=[what for what, *_ in SHOWN])
def test_it_says_who_it_is_or_why_not_and_never_the_token(
    desk: Desk, what: str, headers: list[str], code: int, said: list[str]
) -> None:
    done = desk.tries(*(word for header in headers for word in ("--header", header)))
    assert done.exit_code == code, done.output
    for sentence in said:
        assert sentence in done.stdout
    for header in headers:
        assert header.split()[-1] not in done.output


def test_keys_are_fetched_as_the_gate_fetches_them_and_leave_no_trace(desk: Desk) -> None:
    assert desk.tries("-H", f"Authorization: Bearer {ANN}").exit_code == 0
    assert desk.server.asked == ["/jwks"]
    assert not (desk.folder / "data").exists()


def test_keys_that_cannot_be_had_are_a_503_with_the_reason(desk: Desk) -> None:
    desk.server.behave = serving(b"", "500 Oops")
    done = desk.tries("-H", f"Authorization: Bearer {ANN}")
    assert done.exit_code == 1
    assert "✗ corp: key: no keys can be had: status 500" in done.stdout
    assert "Refused with 503 identity_keys_unavailable" in done.stdout


def test_keys_kept_from_the_last_time_serve_on_as_they_do_at_the_gate(desk: Desk) -> None:
    kept = desk.folder / "data" / "keys" / "jwks-corp.json"
    kept.parent.mkdir(parents=True)
    before = {"url": desk.server.url(), "fetched_at": time.time() - 60, "keys": json.loads(ONE)["keys"]}
    kept.write_text(json.dumps(before), encoding="utf-8")
    desk.server.behave = serving(b"", "500 Oops")
    done = desk.tries("-H", f"Authorization: Bearer {ANN}")
    assert done.exit_code == 0, done.output
    assert "? corp: keys: the keys cannot be fetched now (status 500); those kept from the last time" in done.stdout
    assert json.loads(kept.read_text("utf-8")) == before


def test_a_header_comes_by_standard_input_so_that_no_token_is_on_the_command_line(desk: Desk) -> None:
    done = desk.tries("--header", "@-", given=f"Authorization: Bearer {ANN}\n\nX-Other: 1\n")
    assert done.exit_code == 0, done.output
    assert ANN not in done.output


def test_the_called_apis_own_header_counts(desk: Desk) -> None:
    header = ["--header", f"x-api-key: {ANN}"]
    assert desk.tries(*header).exit_code == 1
    assert desk.tries(*header, "--provider", "anthropic").exit_code == 0


def test_the_listener_decides_whose_word_counts(desk: Desk) -> None:
    desk.settings({"name": "own", "kind": "own_token"}, mtls(desk.folder, ROOT))
    header = ["--header", f"Authorization: Bearer {ANN}"]
    first = desk.tries(*header)
    assert "As on 127.0.0.1:8080" in first.stderr
    assert "✗ own: issuer" in first.stdout
    assert "✗ people: certificate: no client certificate came" in first.stdout
    second = desk.tries(*header, "--listener", "127.0.0.1:8081")
    assert second.exit_code == 0
    assert "✗ own: listener: does not count on this listener" in second.stdout
    assert desk.tries(*header, "--listener", "8081").exit_code == 0


def test_a_certificate_is_tried_alone_or_beside_a_header(desk: Desk) -> None:
    desk.settings(mtls(desk.folder, ROOT))
    path = str(person(email("ann@example.com"), by=ROOT).written(desk.folder / "ann.pem"))
    alone = desk.tries("--certificate", path)
    assert (alone.exit_code, "✓ people: certificate: passes as ann@example.com" in alone.stdout) == (0, True)
    assert desk.tries("--certificate", path, "-H", f"Authorization: Bearer {ANN}").exit_code == 0
    bob = token(claims(sub="u-bob", email="bob@example.com"))
    other = desk.tries("--certificate", path, "-H", f"Authorization: Bearer {bob}")
    assert (other.exit_code, "400 conflicting_identity" in other.stdout) == (1, True)
    stranger = person(email("ann@example.com"), by=None).written(desk.folder / "eve.pem")
    refused = desk.tries("--certificate", str(stranger))
    assert (refused.exit_code, "✗ people: invalid_token: client certificate:" in refused.stdout) == (1, True)


def test_json_is_one_object_that_says_the_same(desk: Desk) -> None:
    good = json.loads(desk.tries("-H", f"Authorization: Bearer {ANN}", "--json").stdout)
    assert (good["listener"], good["provider"], good["refused"]) == ("127.0.0.1:8080", "openai", None)
    assert good["identified"]["email"] == "ann@example.com"
    assert good["identified"]["carriers"] == ["authorization"]
    assert all(check["passed"] for check in good["checks"])
    done = desk.tries("-H", f"Authorization: Bearer {LATE}", "--json")
    bad = json.loads(done.stdout)
    assert (done.exit_code, bad["identified"]) == (1, None)
    assert bad["refused"] == {
        "code": "expired_token",
        "status": 401,
        "message": "The identity token has expired.",
        "reason": "exp has passed",
    }


@pytest.mark.parametrize(
    ("arguments", "given", "said"),
    [
        ([], None, "There is nothing to look at"),
        (["-H", ANN], None, "A header is written as 'Name: value'"),
        (["-H", "@-"], f"{ANN}\n", "A header is written as 'Name: value'"),
        (["-H", "@-"], "\n", "There is no header on standard input"),
        (["-H", "a: b", "--provider", "nobody"], None, "There is no provider 'nobody'. There are: openai, anthropic"),
        (["-H", "a: b", "--listener", "1.2.3.4:1"], None, "There are: 127.0.0.1:8080, 127.0.0.1:8081"),
        (["--certificate", "config.yaml"], None, "holds no certificate"),
    ],
)
def test_wrong_use_is_said_in_one_sentence_without_the_token(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, arguments: list[str], given: str | None, said: str
) -> None:
    monkeypatch.chdir(desk.folder)
    done = desk.tries(*arguments, given=given)
    assert done.exit_code == 2
    assert said in done.stderr
    assert ANN not in done.output


def test_settings_that_cannot_be_used_are_said_to_be_so(desk: Desk) -> None:
    desk.settings({"name": "people", "kind": "mtls", "ca_file": str(desk.folder / "none.pem")})
    done = desk.tries("-H", f"Authorization: Bearer {ANN}")
    assert (done.exit_code, "identity.issuers[0].ca_file names" in done.stderr) == (2, True)


def test_on_a_laptop_it_says_that_such_a_call_passes_all_the_same(desk: Desk) -> None:
    desk.settings(profile="local")
    done = desk.tries("-H", "Authorization: Bearer sk-1")
    assert done.exit_code == 1
    assert "passes all the same, as the user of this machine" in done.stdout
