"""What goes to a terminal: colours where they are wanted, and nothing that a model or a caller could make it do."""

import re
import sys
from typing import NoReturn, TextIO

from rich.console import Console

from wire.conversation.hidden import HIDDEN, PICTURES


def visible(text: str) -> str:
    """The same text with every control and every invisible character as something that can be seen.

    Line feeds and tabs stay. C0 controls become their pictures (␛ for escape), the rest `<U+202E>`.
    """
    return text if text.isascii() and text.isprintable() else HIDDEN.sub(_shown, text)


def _shown(found: re.Match[str]) -> str:
    code = ord(found[0])
    return PICTURES.get(code) or f"<U+{code:04X}>"


def one_line(text: str, limit: int = 200) -> str:
    """The beginning of a text on one line, harmless."""
    return visible(" ".join(text[: limit * 4].split()))[:limit]


class _Console(Console):
    def on_broken_pipe(self) -> NoReturn:
        """Rich would exit with 1; that whoever reads us has enough is decided on in one place, for every command."""
        raise BrokenPipeError


def out() -> Console:
    """Standard output. NO_COLOR and a stream that is no terminal are obeyed; lines are never cut or wrapped."""
    return _console(sys.stdout)


def err() -> Console:
    """Standard error: everything that is not the answer itself."""
    return _console(sys.stderr)


def _console(stream: TextIO) -> Console:
    return _Console(file=stream, highlight=False, markup=False, emoji=False, soft_wrap=True)


def write_bytes(data: bytes) -> None:
    """Bytes to standard output, at once."""
    sys.stdout.flush()
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


def write_json(line: bytes) -> None:
    """One JSON text and a line end. On a terminal, harmful characters become JSON's own escapes: the same value."""
    if sys.stdout.isatty():
        line = HIDDEN.sub(lambda found: _escaped(found[0]), line.decode("utf-8", "replace")).encode()
    write_bytes(line + b"\n")


def _escaped(character: str) -> str:
    units = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[i]:02x}{units[i + 1]:02x}" for i in range(0, len(units), 2))


def is_plain(data: bytes) -> bool:
    """Whether these bytes are text that a terminal can be given as it is."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return False
    return not HIDDEN.search(text.replace("\r\n", "\n"))
