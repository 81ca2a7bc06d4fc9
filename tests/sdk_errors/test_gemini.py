"""google-genai: ClientError or ServerError with our sentence, Google's status, and our code as the reason.

This SDK decides on a second try by status alone and does not look at `x-should-retry`; without `retry_options` it makes
none. With them, every refusal here that is worth a second try has a status that it tries again.
"""

from typing import Any

import pytest
from google import genai
from google.genai import errors, types

from tests.sdk_errors.refusals import UNAVAILABLE, UNREACHABLE, WHAT, WHO, Refusal
from tests.sdk_errors.relay import Relay

STATUS = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    502: "UNAVAILABLE",
    503: "UNAVAILABLE",
}
"""google.rpc.Code has a name for these; for others AIP-193 leaves the choice."""


def ask(
    relay: Relay, refusal: Refusal, *, stream: bool = False, base: str = "/gemini", attempts: int = 2
) -> errors.APIError:
    """What the SDK raises."""
    options = types.HttpOptions(
        base_url=f"http://127.0.0.1:{relay.port}{base}",
        headers=refusal.headers,
        extra_body=refusal.more or None,
        retry_options=types.HttpRetryOptions(attempts=attempts, initial_delay=0.05) if attempts > 1 else None,
    )
    sdk = genai.Client(api_key=refusal.token, http_options=options)
    try:
        with pytest.raises(errors.APIError) as raised:
            call(sdk, refusal, stream)
    finally:
        sdk.close()
    return raised.value


def call(sdk: genai.Client, refusal: Refusal, stream: bool) -> None:
    if refusal.call == "embeddings":
        sdk.models.embed_content(model="gemini-embedding-001", contents="Hello")
    elif refusal.call == "files":
        list(sdk.files.list())
    elif stream:
        list(sdk.models.generate_content_stream(model=refusal.model or "gemini-pro", contents=refusal.prompt))
    else:
        sdk.models.generate_content(model=refusal.model or "gemini-pro", contents=refusal.prompt)


def assert_told(error: errors.APIError, refusal: Refusal, relay: Relay, requests: int | None = None) -> None:
    assert type(error) is (errors.ServerError if refusal.status >= 500 else errors.ClientError)
    assert (error.code, error.message) == (refusal.status, refusal.sentence)
    assert error.status == STATUS.get(refusal.status, error.status)
    assert error.status in {*STATUS.values(), "FAILED_PRECONDITION", "OUT_OF_RANGE", "UNIMPLEMENTED"}
    assert refusal.code in str(error)
    details: Any = error.details
    assert details["error"]["details"][0]["reason"] == refusal.code.upper()
    assert relay.requests == (refusal.requests if requests is None else requests)


@pytest.mark.parametrize("refusal", WHO + WHAT, ids=str)
def test_each_refusal_is_the_sdks_own_exception_with_our_code(relay: Relay, refusal: Refusal) -> None:
    assert_told(ask(relay, refusal), refusal, relay)


@pytest.mark.parametrize("refusal", [WHO[0], WHO[3], WHAT[0]], ids=str)
def test_a_refused_stream_fails_before_its_first_event(relay: Relay, refusal: Refusal) -> None:
    assert_told(ask(relay, refusal, stream=True), refusal, relay)


def test_a_record_that_cannot_be_written_is_worth_a_second_try(relay_to_full: Relay) -> None:
    assert_told(ask(relay_to_full, UNAVAILABLE), UNAVAILABLE, relay_to_full)


def test_a_provider_that_is_down_is_worth_a_second_try(relay: Relay) -> None:
    assert_told(ask(relay, UNREACHABLE, base="/dead-gemini"), UNREACHABLE, relay)


def test_without_retry_options_it_tries_once_whatever_the_answer_says(relay: Relay) -> None:
    assert_told(ask(relay, WHO[-1], attempts=1), WHO[-1], relay, requests=1)
