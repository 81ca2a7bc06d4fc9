"""Chunked transfer coding, walked as it comes (RFC 9112 §7.1)."""

import re

_LINE = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[\t\x20-\x7e\x80-\xff]*)?\r\n")
_LINE_BYTES = 4096
_TRAILER_BYTES = 16 * 1024


class ChunkProblem(ValueError):  # noqa: N818 - says what is wrong
    """This is not chunked coding; where the message ends cannot be known.

    `sound` bytes of the data that was fed came before the fault, with the payload `pieces` in them.
    """

    def __init__(self, why: str, sound: int, pieces: list[bytes]) -> None:
        super().__init__(why)
        self.sound = max(sound, 0)
        self.pieces = pieces


class ChunkWalk:
    """`feed` gives the payload found in the data, as slices; `end` says where in that data the message ended.

    `overhead` counts framing bytes. `trailers` holds the trailer section as it came, when there is one.
    `left`, `lead`, `lead_left` and `midway` describe the last data for one that has to put other framing around it:
    how much payload the chunk in flight still owes, where the first slice began, how much its chunk still owed there,
    and whether the data began amid a chunk (its line end included) or a size line.
    """

    __slots__ = ("_due", "_last", "_part", "end", "lead", "lead_left", "left", "midway", "overhead", "trailers")

    def __init__(self) -> None:
        self.left = 0
        self.end = -1
        self.overhead = 0
        self.trailers = b""
        self.lead = 0
        self.lead_left = 0
        self.midway = False
        self._due = False
        self._last = False
        self._part = b""

    def feed(self, data: bytes) -> list[bytes]:
        """Raises ChunkProblem. After `end` is set (an offset into this `data`), nothing more may be fed."""
        pieces: list[bytes] = []
        shift = 0
        left = self.left
        self.midway = left > 0 or self._due or self._part != b""
        if self._part:
            shift = len(self._part)
            data = self._part + data
            self._part = b""
        at = 0
        size = len(data)
        while at < size:
            if left:
                if not pieces:
                    self.lead = at - shift
                    self.lead_left = left
                have = size - at
                if have < left:
                    pieces.append(data[at:] if at else data)
                    self.left = left - have
                    return pieces
                pieces.append(data[at : at + left])
                at += left
                left = 0
                self._due = True
            if self._due:
                if not data.startswith(b"\r\n", at):
                    if data[at:] in (b"", b"\r"):
                        break
                    raise ChunkProblem("a chunk is longer than it said", at - shift, pieces)
                self._due = False
                at += 2
                self.overhead += 2
                if at == size:
                    break
            if not self._last:
                line = _LINE.match(data, at)
                if line is None:
                    if b"\n" in data[at:] or size - at > _LINE_BYTES:
                        raise ChunkProblem("a chunk's size cannot be read", at - shift, pieces)
                    break
                left = int(line[1], 16)
                self.overhead += line.end() - at
                at = line.end()
                self._last = left == 0
            if self._last:
                if self._ended(data, at, shift, pieces):
                    self.left = 0
                    return pieces
                break
        self.left = left
        if at < size:
            self._part = data[at:]
        return pieces

    def _ended(self, data: bytes, at: int, shift: int, pieces: list[bytes]) -> bool:
        if data.startswith(b"\r\n", at):
            self.end = at + 2 - shift
            return True
        stop = data.find(b"\r\n\r\n", at)
        if stop < 0:
            if len(data) - at > _TRAILER_BYTES:
                raise ChunkProblem("the trailers are too large", at - shift, pieces)
            return False
        self.trailers = data[at : stop + 2]
        self.end = stop + 4 - shift
        return True
