import pytest

from exchange.call import Json, Operation
from recording.estimates import estimate


def chat(text: str, model: str = "gpt-4o") -> Json:
    return {"model": model, "messages": [{"role": "user", "content": text}]}


def answer(text: str) -> Json:
    return {"choices": [{"index": 0, "message": {"role": "assistant", "content": text}}]}


def test_words_are_counted_as_the_models_split_them() -> None:
    usage = estimate("chat", "gpt-4o", chat("hello world"), answer("tiktoken is great!"))

    assert usage is not None
    assert usage.input_tokens == 2 + 3  # the words, and what stands around a message
    assert usage.output_tokens == 6


def test_older_models_split_otherwise() -> None:
    newer, older = (
        estimate("chat", m, chat("東京の天気を教えてください" * 20), None) for m in ("gpt-4o", "gpt-4-0613")
    )

    assert newer is not None
    assert older is not None
    assert (newer.input_tokens or 0) < (older.input_tokens or 0)


@pytest.mark.parametrize("operation", ["transcription", "speech", "image_generation", "other", "moderation"])
def test_what_is_no_text_is_not_guessed(operation: Operation) -> None:
    assert estimate(operation, "gpt-4o", chat("x"), None) is None


def test_a_text_of_many_megabytes_is_counted_in_bounded_time() -> None:
    usage = estimate("chat", "gpt-4o", chat("word " * 4_000_000), None)

    assert usage is not None
    assert (usage.input_tokens or 0) > 3_000_000


def test_an_embedding_has_no_output_tokens() -> None:
    usage = estimate("embeddings", "text-embedding-3-small", {"input": ["one", "two"]}, {"data": [{"_length": 3}]})

    assert usage is not None
    assert usage.output_tokens == 0
