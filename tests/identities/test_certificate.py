"""IDENTITY D15 and around it: whom a client certificate proves, alone and beside a token."""

import asyncio
import hashlib
import ssl
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.x509.oid import ExtensionOID

from identities.explain import explain
from identities.verifier import IdentityRefused, Verifier
from settings.issuers import client_authorities
from settings.schema import Identity
from tests.identities.certificates import authority as server_authority
from tests.identities.certificates import server_tls
from tests.identities.client_certificates import (
    ANY,
    CLIENT,
    SERVER,
    Holder,
    authority,
    email,
    mtls,
    person,
    uri,
)
from tests.identities.minting import NOW, answer, bearer, claims, corp, ec_key, rsa_key, token, verifier

ROOT = authority()
BETWEEN = authority("People CA", by=ROOT)
STRANGER = authority("Stranger CA")
IMPOSTOR = authority("Impostor", by=None)
ANN = email("ann@example.com")
SPIFFE = uri("spiffe://example.com/ns/ml/sa/train")
URIS = {"from": "uri", "map": {"spiffe://example.com/ns/ml/*": "ml@example.com"}}
DAY = 86400


def constrained(**names: Sequence[str]) -> Holder:
    def all_of(kind: str) -> list[x509.GeneralName] | None:
        return [email(one) for one in names[kind]] if kind in names else None

    return authority("Narrow CA", by=ROOT, constraints=x509.NameConstraints(all_of("permitted"), all_of("excluded")))


def by_narrow(narrow: Holder, *names: x509.GeneralName) -> list[Holder]:
    return [person(*(names or (ANN,)), by=narrow), narrow]


def junk_names(value: bytes) -> Holder:
    """A truly signed certificate whose alternative names are these bytes."""
    unread = x509.UnrecognizedExtension(ExtensionOID.SUBJECT_ALTERNATIVE_NAME, value)
    return person(by=ROOT, more=[(unread, False)])


def usage(**changed: Any) -> list[tuple[x509.ExtensionType, bool]]:
    names = (
        "digital_signature content_commitment key_encipherment data_encipherment key_agreement key_cert_sign crl_sign "
        "encipher_only decipher_only"
    )
    return [(x509.KeyUsage(**dict.fromkeys(names.split(), False) | changed), True)]


SHOWN: list[tuple[str, Callable[[], list[Holder]], str]] = [
    ("the usual", lambda: [person(ANN, by=ROOT)], "ann@example.com"),
    ("by an intermediate", lambda: [person(ANN, by=BETWEEN), BETWEEN], "ann@example.com"),
    ("with the root sent too", lambda: [person(ANN, by=BETWEEN), ROOT, BETWEEN], "ann@example.com"),
    ("with a stranger's CA beside it", lambda: [person(ANN, by=ROOT), STRANGER], "ann@example.com"),
    ("C6 capitals", lambda: [person(email("A.B+x@EXAMPLE.com"), by=ROOT)], "a.b+x@example.com"),
    ("for servers too", lambda: [person(ANN, by=ROOT, uses=(SERVER, CLIENT))], "ann@example.com"),
    ("a name in the SAN alone", lambda: [person(ANN, by=ROOT, common_name="")], "ann@example.com"),
    ("other kinds of names beside", lambda: [person(ANN, SPIFFE, x509.DNSName("x.test"), by=ROOT)], "ann@example.com"),
    ("without authorityKeyIdentifier", lambda: [person(ANN, by=ROOT, names_authority=False)], "ann@example.com"),
    ("RSA", lambda: [person(ANN, by=ROOT, key=rsa_key())], "ann@example.com"),
    ("with key usage", lambda: [person(ANN, by=ROOT, more=usage(digital_signature=True))], "ann@example.com"),
    ("D15 self-signed", lambda: [person(ANN, by=None)], "invalid_token"),
    ("D15 expired", lambda: [person(ANN, by=ROOT, days=(-2, -1))], "expired_token"),
    ("not yet valid", lambda: [person(ANN, by=ROOT, days=(1, 2))], "invalid_token"),
    ("D15 for servers alone", lambda: [person(ANN, by=ROOT, uses=(SERVER,))], "invalid_token"),
    ("for any use", lambda: [person(ANN, by=ROOT, uses=(ANY,))], "invalid_token"),
    ("for no use named", lambda: [person(ANN, by=ROOT, uses=())], "invalid_token"),
    ("D15 no alternative name", lambda: [person(by=ROOT)], "invalid_token"),
    ("an address in the common name", lambda: [person(by=ROOT, common_name="ann@example.com")], "invalid_token"),
    ("a host's name", lambda: [person(x509.DNSName("ann.example.com"), by=ROOT)], "invalid_token"),
    ("two addresses", lambda: [person(ANN, email("bob@example.com"), by=ROOT)], "invalid_token"),
    ("one address twice", lambda: [person(ANN, ANN, by=ROOT)], "invalid_token"),
    ("a CA that is not ours", lambda: [person(ANN, by=STRANGER), STRANGER], "invalid_token"),
    ("our CA's name on another key", lambda: [person(ANN, by=renamed(STRANGER, ROOT)), STRANGER], "invalid_token"),
    ("an intermediate not sent", lambda: [person(ANN, by=BETWEEN)], "invalid_token"),
    ("by another person", lambda: [person(ANN, by=person(ANN, by=ROOT)), person(ANN, by=ROOT)], "invalid_token"),
    ("a CA's own certificate", lambda: [BETWEEN], "invalid_token"),
    ("the root itself", lambda: [ROOT], "invalid_token"),
    ("an expired CA between", lambda: expired_between(), "invalid_token"),
    ("too deep", lambda: too_deep(), "invalid_token"),
    ("RSA-1024", lambda: [person(ANN, by=ROOT, key=rsa_key("short", 1024))], "invalid_token"),
    ("ten years", lambda: [person(ANN, by=ROOT, days=(-1, 3650))], "token_lifetime_too_long"),
    ("C1 a domain that is not ours", lambda: [person(email("ann@evilexample.com"), by=ROOT)], "domain_not_allowed"),
    ("C1 a sub-domain", lambda: [person(email("ann@sub.example.com"), by=ROOT)], "domain_not_allowed"),
    ("C2 two @", lambda: [person(email("ann@example.com@evil.test"), by=ROOT)], "domain_not_allowed"),
    ("C3 a NUL", lambda: [person(email("ann@example.com\0"), by=ROOT)], "invalid_token"),
    ("no local part", lambda: [person(email("example.com"), by=ROOT)], "domain_not_allowed"),
    ("a CA for our domain", lambda: by_narrow(constrained(permitted=["example.com"])), "ann@example.com"),
    ("a CA for another domain", lambda: by_narrow(constrained(permitted=["other.test"])), "invalid_token"),
    ("a CA for all but our domain", lambda: by_narrow(constrained(excluded=["example.com"])), "invalid_token"),
    ("a CA for one person", lambda: by_narrow(constrained(permitted=["bob@example.com"])), "invalid_token"),
    ("an alternative name that is junk", lambda: [junk_names(b"\xff\xff")], "invalid_token"),
    ("an empty alternative name", lambda: [junk_names(b"\x30\x00")], "invalid_token"),
    ("an address in Latin-1", lambda: [junk_names(b"\x30\x0f\x81\x0d\xe4nn@example.c")], "invalid_token"),
    ("a critical extension nobody knows", lambda: [person(ANN, by=ROOT, more=unknown())], "invalid_token"),
]


def renamed(holder: Holder, other: Holder) -> Holder:
    """One's key under the other's name."""
    return Holder(other.certificate, holder.key)


def expired_between() -> list[Holder]:
    old = authority("Old CA", by=ROOT, days=(-30, -1))
    return [person(ANN, by=old), old]


def too_deep() -> list[Holder]:
    last = authority("Last CA", by=ROOT, depth=0)
    below = authority("Below CA", by=last)
    return [person(ANN, by=below), below, last]


def unknown() -> list[tuple[x509.ExtensionType, bool]]:
    return [(x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.99999.1"), b"\x05\x00"), True)]


def shown(*holders: Holder) -> list[bytes]:
    return [one.der for one in holders]


@pytest.mark.parametrize(("what", "chain", "expected"), SHOWN, ids=[what for what, _, _ in SHOWN])
async def test_a_certificate_proves_one_person_or_nobody(
    tmp_path: Path, what: str, chain: Callable[[], list[Holder]], expected: str
) -> None:
    one = verifier(tmp_path, mtls(tmp_path, ROOT))
    for _ in range(2):  # what is remembered of the first must not change the second
        assert await answer(one, client_chain=shown(*chain())) == expected


@pytest.mark.parametrize(
    ("what", "names", "expected"),
    [
        ("mapped", [SPIFFE], "ml@example.com"),
        ("an address beside is not read", [SPIFFE, ANN], "ml@example.com"),
        ("of another name space", [uri("spiffe://example.com/ns/web/sa/x")], "subject_not_allowed"),
        ("of another trust domain", [uri("spiffe://evil.test/ns/ml/sa/train")], "subject_not_allowed"),
        ("two", [SPIFFE, uri("spiffe://example.com/ns/ml/sa/other")], "invalid_token"),
        ("none", [ANN], "invalid_token"),
    ],
)
async def test_a_uri_counts_by_the_map_alone(
    tmp_path: Path, what: str, names: list[x509.GeneralName], expected: str
) -> None:
    one = verifier(tmp_path, mtls(tmp_path, ROOT, **URIS))
    assert await answer(one, client_chain=shown(person(*names, by=ROOT))) == expected


REASONS: list[tuple[Callable[[], list[Holder]], str]] = [
    (lambda: [person(ANN, by=BETWEEN)], "are the intermediates sent along?"),
    (lambda: [person(ANN, by=ROOT, uses=(SERVER,))], "EKU clientAuth"),
    (lambda: [person(ANN, by=ROOT, uses=())], "EKU clientAuth"),
    (lambda: [person(by=ROOT)], "no subject alternative name"),
    (lambda: [person(ANN, ANN, by=ROOT)], "names of the kind e-mail address: 2, not one"),
    (lambda: [person(SPIFFE, by=ROOT)], "names of the kind e-mail address: 0, not one"),
    (lambda: by_narrow(constrained(permitted=["other.test"])), "may not certify this name"),
    (lambda: too_deep(), "longer than a CA on it allows"),
    (lambda: [BETWEEN], "it is a CA's own"),
    (lambda: expired_between(), "not valid at this time"),
    (lambda: [person(ANN, by=ROOT, key=rsa_key("short", 1024))], "too short"),
]


@pytest.mark.parametrize(("chain", "said"), REASONS, ids=[said for _, said in REASONS])
async def test_the_record_says_what_is_wrong_without_a_word_of_the_certificates(
    tmp_path: Path, chain: Callable[[], list[Holder]], said: str
) -> None:
    one = verifier(tmp_path, mtls(tmp_path, ROOT))
    with pytest.raises(IdentityRefused) as raised:
        one.certificate(shown(*chain()), now=NOW)
    assert said in raised.value.reason
    assert "CN=" not in raised.value.reason


@pytest.mark.parametrize(
    "chain",
    [
        [b""],
        [b"\x30"],
        [b"\x30\x80" + b"\0" * 64],
        [person(ANN, by=ROOT).der[:-1]],
        [person(ANN, by=ROOT).der + b"\0"],
        [person(ANN, by=ROOT).pem],
        [person(ANN, by=ROOT).der, b"junk"],
        [person(ANN, by=ROOT).der] * 9,
        [b"\x30" * 70_000],
    ],
)
async def test_what_is_no_certificate_is_refused_and_nothing_else(tmp_path: Path, chain: list[bytes]) -> None:
    assert await answer(verifier(tmp_path, mtls(tmp_path, ROOT)), client_chain=chain) == "invalid_token"


async def test_no_byte_of_a_certificate_can_be_changed(tmp_path: Path) -> None:
    one = verifier(tmp_path, mtls(tmp_path, ROOT))
    good = person(ANN, by=ROOT).der
    for i in range(len(good)):
        spoilt = bytearray(good)
        spoilt[i] ^= 0x21
        assert await answer(one, client_chain=[bytes(spoilt)]) in ("invalid_token", "expired_token"), i


def _one_verifier(folder: Path) -> Verifier:
    return verifier(folder, mtls(folder, ROOT), corp(folder))


ANN_TOKEN, BOB_TOKEN = token(), token(claims(sub="u-bob", email="bob@example.com"))
TOGETHER: list[tuple[str, list[tuple[bytes, bytes]], str]] = [
    ("a provider's key", [bearer("sk-own")], "ann@example.com"),
    ("no header", [], "ann@example.com"),
    ("a token of the same person", [bearer(ANN_TOKEN)], "ann@example.com"),
    ("a token of another person", [bearer(BOB_TOKEN)], "conflicting_identity"),
    ("a spoilt token", [bearer(ANN_TOKEN[:-4] + "AAAA")], "invalid_token"),
    ("a token of an issuer nobody named", [bearer(token(claims(iss="https://x.test")))], "ann@example.com"),
    ("two tokens", [bearer(ANN_TOKEN), bearer(ANN_TOKEN)], "duplicate_header"),
]


@pytest.mark.parametrize(("what", "fields", "expected"), TOGETHER, ids=[what for what, _, _ in TOGETHER])
async def test_a_certificate_and_a_token_are_one_person_or_a_conflict(
    tmp_path: Path, what: str, fields: list[tuple[bytes, bytes]], expected: str
) -> None:
    one = _one_verifier(tmp_path)
    chain = shown(person(ANN, by=ROOT))
    for _ in range(3):
        assert await answer(one, *fields, client_chain=chain) == expected
        again = one.recall(fields, client_chain=chain, now=NOW)
        assert again is None or again.principal.email == expected


@pytest.mark.parametrize("remembered", [False, True])
async def test_a_bad_certificate_is_not_made_good_by_a_token(tmp_path: Path, remembered: bool) -> None:
    one = _one_verifier(tmp_path)
    if remembered:
        assert await answer(one, bearer(ANN_TOKEN)) == "ann@example.com"
        assert one.recall([bearer(ANN_TOKEN)], now=NOW) is not None
    chain = shown(person(ANN, by=None))
    assert one.recall([bearer(ANN_TOKEN)], client_chain=chain, now=NOW) is None
    assert await answer(one, bearer(ANN_TOKEN), client_chain=chain) == "invalid_token"


async def test_a_certificate_counts_only_where_its_issuer_does(tmp_path: Path) -> None:
    one = _one_verifier(tmp_path)
    chain, tokens, people = shown(person(ANN, by=ROOT)), frozenset({"corp"}), frozenset({"people"})
    assert await answer(one, client_chain=chain, issuers=people) == "ann@example.com"
    assert await answer(one, client_chain=chain, issuers=tokens) == "missing_identity"
    assert await answer(one, bearer(BOB_TOKEN), client_chain=chain, issuers=tokens) == "bob@example.com"
    assert one.recall([bearer(BOB_TOKEN)], client_chain=chain, issuers=tokens, now=NOW) is not None
    assert await answer(one, bearer(BOB_TOKEN), client_chain=chain, issuers=people) == "ann@example.com"
    with pytest.raises(IdentityRefused) as raised:
        one.certificate(chain, issuers=tokens, now=NOW)
    assert raised.value.code == "missing_identity"


async def test_of_two_authorities_the_one_that_signed_it_says_who(tmp_path: Path) -> None:
    services = mtls(tmp_path, STRANGER, name="services", **URIS)
    one = verifier(tmp_path, services, mtls(tmp_path, ROOT))
    found = one.certificate(shown(person(ANN, SPIFFE, by=ROOT)), now=NOW)
    assert (found.principal.email, found.principal.issuer) == ("ann@example.com", "people")
    found = one.certificate(shown(person(ANN, SPIFFE, by=STRANGER)), now=NOW)
    assert (found.principal.email, found.principal.issuer) == ("ml@example.com", "services")
    assert await answer(one, client_chain=shown(person(email("x@evil.test"), by=ROOT))) == "domain_not_allowed"


async def test_a_certificate_is_verified_once_and_remembered_until_it_or_a_ca_on_its_way_ends(tmp_path: Path) -> None:
    soon = authority("Short CA", by=ROOT, days=(-1, 2))
    one = verifier(tmp_path, mtls(tmp_path, ROOT))
    holder = person(ANN, by=soon, days=(-1, 30))
    found = one.certificate(shown(holder, soon), now=NOW)
    assert found.expires_at == int(NOW) + 2 * DAY
    assert (found.header, found.carriers) == (b"", ())
    assert one.certificate(shown(holder), now=NOW + DAY) is found, "known by its own fingerprint"
    assert await answer(one, client_chain=shown(holder, soon), now=NOW + 2 * DAY + 1) == "invalid_token"
    assert await answer(one, client_chain=shown(holder, soon), now=NOW + 31 * DAY) == "expired_token"


async def test_what_a_stranger_sends_is_not_remembered(tmp_path: Path) -> None:
    one = verifier(tmp_path, mtls(tmp_path, ROOT))
    holder = person(ANN, by=BETWEEN)
    assert await answer(one, client_chain=shown(holder)) == "invalid_token"
    assert await answer(one, client_chain=shown(holder, BETWEEN)) == "ann@example.com"


async def test_both_proofs_end_with_the_one_that_ends_first(tmp_path: Path) -> None:
    one = _one_verifier(tmp_path)
    chain = shown(person(ANN, by=ROOT))
    alone = await one.identify([bearer(ANN_TOKEN)], now=NOW)
    found = await one.identify([bearer(ANN_TOKEN)], client_chain=chain, now=NOW)
    assert found.expires_at == alone.expires_at
    assert found.carriers == (b"authorization",)


async def test_a_certificate_is_revoked_by_its_fingerprint_or_its_name(tmp_path: Path) -> None:
    one = verifier(tmp_path, mtls(tmp_path, ROOT))
    lost, kept = person(ANN, by=ROOT), person(ANN, by=ROOT, key=ec_key("new"))
    assert await answer(one, client_chain=shown(lost)) == "ann@example.com"
    one.revoke(tokens=frozenset({hashlib.sha256(lost.der).hexdigest()}))
    assert await answer(one, client_chain=shown(lost)) == "invalid_token"
    assert await answer(one, client_chain=shown(kept)) == "ann@example.com"
    one.revoke(people=frozenset({"ann@example.com"}))
    assert await answer(one, client_chain=shown(kept)) == "invalid_token"


async def test_a_refusal_is_counted_once(tmp_path: Path) -> None:
    one = verifier(tmp_path, mtls(tmp_path, ROOT))
    await answer(one, client_chain=shown(person(ANN, by=None)))
    assert one.refusals == {"invalid_token": 1}
    assert one.key_states == {"people": "ready"}


async def test_a_key_of_a_kind_that_the_profile_lacks_is_refused_not_a_fault(tmp_path: Path) -> None:
    one = verifier(tmp_path, mtls(tmp_path, ROOT))
    edwards = person(ANN, by=ROOT, key=ed25519.Ed25519PrivateKey.generate())
    assert await answer(one, client_chain=shown(edwards)) in ("ann@example.com", "invalid_token")


# -- settings ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "cannot be read: No such file or directory"),
        (b"", "holds no certificates"),
        (b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "holds no certificates"),
        (person(ANN, by=ROOT).pem, "is no CA's"),
        (ROOT.pem + person(ANN, by=ROOT).pem, "is no CA's"),
    ],
)
def test_a_file_that_holds_no_authorities_is_named_at_the_start(
    tmp_path: Path, content: bytes | None, said: str
) -> None:
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ValueError) as raised:
        verifier(tmp_path, {"name": "people", "kind": "mtls", "ca_file": str(path)})
    assert f"identity.issuers[0].ca_file names {path}, which " in str(raised.value)
    assert said in str(raised.value)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"from": "uri"}, "Add a map"),
        ({"from": "cn"}, "'email' or 'uri'"),
        ({"from": "uri", "map": {"spiffe://example*": "ml@example.com"}}, "Name what stands before the path"),
        ({"from": "uri", "map": {"*": "ml@example.com"}}, "which is everybody"),
        ({"header": "X-Cert"}, "Extra inputs are not permitted"),
        ({"named_by": "uri"}, "Extra inputs are not permitted"),
    ],
)
def test_settings_that_would_let_too_much_in_are_refused(changed: dict[str, Any], said: str) -> None:
    issuer = {"name": "people", "kind": "mtls", "ca_file": "ca.pem"} | changed
    with pytest.raises(ValueError) as raised:
        Identity.model_validate({"domains": ["example.com"], "issuers": [issuer]})
    assert said in str(raised.value)


def test_a_listener_asks_for_certificates_of_the_authorities_that_count_there(tmp_path: Path) -> None:
    issuers = Identity.model_validate(
        {"issuers": [mtls(tmp_path, ROOT), mtls(tmp_path, STRANGER, name="guests"), {"name": "o", "kind": "own_token"}]}
    ).issuers
    people, guests = tmp_path / "people.pem", tmp_path / "guests.pem"
    assert client_authorities(issuers, None) == (people, guests)
    assert client_authorities(issuers, ("o", "guests")) == (guests,)
    assert client_authorities(issuers, ("o",)) == ()


def test_explain_says_that_the_entry_takes_no_token(tmp_path: Path) -> None:
    identity = Identity.model_validate({"domains": ["example.com"], "issuers": [mtls(tmp_path, ROOT)]})
    (_, check) = explain(ANN_TOKEN, identity, tmp_path, NOW)
    assert (check.issuer, check.passed, check.said) == ("people", False, "takes a client certificate, no token")


# -- the handshake ----------------------------------------------------------------------------------------------------


@pytest.mark.skipif(sys.version_info < (3, 13), reason="before 3.13 `ssl` gives the leaf alone")
async def test_what_a_handshake_leaves_behind_is_what_the_verifier_takes(tmp_path: Path) -> None:
    """OpenSSL asks for a certificate, checks it against the same file, and hands the whole chain over."""
    trusted = server_authority(tmp_path)
    settings = mtls(tmp_path, ROOT)
    listening = server_tls(tmp_path, "localhost")
    listening.verify_mode = ssl.CERT_OPTIONAL
    listening.load_verify_locations(settings["ca_file"])
    chains: list[list[bytes]] = []

    async def met(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        secured = writer.get_extra_info("ssl_object")
        chains.append(secured.get_unverified_chain() if secured.getpeercert(binary_form=True) else [])
        writer.close()

    calling = ssl.create_default_context(cafile=str(trusted))
    server = await asyncio.start_server(met, "127.0.0.1", 0, ssl=listening)
    port = server.sockets[0].getsockname()[1]
    for certificate in (None, person(ANN, by=BETWEEN).written(tmp_path / "ann.pem", BETWEEN)):
        if certificate is not None:
            calling.load_cert_chain(certificate)
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=calling, server_hostname="localhost")
        await reader.read()
        writer.close()
        await writer.wait_closed()
    server.close()
    await server.wait_closed()

    nobody, ann = chains
    one = verifier(tmp_path, settings)
    assert nobody == []
    assert len(ann) == 2
    assert one.certificate(ann, now=NOW).principal.email == "ann@example.com"
