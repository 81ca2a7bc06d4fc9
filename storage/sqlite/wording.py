"""How words and tools stand in the index: as themselves, or where content is sealed as the settings say."""

from typing import Final, Protocol

from storage.problem import StoreProblem
from storage.sealing.index import KeyedIndex
from storage.sealing.vault import SealedReading
from storage.sqlite.search import phrase


class Wording(Protocol):
    """Says what to ask for."""

    def phrase(self, text: str, *, begun: bool = False) -> str | None:
        """What to ask FTS5 for, so that this text must occur; None when it has nothing that is indexed.

        Raises:
            StoreProblem: nothing is indexed here.
        """
        ...

    def tools(self, name: str) -> tuple[str, ...]:
        """As which names a tool may be kept.

        Raises:
            StoreProblem: it cannot be looked for.
        """
        ...


class _Plain:
    def phrase(self, text: str, *, begun: bool = False) -> str | None:
        return phrase(text, begun=begun)

    def tools(self, name: str) -> tuple[str, ...]:
        return (name,)


class _Keyed:
    """By keyed hashes; and as themselves, for what was recorded before it was sealed."""

    def __init__(self, index: KeyedIndex) -> None:
        self._index = index

    def phrase(self, text: str, *, begun: bool = False) -> str | None:
        ways = [each.phrase(text, begun=begun) for each in (self._index, PLAIN)]
        known = [way for way in ways if way is not None]
        return f"({' OR '.join(known)})" if known else None

    def tools(self, name: str) -> tuple[str, ...]:
        if "*" in name:
            raise StoreProblem(f"tool:{name} cannot be looked for: the index is keyed. Write the whole name.")
        return self._index.tool(name), name


class _Off:
    def phrase(self, text: str, *, begun: bool = False) -> str | None:
        del text, begun
        raise StoreProblem(
            "Search for words is off here (storage.seal.index: off). Conditions such as user:, model: and after: work."
        )

    def tools(self, name: str) -> tuple[str, ...]:
        del name
        raise StoreProblem("Search for tools is off here (storage.seal.index: off).")


PLAIN: Final[Wording] = _Plain()


def wording_of(reading: SealedReading) -> Wording:
    """How words are asked for in this record.

    Raises:
        SealProblem: it is sealed, and the key is missing or another.
    """
    index = reading.index
    if index is None:
        return PLAIN
    if index == "off":
        return _Off()
    # Also where it is plain now: it may have been keyed before.
    return _Keyed(KeyedIndex(reading.index_key()))
