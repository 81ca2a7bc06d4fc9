"""Cut tool input is read as the official SDK reads it (jiter's partial mode is the oracle)."""

import contextlib
import json

import jiter
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wire.cut_json import certain_part

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)


@given(value=st.dictionaries(st.text(max_size=5), JSON, max_size=4), at=st.integers(0, 400), ascii_only=st.booleans())
def test_every_beginning_of_an_object_is_read_as_the_sdk_reads_it(value: object, at: int, ascii_only: bool) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only)[: at + 1]
    assert certain_part(text) == jiter.from_json(text.encode(), partial_mode=True)


@pytest.mark.parametrize(
    "text", ["", " ", "tru", '"abc', "-", '{"a" 1}', '{"a": 1, ]', "{1}", "}", '{"a": 00', '{"a": x']
)
def test_what_is_no_beginning_of_json_is_an_error(text: str) -> None:
    with pytest.raises(ValueError):
        certain_part(text)


def test_raw_line_ends_in_strings_are_read() -> None:
    assert certain_part('{"code": "a\nb", "more') == {"code": "a\nb"}


def test_nesting_is_bounded() -> None:
    with pytest.raises(ValueError, match="deep"):
        certain_part("[" * 100_000)


@given(st.text(alphabet='{}[]",:\\ \n-+.eE0123tfnu\x00é😀', max_size=60))
def test_any_text_gives_a_value_or_a_value_error(text: str) -> None:
    with contextlib.suppress(ValueError):
        certain_part(text)
