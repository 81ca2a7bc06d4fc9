"""What a browser may be told to keep, and where it may be sent."""

import pytest

from signin.cookie import cookie_name, cookie_set, cookie_value
from signin.own_path import own_path


@pytest.mark.parametrize(
    "given",
    [
        None, "", "exchanges", "//evil.example", "///evil.example", "/\\evil.example", "\\/evil.example", "/a\\b",
        "https://evil.example", "javascript:alert(1)", "/\t/evil.example", "/\n/evil.example", "/a\r\nset-cookie: x=y",
        "/\x00", "/" + "a" * 600, "/\u202eevil",
    ],
)  # fmt: skip
def test_nobody_is_led_to_another_site(given: str | None) -> None:
    assert own_path(given, "/home") == "/home"


@pytest.mark.parametrize("given", ["/", "/exchanges?q=a%20b&before=3", "/a//b", "/検索?q=関所", "/a#b"])
def test_a_page_of_ours_is_where_they_asked_to_go(given: str) -> None:
    assert own_path(given) == given


def test_over_https_no_other_host_can_set_our_cookies() -> None:
    assert cookie_name("sekisho", secure=True) == "__Host-sekisho"
    set_to = cookie_set("__Host-sekisho", "abc", secure=True, life=600)
    assert set_to == "__Host-sekisho=abc; Path=/; HttpOnly; SameSite=Lax; Secure; Max-Age=600"
    assert "Secure" not in cookie_set("sekisho", "abc", secure=False)


@pytest.mark.parametrize(
    ("header", "found"),
    [
        ("sekisho=abc", "abc"),
        ("a=b; sekisho=abc; c", "abc"),
        ('sekisho="abc"', "abc"),
        ("xsekisho=abc", None),
        ("sekisho", None),
        ("", None),
        ("sekisho=abc; sekisho=evil", None),
        ("sekisho=" + "a" * 5000, None),
        ("sekisho=a=b", "a=b"),
    ],
)
def test_a_cookie_that_came_twice_or_is_too_large_is_none(header: str, found: str | None) -> None:
    assert cookie_value(header, "sekisho") == found
