"""One and the same call through every way in, and what its records have in common."""

from typing import Any

OF_ITS_OWN = {"id", "seq", "started_at", "timing", "thread_id", "hash", "prev_hash"}


def assert_equal_but_for_the_way(other: dict[str, Any], reverse: dict[str, Any]) -> None:
    """Field by field. Times and ids are each record's own; the address is of the connection: of the machine itself, of
    the tunnel's packets, of the captured program."""
    assert set(other) == set(reverse)
    for name in set(reverse) - OF_ITS_OWN - {"client"}:
        assert other[name] == reverse[name], name
    of_the_call = set(reverse["client"]) - {"mode", "address"}
    assert {name: other["client"][name] for name in of_the_call} == {
        name: reverse["client"][name] for name in of_the_call
    }
    assert reverse["end_state"] == "complete"
    assert reverse["response"]["choices"][0]["message"]["content"] == "天気は晴れ"
