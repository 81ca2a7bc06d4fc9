"""OpenAI's paths, under whatever prefix a server has them: `/v1`, `/openai/v1`, `/api/v1`, `/v1beta/openai`, none."""

import re
from dataclasses import replace
from typing import Final

from wire.api import Api
from wire.openai import (
    agents,
    assistants,
    audio,
    chat,
    completions,
    embeddings,
    files,
    images,
    live,
    moderations,
    realtime,
    responses,
)
from wire.openai.socket import Kind
from wire.openai.socket_turns import realtime_turn, responses_turn

_AGENT_EVENTS: Final[Api] = replace(agents.API, media="any")
_RETRIEVED: Final[Api] = replace(responses.API, media="any")
SOCKETS: Final[dict[Kind, Api]] = {
    "responses": replace(responses.API, media="any", streams=realtime.streams, turn=responses_turn),
    "realtime": replace(realtime.API, turn=realtime_turn),
}
"""APIs that are spoken over a WebSocket."""

TABLE: Final[tuple[tuple[str, str, Api], ...]] = (
    ("POST", "chat/completions", chat.API),
    ("POST", "responses", responses.API),
    ("POST", "responses/compact", responses.API),
    ("POST", "responses/input_tokens", responses.API),
    ("GET", "responses", SOCKETS["responses"]),  # as a WebSocket
    ("GET", "responses/{id}", _RETRIEVED),  # a background response, its stream resumed or not
    ("POST", "completions", completions.API),
    ("POST", "embeddings", embeddings.API),
    ("POST", "moderations", moderations.API),
    ("POST", "audio/transcriptions", audio.TRANSCRIPTION),
    ("POST", "audio/translations", audio.TRANSCRIPTION),
    ("POST", "audio/speech", audio.SPEECH),
    ("POST", "images/generations", images.API),
    ("POST", "images/edits", images.EDITS),
    ("POST", "images/variations", images.EDITS),
    ("GET", "realtime", SOCKETS["realtime"]),
    ("POST", "realtime/sessions", realtime.SESSIONS),
    ("POST", "realtime/transcription_sessions", realtime.SESSIONS),
    ("POST", "realtime/client_secrets", realtime.SESSIONS),
    ("POST", "realtime/calls", realtime.API),
    ("POST", "realtime/translations/client_secrets", realtime.SESSIONS),
    ("GET", "realtime/translations", live.API),
    ("GET", "live/sessions", live.API),
    ("POST", "live/sessions", live.SESSIONS),
    ("GET", "live/sessions/{id}/fork", live.API),
    ("GET", "live/sessions/{id}/sideband", live.API),
    ("POST", "agents/sessions", agents.API),
    ("POST", "agents/sessions/{id}/events", agents.API),
    ("GET", "agents/sessions/{id}/events", _AGENT_EVENTS),
    ("POST", "threads/runs", assistants.API),
    ("POST", "threads/{id}/runs", assistants.API),
    ("POST", "threads/{id}/runs/{id}/submit_tool_outputs", assistants.API),
    ("POST", "files", files.UPLOAD),
    ("POST", "uploads", files.API),
    ("POST", "uploads/{id}/parts", files.UPLOAD),
    ("POST", "uploads/{id}/complete", files.API),
    ("POST", "batches", files.API),
)
"""Method, path behind the prefix, API. Adding an API is a row here and its file."""

_PREFIX: Final = r"(?:/[A-Za-z0-9._~@:-]+){0,8}?"
_ROWS: Final = tuple(
    (method, re.compile(_PREFIX + "/" + re.escape(path).replace(r"\{id\}", "[^/]+")), api)
    for method, path, api in TABLE
)


def api(method: str, path: str) -> Api | None:
    """The API of a path without query; None where no row knows it."""
    for row_method, pattern, row_api in _ROWS:
        if method == row_method and pattern.fullmatch(path):
            return row_api
    return None
