"""Whose page asks, by what browsers say and pages cannot change."""

import pytest

from wire.same_site import strange_name, strange_page

OURS = ["https://chat.example.com"]


@pytest.mark.parametrize(
    ("fields", "strange"),
    [
        ({}, False),  # no browser
        ({"Origin": "https://evil.example"}, True),
        ({"Origin": "http://127.0.0.1.evil.example"}, True),
        ({"Origin": "null"}, True),  # a sandboxed frame of anybody's
        ({"Origin": ""}, True),
        ({"Origin": "http://[broken"}, True),
        ({"origin": "https://chat.example.com"}, False),  # of the settings
        ({"Origin": "https://chat.example.com.evil.example"}, True),
        ({"Origin": "http://localhost:3000", "Sec-Fetch-Site": "cross-site"}, False),
        ({"Origin": "http://127.0.0.1:8080"}, False),
        ({"Origin": "http://[::1]:5173"}, False),
        ({"Origin": "vscode-webview://0abc"}, False),  # a program's
        ({"Sec-Fetch-Site": "cross-site"}, True),  # <img src>, by a site
        ({"Sec-Fetch-Site": "same-site"}, True),
        ({"Sec-Fetch-Site": "none"}, False),  # a person typed it
        ({"Sec-Fetch-Site": "same-origin"}, False),
    ],
)
def test_a_web_sites_page_is_told_from_this_machines_own(fields: dict[str, str], strange: bool) -> None:
    sent = [(name.encode(), value.encode()) for name, value in fields.items()]
    assert (strange_page(sent, OURS) is not None) is strange


@pytest.mark.parametrize(
    ("authority", "strange"),
    [
        ("127.0.0.1:8080", False),
        ("127.1:8080", False),
        ("[::1]:8080", False),
        ("localhost:8080", False),
        ("llm.localhost", False),
        ("sekisho:8080", False),  # a container's name
        ("host.docker.internal:8080", False),
        ("anns-mac.local:8080", False),
        ("", False),
        ("evil.example:8080", True),
        ("127.0.0.1.evil.example", True),
        ("evil.example.", True),
        ("[broken", True),
    ],
)
def test_a_name_of_the_public_dns_is_told_from_this_machines(authority: str, strange: bool) -> None:
    assert strange_name(authority) is strange
