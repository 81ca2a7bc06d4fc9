"""Token counts where the provider gave none, by a tokenizer whose vocabulary ships in its package. Marked as estimated.

Text is counted as OpenAI's models split it; other providers' models split otherwise, so theirs is a rougher guess.
Images, audio and files are not counted.
"""

import logging
from functools import cache
from typing import Protocol

from exchange.call import Json, Operation
from exchange.reply import Usage
from wire.conversation import conversation

log = logging.getLogger(__name__)

_COUNTED: frozenset[Operation] = frozenset(
    {"chat", "responses", "text_completion", "messages", "generate_content", "embeddings"}
)
_AT_ONCE = 100_000  # characters that the tokenizer is given
_ENOUGH = 1 << 20  # characters; beyond, the rest is taken to be like what was counted
_A_MESSAGE = 3  # tokens around each message (OpenAI cookbook, "How to count tokens with tiktoken")
_OLDER = ("gpt-3.5", "gpt-4-", "gpt-4", "text-embedding")
_NEWER = ("gpt-4o", "gpt-4.")


class _Encoding(Protocol):
    def encode_ordinary(self, text: str) -> list[int]: ...


@cache
def _encoding(name: str) -> _Encoding | None:
    try:
        import bpe_openai
    except ImportError:
        log.warning("No tokenizer is installed for this platform: usage that no provider gives stays unknown.")
        return None
    found: _Encoding = bpe_openai.get_encoding(name)
    return found


def estimate(operation: Operation, model: str | None, request: Json, response: Json) -> Usage | None:
    """Input and output tokens of an exchange by its texts; None where there is nothing to go by."""
    if operation not in _COUNTED:
        return None
    older = (model or "").startswith(_OLDER) and not (model or "").startswith(_NEWER)
    encoding = _encoding("cl100k_base" if older else "o200k_base")
    if encoding is None:
        return None
    asked = [turn.text for turn in conversation(operation, request, None)]
    said = [turn.text for turn in conversation(operation, None, response)] if operation != "embeddings" else []
    around = _A_MESSAGE * len(asked) if operation == "chat" else 0
    return Usage(input_tokens=_count(encoding, asked) + around, output_tokens=_count(encoding, said))


def _count(encoding: _Encoding, texts: list[str]) -> int:
    tokens = counted = 0
    for text in texts:
        for i in range(0, len(text), _AT_ONCE):
            if counted >= _ENOUGH:
                tokens += (len(text) - i) * tokens // counted
                break
            part = text[i : i + _AT_ONCE]
            tokens += len(encoding.encode_ordinary(part))
            counted += len(part)
    return tokens
