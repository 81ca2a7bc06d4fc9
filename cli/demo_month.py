"""A month of a company that does not exist, as its workers would have journaled it: who asked what, when, and how it
ended. The same every time but for its end, which is now."""

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import uuid_utils

from cli.demo_provider import words_of
from cli.demo_talks import ENGLISH, INSTRUCTIONS, JAPANESE
from exchange.principal import Principal
from storage.journal.rows import Arrivals, Closing, Intent, Observed, ReplyHead

_DAYS: Final = 30
_TALKS: Final = (9, 15)  # on a working day
_PEOPLE: Final = (
    (Principal("ann", "ann.lee@example.com", "example.com", "corp", ("engineering",)), "en", 5),
    (Principal("taro", "taro.yamada@example.co.jp", "example.co.jp", "corp", ("sales",)), "ja", 6),
    (Principal("hanako", "hanako.sato@example.co.jp", "example.co.jp", "corp", ("finance",)), "ja", 4),
    (Principal("raj", "raj.patel@example.com", "example.com", "corp", ("engineering", "on-call")), "en", 7),
    (Principal("maria", "maria.garcia@example.com", "example.com", "corp", ("support",)), "en", 3),
    (Principal("kenji", "kenji.ito@example.co.jp", "example.co.jp", "corp", ("research",)), "ja", 2),
    (Principal("ci", None, "example.com", "github", ("ci",)), "en", 2),
)
_MODELS: Final = (("gpt-4o", 6), ("gpt-4o-mini", 8), ("claude-sonnet-4-5", 5))
_ENDS: Final[tuple[tuple[Observed, int], ...]] = (
    ("response_ended", 88), ("client_gone", 5), ("upstream_cut", 3), ("timed_out", 1), ("unreachable", 2),
)  # fmt: skip
_CODES: Final = (
    ("model_not_allowed", 403, "o3 is on no list of example.com"),
    ("expired_token", 401, "the token expired 2 hours before"),
    ("domain_not_allowed", 403, "mail domain partner.example is not admitted"),
    ("operation_not_allowed", 403, "no rule allows image_generation"),
)


@dataclass(frozen=True, slots=True)
class Journaled:
    """One exchange as it stands in a journal."""

    id: bytes
    intent: Intent
    request: bytes
    closing: Closing
    reply: bytes


def month(now: datetime, seed: int = 1) -> Iterator[Journaled]:
    """Every exchange of the last thirty days, in the order in which they began."""
    chance = random.Random(seed)
    made = [each for day in range(_DAYS, -1, -1) for each in _day(chance, now - timedelta(days=day), now)]
    made.sort(key=lambda each: each[0])
    for number, (at, fields, request, closing, reply) in enumerate(made, 1):
        microseconds = int(at.timestamp() * 1e6)
        given = uuid_utils.uuid7(nanoseconds=microseconds * 1000).bytes
        intent = Intent(**{**fields, "number": number, "started_at": microseconds})
        yield Journaled(bytes(given), intent, request, closing, reply)


type _Made = tuple[datetime, dict[str, Any], bytes, Closing, bytes]


def _day(chance: random.Random, day: datetime, now: datetime) -> Iterator[_Made]:
    weekend = day.weekday() >= 5
    for _ in range(chance.randint(0, 3) if weekend else chance.randint(*_TALKS)):
        hour = min(max(chance.gauss(13.5, 3), 0), 23.9)
        at = day.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(hours=hour)
        if at < now - timedelta(minutes=20):
            yield from _talk(chance, at)


def _talk(chance: random.Random, at: datetime) -> Iterator[_Made]:
    who, language, _ = chance.choices(_PEOPLE, [each[2] for each in _PEOPLE])[0]
    if chance.random() < 0.07:
        yield at, *_refused(chance, who)
        return
    model = chance.choices([name for name, _ in _MODELS], [weight for _, weight in _MODELS])[0]
    instructions = INSTRUCTIONS[language == "ja"]
    said: list[dict[str, str]] = []
    for question, answer in chance.choice(JAPANESE if language == "ja" else ENGLISH):
        said.append({"role": "user", "content": question})
        observed = chance.choices([name for name, _ in _ENDS], [weight for _, weight in _ENDS])[0]
        make = _messages if model.startswith("claude") else _chat
        request, pieces, fields = make(model, instructions, said, answer)
        yield at, _intent(who, model, request, fields), request, *_ended(chance, observed, pieces)
        if observed != "response_ended":
            return
        said.append({"role": "assistant", "content": answer})
        at += timedelta(seconds=chance.uniform(25, 180))


def _intent(who: Principal | None, model: str, request: bytes, fields: dict[str, Any]) -> dict[str, Any]:
    return {
        "node": "gw-1", "principal": who, "credential": None, "address": "10.20.0.14",
        "user_agent": "OpenAI/Python 3.54.0", "mode": "reverse", "outcome": "allow", "code": None, "rule": "everyone",
        "reason": None, "policy": "sha256:5b0f2c9a", "provider": "openai", "dialect": "openai", "method": "POST",
        "host": "api.openai.com", "path": "/v1/chat/completions", "query": None, "content_type": "application/json",
        "content_encoding": None, "body_bytes": len(request), "body_kept": True, "operation": "chat",
        "request_model": model, "stream": True, **fields,
    }  # fmt: skip


def _chat(
    model: str, instructions: str, said: list[dict[str, str]], answer: str
) -> tuple[bytes, list[bytes], dict[str, Any]]:
    messages = [{"role": "system", "content": instructions}, *said]
    request = _json({"model": model, "stream": True, "stream_options": {"include_usage": True}, "messages": messages})
    own = {"id": "chatcmpl-demo", "object": "chat.completion.chunk", "created": 1760000000, "model": model}

    def event(choices: list[dict[str, Any]], **more: Any) -> bytes:
        return b"data: " + _json({**own, "choices": choices, **more}) + b"\n\n"

    words = [*_words(answer)]
    pieces = [event([{"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}])]
    pieces += [event([{"index": 0, "delta": {"content": word}, "finish_reason": None}]) for word in words]
    pieces.append(event([{"index": 0, "delta": {}, "finish_reason": "stop"}]))
    tokens = _tokens(messages), len(words) * 2
    usage = {"prompt_tokens": tokens[0], "completion_tokens": tokens[1], "total_tokens": sum(tokens)}
    return request, [*pieces, event([], usage=usage), b"data: [DONE]\n\n"], {}


def _messages(
    model: str, instructions: str, said: list[dict[str, str]], answer: str
) -> tuple[bytes, list[bytes], dict[str, Any]]:
    request = _json({"model": model, "stream": True, "max_tokens": 2000, "system": instructions, "messages": said})

    def event(kind: str, **fields: Any) -> bytes:
        return f"event: {kind}\n".encode() + b"data: " + _json({"type": kind, **fields}) + b"\n\n"

    words = [*_words(answer)]
    usage = {"input_tokens": _tokens(said), "output_tokens": 1}
    message = {"id": "msg_demo", "type": "message", "role": "assistant", "model": model, "content": [], "usage": usage}
    pieces = [event("message_start", message=message)]
    pieces.append(event("content_block_start", index=0, content_block={"type": "text", "text": ""}))
    pieces += [event("content_block_delta", index=0, delta={"type": "text_delta", "text": word}) for word in words]
    pieces.append(event("content_block_stop", index=0))
    spent = {"output_tokens": len(words) * 2}
    pieces.append(event("message_delta", delta={"stop_reason": "end_turn", "stop_sequence": None}, usage=spent))
    fields = {
        "provider": "anthropic", "dialect": "anthropic", "host": "api.anthropic.com", "path": "/v1/messages",
        "operation": "messages", "user_agent": "Anthropic/Python 2.12.0",
    }  # fmt: skip
    return request, [*pieces, event("message_stop")], fields


def _ended(chance: random.Random, observed: Observed, pieces: list[bytes]) -> tuple[Closing, bytes]:
    """How this one ended, and what of the reply came."""
    ttft = int(chance.lognormvariate(13.2, 0.45))  # around half a second
    if observed in ("unreachable", "timed_out"):
        status = 502 if observed == "unreachable" else 504
        return _closing(observed, status, None, Arrivals([], []), 0, None, ttft), b""
    came = pieces if observed == "response_ended" else pieces[: chance.randint(2, max(3, len(pieces) // 2))]
    offsets, at = [], ttft
    for _ in came:
        offsets.append(at)
        at += int(chance.expovariate(1 / 28_000))
    reply = b"".join(came)
    head = ReplyHead(200, "text/event-stream; charset=utf-8", None, f"req_{chance.randrange(16**8):08x}")
    arrivals = Arrivals(offsets, [len(each) for each in came])
    return _closing(observed, 200, head, arrivals, len(reply), ttft, at + 4_000), reply


def _closing(
    observed: Observed, status: int, head: ReplyHead | None, came: Arrivals, size: int, ttft: int | None, took: int
) -> Closing:
    return Closing(observed, status, head, came, size, False, None, 1_800, ttft, took)


def _refused(chance: random.Random, who: Principal) -> tuple[dict[str, Any], bytes, Closing, bytes]:
    code, status, reason = chance.choice(_CODES)
    model = "o3" if code == "model_not_allowed" else "gpt-4o"
    request = _json({"model": model, "messages": [{"role": "user", "content": "Prove that P is not NP."}]})
    known = who if status == 403 and code != "domain_not_allowed" else None
    fields = {"outcome": "deny", "code": code, "rule": None, "reason": reason, "stream": False}
    closing = _closing("refused", status, None, Arrivals([], []), 0, None, 2_400)
    return _intent(known, model, request, fields), request, closing, b""


def _words(text: str) -> Iterator[str]:
    """The pieces in which a text is streamed; together they are the text."""
    for line in text.splitlines(keepends=True):
        rest = line
        for word in words_of(line):
            at = rest.find(word) + len(word)
            yield rest[:at]
            rest = rest[at:]
        if rest:
            yield rest


def _tokens(said: list[dict[str, str]]) -> int:
    return sum(len(each["content"].encode()) // 4 + 4 for each in said)


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
