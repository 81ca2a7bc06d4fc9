"""Makes 1.zdict: `python -m storage.dictionary.train`. Trained on what APIs look like, in words of our own.

The samples are written here and take their prose from this project's own pages, so that everything in the dictionary
may be shipped, and nothing of it is what benchmarks/storage.py measures. A dictionary that was shipped is never made
again: what was packed with it needs it.
"""

import json
import random
import re
from collections.abc import Iterator
from pathlib import Path

import zstandard

ROOT = Path(__file__).resolve().parent.parent.parent
TARGET = Path(__file__).parent / "1.zdict"
SIZE = 64 << 10

JAPANESE = """
お世話になっております。ご確認のほどよろしくお願いいたします。次の文章を英語に翻訳してください。要点を三つにまとめてください。
会議の議事録を作成してください。このエラーの原因を教えてください。コードを修正してください。以下の手順で進めてください。
ありがとうございます。承知いたしました。申し訳ございません。もちろんです。例えば、次のように書くことができます。
第一に、第二に、第三に。この関数は引数を受け取り、結果を返します。データベースに接続できません。設定ファイルを確認してください。
東京本社と大阪支社の売上を比較した表を作ってください。来週の予定を教えてください。資料を添付しました。ご質問があればお知らせください。
"""


def prose() -> list[str]:
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
    english = [p for page in pages for p in page.read_text(encoding="utf-8").split("\n\n") if 40 < len(p) < 2000]
    return english + [s + "。" for s in re.split("[。\n]", JAPANESE) if s]


def samples(count: int = 4000) -> Iterator[bytes]:
    """Messages, tool calls, answers and tools, in the shapes and spacings that the official SDKs send."""
    rnd, texts = random.Random(1), prose()
    for i in range(count):
        said = " ".join(rnd.choices(texts, k=rnd.randint(1, 3)))
        spaced = rnd.random() < 0.3
        yield _written(rnd.choice(_SHAPES)(said, f"{rnd.randrange(16**12):012x}", i), spaced=spaced)


def _written(value: object, *, spaced: bool) -> bytes:
    separators = (", ", ": ") if spaced else (",", ":")
    return json.dumps(value, ensure_ascii=False, separators=separators).encode()


def _message(said: str, token: str, i: int) -> object:
    return {"role": ("user", "system", "assistant")[i % 3], "content": said}


def _parts(said: str, token: str, i: int) -> object:
    return {"role": "user", "content": [{"type": ("text", "input_text")[i % 2], "text": said}]}


def _item(said: str, token: str, i: int) -> object:
    content = [{"type": "output_text", "text": said, "annotations": [], "logprobs": []}]
    return {"type": "message", "id": f"msg_{token}", "role": "assistant", "status": "completed", "content": content}


def _call(said: str, token: str, i: int) -> object:
    function = {"name": ("read_file", "search", "run_command")[i % 3], "arguments": json.dumps({"path": said[:60]})}
    calls = [{"id": f"call_{token}", "type": "function", "function": function}]
    return {"role": "assistant", "content": None, "tool_calls": calls}


def _result(said: str, token: str, i: int) -> object:
    return {"role": "tool", "tool_call_id": f"call_{token}", "content": said}


def _item_call(said: str, token: str, i: int) -> object:
    arguments = json.dumps({"query": said[:50]})
    return {"type": "function_call", "id": f"fc_{token}", "call_id": f"call_{token}", "name": "search", "arguments": arguments,
            "status": "completed"}  # fmt: skip


def _tool(said: str, token: str, i: int) -> object:
    properties = {"path": {"type": "string", "description": said[:120]}, "limit": {"type": "integer"}}
    parameters = {"type": "object", "properties": properties, "required": ["path"], "additionalProperties": False}
    return {
        "type": "function",
        "function": {"name": f"tool_{i % 9}", "description": said[:200], "parameters": parameters},
    }


def _completion(said: str, token: str, i: int) -> object:
    message: dict[str, object] = {"role": "assistant", "content": said, "refusal": None, "annotations": []}
    details = {"cached_tokens": 0, "audio_tokens": 0}
    usage = {"prompt_tokens": i, "completion_tokens": i % 97, "total_tokens": i + i % 97, "prompt_tokens_details": details,
             "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0}}  # fmt: skip
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
    return {"id": f"chatcmpl-{token}", "object": "chat.completion", "created": 1760000000 + i, "model": "gpt-4o-2024-08-06",
            "choices": [choice], "usage": usage, "service_tier": "default", "system_fingerprint": f"fp_{token[:10]}"}  # fmt: skip


def _response(said: str, token: str, i: int) -> object:
    usage = {"input_tokens": i, "input_tokens_details": {"cached_tokens": 0}, "output_tokens": i % 97,
             "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": i + i % 97}  # fmt: skip
    return {"id": f"resp_{token}", "object": "response", "created_at": 1760000000 + i, "status": "completed", "error": None,
            "incomplete_details": None, "instructions": None, "max_output_tokens": None, "model": "gpt-4o-2024-08-06",
            "output": [_item(said, token, i)], "parallel_tool_calls": True, "previous_response_id": None,
            "reasoning": {"effort": None, "summary": None}, "store": True, "temperature": 1.0, "tool_choice": "auto",
            "tools": [], "top_p": 1.0, "truncation": "disabled", "usage": usage, "user": None, "metadata": {}}  # fmt: skip


def _anthropic(said: str, token: str, i: int) -> object:
    usage = {"input_tokens": i, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0, "output_tokens": i % 97}
    return {"id": f"msg_{token}", "type": "message", "role": "assistant", "model": "claude-sonnet-4-5",
            "content": [{"type": "text", "text": said}], "stop_reason": "end_turn", "stop_sequence": None,
            "usage": usage}  # fmt: skip


def _gemini(said: str, token: str, i: int) -> object:
    candidate = {"content": {"parts": [{"text": said}], "role": "model"}, "finishReason": "STOP", "index": 0}
    counts = {"promptTokenCount": i, "candidatesTokenCount": i % 97, "totalTokenCount": i + i % 97}
    return {"candidates": [candidate], "usageMetadata": counts, "modelVersion": "gemini-2.5-flash", "responseId": token}


def _chunk(said: str, token: str, i: int) -> object:
    choice = {"index": 0, "delta": {"content": said[:8]}, "logprobs": None, "finish_reason": None}
    return {"id": f"chatcmpl-{token}", "object": "chat.completion.chunk", "created": 1760000000 + i,
            "model": "gpt-4o-2024-08-06", "service_tier": "default", "system_fingerprint": f"fp_{token[:10]}",
            "choices": [choice], "usage": None, "obfuscation": token[:7]}  # fmt: skip


def _head(said: str, token: str, i: int) -> object:
    return {"model": ("gpt-4o", "gpt-4o-mini", "gpt-5", "o3")[i % 4], "stream": True, "temperature": 0.7,
            "stream_options": {"include_usage": True}, "max_tokens": 1024, "messages": []}  # fmt: skip


_SHAPES = (
    _message, _parts, _item, _call, _result, _item_call, _tool, _completion, _response, _anthropic, _gemini, _chunk, _head
)  # fmt: skip


def main() -> None:
    trained = zstandard.train_dictionary(SIZE, list(samples()), level=3)
    TARGET.write_bytes(trained.as_bytes())


if __name__ == "__main__":
    main()
