"""Request bodies as JSON: what two readers could read differently is refused, by name."""

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from wire.api import BodyProblem
from wire.json_body import parse_json
from wire.json_text import DEPTH, fit, read_json

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def nested(levels: int) -> bytes:
    return b'{"x":' + b"[" * (levels - 1) + b"]" * (levels - 1) + b"}"


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (b"", "invalid_json"),
        (b"{", "invalid_json"),
        (b"{} {}", "invalid_json"),
        (b"{'a': 1}", "invalid_json"),
        (b'{"a": 1,}', "invalid_json"),
        (b'{"a": "\x01"}', "invalid_json"),
        (b'{"a": 01}', "invalid_json"),
        (b"\xef\xbb\xbf{}", "bom"),
        (b'{"a": "\xff"}', "not_utf8"),
        (b'{"a": "\xed\xa0\x80"}', "not_utf8"),
        ('{"a": 1}'.encode("utf-16"), "not_utf8"),
        (b"[]", "json_not_object"),
        (b"null", "json_not_object"),
        (b'"model"', "json_not_object"),
        (b'{"model": "a", "model": "b"}', "duplicate_json_key"),
        (b'{"model": "a", "model": "a"}', "duplicate_json_key"),
        (b'{"model": "a", "mod\\u0065l": "b"}', "duplicate_json_key"),
        (b'{"x": {"a": 1, "a": 2}}', "duplicate_json_key"),
        (b'{"x": [{"a": {}, "b": 1, "a": {"c": ":"}}]}', "duplicate_json_key"),
        (b'{"x": "\\u003a\\u003A", "a": 1, "a": 2}', "duplicate_json_key"),
        (b'{"a:b": 1, "a:b": 2}', "duplicate_json_key"),
        (b'{"": 1, "": 2}', "duplicate_json_key"),
        (b'{"x": NaN}', "nonfinite_number"),
        (b'{"x": -Infinity}', "nonfinite_number"),
        (b'{"x": 1e999}', "nonfinite_number"),
        (b'{"x": ' + b"9" * 21 + b"}", "number_too_long"),
        (b'{"x": ' + b"9" * 5000 + b"}", "number_too_long"),
        (nested(DEPTH + 2), "json_too_deep"),
        (nested(200_000), "json_too_deep"),
        (b'{"x":' * (DEPTH + 1) + b"1" + b"}" * (DEPTH + 1), "json_too_deep"),
        (b'{"model": "\\ud800"}', "lone_surrogate"),
        (b'{"x": {"\\udc00": 1}}', "lone_surrogate"),
    ],
)
def test_a_body_with_two_readings_is_refused_by_name(raw: bytes, code: str) -> None:
    with pytest.raises(BodyProblem) as refused:
        parse_json(raw, strict=True)
    assert refused.value.code == code


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        (b"{}", {}),
        (b' \t\r\n{"a": [1, 2.5, true, null, "x"]} ', {"a": [1, 2.5, True, None, "x"]}),
        (b'{"x": "[[[{{{::: \\" \\\\ "}', {"x": '[[[{{{::: " \\ '}),
        (b'{"a": {"k": 1}, "b": {"k": 2}}', {"a": {"k": 1}, "b": {"k": 2}}),
        (b'{"x": "\\u003a"}', {"x": ":"}),
        (b'{"x": ' + b"9" * 20 + b"}", {"x": int("9" * 20)}),
        (b'{"x": "' + b"9" * 500 + b'"}', {"x": "9" * 500}),
        (b'{"x": "\\ud83d\\ude00"}', {"x": "😀"}),
        (b'{"model": "a", "x": "cut \\ud83d"}', {"model": "a", "x": "cut \ufffd"}),
    ],
)
def test_an_odd_body_with_one_reading_passes(raw: bytes, value: dict[str, Any]) -> None:
    assert parse_json(raw, strict=True) == value


def test_as_many_levels_as_may_be_are_read() -> None:
    assert parse_json(nested(DEPTH), strict=True)


@given(st.dictionaries(st.text(), VALUES, max_size=5), st.booleans(), st.sampled_from([None, 2]))
def test_any_object_is_read_as_the_standard_library_reads_it(value: dict[str, Any], ascii_: bool, indent: int) -> None:
    raw = json.dumps(value, ensure_ascii=ascii_, indent=indent).encode()
    assert parse_json(raw, strict=True) == json.loads(raw)


@given(st.lists(st.sampled_from(['"a"', '"b"', '"\\u0061"', '":"', '"\\u003a"', '"a:b"']), max_size=5))
@example(['"\\u003a"', '":"'])
def test_a_key_twice_is_never_overlooked(keys: list[str]) -> None:
    raw = ('{"x": {' + ", ".join(f'{key}: ":\\u003a"' for key in keys) + "}}").encode()
    twice = len({json.loads(key) for key in keys}) < len(keys)
    if twice:
        with pytest.raises(BodyProblem, match="duplicate_json_key"):
            parse_json(raw, strict=True)
    else:
        assert parse_json(raw, strict=True) == json.loads(raw)


@given(st.binary(max_size=200))
def test_no_bytes_raise_anything_but_a_body_problem(raw: bytes) -> None:
    for strict in (True, False):
        try:
            parse_json(raw, strict=strict)
        except BodyProblem:
            continue


def test_leniently_the_last_of_two_keys_counts_and_a_mark_is_passed_over() -> None:
    assert parse_json(b'\xef\xbb\xbf{"a": 1, "a": NaN}', strict=False) == {"a": "NaN"}
    assert parse_json(b"[1]", strict=False) == [1]


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, '{"a":' * 5000, "nope"])
def test_what_is_no_json_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError):
        read_json(text)


def test_halves_of_a_character_that_came_apart_are_joined_and_a_lone_one_is_replaced() -> None:
    halves = read_json('["\\ud83d", "\\ude00"]')
    assert isinstance(halves, list)
    assert fit([f"{halves[0]}{halves[1]}", halves[0]]) == ["😀", "\ufffd"]
    assert fit({"\ud800": 1.5}) == {"\ufffd": 1.5}


@pytest.mark.parametrize("before", range(12))
@pytest.mark.parametrize("digits", [21, 25, 40])
def test_a_number_that_is_too_long_is_found_wherever_it_stands(before: int, digits: int) -> None:
    raw = b'{"' + b"k" * before + b'": ' + b"7" * digits + b"}"

    with pytest.raises(BodyProblem) as refused:
        parse_json(raw, strict=True)
    assert refused.value.code == "number_too_long"
