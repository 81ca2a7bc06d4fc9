"""The search index of audit.db: exchanges put in, and taken out again.

The index itself keeps no text (`content=''`), so what goes out must be cut into the very tokens that went in. That is
why the texts are kept beside it (`said`), as chunks like the bodies they stand in: nearly all of it is there already.
"""

import sqlite3
from collections.abc import Iterable
from typing import Final

import msgspec

from exchange.call import Text
from storage.sealing.content import of_exchange
from storage.sealing.vault import Locked, PersonSeal, Vault
from storage.sqlite.bodies import BodyReader, BodyWriter
from storage.sqlite.search import phrase, tokens

_KINDS: Final = ("user", "answer", "tool")
_COLUMNS: Final = ("user_text", "answer_text", "tool_text")
_SAMPLES: Final = 3  # words of an exchange that are looked for after it was taken out
_SAMPLE: Final = 16  # characters

type Tokens = tuple[str, str, str]
"""As they go into the three columns."""

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(dict[str, list[str]]).decode


class SearchIndex:
    """Written by the recorder, inside its transactions. `vault` says how words stand in it where content is sealed."""

    def __init__(self, connection: sqlite3.Connection, bodies: BodyWriter, vault: Vault | None = None) -> None:
        self._connection = connection
        self._bodies = bodies
        self._vault = vault
        self._reader = BodyReader(connection, vault.reading if vault else Locked())

    def tools(self, names: Iterable[str], seal: PersonSeal | None) -> Iterable[str]:
        """Names of tools as they are kept; with `seal` as those of a sealed exchange."""
        if seal is None or self._vault is None or self._vault.index == "plain":
            return names
        return [] if self._vault.index == "off" else map(self._vault.keyed.tool, names)

    def put(self, seq: int, scope: int, texts: Iterable[Text], id_: str = "", seal: PersonSeal | None = None) -> None:
        """Make an exchange to be found by these texts; with `seal` they are kept sealed, for this exchange's id."""
        index = self._vault.index if seal and self._vault else "plain"
        if index == "off":
            return
        said: tuple[list[str], list[str], list[str]] = ([], [], [])
        for text in texts:
            said[_KINDS.index(text.kind)].append(text.text)
        cut = self._cut(said, index)
        if any(cut):
            execute = self._connection.execute
            execute("insert into search (rowid, user_text, answer_text, tool_text) values (?, ?, ?, ?)", (seq, *cut))
            place = of_exchange(id_, "said") if seal else b""
            execute("insert into said values (?, ?)", (seq, self._bodies.put(scope, _kept(said), seal, place)))

    def remove(self, seq: int) -> list[str]:
        """Take an exchange out. Returns some of its phrases, with which one may see that it is not found any more."""
        found = self._connection.execute(
            "select a.content, e.id, coalesce(s.search, 'plain') from said a join exchange e on e.seq = a.seq "
            "left join sealed s on s.seq = a.seq where a.seq = ?",
            (seq,),
        ).fetchone()
        if found is None:
            return []
        content, id_, index = found
        try:
            kept = _decode(self._reader.get(content, of_exchange(id_, "said")))
            said = (kept["user"], kept["answer"], kept["tool"])
        except (ValueError, LookupError, msgspec.DecodeError):
            # A failing disk, or somebody's hand: what the index holds is then known from the index alone.
            self.remove_by_vocabulary({seq})
            self._connection.execute("delete from said where seq = ?", (seq,))
            return []
        self._delete(seq, self._cut(said, index))
        self._connection.execute("delete from said where seq = ?", (seq,))
        asked = self._vault.keyed.phrase if self._vault and index == "keyed" else phrase
        samples = (asked(text[:_SAMPLE].rsplit(" ", 1)[0]) for texts in said for text in texts)
        return [sample for sample in samples if sample][:_SAMPLES]

    def is_found(self, seq: int, sample: str) -> bool:
        """Does this phrase still lead to the exchange?"""
        asked = "select 1 from search where search match ? and rowid = ?"
        return self._connection.execute(asked, (sample, seq)).fetchone() is not None

    def without_texts(self, seqs: Iterable[int]) -> set[int]:
        """Which of these are in the index with no texts kept: an earlier version put them there."""
        known = "select 1 from search_docsize d where id = ? and not exists (select 1 from said s where s.seq = d.id)"
        return {seq for seq in seqs if self._connection.execute(known, (seq,)).fetchone()}

    def remove_by_vocabulary(self, seqs: set[int]) -> None:
        """Take out exchanges whose texts are not kept: the tokens are read out of the index. It goes through all of it
        once, so all of them at a time."""
        execute = self._connection.execute
        execute("create virtual table if not exists temp.vocabulary using fts5vocab('main', 'search', 'instance')")
        execute("create table if not exists temp.wanted (seq integer primary key)")
        try:
            self._connection.executemany("insert or ignore into temp.wanted values (?)", [(seq,) for seq in seqs])
            words: dict[int, dict[str, list[tuple[int, str]]]] = {}
            for doc, column, offset, term in execute(
                'select doc, col, "offset", term from temp.vocabulary where doc in (select seq from temp.wanted)'
            ):
                words.setdefault(doc, {}).setdefault(column, []).append((offset, term))
            for seq, columns in words.items():
                user, answer, tool = (" ".join(term for _, term in sorted(columns.get(c, ()))) for c in _COLUMNS)
                self._delete(seq, (user, answer, tool))
        finally:
            execute("drop table temp.wanted")
            execute("drop table temp.vocabulary")

    def settle(self, pages: int, *, begin: bool) -> bool:
        """Write the index anew, so many pages at a time, until what was taken out stands in no page of it (FTS5's
        'merge', https://www.sqlite.org/fts5.html#the_merge_command). True while there is more to do."""
        before = self._connection.total_changes
        self._connection.execute("insert into search (search, rank) values ('merge', ?)", (-pages if begin else pages,))
        return self._connection.total_changes - before >= 2

    def _cut(self, said: tuple[list[str], list[str], list[str]], index: str) -> Tokens:
        cut = self._vault.keyed.tokens if self._vault and index == "keyed" else tokens
        user, answer, tool = ("".join(cut(text) + "\n" for text in texts) for texts in said)
        return user, answer, tool

    def _delete(self, seq: int, cut: Tokens) -> None:
        self._connection.execute(
            "insert into search (search, rowid, user_text, answer_text, tool_text) values ('delete', ?, ?, ?, ?)",
            (seq, *cut),
        )


def _kept(said: tuple[list[str], list[str], list[str]]) -> bytes:
    """JSON whose strings are written as most clients write theirs: then they are the chunks of the body."""
    return b'{"user":%b,"answer":%b,"tool":%b}' % tuple(map(_encode, said))
