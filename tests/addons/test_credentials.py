"""What of an address may be kept."""

import time

import pytest

from addons.credentials import shown_path, shown_query

TOKEN = "eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJhbm4ifQ.c2lnbmF0dXJl"


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        (None, None),
        ("limit=1&after=x", "limit=1&after=x"),
        ("key=AIza1&alt=sse", "key=…&alt=sse"),
        ("%6Bey=AIza1", "%6Bey=…"),
        ("KEY=AIza1", "KEY=…"),
        ("client_secret=a&password=b&code=c", "client_secret=…&password=…&code=…"),
        ("X-Amz-Signature=a&X-Amz-Date=c", "X-Amz-Signature=…&X-Amz-Date=c"),
        ("x-amz-security-token=b", "x-amz-security-token=…"),
        ("subscription-key=a", "subscription-key=…"),
        (f"x={TOKEN}&y=1", "x=…&y=1"),
        (TOKEN, "…"),
        ("key", "key"),
        ("q=a=b&&", "q=a=b&&"),
    ],
)  # fmt: skip
def test_secrets_in_a_query_are_not_shown(query: str | None, shown: str | None) -> None:
    assert shown_query(query) == shown


def test_a_token_in_a_path_is_not_shown() -> None:
    assert shown_path(f"/v1/x/{TOKEN}/y") == "/v1/x/…/y"
    assert shown_path("/v1/models/eyJ-4o.mini") == "/v1/models/eyJ-4o.mini"
    assert shown_path(f"/v1/a.b.x{TOKEN}.more/y") == "/v1/a.b.x…/y"
    assert shown_path(f"/v1/eyJ.{TOKEN}") == "/v1/eyJ.…"


@pytest.mark.parametrize("piece", ["eyJ", "eyJ.", "eyJaaaaaaaa.", "eyJaaaaaaaa.bbbbbbb/"])
def test_a_long_path_is_looked_through_once(piece: str) -> None:
    """Of 64 KB, which anybody may send: a second look from every letter would hold everybody up for a second."""
    path = "/" + piece * (65536 // len(piece))
    began = time.process_time()
    shown_path(path)

    assert time.process_time() - began < 0.2
