"""The record itself: one JSON object a line, as in docs/record.md."""


class JsonLines:
    continues = True
    needs = "anything"

    def begin(self) -> bytes:
        return b""

    def add(self, line: bytes) -> bytes:
        return line + b"\n"

    def end(self) -> bytes:
        return b""
