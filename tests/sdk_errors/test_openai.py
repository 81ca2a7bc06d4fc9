"""openai-python: its own exception for each refusal, our sentence and code in it, a second try only where it helps."""

from typing import Any

import openai
import pytest

from tests.journeys.instance import Instance
from tests.sdk_errors.refusals import UNAVAILABLE, UNREACHABLE, WHAT, WHO, Refusal
from tests.sdk_errors.relay import Relay

CLASSES: dict[int, type[openai.APIStatusError]] = {
    400: openai.BadRequestError,
    401: openai.AuthenticationError,
    403: openai.PermissionDeniedError,
    413: openai.APIStatusError,
    415: openai.APIStatusError,
    426: openai.APIStatusError,
    502: openai.InternalServerError,
    503: openai.InternalServerError,
}


def ask(relay: Relay, refusal: Refusal, *, stream: bool = False, base: str = "/v1") -> openai.APIStatusError:
    """What the SDK raises."""
    address = f"http://127.0.0.1:{relay.port}{base}"
    with openai.OpenAI(base_url=address, api_key=refusal.token, max_retries=1, default_headers=refusal.headers) as sdk:
        with pytest.raises(openai.APIStatusError) as raised:
            call(sdk, refusal, stream)
        return raised.value


def call(sdk: openai.OpenAI, refusal: Refusal, stream: bool) -> None:
    if refusal.call == "embeddings":
        sdk.embeddings.create(model="gpt-4o", input="Hello")
    elif refusal.call == "files":
        sdk.files.list()
    else:
        sdk.chat.completions.create(
            model=refusal.model or "gpt-4o",
            messages=[{"role": "user", "content": refusal.prompt}],
            extra_body=refusal.more,
            stream=stream,
        )


def assert_told(error: openai.APIStatusError, refusal: Refusal, relay: Relay) -> None:
    assert type(error) is CLASSES[refusal.status]
    assert error.status_code == refusal.status
    assert error.code == refusal.code
    assert error.param is None
    assert refusal.sentence in str(error)
    assert error.request_id is not None
    assert len(error.request_id) == 32
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
    assert_told(ask(relay, UNREACHABLE, base="/dead-openai/v1"), UNREACHABLE, relay)


@pytest.mark.parametrize("refusal", [WHO[0], WHAT[0]], ids=str)
async def test_the_asynchronous_client_raises_the_same(relay: Relay, refusal: Refusal) -> None:
    base = f"http://127.0.0.1:{relay.port}/v1"
    async with openai.AsyncOpenAI(base_url=base, api_key=refusal.token, max_retries=1) as sdk:
        with pytest.raises(openai.APIStatusError) as raised:
            await sdk.responses.create(model=refusal.model or "gpt-4o", input="Hello")
    assert_told(raised.value, refusal, relay)


def test_the_request_id_that_the_sdk_shows_finds_the_record(relay: Relay, ready: Instance) -> None:
    error = ask(relay, WHO[4])
    assert error.request_id is not None
    found: list[dict[str, Any]] = []

    def recorded() -> bool:
        found[:] = [one for one in ready.records() if one["id"].replace("-", "") == error.request_id]
        return bool(found)

    ready.wait_until(recorded)
    assert (found[0]["status"], found[0]["decision"]["code"]) == (401, WHO[4].code)
    assert "max_ttl_s" in found[0]["decision"]["reason"], "the exact reason is in the record, and there alone"
    assert ready.sekisho("show", error.request_id).returncode == 0
