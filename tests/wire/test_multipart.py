"""multipart/form-data, strictly."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wire.api import BodyProblem
from wire.multipart import parse_multipart

TYPE = "multipart/form-data; boundary=b"


def form(*parts: tuple[str, bytes], end: bytes = b"--b--\r\n") -> bytes:
    return b"".join(b"--b\r\n" + head.encode() + b"\r\n\r\n" + content + b"\r\n" for head, content in parts) + end


def field(name: str) -> str:
    return f'Content-Disposition: form-data; name="{name}"'


FILE = 'Content-Disposition: form-data; name="file"; filename="a.mp3"\r\nContent-Type: audio/mpeg'


def test_fields_are_strings_and_files_are_names_and_sizes() -> None:
    raw = form((FILE, b"\x00\r\n\xff"), (field("model"), b"whisper-1"), (field("stream"), b"true"))
    assert parse_multipart(raw, TYPE) == {
        "file": {
            "_filename": "a.mp3",
            "_media_type": "audio/mpeg",
            "_bytes": 4,
            "_sha256": hashlib.sha256(b"\x00\r\n\xff").hexdigest(),
        },
        "model": "whisper-1",
        "stream": "true",
    }


def test_a_name_that_comes_again_gives_a_list() -> None:
    raw = form((field("image[]"), b"1"), (field("image[]"), b"2"), (field("image[]"), b"3"))
    assert parse_multipart(raw, 'multipart/form-data; charset=utf-8; boundary="b"') == {"image[]": ["1", "2", "3"]}


@pytest.mark.parametrize(
    ("raw", "content_type"),
    [
        (form((field("model"), b"a"), (field("model"), b"b")), TYPE),
        (form((field("stream"), b"true"), (field("stream"), b"false")), TYPE),
        (b"preamble\r\n" + form((field("a"), b"1")), TYPE),
        (form((field("a"), b"1"), end=b""), TYPE),
        (form((field("a"), b"1"), end=b"--b--\r\nepilogue"), TYPE),
        (form((field("a"), b"1")).replace(b"\r\n", b"\n"), TYPE),
        (form(("Content-Type: text/plain", b"1")), TYPE),
        (form(("Content-Disposition: attachment; name=a", b"1")), TYPE),
        (form((field("a") + '; name="model"', b"1")), TYPE),
        (form((field("a") + "\r\n" + field("b"), b"1")), TYPE),
        (form((field('mod\\"el'), b"1")), TYPE),
        (form(("Content-Disposition: form-data; name=a; filename*=utf-8''b", b"1")), TYPE),
        (form((field("a") + "\r\nContent-Transfer-Encoding: base64", b"MQ==")), TYPE),
        (form((field("a") + "\r\n folded: x", b"1")), TYPE),
        (form((field("_charset_"), b"utf-16")), TYPE),
        (form((field("a"), b"\xff")), TYPE),
        (form((field(""), b"1")), TYPE),
        (form((field("a"), b"1")), "multipart/form-data"),
        (form((field("a"), b"1")), "multipart/form-data; boundary=b; boundary=c"),
        (form((field("a"), b"1")), "multipart/form-data; boundary=" + "b" * 71),
        (form(*[(field(f"f{n}"), b"1") for n in range(300)]), TYPE),
        (form((field("Model"), b"a")), TYPE),
        (form((field(" model"), b"a")), TYPE),
        (form((field("model[]"), b"a")), TYPE),
        (form((field("\u017ftream"), b"a")), TYPE),
        (form((field("a"), b'x\n--b\nContent-Disposition: form-data; name="model"\n\ngpt-5\n')), TYPE),
        (form((field("a"), b"x--b--")), TYPE),
        (form((field("a"), b"1")), TYPE + "; boundary*=utf-8''c"),
        (form((field("a"), b"1")), TYPE + "; charset=utf-16"),
        (form((field("a"), b"1")), 'multipart/form-data; charset="utf-7"; boundary=b'),
        (b"", TYPE),
        (b"--b--\r\n", TYPE),
    ],
)
def test_a_form_with_two_readings_is_refused(raw: bytes, content_type: str) -> None:
    with pytest.raises(BodyProblem, match="bad_multipart"):
        parse_multipart(raw, content_type)


def test_a_long_field_is_described_and_not_kept() -> None:
    told = parse_multipart(form((field("prompt"), b"x" * (1024 * 1024 + 1))), TYPE)["prompt"]
    assert isinstance(told, dict)
    assert (told["_filename"], told["_bytes"]) == (None, 1024 * 1024 + 1)


@given(st.binary(max_size=200), st.text(max_size=30))
def test_no_bytes_raise_anything_but_a_body_problem(raw: bytes, content_type: str) -> None:
    for body, media in ((raw, TYPE), (form((field("a"), raw)), TYPE), (raw, content_type)):
        try:
            parse_multipart(body, media)
        except BodyProblem:
            continue
