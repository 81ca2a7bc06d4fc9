"""WebSocket frames (RFC 6455 §5): bytes in any cuts become messages; nothing is answered here."""

from dataclasses import dataclass
from typing import Final

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
_DATA: Final = frozenset({CONTINUATION, TEXT, BINARY})
_OPCODES: Final = _DATA | {CLOSE, PING, PONG}

GOING_AWAY, PROTOCOL_ERROR, UNSUPPORTED, INVALID_DATA, POLICY = 1001, 1002, 1003, 1007, 1008
TOO_BIG, INTERNAL_ERROR, TRY_AGAIN_LATER = 1009, 1011, 1013
"""Close codes (RFC 6455 §7.4.1 and IANA's registry)."""

_CLOSE_CODES: Final = frozenset({*range(1000, 1004), *range(1007, 1015), *range(3000, 5000)})
"""Those that may stand in a frame (§7.4)."""
_PER_FRAME: Final = 64  # bytes that a frame costs us beside its payload, so that empty fragments are bounded too


class FrameProblem(ValueError):  # noqa: N818 - says what is wrong
    """A frame that breaks the protocol, or our limit. `code` is the close code for it (§7.4.1); `sound` counts the
    bytes given to `feed` before the frame in which it was found, and `messages` are those that they completed."""

    def __init__(self, code: int, why: str) -> None:
        super().__init__(why)
        self.code = code
        self.sound = 0
        self.messages: list[Message] = []


@dataclass(frozen=True, slots=True)
class Message:
    """A message, or a control frame. `payload` is unmasked; None for a message too large to be kept. `raw` are its
    frames as they came (empty unless they are held). `end`: where in the bytes given to `feed` its last frame ends."""

    opcode: int
    payload: bytes | None
    raw: bytes
    end: int

    @property
    def is_data(self) -> bool:
        return self.opcode in _DATA


class FrameWalker:
    """One direction of a connection.

    Args:
        limit: bytes of one message, its frames' heads included.
        from_client: frames must be masked, raw bytes are held until their message is whole, text must be UTF-8, and a
            message past the limit is a fault (1009). From a server frames must not be masked (§5.1), and what is past
            the limit is walked over and not kept: its bytes were passed on already.
    """

    def __init__(self, limit: int, *, from_client: bool) -> None:
        self._limit = limit
        self._client = from_client
        self._head = b""
        self._left = -1  # bytes of the frame's payload that are still to come; -1: its head is due
        self._begun = 0  # opcode of a message whose first frame is here
        self._opcode = 0
        self._fin = False
        self._mask = b""
        self._size = 0  # of the message so far
        self._payload: list[bytes] = []  # of this frame, masked
        self._message: list[bytes] = []  # of the frames before it, unmasked
        self._raw: list[bytes] = []  # of the message
        self._control_raw: list[bytes] = []
        self._control_payload: list[bytes] = []

    @property
    def is_between(self) -> bool:
        """No frame and no message is under way: something else may be said here."""
        return self._left < 0 and not self._head and not self._begun

    @property
    def is_between_frames(self) -> bool:
        """A control frame may be said here, amid a message that comes in fragments (§5.4)."""
        return self._left < 0 and not self._head

    def feed(self, data: bytes) -> list[Message]:
        """The messages that these bytes complete. Raises FrameProblem, after which nothing more may be fed."""
        found: list[Message] = []
        at = sound = 0
        most = len(data)
        try:
            while at < most:
                if self._left < 0:
                    before = len(self._head)
                    head = self._head + data[at : at + 14 - before]
                    need = _head_size(head)
                    if need > len(head):
                        self._head = head
                        break
                    self._head = b""
                    at += need - before
                    self._begin(head[:need])
                taken = min(self._left, most - at)
                self._take(data[at : at + taken])
                at += taken
                self._left -= taken
                if self._left == 0:
                    self._left = -1
                    if (message := self._end(at)) is not None:
                        found.append(message)
                    sound = at
        except FrameProblem as problem:
            problem.sound, problem.messages = sound, found
            raise
        return found

    def _begin(self, head: bytes) -> None:
        first, second = head[0], head[1]
        self._opcode, self._fin = first & 0x0F, bool(first & 0x80)
        length, masked = second & 0x7F, bool(second & 0x80)
        if first & 0x70:
            raise FrameProblem(PROTOCOL_ERROR, "a reserved bit is set, and no extension was agreed on (§5.2)")
        if self._opcode not in _OPCODES:
            raise FrameProblem(PROTOCOL_ERROR, "the opcode is reserved (§5.2)")
        if masked != self._client:
            raise FrameProblem(PROTOCOL_ERROR, "a client masks its frames, a server does not (§5.1)")
        if length == 126:
            length = int.from_bytes(head[2:4])
            least = 126
        elif length == 127:
            length = int.from_bytes(head[2:10])
            least = 1 << 16
        else:
            least = 0
        if length < least or length >> 63:
            raise FrameProblem(PROTOCOL_ERROR, "the length is not written in the fewest bytes (§5.2)")
        self._mask = head[-4:] if masked else b""
        self._left = length
        if self._opcode not in _DATA:
            if not self._fin or length > 125:
                raise FrameProblem(PROTOCOL_ERROR, "a control frame is whole and of at most 125 bytes (§5.5)")
            self._control_raw, self._control_payload = [head] if self._client else [], []
            return
        if (self._opcode == CONTINUATION) != bool(self._begun):
            raise FrameProblem(PROTOCOL_ERROR, "fragments of two messages are mixed (§5.4)")
        self._begun = self._begun or self._opcode
        self._size += length + _PER_FRAME
        if self._size > self._limit:
            if self._client:
                raise FrameProblem(TOO_BIG, "the message is larger than is accepted here (§7.4.1)")
            self._message.clear()
            self._payload.clear()
        if self._client:
            self._raw.append(head)

    def _take(self, piece: bytes) -> None:
        if self._opcode not in _DATA:
            if self._client:
                self._control_raw.append(piece)
            self._control_payload.append(piece)
        elif self._size <= self._limit:
            self._payload.append(piece)
            if self._client:
                self._raw.append(piece)

    def _end(self, at: int) -> Message | None:
        if self._opcode not in _DATA:
            payload = unmasked(b"".join(self._control_payload), self._mask)
            if self._opcode == CLOSE:
                _check_close(payload)
            return Message(self._opcode, payload, b"".join(self._control_raw), at)
        if self._payload:
            self._message.append(unmasked(b"".join(self._payload), self._mask))
            self._payload.clear()
        if not self._fin:
            return None
        whole = b"".join(self._message) if self._size <= self._limit else None
        opcode, raw = self._begun, b"".join(self._raw)
        self._begun = self._size = 0
        self._message.clear()
        self._raw.clear()
        if self._client and opcode == TEXT and whole is not None and not _is_utf8(whole):
            raise FrameProblem(INVALID_DATA, "a text is not UTF-8 (§8.1)")
        return Message(opcode, whole, raw, at)


def _head_size(head: bytes) -> int:
    """Bytes of a frame's head (§5.2); more than there are while that cannot be told."""
    if len(head) < 2:
        return 2
    length = head[1] & 0x7F
    return 2 + (2 if length == 126 else 8 if length == 127 else 0) + (4 if head[1] & 0x80 else 0)


def _check_close(payload: bytes) -> None:
    if len(payload) == 1 or (payload and int.from_bytes(payload[:2]) not in _CLOSE_CODES):
        raise FrameProblem(PROTOCOL_ERROR, "the close code is none (§7.4)")
    if not _is_utf8(payload[2:]):
        raise FrameProblem(INVALID_DATA, "the reason of a close is not UTF-8 (§5.5.1)")


def _is_utf8(text: bytes) -> bool:
    if text.isascii():
        return True
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


def unmasked(data: bytes, mask: bytes) -> bytes:
    """The bytes without their mask, or with it: the same operation (§5.3)."""
    if not mask or not data:
        return data
    length = len(data)
    key = (mask * (length // 4 + 1))[:length]
    return (int.from_bytes(data) ^ int.from_bytes(key)).to_bytes(length)


def frame(opcode: int, payload: bytes, mask: bytes = b"") -> bytes:
    """One whole frame. `mask`: 4 bytes of chance where it goes to a server (§5.3), else none."""
    length, bit = len(payload), 0x80 if mask else 0
    head = bytes((0x80 | opcode,))
    if length < 126:
        head += bytes((bit | length,))
    elif length < 1 << 16:
        head += bytes((bit | 126,)) + length.to_bytes(2)
    else:
        head += bytes((bit | 127,)) + length.to_bytes(8)
    return head + mask + unmasked(payload, mask)


def close_frame(code: int, reason: str, mask: bytes = b"") -> bytes:
    """A close frame (§5.5.1). The reason is cut to what fits a control frame."""
    said = reason.encode()[:123].decode("utf-8", "ignore").encode()
    return frame(CLOSE, code.to_bytes(2) + said, mask)
