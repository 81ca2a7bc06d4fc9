"""A client certificate from the handshake to the record, on both lanes."""

import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import openai
import pytest

from tests.identities.certificates import authority as server_authority
from tests.identities.certificates import server_tls
from tests.identities.client_certificates import SERVER, Holder, authority, email, person
from tests.identities.minting import claims, jwks, public_jwk, rsa_key, token
from tests.journeys.instance import PROVIDER_KEY, Instance
from tests.journeys.provider import Provider, completion, streamed
from tests.ports import free_port

ROOT = authority()
BETWEEN = authority("People CA", by=ROOT)
STRANGER = authority("Stranger CA")
ANN = email("ann@example.com")
ANNS = person(ANN, by=ROOT)

_MORE = """
identity:
  domains: [example.com]
  issuers:
    - {{name: people, kind: mtls, ca_file: '{ca}'}}
    - {{name: corp, kind: oidc, issuer: 'https://idp.example.com', audience: sekisho, jwks_file: '{keys}'}}
policies:
  rules: [{{name: everyone}}]
"""


@dataclass
class Gate:
    """A gateway that asks for certificates on one port, and on another takes tokens alone."""

    instance: Instance
    provider: Provider
    tokens_only: str
    trusted: Path
    folder: Path

    def shows(self, *holders: Holder) -> ssl.SSLContext:
        """A caller's side of TLS, who shows this certificate and its intermediates; none: no certificate."""
        context = ssl.create_default_context(cafile=str(self.trusted))
        if holders:
            context.load_cert_chain(holders[0].written(self.folder / "shown.pem", *holders[1:]))
        return context

    def asks(self, *holders: Holder, url: str | None = None, key: str = "-") -> httpx2.Response:
        body = {"model": "gpt-4o", "messages": []}
        with httpx2.Client(verify=self.shows(*holders), timeout=20) as client:
            return client.post(
                f"{url or self.instance.url}/v1/chat/completions", json=body, headers={"authorization": f"Bearer {key}"}
            )

    def record_of(self, answer: httpx2.Response) -> dict[str, Any]:
        """The record of a refusal, by the id that the caller was given."""
        number = answer.headers["x-request-id"]
        found: list[dict[str, Any]] = []

        def there() -> bool:
            found[:] = [one for one in self.instance.records() if one["id"].replace("-", "") == number]
            return bool(found)

        self.instance.wait_until(there)
        return found[0]


@pytest.fixture(scope="module", params=["express", "mitm"])
def gate(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gate]:
    folder = tmp_path_factory.mktemp("gate")
    trusted = server_authority(folder)
    server_tls(folder, "localhost")
    shown = folder / "localhost.pem"
    (folder / "people.pem").write_bytes(ROOT.pem)
    (folder / "keys.json").write_bytes(jwks(public_jwk(rsa_key(), "k1")))
    more = _MORE.format(ca=folder / "people.pem", keys=folder / "keys.json")
    with Provider(completion("Hello")) as provider:
        instance = Instance(folder, provider.url, profile="gateway", lane=request.param, more=more, tls=shown)
        other = free_port()
        written = instance.config.read_text("utf-8")
        line = next(line for line in written.splitlines() if "address:" in line)
        second = f"  - {{address: '127.0.0.1:{other}', tls: {{cert: '{shown}', key: '{shown}'}}, issuers: [corp]}}"
        instance.config.write_text(written.replace(line, f"{line}\n{second}"), encoding="utf-8")
        with instance:
            yield Gate(instance, provider, f"https://localhost:{other}", trusted, folder)


def test_who_shows_a_certificate_passes_and_is_the_records_principal(gate: Gate) -> None:
    with openai.OpenAI(
        base_url=f"{gate.instance.url}/v1",
        api_key="-",
        max_retries=0,
        http_client=openai.DefaultHttpxClient(verify=gate.shows(ANNS)),
    ) as sdk:
        for _ in range(2):  # on one connection: the second is a look-up
            said = sdk.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "Hi"}])
            assert said.choices[0].message.content
    assert {one.header("authorization") for one in gate.provider.received} == {f"Bearer {PROVIDER_KEY}"}
    by_sdk: list[dict[str, Any]] = []

    def both_there() -> bool:
        by_sdk[:] = [r for r in gate.instance.records() if (r["client"]["user_agent"] or "").startswith("OpenAI/")]
        return len(by_sdk) == 2

    gate.instance.wait_until(both_there)
    principal = by_sdk[0]["principal"]
    assert (principal["email"], principal["domain"], principal["issuer"]) == (
        "ann@example.com",
        "example.com",
        "people",
    )


def test_intermediates_that_the_caller_sends_along_lead_to_the_ca(gate: Gate) -> None:
    for _ in range(3):  # new connections: a session taken up again would lack the intermediate
        assert gate.asks(person(ANN, by=BETWEEN), BETWEEN).status_code == 200


REFUSED = [
    ("none", [], 401, "missing_identity"),
    ("expired", [person(ANN, by=ROOT, days=(-3, -1))], 401, "expired_token"),
    ("for no use", [person(ANN, by=ROOT, uses=())], 401, "invalid_token"),
    ("no alternative name", [person(by=ROOT)], 401, "invalid_token"),
    ("two addresses", [person(ANN, email("bob@example.com"), by=ROOT)], 401, "invalid_token"),
    ("another domain's", [person(email("eve@evil.test"), by=ROOT)], 403, "domain_not_allowed"),
    ("for too long", [person(ANN, by=ROOT, days=(-1, 900))], 401, "token_lifetime_too_long"),
]


@pytest.mark.parametrize(("what", "shown", "status", "code"), REFUSED, ids=[what for what, *_ in REFUSED])
def test_what_proves_nobody_is_answered_recorded_and_not_forwarded(
    gate: Gate, what: str, shown: list[Holder], status: int, code: str
) -> None:
    before = len(gate.provider.received)
    answer = gate.asks(*shown)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    record = gate.record_of(answer)
    assert (record["end_state"], record["decision"]["code"], record["principal"]) == ("refused", code, None)
    if what != "none":
        assert record["decision"]["reason"]
    assert len(gate.provider.received) == before


FOREIGN = [
    ("of another CA", [person(ANN, by=STRANGER)]),
    ("self-signed", [person(ANN, by=None)]),
    ("for servers", [person(ANN, by=ROOT, uses=(SERVER,))]),
    ("without its intermediate", [person(ANN, by=BETWEEN)]),
]


@pytest.mark.parametrize(("what", "shown"), FOREIGN, ids=[what for what, _ in FOREIGN])
def test_what_the_ca_never_signed_ends_in_the_handshake(gate: Gate, what: str, shown: list[Holder]) -> None:
    before = len(gate.provider.received)
    with pytest.raises((httpx2.ConnectError, httpx2.ReadError, httpx2.WriteError, httpx2.RemoteProtocolError)):
        gate.asks(*shown)
    assert len(gate.provider.received) == before
    assert gate.asks(ANNS).status_code == 200, what


def test_a_chain_that_cannot_be_read_is_turned_away_and_does_not_look_like_none(gate: Gate) -> None:
    """OpenSSL takes a certificate of a version that does not exist (RFC 5280 §4.1.2.1); we cannot read it."""
    unreadable = STRANGER.der.replace(b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x07", 1)
    path = ANNS.written(gate.folder / "odd.pem")
    path.write_bytes(path.read_bytes() + ssl.DER_cert_to_PEM_cert(unreadable).encode())
    context = gate.shows()
    context.load_cert_chain(path)
    before = len(gate.provider.received)
    with httpx2.Client(verify=context, timeout=20) as client:
        answer = client.post(
            f"{gate.instance.url}/v1/chat/completions",
            json={"model": "gpt-4o", "messages": []},
            headers={"authorization": f"Bearer {token()}"},
        )
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "bad_request")
    assert len(gate.provider.received) == before


def test_a_certificate_beside_a_token_must_be_of_the_same_person(gate: Gate) -> None:
    assert gate.asks(ANNS, key=token()).status_code == 200
    other = gate.asks(ANNS, key=token(claims(sub="u-bob", email="bob@example.com")))
    assert (other.status_code, other.json()["error"]["code"]) == (400, "conflicting_identity")
    assert gate.asks(key=token()).status_code == 200, "without a certificate a token is enough"
    spoilt = gate.asks(person(ANN, by=ROOT, uses=()), key=token())
    assert (spoilt.status_code, spoilt.json()["error"]["code"]) == (401, "invalid_token")


def test_a_listener_for_tokens_alone_asks_for_no_certificate(gate: Gate) -> None:
    answer = gate.asks(ANNS, url=gate.tokens_only)
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "missing_identity")
    bobs = gate.asks(ANNS, url=gate.tokens_only, key=token(claims(sub="u-bob", email="bob@example.com")))
    assert bobs.status_code == 200


def test_a_stream_passes_over_tls_as_it_came(gate: Gate) -> None:
    usual, told = gate.provider.answer, streamed(["なる", "ほど"] * 50)
    gate.provider.answer = told
    body = {"model": "gpt-4o", "messages": [], "stream": True}
    with httpx2.Client(verify=gate.shows(ANNS)) as client:
        answer = client.post(f"{gate.instance.url}/v1/chat/completions", json=body)
    gate.provider.answer = usual
    assert answer.status_code == 200
    assert answer.content == b"".join(told.chunks)
