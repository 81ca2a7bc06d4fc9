"""Gemini's paths, and where they lead."""

import pytest

from wire.anthropic import count_tokens as anthropic_count_tokens
from wire.anthropic import messages
from wire.api import Api
from wire.gemini import count_tokens, embed_content, generate_content
from wire.gemini.methods import route
from wire.gemini.paths import parse

VERTEX = "/v1/projects/p/locations/l"


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("/v1beta/models/gemini-x:generateContent", ("gemini-x", "generateContent", False)),
        ("/v1beta/models/gemini-x:streamGenerateContent", ("gemini-x", "streamGenerateContent", True)),
        ("/v1beta/models/gemini-x%3AstreamGenerateContent", ("gemini-x", "streamGenerateContent", True)),
        ("/models/gemini-x:countTokens", ("gemini-x", "countTokens", False)),
        (f"{VERTEX}/publishers/google/models/gemini-x:embedContent", ("gemini-x", "embedContent", False)),
        (f"{VERTEX}/publishers/anthropic/models/claude-x@1:streamRawPredict", ("claude-x@1", "streamRawPredict", True)),
        (f"{VERTEX}/endpoints/77:generateContent", ("endpoints/77", "generateContent", False)),
        ("/v1beta/tunedModels/mine:generateContent", ("tunedModels/mine", "generateContent", False)),
        ("/v1beta/models/gemini-x", None),
        ("/v1beta/models", None),
        ("/v1beta/interactions", None),
        ("/v1beta/openai/chat/completions", None),
        ("/v1beta/models/a/b:generateContent", None),
        ("/v1beta/models/:generateContent", None),
        ("", None),
    ],
)
def test_model_method_and_stream_stand_in_the_path(path: str, found: tuple[str, str, bool] | None) -> None:
    assert parse(path) == found


@pytest.mark.parametrize(
    ("path", "api"),
    [
        ("/v1beta/models/m:streamGenerateContent", generate_content.API),
        ("/v1beta/models/m:countTokens", count_tokens.API),
        ("/v1beta/models/m:batchEmbedContents", embed_content.API),
        (f"{VERTEX}/publishers/anthropic/models/c:streamRawPredict", messages.API),
        (f"{VERTEX}/publishers/anthropic/models/count-tokens:rawPredict", anthropic_count_tokens.API),
    ],
)
def test_a_method_leads_to_its_api(path: str, api: Api) -> None:
    found = route(path)
    assert found is not None
    assert found.api is api
    assert found.stream is ("stream" in path)


@pytest.mark.parametrize(
    "path", ["/v1beta/models/m:predict", f"{VERTEX}/publishers/other/models/m:rawPredict", "/v1beta/files"]
)
def test_what_no_api_knows_leads_nowhere(path: str) -> None:
    assert route(path) is None


def test_vectors_are_counted_not_kept() -> None:
    reply = embed_content.whole(
        {"embedding": {"values": [0.1, 0.2]}, "embeddings": [{"values": [0.1], "statistics": 1}]}
    )
    assert reply.response == {
        "embedding": {"values": {"_length": 2}},
        "embeddings": [{"values": {"_length": 1}, "statistics": 1}],
    }
