"""Workload identity federation: a token of an issuer that the provider trusts becomes a short-lived one of its own.

Sources: RFC 8693 §2.1 (request, a form) and §2.2 (answer); OpenAI API reference, "Workload identity token exchange"
(the same as a JSON object, with `identity_provider_id` and `service_account_id` beside).
"""

import json
import re
from collections.abc import Callable
from urllib.parse import urlencode

from exchange.call import Json
from settings.provider_auth import TokenExchange
from upstreams.credential import bearer
from upstreams.refreshed import NotObtained, Obtained
from upstreams.token_endpoint import post

_GRANT = "urn:ietf:params:oauth:grant-type:token-exchange"
_TYPE = "urn:ietf:params:oauth:token-type:"
_MEDIA_TYPES = {"form": "application/x-www-form-urlencoded", "json": "application/json"}

_TOKEN = re.compile(r"eyJ[A-Za-z0-9_.=-]+")


def exchanged(auth: TokenExchange) -> Callable[[], Obtained]:
    """What gets a token, each time anew; the subject token is read again each time."""

    def obtain() -> Obtained:
        try:
            subject = auth.subject_token.read()
        except ValueError as problem:
            raise NotObtained(f"needs its subject_token, which {problem}") from problem
        asked = {
            "grant_type": _GRANT,
            "subject_token": subject,
            "subject_token_type": _TYPE + auth.subject_token_type,
            **auth.parameters,
        }
        body = json.dumps(asked) if auth.body == "json" else urlencode(asked)
        status, answer = post(auth.token_url, body.encode(), _MEDIA_TYPES[auth.body], ca_file=auth.ca_file)
        if status != 200:
            raise NotObtained(f"was refused by {auth.token_url} with status {status}{_said(answer)}")
        return _token(answer)

    return obtain


def _token(answer: dict[str, Json]) -> Obtained:
    token, life, kind = answer.get("access_token"), answer.get("expires_in"), answer.get("token_type", "Bearer")
    if not isinstance(token, str) or not isinstance(life, int | float) or isinstance(life, bool):
        raise NotObtained("came without access_token or expires_in")
    if not isinstance(kind, str) or kind.lower() != "bearer":
        raise NotObtained("came as a token of another type than Bearer")
    try:
        return Obtained(bearer("token_exchange", token), float(life))
    except ValueError as problem:
        raise NotObtained(str(problem)) from problem


def _said(answer: dict[str, Json]) -> str:
    """RFC 6749 §5.2: `error` and `error_description`, bounded and on one line, without a token that is quoted."""
    said = [v for name in ("error", "error_description") if isinstance(v := answer.get(name), str)]
    plain = " ".join("".join(c if c.isprintable() else " " for c in ": ".join(said)).split())
    return f" ({_TOKEN.sub('…', plain)[:200]})" if plain else ""
