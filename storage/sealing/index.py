"""The keyed index: in full-text search stand keyed hashes of words and pairs of characters, not they themselves.

Text is cut as storage.sqlite.search cuts it. Each piece then becomes eight letters and digits, some 40 bits of a MAC
under the instance's key: of a million different pieces, one in a million is taken for another. That a piece is the same
in two exchanges shows, and how often it occurs; what it is does not. FTS5 cannot look for how a hash begins, so single
characters of Japanese, Chinese and Korean are indexed beside their pairs.
"""

import binascii
import hashlib
import re
import unicodedata
from typing import Final

from storage.sqlite.search import RUN, folded, pairs

_WORDS: Final = re.compile(r"[^\W_]+")
_ACCENTS: Final = re.compile("[\u0300-\u036f]+")
_LETTERS: Final = bytes.maketrans(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ+/", b"abcdefghijklmnopqrstuvwxyz01")  # FTS5 folds case
_REMEMBERED: Final = 200_000  # pieces whose hash is known: most of a text was met before
_WORD, _CHARACTER, _TOOL, _THREAD = b"word", b"character", b"tool", b"thread"


class KeyedIndex:
    """Makes tokens and asks for them. Whoever has the key finds; the others see how often something occurs."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._known: dict[str, str] = {}
        self._characters: dict[str, str] = {}  # there are only so many

    def tokens(self, text: str) -> str:
        """The text as it is indexed."""
        said = folded(text)
        cut: list[str] = []
        singles: set[str] = set()
        end = 0
        for run in RUN.finditer(said):
            if run.start() > end:
                cut += _words(said[end : run.start()])
            end = run.end()
            cut += pairs(run[0])
            cut.append(run[0][-1])
            singles.update(run[0])
        cut += _words(said[end:])
        known = self._known
        found = [known.get(piece) or self._word(piece) for piece in cut]
        found += sorted(map(self._character, singles))  # in an order that says nothing of the characters
        return " ".join(found)

    def phrase(self, text: str, *, begun: bool = False) -> str | None:
        """What to ask FTS5 for, so that this text must occur; None when it has nothing that is indexed. With `begun`
        its last word may go on: then that word is looked for only where it is all there is."""
        said = folded(text).strip()
        found: list[str] = []
        alone: str | None = None
        end = 0
        for run in RUN.finditer(said):
            found += map(self._word, _words(said[end : run.start()]))
            end = run.end()
            found += map(self._word, pairs(run[0]))
            if end == len(said):
                alone = self._character(run[0]) if len(run[0]) == 1 else None
            else:
                found.append(self._word(run[0][-1]))
        if last := [self._word(word) for word in _words(said[end:])]:
            found += last[:-1] if begun and said[-1:].isalnum() and (found or last[1:]) else last
        asked = ([f'"{" ".join(found)}"'] if found else []) + ([f'"{alone}"'] if alone else [])
        return f"({' AND '.join(asked)})" if asked else None

    def tool(self, name: str) -> str:
        """The name of a tool as it is kept. Upper and lower case are the same."""
        return self._mac(_TOOL, name.lower())

    def thread_key(self, key: bytes) -> bytes:
        """The key of a thread as it is kept: 16 bytes."""
        return hashlib.blake2b(key, digest_size=16, key=self._key, person=_THREAD).digest()

    def _word(self, word: str) -> str:
        if (known := self._known.get(word)) is None:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            known = self._known[word] = self._mac(_WORD, word)
        return known

    def _character(self, character: str) -> str:
        if (known := self._characters.get(character)) is None:
            known = self._characters[character] = self._mac(_CHARACTER, character)
        return known

    def _mac(self, domain: bytes, text: str) -> str:
        content = text.encode("utf-8", "surrogatepass")
        mac = hashlib.blake2b(content, digest_size=6, key=self._key, person=domain).digest()
        return binascii.b2a_base64(mac, newline=False).translate(_LETTERS).decode("ascii")


def _words(text: str) -> list[str]:
    """As FTS5's unicode61 sees them: letters and digits, without accents."""
    if not text.isascii():
        text = unicodedata.normalize("NFC", _ACCENTS.sub("", unicodedata.normalize("NFD", text)))
    return _WORDS.findall(text)
