import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wire.openai.safety_identifier import NAME, safety_identifier, takes_safety_identifier, with_safety_identifier

ANN = safety_identifier(b"k" * 32, "ann", "corp")


def test_the_identifier_is_stable_and_fits_and_names_nobody() -> None:
    assert safety_identifier(b"k" * 32, "ann", "corp") == ANN
    assert len(ANN) <= 64
    assert "ann" not in ANN


@pytest.mark.parametrize(
    ("key", "subject", "issuer"),
    [
        (b"other" * 8, "ann", "corp"),
        (b"k" * 32, "bob", "corp"),
        (b"k" * 32, "ann", "other"),
        (b"k" * 32, "nann", "corpan"),
        (b"k" * 32, "", "corpann"),
        (b"k" * 32, "pann", "cor"),
    ],
)
def test_another_person_issuer_or_key_has_another_identifier(key: bytes, subject: str, issuer: str) -> None:
    assert safety_identifier(key, subject, issuer) != ANN


@pytest.mark.parametrize(
    ("sent", "forwarded"),
    [
        (b"{}", b'{"safety_identifier":"ID"}'),
        (b"{ \n }", b'{"safety_identifier":"ID" \n }'),
        (b'{"model":"m"}', b'{"safety_identifier":"ID","model":"m"}'),
        (b' {"model": "m"} ', b' {"safety_identifier":"ID","model": "m"} '),
        (b'{\n  "a": 1.0,\n  "b": 1e3}', b'{"safety_identifier":"ID",\n  "a": 1.0,\n  "b": 1e3}'),
        ('{"input":"こんにちは \\u3053"}'.encode(), '{"safety_identifier":"ID","input":"こんにちは \\u3053"}'.encode()),
        # deeper down the name is the caller's business
        (b'{"m":{"safety_identifier":"x"}}', b'{"safety_identifier":"ID","m":{"safety_identifier":"x"}}'),
        # of the caller's own: gone
        (b'{"safety_identifier":"x"}', b'{"safety_identifier":"ID"}'),
        (b'{"safety_identifier": "x" , "a":1}', b'{"safety_identifier":"ID", "a":1}'),
        (b'{"a":1, "safety_identifier": {"b":[",}"]}}', b'{"safety_identifier":"ID","a":1}'),
        (b'{"a":1,"safety_identifier":null,"b": 2 }', b'{"safety_identifier":"ID","a":1,"b": 2 }'),
        (b'{"safety\\u005fidentifier":"x","a":"\\u00e9"}', b'{"safety_identifier":"ID","a":"\\u00e9"}'),
        (b'{"safety_identifier":1,"a":2,"safety_identifier":3}', b'{"safety_identifier":"ID","a":2}'),
    ],
)
def test_it_goes_in_behind_the_brace_and_every_other_byte_stays(sent: bytes, forwarded: bytes) -> None:
    assert with_safety_identifier(sent, "ID") == forwarded


@pytest.mark.parametrize("sent", [b"", b"[1]", b'"{"', b"{", b'{"a":}', b"\xff\xfe{", b"null", b"{}x"])
def test_what_is_no_json_object_is_not_touched(sent: bytes) -> None:
    assert with_safety_identifier(sent, "ID") is sent


@pytest.mark.parametrize(
    ("method", "path", "takes"),
    [
        ("POST", "/v1/chat/completions", True),
        ("POST", "/v1/responses", True),
        ("POST", "/v1/responses/", True),
        ("POST", "/openai//v1/chat/completion%73", True),
        ("POST", "/responses", True),
        ("POST", "/v1/responses/compact", False),
        ("POST", "/v1/responses/input_tokens", False),
        ("GET", "/v1/responses", False),
        ("POST", "/v1/chat/completions/chatcmpl-1", False),
        ("POST", "/v1/completions", False),
        ("POST", "/v1/myresponses", False),
    ],
)
def test_it_belongs_to_the_calls_that_ask_for_an_answer(method: str, path: str, takes: bool) -> None:
    assert takes_safety_identifier(method, path) is takes


_NAMES = st.sampled_from([NAME, "model", "a", "é", 'q"'])
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_NAMES, inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(_NAMES, _JSON), st.booleans(), st.sampled_from([None, 1]))
def test_the_object_is_the_same_but_for_the_identifier(
    sent: dict[str, object], ascii_only: bool, indent: int | None
) -> None:
    body = json.dumps(sent, ensure_ascii=ascii_only, indent=indent).encode()

    assert json.loads(with_safety_identifier(body, ANN)) == {**sent, NAME: ANN}
