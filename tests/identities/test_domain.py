"""IDENTITY C: e-mail addresses and domains."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from identities.domain import Admission
from identities.issuer import Person
from identities.refusal import IdentityRefused
from settings.domains import domain_problem, mail_parts

HERE = Admission(frozenset({"example.com"}))


def admitted(email: Any, here: Admission = HERE) -> str:
    try:
        return here.principal(Person("u-1", email), {}, "corp").email or "no address"
    except IdentityRefused as refused:
        return refused.code


def mapped(person: Person, mapping: dict[str, str]) -> object:
    try:
        found = HERE.principal(person, mapping, "corp")
    except IdentityRefused as refused:
        return refused.code
    return found.email, found.domain


NOT_OURS: list[Any] = [
    "a@evilexample.com",
    "a@example.com.evil.org",
    "a@sub.example.com",
    "a@example.com@evil.org",
    '"a@b"@example.com',
    "a@evil.org,b@example.com",
    "a@example.com\0",
    "a@example.com\n",
    "a@example.com ",
    " a@example.com",
    "a@example.com.",
    "a@exаmple.com",
    "a@ｅxample.com",
    "a@example。com",
    "a@examp\u212ae.com",
    "a\u202e@example.com",
    "é@example.com",
    "a@xn--exmple-4nf.com",
    "A <a@example.com>",
    "<a@example.com>",
    "a@[127.0.0.1]",
    "a@1.2.3.4",
    "a@com",
    "a@-example.com",
    "a@example-.com",
    "a@example.com:443",
    "a@example.com/",
    "a@example.com%00.evil.org",
    "a@example..com",
    "@example.com",
    "a@",
    "a",
    "",
    "a..b@example.com",
    ".a@example.com",
    "a.@example.com",
    "a b@example.com",
    "a" * 65 + "@example.com",
    "a@" + "b" * 300 + ".com",
    1,
    True,
    ["a@example.com"],
    {},
]


@pytest.mark.parametrize("email", NOT_OURS, ids=repr)
def test_an_address_that_is_not_exactly_of_the_domain_is_refused(email: Any) -> None:
    assert admitted(email) == "domain_not_allowed"


@pytest.mark.parametrize(
    ("email", "known_as"),
    [
        ("a@example.com", "a@example.com"),
        ("A.B+x@EXAMPLE.com", "a.b+x@example.com"),
        ("=cmd|x@example.com", "=cmd|x@example.com"),
        ("a'--@example.com", "a'--@example.com"),
    ],
)
def test_an_address_of_the_domain_passes_in_lower_case(email: str, known_as: str) -> None:
    assert admitted(email) == known_as


def test_no_address_and_no_mapping_is_refused() -> None:
    assert admitted(None) == "subject_not_allowed"


@pytest.mark.parametrize(
    ("email", "expected"),
    [
        ("a@sub.example.com", "a@sub.example.com"),
        ("a@example.com", "a@example.com"),
        ("a@evilexample.com", "domain_not_allowed"),
    ],
)
def test_sub_domains_pass_only_when_asked_for(email: str, expected: str) -> None:
    assert admitted(email, Admission(frozenset({"example.com"}), subdomains=True)) == expected


def test_a_company_with_a_name_of_its_own_letters_writes_it_as_dns_knows_it() -> None:
    here = Admission(frozenset({"xn--mnchen-3ya.de"}))
    assert admitted("a@xn--mnchen-3ya.de", here) == "a@xn--mnchen-3ya.de"
    assert admitted("a@münchen.de", here) == "domain_not_allowed"


@pytest.mark.parametrize(
    ("person", "mapping", "expected"),
    [
        (Person("svc-1"), {"svc-1": "svc@example.com"}, ("svc@example.com", "example.com")),
        (Person("svc-1"), {"svc-*": "example.com"}, (None, "example.com")),
        (Person("SVC-1"), {"svc-*": "example.com"}, "subject_not_allowed"),
        (Person("svc-1"), {"svc-*": "evil.org"}, "domain_not_allowed"),
        (Person("u", groups=("eng",)), {"group:eng": "example.com"}, (None, "example.com")),
        (Person("eng", groups=()), {"group:eng": "example.com"}, "subject_not_allowed"),
        (Person("group:eng"), {"group:eng": "example.com"}, "subject_not_allowed"),
        (Person("u", "a@evil.org", names=("bot",)), {"bot": "bot@example.com"}, ("bot@example.com", "example.com")),
        (Person("u", "a@example.com", ("email_not_verified", "")), {"x": "example.com"}, "email_not_verified"),
        (Person("u", "example.com"), {}, "domain_not_allowed"),
    ],
)
def test_services_pass_by_explicit_mapping_only(person: Person, mapping: dict[str, str], expected: object) -> None:
    assert mapped(person, mapping) == expected


@pytest.mark.parametrize(
    "domain",
    [
        "example.com.",
        "*.com",
        "*.example.com",
        "com",
        "co.uk",
        "github.io",
        "",
        " ",
        "EXAMPLE.com ",
        "EXAMPLE.com",
        ".example.com",
        "a@example.com",
        "münchen.de",
        "exa mple.com",
        "1.2.3.4",
        "example..com",
        "-a.com",
        "a" * 64 + ".de",
    ],
)
def test_a_domain_that_would_admit_strangers_refuses_to_start(domain: str) -> None:
    assert domain_problem(domain)


@pytest.mark.parametrize(
    "domain", ["example.com", "example.co.uk", "sales.example", "corp.internal", "xn--mnchen-3ya.de"]
)
def test_a_companys_own_domain_is_no_problem(domain: str) -> None:
    assert domain_problem(domain) is None


@given(st.text(), st.sampled_from(["@", ""]), st.sampled_from(["example.com", "EXAMPLE.COM", ""]))
def test_what_passes_ends_in_the_domain_and_has_one_at(before: str, at: str, after: str) -> None:
    parts = mail_parts(before + at + after)
    if parts is not None:
        written = (before + at + after).lower()
        assert written == "@".join(parts)
        assert written.isascii()
        assert written.isprintable()
