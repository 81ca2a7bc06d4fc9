"""Whom a caller says it speaks for is told beside who it is, and never in its place."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from storage.sqlite.claimed import claimed_user
from storage.sqlite.reading import AuditReader
from tests.cli.records import record, store


@pytest.mark.parametrize(
    ("request_body", "claimed"),
    [
        ({"user": "bob"}, "bob"),
        ({"safety_identifier": "b0b"}, "b0b"),
        ({"metadata": {"user_id": "user_b0b"}}, "user_b0b"),
        ({"user": "bob", "safety_identifier": "b0b"}, "bob"),
        ({"user": "", "safety_identifier": "b0b"}, "b0b"),
        ({"user": "花子"}, "花子"),
        ({"user": 7, "metadata": "x"}, None),
        ({"user": None}, None),
        ({"messages": [{"user": "bob"}]}, None),
        ({}, None),
        ([1], None),
        ("bob", None),
    ],
    ids=str,
)
def test_the_claim_is_what_the_apis_have_a_field_for(request_body: Any, claimed: str | None) -> None:
    assert claimed_user(json.dumps(request_body).encode()) == claimed
    assert claimed_user(msgspec.Raw(json.dumps(request_body).encode())) == claimed


@pytest.mark.parametrize("raw", [None, b"", b"{", b"\xff", b'{"user": "\xff"}', b'{"user": ' + b"[" * 100_000])
def test_what_is_no_object_claims_nothing(raw: bytes | None) -> None:
    assert claimed_user(raw) is None


def test_the_record_tells_the_claim_and_the_proven_identity_apart(tmp_path: Path) -> None:
    store(tmp_path, record({"model": "m", "user": "bob@example.com"}, {"n": 1}))
    reader = AuditReader(tmp_path)
    ((_, line),) = reader.export()
    reader.close()
    found = json.loads(line)
    assert found["claimed_user"] == "bob@example.com"
    assert found["principal"]["email"] == "ann@example.com"
