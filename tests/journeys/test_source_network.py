"""A machine that can show nothing passes as whom the settings name at its address, all others as who they prove."""

from collections import Counter
from pathlib import Path

import httpx2
import pytest

from tests.journeys.forwarding import ASKED, HOST, ForwardInstance
from tests.journeys.instance import PROVIDER_KEY
from tests.journeys.provider import Provider, completion
from tests.ports import free_port

MORE = """
identity:
  domains: [example.com]
  issuers:
    - {name: own, kind: own_token}
    - {name: lab, kind: source_network, people: {127.0.0.1: lab@example.com}}
policies:
  rules: [{name: everyone}]
"""


@pytest.mark.parametrize("lane", ["express", "mitm"])
def test_an_address_counts_where_it_is_named_and_after_every_other_proof(
    tmp_path: Path, provider: Provider, lane: str
) -> None:
    provider.answer = completion("Hello")
    strict = free_port()
    named = ", issuers: [own, lab]"
    instance = ForwardInstance(tmp_path, provider.url, profile="gateway", lane=lane, more=MORE, listener=named)
    text = instance.config.read_text(encoding="utf-8")
    own = f"  - {{address: '127.0.0.1:{instance.port}'}}\n"
    assert own in text
    text = text.replace(
        own, f"  - {{address: '127.0.0.1:{instance.port}'{named}}}\n  - {{address: '127.0.0.1:{strict}'}}\n"
    )
    instance.config.write_text(text, encoding="utf-8")
    with instance:
        ann = {"authorization": f"Bearer {instance.mint('ann@example.com')}"}

        def asks(base: str, headers: dict[str, str] | None = None) -> int:
            return httpx2.post(f"{base}/v1/chat/completions", json=ASKED, headers=headers, timeout=20).status_code

        here, elsewhere = instance.url, f"http://127.0.0.1:{strict}"
        assert asks(here) == 200
        assert asks(here, {"authorization": "Bearer sk-placeholder"}) == 200
        assert asks(here, ann) == 200
        assert asks(here, {"authorization": ann["authorization"][:-8] + "AAAAAAAA"}) == 401
        assert asks(here, {"x-forwarded-for": "10.0.0.1"}) == 200
        assert asks(here, {"origin": "https://evil.test", "content-type": "text/plain"}) == 401  # any site's page
        assert asks(here, {"sec-fetch-site": "cross-site"}) == 401
        assert asks(here, {**ann, "origin": "https://app.example.com"}) == 200
        assert asks(elsewhere) == 401
        assert asks(elsewhere, {"x-forwarded-for": "127.0.0.1"}) == 401
        with instance.client() as caller:  # a CONNECT without Proxy-Authorization; requests without a token, and with
            for headers in ({}, {}, ann):
                answer = caller.post(f"https://{HOST}/v1/chat/completions", json=ASKED, headers=headers)
                assert answer.status_code == 200
        records = instance.recorded(13)

    who = Counter((r["principal"]["issuer"], r["principal"]["email"]) if r["principal"] else None for r in records)
    assert who == {("lab", "lab@example.com"): 5, ("own", "ann@example.com"): 3, None: 5}
    assert {one.header("authorization") for one in provider.received} == {f"Bearer {PROVIDER_KEY}"}
    assert len(provider.received) == 8
