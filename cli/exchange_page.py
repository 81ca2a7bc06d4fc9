"""One exchange for reading: the facts first, then the conversation."""

from collections.abc import Iterator

import msgspec
from rich.text import Text

from cli.exchange_line import seconds
from cli.terminal import visible
from wire.conversation import Turn
from wire.conversation.record import ShownRecord

_STYLES = {
    "user": "bold cyan",
    "assistant": "bold green",
    "tool": "bold magenta",
    "error": "bold red",
}
_KINDS = {"text": "", "tool_call": "calls", "tool_result": "result of"}


def exchange_page(record: ShownRecord) -> Iterator[Text]:
    """The page, line by line or paragraph by paragraph."""
    yield Text(f"Exchange {visible(record.id)}", style="bold")
    for name, said in _facts(record):
        if said:
            yield Text.assemble((f"  {name:<10}", "dim"), visible(said))
    for turn in record.turns():
        yield from turn_lines(turn)
    yield from refusal_lines(record)


def turn_lines(turn: Turn) -> Iterator[Text]:
    """One turn: an empty line, who, what."""
    yield Text("")
    yield _heading(turn)
    yield Text(visible(_body(turn)))


def refusal_lines(record: ShownRecord) -> Iterator[Text]:
    """That we said no, and why; nothing where we did not."""
    if record.end_state == "refused":
        yield Text("")
        yield Text("── refused here ──", style="bold red")
        yield Text(visible(_refusal(record)))


def _heading(turn: Turn) -> Text:
    kind = _KINDS.get(turn.kind, turn.kind)
    words = [turn.role, kind if kind != turn.role else "", turn.name or ""]
    said = " ".join(visible(word) for word in words if word)
    return Text(f"── {said} ──", style=_STYLES.get("error" if turn.kind == "error" else turn.role, "bold"))


def _body(turn: Turn) -> str:
    """Arguments of tool calls laid out, where they are JSON; everything else as it came."""
    if turn.kind == "tool_call" and turn.text[:1] in ("{", "["):
        try:
            return msgspec.json.format(turn.text, indent=2)
        except (msgspec.DecodeError, UnicodeEncodeError):
            return turn.text  # cut off, or no JSON: that is what came
    return turn.text


def _facts(record: ShownRecord) -> Iterator[tuple[str, str]]:
    at = record.started_at.astimezone()
    yield "when", f"{at:%Y-%m-%d %H:%M:%S}.{at.microsecond // 1000:03d} {at:%z}  (seq {record.seq}, node {record.node})"
    yield "who", _who(record)
    client = record.client
    yield "from", ", ".join(part for part in (client.address, client.user_agent, client.mode) if part)
    query = f"?{record.query}" if record.query else ""
    how = f"{record.operation}, {record.provider}{', streamed' if record.stream else ''}"
    yield "what", f"{record.method} {record.host}{record.path}{query}  ({how})"
    models = [model for model in (record.request_model, record.response_model) if model]
    yield "model", " → ".join(dict.fromkeys(models))
    decision = record.decision
    told = [
        decision.outcome,
        decision.code or "",
        f"by {decision.rule}" if decision.rule else "",
        decision.reason or "",
    ]
    yield "decision", ", ".join(part for part in told if part)
    truncated = ", the copy is not whole" if record.capture_truncated else ""
    yield "ended", f"{record.end_state}{f', status {record.status}' if record.status else ''}{truncated}"
    yield "usage", _usage(record)
    yield "cost", "" if record.cost_usd is None else f"${record.cost_usd:.6f}"
    timing = record.timing
    yield (
        "timing",
        f"first byte {seconds(timing.ttft_ms)}, whole {seconds(timing.duration_ms)}, in us {_ms(timing.overhead_ms)}",
    )
    yield "bytes", f"{record.request_bytes} asked, {record.response_bytes} answered, raw {record.raw}"
    yield "changed", ", ".join(record.changed)
    yield "thread", record.thread_id or ""
    yield "upstream", record.upstream_request_id or ""


def _who(record: ShownRecord) -> str:
    who = record.principal
    if who is None:
        return f"nobody known{f' (key {record.client.credential})' if record.client.credential else ''}"
    more = [f"issuer {who.issuer}"]
    if who.email and who.subject != who.email:
        more.append(f"subject {who.subject}")
    if who.groups:
        more.append(f"groups {', '.join(who.groups)}")
    if record.client.credential:
        more.append(f"key {record.client.credential}")
    if record.claimed_user and record.claimed_user not in (who.email, who.subject):
        more.append(f"claims to speak for {record.claimed_user[:100]}")
    return f"{who.email or who.subject}  ({', '.join(more)})"


def _usage(record: ShownRecord) -> str:
    usage = record.usage
    if usage.source == "none":
        return "none given"
    more = [
        f"{count} {what}"
        for count, what in ((usage.cached_input_tokens, "cached"), (usage.reasoning_tokens, "reasoning"))
        if count
    ]
    counts = f"{_count(usage.input_tokens)} in, {_count(usage.output_tokens)} out"
    return counts + (f" ({', '.join(more)})" if more else "") + (", estimated" if usage.source == "estimated" else "")


def _count(tokens: int | None) -> str:
    return "?" if tokens is None else str(tokens)


def _ms(milliseconds: float | None) -> str:
    return "-" if milliseconds is None else f"{milliseconds:.1f}ms"


def _refusal(record: ShownRecord) -> str:
    decision = record.decision
    return (
        f"{record.status or ''} {decision.code or 'refused'}{f': {decision.reason}' if decision.reason else ''}".strip()
    )
