"""A gateway to attack: limits small enough to be met in a test."""

import base64
import json
from pathlib import Path

from tests.attacks.rows import BODY_LIMIT, HEAD_LIMIT, HEAD_TIME
from tests.journeys.instance import Instance
from tests.journeys.provider import Provider

MODELS = ("gpt-4o*",)


def gateway(folder: Path, provider: Provider, lane: str, *, more: str = "") -> Instance:
    """Not started yet. Two providers, one upstream."""
    upstream = f"{{upstream: '{provider.url}', api_key: {{env: JOURNEY_KEY}}}}"
    limits = f"limits: {{head: {HEAD_LIMIT}, body: {BODY_LIMIT}, head_time: {HEAD_TIME} s}}\n"
    return Instance(
        folder,
        provider.url,
        lane=lane,
        profile="gateway",
        more=f"""
providers:
  openai: {upstream}
  anthropic: {upstream}
identity:
  domains: [example.com]
  issuers:
    - {{name: own, kind: own_token}}
policies:
  rules:
    - name: everyone
      domains: [example.com]
      models: {json.dumps(MODELS)}
      operations: [chat, responses, messages, transcription, realtime]
{more or limits}""",
    )


def tokens_of(instance: Instance) -> dict[bytes, bytes]:
    """The words of the table, and what stands for them here."""
    good = instance.mint("ann@example.com")
    head, payload, signature = good.split(".")
    claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    forged = _encoded({**claims, "email": "root@example.com"})
    unsigned = _encoded({"alg": "none", "typ": "JWT"})
    return {
        b"TOKEN": good.encode(),
        b"BOB": instance.mint("bob@example.com").encode(),
        b"EVE": instance.mint("eve@evilexample.com").encode(),
        b"FORGED": f"{head}.{forged}.{signature}".encode(),
        b"UNSIGNED": f"{unsigned}.{payload}.".encode(),
    }


def _encoded(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()
