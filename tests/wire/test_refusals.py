"""Refusals in the called API's own shape."""

import json
from typing import get_args

import anthropic
import httpx2
import openai
import pytest

from exchange.decision import CODES
from wire.api import Dialect
from wire.refusals import refusal_body

DIALECTS: tuple[Dialect, ...] = get_args(Dialect)


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("code", CODES)
def test_every_code_is_told_in_every_shape(dialect: Dialect, code: str) -> None:
    status, headers, body = refusal_body(dialect, code, "req-1")
    error = json.loads(body)["error"]
    assert status == CODES[code].status
    assert (error["message"], error["code"], error["param"]) == (CODES[code].message, code, None)
    assert error["type"]
    assert headers["content-type"] == "application/json"
    assert headers["cache-control"] == "no-store"
    assert headers["x-request-id"] == "req-1"
    assert headers["x-should-retry"] == ("true" if CODES[code].retry else "false")
    assert ("www-authenticate" in headers) == (status == 401)


def test_the_shapes_are_the_providers_own() -> None:
    shapes = {dialect: json.loads(refusal_body(dialect, "model_not_allowed", "req-1")[2]) for dialect in DIALECTS}
    assert shapes["openai"]["error"]["type"] == "permission_error"
    assert shapes["anthropic"]["type"] == "error"
    assert shapes["anthropic"]["request_id"] == "req-1"
    assert shapes["gemini"]["error"]["status"] == "PERMISSION_DENIED"
    assert shapes["bedrock"]["message"] == shapes["cohere"]["message"] == CODES["model_not_allowed"].message
    assert refusal_body("bedrock", "model_not_allowed", "r")[1]["x-amzn-errortype"] == "AccessDeniedException"


def test_a_code_nobody_knows_is_our_fault_and_still_refuses() -> None:
    status, _, body = refusal_body("openai", "no_such_code", "req-1")
    assert (status, json.loads(body)["error"]["code"]) == (500, "checkpoint_error")


def test_the_official_sdks_raise_their_own_errors_and_do_not_try_again() -> None:
    asked = []

    def answer(dialect: Dialect) -> httpx2.MockTransport:
        def respond(request: httpx2.Request) -> httpx2.Response:
            asked.append(request)
            status, headers, body = refusal_body(dialect, "missing_identity", "req-1")
            return httpx2.Response(status, headers=headers, content=body)

        return httpx2.MockTransport(respond)

    with httpx2.Client(transport=answer("openai")) as http, openai.OpenAI(api_key="x", http_client=http) as client:
        with pytest.raises(openai.AuthenticationError) as refused:
            client.chat.completions.create(model="m", messages=[])
        assert refused.value.code == "missing_identity"
        assert refused.value.request_id == "req-1"
    with (
        httpx2.Client(transport=answer("anthropic")) as http,
        anthropic.Anthropic(api_key="x", http_client=http) as other,
        pytest.raises(anthropic.AuthenticationError),
    ):
        other.messages.create(model="m", max_tokens=1, messages=[])
    assert len(asked) == 2
