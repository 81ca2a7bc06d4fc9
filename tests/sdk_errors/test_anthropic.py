"""anthropic-sdk-python: its own exception for each refusal, Anthropic's error type and our code in the body."""

from typing import Any

import anthropic
import pytest

from tests.sdk_errors.refusals import UNAVAILABLE, UNREACHABLE, WHAT, WHO, Refusal
from tests.sdk_errors.relay import Relay

CLASSES: dict[int, tuple[type[anthropic.APIStatusError], str]] = {
    400: (anthropic.BadRequestError, "invalid_request_error"),
    401: (anthropic.AuthenticationError, "authentication_error"),
    403: (anthropic.PermissionDeniedError, "permission_error"),
    413: (anthropic.RequestTooLargeError, "request_too_large"),
    415: (anthropic.APIStatusError, "invalid_request_error"),
    426: (anthropic.APIStatusError, "invalid_request_error"),
    502: (anthropic.InternalServerError, "api_error"),
    503: (anthropic.ServiceUnavailableError, "overloaded_error"),
}


def ask(relay: Relay, refusal: Refusal, *, stream: bool = False, base: str = "/anthropic") -> anthropic.APIStatusError:
    """What the SDK raises."""
    address = f"http://127.0.0.1:{relay.port}{base}"
    with anthropic.Anthropic(
        base_url=address, api_key=refusal.token, max_retries=1, default_headers=refusal.headers
    ) as sdk:
        with pytest.raises(anthropic.APIStatusError) as raised:
            call(sdk, refusal, stream)
        return raised.value


def call(sdk: anthropic.Anthropic, refusal: Refusal, stream: bool) -> None:
    if refusal.call == "embeddings":  # Anthropic has none; its older API is what we do not allow
        sdk.post("/v1/complete", cast_to=object, body={"model": "claude-x", "prompt": "Hello"})
    elif refusal.call == "files":
        sdk.beta.files.list()
    else:
        sdk.messages.create(
            model=refusal.model or "claude-opus-4",
            max_tokens=5,
            messages=[{"role": "user", "content": refusal.prompt}],
            extra_body=refusal.more,
            stream=stream,
        )


def assert_told(error: anthropic.APIStatusError, refusal: Refusal, relay: Relay) -> None:
    kind, named = CLASSES[refusal.status]
    assert type(error) is kind
    assert error.status_code == refusal.status
    assert refusal.sentence in str(error)
    body: Any = error.body
    assert body["type"] == "error"
    assert (body["error"]["type"], body["error"]["code"]) == (named, refusal.code)
    assert error.request_id == body["request_id"] == error.response.headers["x-request-id"]
    assert relay.requests == refusal.requests


@pytest.mark.parametrize("refusal", WHO + WHAT, ids=str)
def test_each_refusal_is_the_sdks_own_exception_with_our_code(relay: Relay, refusal: Refusal) -> None:
    assert_told(ask(relay, refusal), refusal, relay)


@pytest.mark.parametrize("refusal", [WHO[0], WHO[3], WHAT[0]], ids=str)
def test_a_refused_stream_fails_before_its_first_event(relay: Relay, refusal: Refusal) -> None:
    assert_told(ask(relay, refusal, stream=True), refusal, relay)


def test_a_record_that_cannot_be_written_is_worth_a_second_try(relay_to_full: Relay) -> None:
    assert_told(ask(relay_to_full, UNAVAILABLE), UNAVAILABLE, relay_to_full)


def test_a_provider_that_is_down_is_worth_a_second_try(relay: Relay) -> None:
    assert_told(ask(relay, UNREACHABLE, base="/dead-anthropic"), UNREACHABLE, relay)


def test_a_token_in_place_of_the_key_may_ride_as_auth_token_too(relay: Relay) -> None:
    """`ANTHROPIC_AUTH_TOKEN` is sent as `Authorization: Bearer`: the same identity, refused with the same code."""
    address = f"http://127.0.0.1:{relay.port}/anthropic"
    with (
        anthropic.Anthropic(base_url=address, api_key=None, auth_token=WHO[3].token, max_retries=1) as sdk,
        pytest.raises(anthropic.AuthenticationError) as raised,
    ):
        call(sdk, WHO[3], stream=False)
    assert_told(raised.value, WHO[3], relay)
