from wire.json_seq import JsonSequence, element, texts_of

TEXTS = [b'{"a": 1}', '{\n "text": "天気"\n}'.encode(), b"[]"]
RAW = b"".join(map(element, TEXTS))


def read(*cuts: bytes) -> list[str]:
    reader = JsonSequence()
    return [event.data for cut in cuts for event in reader.feed(cut)] + [event.data for event in reader.close()]


def test_texts_do_not_depend_on_where_they_were_cut() -> None:
    whole = [text.decode() for text in TEXTS]
    assert texts_of(RAW) == TEXTS
    for i in range(len(RAW)):
        assert read(RAW[:i], RAW[i:]) == whole, i


def test_a_text_that_was_cut_is_no_event_and_one_too_large_is_counted() -> None:
    reader = JsonSequence(limit=100)
    assert [e.data for e in reader.feed(element(b"x" * 200) + element(b"1") + b"\x1e{")] == ["1"]
    assert reader.close() == []
    assert (reader.oversized, reader.cut) == (1, "{")
