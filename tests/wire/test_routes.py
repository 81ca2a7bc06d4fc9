"""Which API a path is: one row an API."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.call import Operation
from wire import other
from wire.anthropic import messages
from wire.api import Dialect
from wire.openai import assistants, audio, chat, completions, embeddings, images, moderations, realtime, responses
from wire.routes import route


@pytest.mark.parametrize(
    ("path", "folder"),
    [
        ("/v1/chat/completions", chat.API),
        ("/chat/completions", chat.API),
        ("/openai/v1/chat/completions", chat.API),
        ("/api/v1/chat/completions", chat.API),
        ("/v1beta/openai/chat/completions", chat.API),
        ("/client/v4/accounts/0123/ai/v1/chat/completions", chat.API),
        ("/v1/chat/completions/", chat.API),
        ("//v1//chat/completions", chat.API),
        ("/v1/chat%2Fcompletions", chat.API),
        ("/models/chat/completions", chat.API),
        ("/v1/responses", responses.API),
        ("/v1/completions", completions.API),
        ("/v1/embeddings", embeddings.API),
        ("/v1/moderations", moderations.API),
        ("/v1/audio/transcriptions", audio.TRANSCRIPTION),
        ("/v1/audio/translations", audio.TRANSCRIPTION),
        ("/v1/audio/speech", audio.SPEECH),
        ("/v1/images/generations", images.API),
        ("/v1/images/edits", images.EDITS),
        ("/v1/threads/thread_1/runs", assistants.API),
        ("/v1/threads/thread_1/runs/run_1/submit_tool_outputs", assistants.API),
        ("/v1/realtime/client_secrets", realtime.SESSIONS),
        ("/v1/messages", messages.API),
        ("/v1/models", other.API),
        ("/v1/chat/completions/chatcmpl-1", other.API),
        ("/v1/chat/completionsx", other.API),
        ("/", other.API),
        ("", other.API),
    ],
)
def test_a_path_leads_to_its_api_under_any_prefix(path: str, folder: object) -> None:
    assert route("openai", "POST", path).api == folder


@pytest.mark.parametrize(
    ("dialect", "method", "path", "operation", "model", "stream"),
    [
        ("azure", "POST", "/openai/deployments/gpt%204/chat/completions", "chat", "gpt 4", None),
        ("azure", "POST", "/openai/deployments/emb/embeddings", "embeddings", "emb", None),
        ("azure", "POST", "/openai/deployments/d/extensions/chat/completions", "chat", "d", None),
        ("azure", "POST", "/openai/deployments/d/unheard/of", "other", "d", None),
        ("azure", "POST", "/openai/v1/responses", "responses", None, None),
        ("azure", "POST", "/openai/responses", "responses", None, None),
        ("anthropic", "POST", "/v1/messages", "messages", None, None),
        ("anthropic", "POST", "/v1/messages/count_tokens", "other", None, None),
        ("anthropic", "POST", "/v1/complete", "text_completion", None, None),
        ("anthropic", "HEAD", "/", "other", None, None),
        (
            "gemini",
            "POST",
            "/v1beta/models/gemini-2.5-pro:generateContent",
            "generate_content",
            "gemini-2.5-pro",
            False,
        ),
        ("gemini", "POST", "/v1beta/models/g:streamGenerateContent", "generate_content", "g", True),
        ("gemini", "POST", "/v1beta/openai/chat/completions", "chat", None, None),
        ("bedrock", "POST", "/model/anthropic.claude-v2/converse-stream", "chat", "anthropic.claude-v2", True),
        ("bedrock", "POST", "/model/anthropic.claude-v2/converse", "chat", "anthropic.claude-v2", False),
        ("ollama", "POST", "/api/chat", "chat", None, None),
        ("ollama", "POST", "/api/generate", "text_completion", None, None),
        ("cohere", "POST", "/v2/chat", "chat", None, None),
        ("openai", "POST", "/v1/engines/o3/completions", "text_completion", "o3", None),
        ("openai", "POST", "/engines/o3/chat/completions", "chat", "o3", None),
        ("openai", "GET", "/v1/realtime", "realtime", None, None),
        ("openai", "GET", "/v1/responses/resp_1", "responses", None, None),
        ("openai", "DELETE", "/v1/responses/resp_1", "other", None, None),
        ("openai", "GET", "/v1/chat/completions", "other", None, None),
        ("openai", "POST", "/v1/files", "other", None, None),
    ],
)
def test_the_path_tells_operation_model_and_stream(
    dialect: Dialect, method: str, path: str, operation: Operation, model: str | None, stream: bool | None
) -> None:
    where = route(dialect, method, path)
    assert (where.api.operation, where.model, where.stream) == (operation, model, stream)


@given(st.text(max_size=60), st.sampled_from(["GET", "POST", "x"]))
def test_no_path_makes_it_raise(path: str, method: str) -> None:
    assert route("openai", method, path).api.operation
