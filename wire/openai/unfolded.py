"""What OpenAI's streams carry that is not in the object, and why. A test holds this against the official SDK."""

from typing import Final

_LIFE: Final = "keeps the connection open or tells progress; counted under `signs_of_life`"
_PREVIEW: Final = "a preview; the final object has the image alone: counted, the last one under `last_partial_images`"
_ERROR: Final = "no object has it: under `errors`, and the reply is failed"
_CLIENT: Final = "what the client asked of a running session: under the name of its kind, beside what it led to"
_CLOSES: Final = "closes what its deltas built; says nothing that they or the item do not say"
_TURN: Final = "a moment in a session's life, no part of any answer: under `session_events`"

UNFOLDED: Final[dict[str, str]] = {
    "error": _ERROR,
    "keepalive": _LIFE,
    "response.compaction.compacting": _LIFE,
    "response.image_generation_call.partial_image": _PREVIEW,
    "image_generation.partial_image": _PREVIEW,
    "image_edit.partial_image": _PREVIEW,
    "response.audio.delta": "a response holds no audio: measured under `audio`; the bytes are in the raw reply",
    "response.audio.done": _CLOSES,
    "response.audio.transcript.delta": "a response holds no transcript: joined under `audio`",
    "response.audio.transcript.done": _CLOSES,
    "response.mcp_list_tools.in_progress": "its item has no status; the tools come with `output_item.done`",
    "response.mcp_list_tools.completed": "its item has no status; the tools come with `output_item.done`",
    "response.mcp_list_tools.failed": "under `failed_tools`",
    "response.steer": _CLIENT,
    "response.steer.accepted": "about the client's steering, no part of the response: under `steer`",
    "response.steer.pending": "about the client's steering, no part of the response: under `steer`",
    "response.steer.failed": "about the client's steering, no part of the response: under `steer`",
    "response.inject": _CLIENT,
    "response.inject.created": "about what the client put in, no part of the response: under `steer`",
    "response.inject.failed": "about what the client put in, no part of the response: under `steer`",
    "response.create": _CLIENT,
    "response.cancel": _CLIENT,
    "thread.created": "a run does not hold its thread: under `thread`",
    "thread.message.*": "a run does not hold its messages: folded, under `messages`",
    "thread.run.step.*": "a run does not hold its steps: folded, under `steps`",
    "speech.audio.delta": "measured; the bytes are in the raw reply",
    "session.update": _CLIENT,
    "transcription_session.updated": "under `session_events`",
    "transcription_session.update": "under `session_events`",
    "conversation.created": "under `conversation_events`",
    "conversation.item.delete": _CLIENT,
    "conversation.item.retrieve": _CLIENT,
    "conversation.item.truncate": _CLIENT,
    "conversation.item.deleted": "the item was said all the same and stays; its deletion is under `item_events`",
    "conversation.item.truncated": "the item was said all the same and stays; its cutting is under `item_events`",
    "conversation.item.input_audio_transcription.failed": "under `transcription_events`",
    "conversation.item.input_audio_transcription.segment": "under `transcription_events`",
    "input_audio_buffer.*": "the buffer is a tool of the session: audio measured under `audio`, the rest "
    "under `buffer_events`",
    "output_audio_buffer.*": "about playing at the caller's end: under `buffer_events`",
    "rate_limits.updated": "no part of an answer: the last one under `rate_limits`",
    "response.output_audio.delta": "measured under `audio`; the bytes are in the raw session",
    "response.output_audio.done": _CLOSES,
    "mcp_list_tools.*": "under `tool_lists`",
    "session.output_audio.delta": "measured under `audio`; the bytes are in the raw session",
    "session.input_audio.append": "measured under `audio`; the bytes are in the raw session",
    "session.input_audio_buffer.append": "measured under `audio`; the bytes are in the raw session",
    "session.usage.updated": "seconds of audio, no tokens: under `audio_usage`",
    "session.closed": "the terminal event; the session it tells is folded, its usage under `audio_usage`",
    "session.*": _TURN,
    "decision.*": _TURN,
    "transport.*": _TURN,
    "response.item.create": _TURN,
    "info": _TURN,
    "agent.session.environment.*": _TURN,
    "agent.session.subagent.*": _TURN,
}
"""Event type, or all of a beginning (`.*`) → the reason. What is folded is not listed."""


def reason(kind: str) -> str | None:
    """Why events of a type are not in the object; None when they are."""
    if kind in UNFOLDED:
        return UNFOLDED[kind]
    steps = kind.split(".")
    for length in range(len(steps) - 1, 0, -1):
        if found := UNFOLDED.get(".".join(steps[:length]) + ".*"):
            return found
    return None
