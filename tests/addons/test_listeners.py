"""Whose word counts is a matter of the listener: two may share a port, each with an address of its own."""

import pytest
from mitmproxy.proxy import mode_specs

from addons.listeners import issuers_at, issuers_by_listener
from lanes import pinned
from lanes.express import mode as _express  # noqa: F401 - registers the mode
from lanes.worker import mode_of
from settings.reading import parse_settings

SETTINGS = """
profile: gateway
listen:
  - {address: '127.0.0.1:8443', issuers: [corp]}
  - {address: '127.0.0.2:8443', issuers: [own]}
  - {address: '[::1]:8443', issuers: [own]}
  - {address: '127.0.0.3:8443'}
providers:
  openai: {upstream: 'https://api.openai.com'}
identity:
  domains: [example.com]
  issuers:
    - {name: own, kind: own_token}
    - {name: corp, kind: oidc, issuer: 'https://idp.example.com', audience: sekisho}
"""


@pytest.mark.parametrize(
    ("listener", "counts"), [(0, {"corp"}), (1, {"own"}), (2, {"own"}), (3, None)], ids=["corp", "own", "v6", "all"]
)
def test_listeners_that_share_a_port_keep_their_own_issuers(listener: int, counts: set[str] | None) -> None:
    settings = parse_settings(SETTINGS)
    address = settings.listen[listener].address
    mode = mode_specs.ProxyMode.parse(mode_of(settings.listen[listener], settings))
    caller = pinned.client(("127.0.0.1", 40000), (address.host, address.port), mode)

    assert issuers_at(caller, issuers_by_listener(settings.listen)) == counts
