"""Gemini Interactions (`/v1beta/interactions`).

Events carry their type as `event_type` (and as the SSE event's name); `event: done` with `[DONE]` ends the body.
Source: the stream events of the official SDK (`google.genai`, interactions) and recorded streams.
"""

from exchange.call import Json, Text
from exchange.reply import Ended, Reply, Usage
from wire.api import Api, Event
from wire.extra import Extra
from wire.fields import Object, compact, count, items, mapping, string, total
from wire.gemini.interaction import Interaction
from wire.json_text import fit
from wire.other import streams
from wire.turns import called, kept


class InteractionFolder:
    """Events in, the interaction out. Terminal is `interaction.completed`, whatever status it tells, but `failed`."""

    def __init__(self) -> None:
        self._interaction = Interaction()
        self._completed = False
        self._extra = Extra()

    def add(self, event: Event) -> None:
        payload = self._extra.payload(event)
        if payload is None:
            return
        if payload.get("event_id") is not None:
            self._extra.put("last_event_id", payload["event_id"])
        match string(payload.get("event_type")) or event.name:
            case "step.delta":
                self._interaction.delta(payload, self._extra)
            case "step.start":
                self._interaction.start(payload, self._extra)
            case "step.stop":
                # usage of one step: the interaction's own usage is told at its end
                told = {key: payload[key] for key in ("usage", "step_usage") if payload.get(key) is not None}
                if told:
                    self._extra.keep("step_usage", {"index": payload.get("index"), **told})
            case "interaction.created":
                self._interaction.tell(mapping(payload.get("interaction")))
            case "interaction.status_update":
                self._interaction.tell({"status": payload.get("status")})
            case "interaction.completed":
                self._interaction.tell(mapping(payload.get("interaction")))
                self._completed = True
            case "error":
                self._extra.failed(payload)
            case "" if "error" in payload:
                self._extra.failed(payload)
            case _:
                self._extra.keep("unknown_events", payload)

    def close(self) -> Reply:
        interaction = self._interaction.whole()
        ended: Ended = "open"
        if self._extra.errors or (self._completed and interaction.get("status") == "failed"):
            ended = "failed"
        elif self._completed:
            ended = "terminal"
        return reply_of(mapping(fit(self._extra.on(interaction))), ended)


def reply_of(interaction: Object, ended: Ended) -> Reply:
    """An interaction, whole or as far as it came, as a Reply. Its status stands for a finish reason."""
    status = interaction.get("status")
    finished = isinstance(status, str) and status not in ("in_progress", "queued")
    return Reply(
        response=interaction,
        ended=ended,
        response_model=string(interaction.get("model")) or None,
        usage=_usage_of(interaction.get("usage")),
        finish_reasons=(string(status) if finished else None,) if "id" in interaction else (),
        texts=kept("answer", (text for each in items(interaction.get("steps")) for text in _said(mapping(each)))),
    )


def _usage_of(value: Json) -> Usage | None:
    """The total of input leaves out what tools fed back, the total of output the thoughts (`total_tokens` is the sum
    of the four)."""
    told = mapping(value)
    thoughts = count(told.get("total_thought_tokens"))
    usage = Usage(
        input_tokens=total(count(told.get("total_input_tokens")), count(told.get("total_tool_use_tokens"))),
        output_tokens=total(count(told.get("total_output_tokens")), thoughts),
        cached_input_tokens=count(told.get("total_cached_tokens")),
        reasoning_tokens=thoughts,
    )
    return None if usage == Usage() else usage


def _said(step: Object) -> list[str]:
    if step.get("type") == "user_input":
        return []
    if "arguments" in step:
        return [called(step.get("name") or step.get("type"), step["arguments"])]
    return [string(mapping(each).get("text")) for each in items(step.get("content"))]


def whole(body: Json) -> Reply:
    """An unstreamed interaction, or an error body."""
    if not isinstance(body, dict) or "error" in body:
        return Reply(response=body, ended="terminal")
    return reply_of(body, "terminal")


def texts(body: Json) -> tuple[Text, ...]:
    """What is new: the conversation stays with the provider, so that is all of `input` after the model's last step."""
    given = mapping(body).get("input")
    if isinstance(given, str):
        return kept("user", (given,))
    listed = [given] if isinstance(given, dict) else items(given)
    found: list[Text] = []
    for each in listed:
        step = mapping(each)
        if step.get("role") == "model" or step.get("type") in ("model_output", "thought", "function_call"):
            found.clear()
        elif "result" in step:
            found += kept("tool", (compact(step["result"]),))
        else:
            content = step.get("content")
            found += kept("user", (_text(each), *map(_text, content if isinstance(content, list) else [content])))
    return tuple(found)


def _text(part: Json) -> str:
    return string(mapping(part).get("text")) or string(part)


API = Api(operation="generate_content", folder=InteractionFolder, whole=whole, texts=texts, streams=streams)
