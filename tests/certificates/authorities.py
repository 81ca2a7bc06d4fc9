"""Authorities as the tests make them."""

from datetime import UTC, datetime

from certificates.authority import Authority, make_authority

NOW = datetime.now(UTC)


def limited_to(*hosts: str, days: float = 730) -> Authority:
    return make_authority(hosts, node="test", now=NOW, days=days)


def unlimited() -> Authority:
    return make_authority(None, node="test", now=NOW)
