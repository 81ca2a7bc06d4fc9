"""What becomes of a caller's message. The gate says it, the lanes carry it out."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Verdict:
    """`passes`: its frames go on, as they came. Else the caller is told `event`, a text message, and the connection is
    closed with `close` (a code and its reason) when that is set."""

    passes: bool
    event: bytes | None = None
    close: tuple[int, str] | None = None


PASS = Verdict(passes=True)
