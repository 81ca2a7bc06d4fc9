import pytest

from wire.websocket.handshake import accept_for, fault_of_reply, is_acceptable

KEY = b"dGhlIHNhbXBsZSBub25jZQ=="
ASKED = ((b"Sec-WebSocket-Key", KEY), (b"Sec-WebSocket-Version", b"13"), (b"Sec-WebSocket-Protocol", b"realtime, x"))
TOLD = (
    (b"Upgrade", b"websocket"),
    (b"Connection", b"Upgrade"),
    (b"Sec-WebSocket-Accept", b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
)


def test_the_accept_of_the_specification_s_example() -> None:
    assert accept_for(KEY) == b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


@pytest.mark.parametrize(
    ("fields", "acceptable"),
    [
        (ASKED, True),
        (ASKED[1:], False),
        (ASKED[:1], False),
        ((*ASKED, (b"sec-websocket-key", KEY)), False),
        (((b"Sec-WebSocket-Key", b"c2hvcnQ="), ASKED[1]), False),
        (((b"Sec-WebSocket-Key", b"not base64!"), ASKED[1]), False),
        ((ASKED[0], (b"Sec-WebSocket-Version", b"8")), False),
        ((*ASKED, (b"Content-Length", b"5")), False),
        ((*ASKED, (b"Transfer-Encoding", b"chunked")), False),
    ],
)
def test_a_handshake_is_acceptable_or_not(fields: tuple[tuple[bytes, bytes], ...], acceptable: bool) -> None:
    assert is_acceptable(fields) is acceptable


@pytest.mark.parametrize(
    ("told", "fault"),
    [
        (TOLD, None),
        ((*TOLD, (b"Sec-WebSocket-Protocol", b"realtime")), None),
        ((*TOLD, (b"Sec-WebSocket-Protocol", b"other")), "it chose a subprotocol that was not offered"),
        ((*TOLD, (b"Sec-WebSocket-Extensions", b"permessage-deflate")), "it uses an extension that was not offered"),
        (TOLD[:2], "its Sec-WebSocket-Accept is of another key"),
        (TOLD[1:], "it switched to another protocol"),
        ((TOLD[0], TOLD[2]), "its handshake lacks Connection: Upgrade"),
    ],
)
def test_a_101_is_an_answer_to_what_was_asked_or_none(told: tuple[tuple[bytes, bytes], ...], fault: str | None) -> None:
    assert fault_of_reply(ASKED, told) == fault
