"""What is a call of gRPC, how it ended, and what a refusal of one is."""

import pytest

from exchange.decision import CODES
from exchange.reply import Reply
from wire.api import BodyProblem, Route
from wire.calls import read_by_head
from wire.grpc import is_grpc, is_message_type, may_follow, refusal_fields, status_of, with_status
from wire.openai.chat import API as CHAT
from wire.other import API as OTHER

TE = (b"te", b"trailers")


@pytest.mark.parametrize(
    ("method", "fields", "answer"),
    [
        (b"POST", [(b"content-type", b"application/grpc"), TE], True),
        (b"POST", [(b"content-type", b"application/grpc+proto"), TE], True),
        (b"POST", [(b"content-type", b"Application/GRPC+json; charset=utf-8"), (b"te", b"Trailers")], True),
        (b"POST", [(b"content-type", b"application/grpc")], False),
        (b"POST", [(b"content-type", b"application/grpc-web+proto"), TE], False),
        (b"POST", [(b"content-type", b"application/grpcx"), TE], False),
        (b"POST", [(b"content-type", b"application/json"), TE], False),
        (b"GET", [(b"content-type", b"application/grpc"), TE], False),
        (b"POST", [], False),
    ],
)
def test_a_call_says_so_in_its_head(method: bytes, fields: list[tuple[bytes, bytes]], answer: bool) -> None:
    assert is_grpc(method, fields) is answer


def test_a_reply_without_a_type_is_none_of_grpc() -> None:
    assert not is_message_type(None)


@pytest.mark.parametrize(
    ("value", "status"),
    [(b"0", 0), (b"16", 16), (b"", 2), (b"-1", 2), (b"5 5", 2), (b"9" * 5000, 2), ("５".encode(), 2)],
)
def test_a_status_that_is_no_number_is_unknown(value: bytes, status: int) -> None:
    assert status_of([(b"x", b"1"), (b"grpc-status", value)]) == status
    assert status_of([(b"x", b"1")]) is None


def test_what_a_head_alone_may_say_does_not_follow() -> None:
    for name in (b"content-length", b"host", b"authorization", b"set-cookie", b"transfer-encoding", b":status"):
        assert not may_follow(name)
    for name in (b"grpc-status", b"grpc-message", b"grpc-status-details-bin", b"x-request-id"):
        assert may_follow(name)


def test_the_status_decides_about_the_end_and_stands_beside_what_was_measured() -> None:
    measured = Reply({"_bytes": 3, "_extra": {"truncated_encoding": True}}, "settled")
    told = with_status(measured, "application/grpc", 5)
    assert (told.ended, told.response) == (
        "failed",
        {"_bytes": 3, "_extra": {"truncated_encoding": True, "grpc_status": 5}},
    )
    alone = with_status(Reply(None, "settled"), "application/grpc", 0)
    assert alone.ended == "terminal"
    assert isinstance(alone.response, dict)
    assert (alone.response["_bytes"], alone.response["_extra"]) == (0, {"grpc_status": 0})


def test_every_refusal_has_a_status_of_grpc_that_is_no_success() -> None:
    for code, meaning in CODES.items():
        fields = refusal_fields(code)
        assert 0 < int(fields["grpc-status"]) <= 16
        assert fields["grpc-message"] == f"{code}: {meaning.message}"
        assert fields["grpc-message"].isascii()
        assert "%" not in fields["grpc-message"]
        assert "\n" not in fields["grpc-message"]
    assert refusal_fields("missing_identity")["grpc-status"] == "16"
    assert refusal_fields("nobody knows this code")["grpc-status"] == "13"


def test_an_api_that_takes_json_is_not_asked_by_grpc() -> None:
    with pytest.raises(BodyProblem, match="media_type_not_supported"):
        read_by_head(Route(CHAT), content_encoding=None, strict=True)
    assert read_by_head(Route(CHAT), content_encoding=None, strict=False).operation == "chat"


def test_a_body_compressed_as_a_whole_is_not_let_pass_unmeasured() -> None:
    with pytest.raises(BodyProblem, match="content_encoding_not_supported"):
        read_by_head(Route(OTHER), content_encoding="gzip", strict=True)
    for coding in (None, "identity"):
        call = read_by_head(Route(OTHER), content_encoding=coding, strict=True)
        assert (call.operation, call.inspected, call.stream) == ("other", False, False)
