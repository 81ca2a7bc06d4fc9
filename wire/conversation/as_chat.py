"""Any conversation in the words of Chat Completions: for programs that take nothing else. Pure."""

from collections import deque
from collections.abc import Iterable, Iterator
from typing import Final

from exchange.call import Json
from wire.conversation import Turn, conversation
from wire.fields import Object, items, mapping, string

_KEPT: Final = ("role", "content", "name", "tool_calls", "tool_call_id", "function_call", "refusal")
"""What a message may have; the rest (annotations, reasoning, cache marks) is for the one who answers."""
_SPOKEN: Final = ("system", "developer", "user", "assistant")


def as_chat(operation: str, request: Json, response: Json) -> Object | None:
    """`messages`, the last of them the answer, and `tools` where there were any. None when it cannot be said so: no
    dialogue, no answer, a picture in another API's words, a tool's result whose call is not there.

    Of several choices the first is taken.
    """
    fields = mapping(request)
    choices = items(mapping(response).get("choices"))
    if operation == "chat" and choices:
        answer = mapping(mapping(choices[0]).get("message"))
        asked = items(fields.get("messages"))
        if not answer or not asked or not all(isinstance(each, dict) for each in asked):
            return None
        messages: list[Json] | None = [_message(mapping(each)) for each in [*asked, {"role": "assistant", **answer}]]
    elif operation in ("chat", "messages", "responses", "generate_content"):
        messages = _said(conversation(operation, request, response))
    else:
        return None
    if not messages or mapping(messages[-1]).get("role") != "assistant":
        return None
    tools = list(_tools(fields.get("tools")))
    return {"messages": messages, "tools": tools} if tools else {"messages": messages}


def _message(given: Object) -> Object:
    return {key: given[key] for key in _KEPT if given.get(key) is not None or (key == "content" and key in given)}


def _said(turns: Iterable[Turn]) -> list[Json] | None:
    """Messages of these turns. Calls get ids of our own: results name the tool, and come in the order of the calls."""
    messages: list[Json] = []
    calls: dict[str, deque[str]] = {}
    for turn in turns:
        last = mapping(messages[-1]) if messages else {}
        if turn.kind == "reasoning":
            continue
        if turn.kind == "tool_call":
            name = turn.name or ""
            call = f"call_{sum(len(items(mapping(each).get('tool_calls'))) for each in messages) + 1}"
            calls.setdefault(name, deque()).append(call)
            if last.get("role") != "assistant":
                last = {"role": "assistant", "content": None}
                messages.append(last)
            called: Json = {"id": call, "type": "function", "function": {"name": name, "arguments": turn.text}}
            last["tool_calls"] = [*items(last.get("tool_calls")), called]
        elif turn.kind == "tool_result":
            waiting = calls.get(turn.name or "")
            if not waiting:
                return None
            messages.append({"role": "tool", "tool_call_id": waiting.popleft(), "content": turn.text})
        elif turn.kind in ("text", "refusal") and turn.role in _SPOKEN:
            key = "content" if turn.kind == "text" else "refusal"
            if last.get("role") == turn.role and "tool_calls" not in last and isinstance(last.get(key), str):
                last[key] = f"{last[key]}\n{turn.text}"
            elif last.get("role") == turn.role == "assistant" and "tool_calls" not in last:
                last[key] = turn.text
            else:
                messages.append({"role": turn.role, key: turn.text})
        else:
            return None
    return messages


def _tools(given: Json) -> Iterator[Json]:
    """Functions in the shape of Chat Completions; tools that a provider runs itself have none there."""
    for each in items(given):
        fields = mapping(each)
        if isinstance(fields.get("function"), dict):
            yield each
        elif "input_schema" in fields:  # Messages
            yield _function(fields, fields["input_schema"])
        elif fields.get("type") == "function":  # Responses
            yield _function(fields, fields.get("parameters"))
        for declared in items(fields.get("functionDeclarations", fields.get("function_declarations"))):  # Gemini
            function = mapping(declared)
            yield _function(function, function.get("parametersJsonSchema", function.get("parameters")))


def _function(given: Object, parameters: Json) -> Object:
    function: Object = {"name": string(given.get("name"))}
    if isinstance(given.get("description"), str):
        function["description"] = given["description"]
    if parameters is not None:
        function["parameters"] = parameters
    if given.get("strict") is not None:
        function["strict"] = given["strict"]
    return {"type": "function", "function": function}
