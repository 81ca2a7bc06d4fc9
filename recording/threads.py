"""Which conversation does an exchange belong to?

In this order: its WebSocket; the reply that it says it follows; a conversation that it names; the history that it
sends, which must be what an earlier exchange of the same person ended with; else it begins a thread of its own. Every
key is a hash over the person and the thing, so that nobody's exchange ever falls into another's thread.

Histories are compared by a Merkle chain over role and text of what was said. Clients change the rest: they drop
reasoning and pictures, move cache marks, lay arguments out anew, write another date into the system prompt.
"""

import hashlib
import logging
import re
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Final

import msgspec

from exchange.call import Json
from exchange.record import Record
from recording.history import FIELDS, Histories, answers
from wire.conversation.steps import Step
from wire.fields import mapping, string

log = logging.getLogger(__name__)

type ThreadOf = Callable[[bytes], str | None]
"""The thread of the latest stored exchange that left this key; None when there is none."""

_REMEMBERED: Final = 50_000  # keys of exchanges that are perhaps not stored yet
_BACK: Final = 20  # answers that are gone back through, from the latest, to find a history that is known
_AGAIN: Final = 600_000_000  # microseconds within which the same question is a second try
_NAMES: Final = ("conversation_id", "thread_id", "session_id")
_PREVIOUS: Final = ("previous_response_id", "previous_interaction_id")
_PATH: Final = re.compile(r"/(?:threads|conversations)/([\w-]{6,})", re.ASCII)
_SESSION: Final = re.compile(r"_session_([0-9a-fA-F-]{36})$", re.ASCII)

_decode = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_pack = msgspec.msgpack.Encoder().encode


@dataclass(frozen=True, slots=True)
class Links:
    """Where an exchange belongs, and what it leaves for later ones."""

    thread_id: str  # UUIDv7, 32 hex digits
    keys: tuple[bytes, ...] = ()  # 16 bytes each
    tools: tuple[str, ...] = ()  # which the model called


class Threads:
    """Links exchanges, in the order in which they are stored. Not thread-safe."""

    def __init__(self, thread_of: ThreadOf) -> None:
        self._stored = thread_of
        self._recent: OrderedDict[bytes, str] = OrderedDict()
        self._histories = Histories()

    def links(self, record: Record, known: str | None = None) -> Links:
        """The links of this record. Bodies that cannot be read link nothing: then it is a thread by itself, or stays in
        the one that is `known`. A fault in reading is logged, and the exchange is kept like that too."""
        try:
            said = _Said(record, self._histories)
            follows, keys, tools = list(said.follows()), tuple(dict.fromkeys(said.leaves())), said.tools()
        except Exception:
            log.exception("Exchange %s cannot be linked; it is a thread by itself.", record.seen.id)
            follows, keys, tools = [], (), ()
        begun = known or thread_begun_by(record.seen.id)
        thread = next((found for key in follows if (found := self._thread_of(key))), begun)
        for key in keys:
            self._recent[key] = thread
            self._recent.move_to_end(key)
        while len(self._recent) > _REMEMBERED:
            self._recent.popitem(last=False)
        return Links(thread, keys, tools)

    def linked(self, record: Record, known: str | None = None) -> Record:
        """The same record with its links."""
        links = self.links(record, known)
        derived = replace(record.derived, thread_id=links.thread_id, thread_keys=links.keys, tools=links.tools)
        return replace(record, derived=derived)

    def _thread_of(self, key: bytes) -> str | None:
        return self._recent.get(key) or self._stored(key)


def thread_begun_by(exchange: str) -> str:
    """The id of a thread: a UUIDv7 (RFC 9562, 5.7) of the time at which its first exchange began, and never that
    exchange's own, so that an id names one of both. The same again when the record is derived again."""
    chance = hashlib.blake2b(exchange.encode(), digest_size=9).hexdigest()
    return f"{exchange[:12]}7{chance[:3]}8{chance[3:]}"


class _Said:
    """What an exchange says of its conversation."""

    def __init__(self, record: Record, histories: Histories) -> None:
        seen, derived = record.seen, record.derived
        self._seen, self._operation, self._connection = seen, derived.operation, derived.connection
        self._whole = derived.end_state == "complete"
        self._request = _fields(derived.request)
        dialogue = derived.operation in FIELDS
        self._response = _value(derived.response) if dialogue else None
        self._answers = answers(derived.operation, self._response)
        self._asked = histories.asked(derived.operation, self._request)
        who = seen.principal
        # Without identity the caller's own key, hashed, is who it is. Without either, no two callers are the same.
        self._person = (who.issuer, who.subject) if who else ("", seen.credential or "")
        self._known = who is not None or seen.credential is not None
        self._tips = self._chained(_key("begin", *self._person, self._claimed()), self._asked)

    def follows(self) -> Iterator[bytes]:
        """Keys that an earlier exchange of this conversation may have left, the surest first."""
        if self._connection is not None:
            yield _key("connection", self._connection)
        if not self._known:
            return
        for given in self._texts(_PREVIOUS):
            yield _key("reply", *self._person, given)
        for name in self._named():
            yield _key("conversation", *self._person, name)
        ends = [at for at, step in enumerate(self._asked) if step.answer]
        for at in reversed(ends[-_BACK:]):
            yield _key("history", self._tips[at + 1])
        if self._asked:
            yield from self._again(0, 1)

    def leaves(self) -> Iterator[bytes]:
        """Keys by which later exchanges find this one."""
        if self._connection is not None:
            yield _key("connection", self._connection)
        if not self._known:
            return
        reply = string(mapping(self._response).get("id"))
        if reply and self._operation in ("responses", "generate_content"):
            yield _key("reply", *self._person, reply)
        for name in self._named():
            yield _key("conversation", *self._person, name)
        for answer in self._answers:
            if any(step.answer for step in answer):
                yield _key("history", self._chained(self._tips[-1], answer)[-1])
        if self._asked and not self._whole:
            yield from self._again(0)

    def tools(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(step.tool for answer in self._answers for step in answer if step.tool))

    def _again(self, *before: int) -> Iterator[bytes]:
        """Whoever got no whole answer asks the same again, soon: then it is the same conversation still."""
        for each in before:
            yield _key("again", self._tips[-1], self._seen.started_at // _AGAIN - each)

    def _named(self) -> Iterator[str]:
        """Names of the conversation: in the body, its metadata, the path (Assistants, Conversations)."""
        conversation = self._value("conversation")
        if name := string(conversation) or string(mapping(conversation).get("id")):
            yield name
        yield from self._texts(_NAMES)
        metadata = mapping(self._value("metadata"))
        yield from (name for each in _NAMES if (name := string(metadata.get(each))))
        user = string(metadata.get("user_id"))  # some agents put their session into it
        if found := _SESSION.search(user):
            yield found[1]
        elif user.startswith("{") and (session := string(mapping(_value(user.encode())).get("session_id"))):
            yield session
        if in_path := _PATH.search(self._seen.path):
            yield in_path[1]

    def _claimed(self) -> str:
        """Whom the caller says it speaks for. Many people may stand behind one service: their histories are apart."""
        said = next(self._texts(("user", "safety_identifier")), "")
        return said or string(mapping(self._value("metadata")).get("user_id"))

    def _texts(self, names: Iterable[str]) -> Iterator[str]:
        return (text for name in names if (text := string(self._value(name))))

    def _value(self, name: str) -> Json:
        return _value(self._request[name]) if name in self._request else None

    @staticmethod
    def _chained(begin: bytes, steps: Iterable[Step]) -> list[bytes]:
        """The hash of everything up to here, before each step and after the last."""
        tips = [begin]
        for step in steps:
            tips.append(hashlib.blake2b(tips[-1] + step.digest, digest_size=16).digest())
        return tips


def _key(*parts: str | bytes | int) -> bytes:
    return hashlib.blake2b(_pack(parts), digest_size=16).digest()


def _fields(body: bytes | None) -> dict[str, msgspec.Raw]:
    """The top of a body, its values unread: a history is long, and most of it is known."""
    try:
        return _decode(body) if body else {}
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return {}  # no object: there is nothing in it that links


def _value(body: bytes | msgspec.Raw | None) -> Json:
    try:
        value: Json = msgspec.json.decode(body) if body else None
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None  # cannot be read: it links nothing
    return value
