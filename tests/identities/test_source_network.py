"""The address of a connection as a proof: of whom the settings name there, where a listener says so, and no further."""

import pytest

from identities.refusal import IdentityRefused
from identities.source_network import neighbours
from identities.verifier import Verifier, verifier_from
from settings.issuers import SourceNetwork
from settings.reading import SettingsProblems, parse_settings
from tests.settings.test_reading import problems

SETTINGS = """
profile: gateway
listen: [{address: "127.0.0.1:8080", issuers: [lab, own]}, {address: "127.0.0.1:8081"}]
data_dir: DATA
identity:
  domains: [example.com]
  issuers:
    - {name: own, kind: own_token}
    - name: lab
      kind: source_network
      people:
        10.1.0.0/16: lab@example.com
        10.1.2.3: Ann@Example.com
        "2001:db8::/32": six@example.com
        10.9.0.1: eve@evil.test
"""
LAB = frozenset({"lab", "own"})


@pytest.fixture(scope="module")
def verifier(tmp_path_factory: pytest.TempPathFactory) -> Verifier:
    folder = tmp_path_factory.mktemp("data")
    settings = parse_settings(SETTINGS.replace("DATA", str(folder)))
    return verifier_from(settings.identity, data_dir=folder, profile="gateway")


@pytest.mark.parametrize(
    ("address", "issuers", "expected"),
    [
        ("10.1.7.7", LAB, "lab@example.com"),
        ("10.1.2.3", LAB, "ann@example.com"),  # the narrowest counts, in small letters
        ("::ffff:10.1.2.3", LAB, "ann@example.com"),
        ("2001:db8::5", LAB, "six@example.com"),
        ("10.2.0.1", LAB, None),
        ("2001:db9::5", LAB, None),
        ("", LAB, None),
        ("/run/x.sock", LAB, None),
        ("10.1.7.7", None, None),  # a listener that names nobody has not named it
        ("10.1.7.7", frozenset({"own"}), None),
    ],
)
def test_whoever_is_at_an_address_is_that_person_where_a_listener_says_so(
    verifier: Verifier, address: str, issuers: frozenset[str] | None, expected: str | None
) -> None:
    found = verifier.neighbour(address, issuers=issuers)
    assert (found.principal.email if found else None) == expected
    assert found is None or found.principal.issuer == "lab"


def test_the_domain_must_be_on_the_list_here_as_anywhere(verifier: Verifier) -> None:
    with pytest.raises(IdentityRefused) as refused:
        verifier.neighbour("10.9.0.1", issuers=LAB)
    assert refused.value.code == "domain_not_allowed"


def test_who_is_revoked_is_refused_here_as_anywhere(verifier: Verifier) -> None:
    verifier.revoke(people=frozenset({"lab@example.com"}))
    with pytest.raises(IdentityRefused, match="revoked"):
        verifier.neighbour("10.1.7.7", issuers=LAB)
    verifier.revoke()
    assert verifier.neighbour("10.1.7.7", issuers=LAB) is not None


@pytest.mark.parametrize(
    ("people", "said"),
    [
        ("{}", "is empty"),
        ("{0.0.0.0/0: a@example.com}", "which is everybody"),
        ('{"::/0": a@example.com}', "which is everybody"),
        ("{10.0.0.1/8: a@example.com}", "which is no address"),
        ("{printer: a@example.com}", "which is no address"),
        ("{10.0.0.1: printer}", "which is no e-mail address"),
        ("{10.0.0.1: a@example.com, 10.0.0.1/32: b@example.com}", "twice"),
    ],
)
def test_networks_that_could_not_be_meant_are_said(people: str, said: str) -> None:
    listen = "listen: [{address: '127.0.0.1:1', issuers: [lab]}]\n"
    entry = f"identity: {{issuers: [{{name: lab, kind: source_network, people: {people}}}]}}"
    assert said in "\n".join(problems(listen + entry))


def test_one_that_no_listener_names_counts_nowhere_and_that_is_said() -> None:
    with pytest.raises(SettingsProblems, match="no listener names it"):
        parse_settings(SETTINGS.replace("issuers: [lab, own]", "issuers: [own]"))


def test_the_narrowest_network_comes_first() -> None:
    people = {"10.0.0.0/8": "a@example.com", "10.1.1.1": "c@example.com", "10.1.0.0/16": "b@example.com"}
    entry = neighbours(SourceNetwork(name="lab", kind="source_network", people=people))
    assert [entry.at(one) for one in ("10.9.9.9", "10.1.9.9", "10.1.1.1")] == [
        "a@example.com",
        "b@example.com",
        "c@example.com",
    ]
