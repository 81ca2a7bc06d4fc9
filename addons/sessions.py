"""One WebSocket: each message of the caller is judged and on record before it goes on, each response an exchange.

A connection begins as the exchange of its upgrade. What is asked first goes on under that id, with an intent of its
own; what is asked later is an exchange of its own. What is said while nothing is asked gathers for the next.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from concurrent.futures import Executor
from typing import TYPE_CHECKING

import uuid_utils
from mitmproxy import http

from addons.closing import ExchangeCloser
from addons.flows import OpenExchange, OpenExchanges
from addons.tee import StreamTee
from exchange.call import Call, Json
from exchange.decision import Allow, Deny
from storage.journal.rows import Intent, Observed, ReplyHead, Said
from storage.journal.writing import Journal, JournalUnavailable
from wire.api import BodyProblem
from wire.calls import read_message
from wire.fields import mapping, string
from wire.json_body import parse_json
from wire.json_seq import MEDIA_TYPE as JSON_SEQUENCE
from wire.json_seq import element
from wire.openai.socket import Answers, Glance, Kind, Lanes, error_event, glance, is_create, models_of
from wire.websocket.frames import POLICY, TRY_AGAIN_LATER
from wire.websocket.verdict import PASS, Verdict

if TYPE_CHECKING:
    from addons.gate import AccessGate

log = logging.getLogger(__name__)

_LARGE = 256 << 10  # bytes; a larger message is read off the event loop
_GATHERED = 16 << 20  # bytes of messages that led to no response: then another exchange goes on
_AMID = frozenset({"response.cancel", "output_audio_buffer.clear", "conversation.item.truncate"})
"""What a caller says of the answer that is under way."""


class Session:
    """Of one connection, from its upgrade to its end. Not for messages of two tasks at once."""

    def __init__(
        self,
        flow: http.HTTPFlow,
        seen: OpenExchange,
        kind: Kind,
        *,
        gate: "AccessGate",
        closer: ExchangeCloser,
        pool: Executor,
        strict: bool,
        waits_for_disk: bool,
        open_exchanges: OpenExchanges,
        tee: StreamTee,
        journal: Journal,
        is_expelled: Callable[[], bool],
    ) -> None:
        self._flow = flow
        assert seen.head_in is not None
        assert isinstance(seen.decision, Allow)
        self._first = seen
        self._route = seen.head_in.route
        self._decision, self._call = seen.decision, seen.call
        self._kind = kind
        self._gate = gate
        self._closer = closer
        self._pool = pool  # for messages that take long to read
        self._strict = strict
        self._waits_for_disk = waits_for_disk
        self._open = open_exchanges
        self._tee = tee
        self._journal = journal
        self._is_expelled = is_expelled
        self._gathering: OpenExchange | None = None
        self._lanes: Lanes[OpenExchange] = Lanes()
        self._answers: Answers[OpenExchange] = Answers()
        self._head = ReplyHead(101, JSON_SEQUENCE, None, None)
        self._ended = False

    # -- beginning and end ------------------------------------------------------------------------------------------

    def begin(self, upstream_request_id: str | None) -> None:
        """The provider has switched protocols. From here on the exchanges are ours, not the flow's."""
        seen = self._open.pop(self._flow.id)
        self._head = ReplyHead(101, JSON_SEQUENCE, None, upstream_request_id)
        seen.asked = None
        self._put_on_the_books(seen)
        self._gathering = seen
        self._tee.flush(seen, time.perf_counter())  # a dead worker's record says that it was open

    def end(self, observed: Observed, *, clean: bool, code: str | None = None) -> None:
        """The connection is over. `clean`: by a close frame. `code`: we ended it, for what the caller sent, or since
        its identity proves nothing any more."""
        if self._ended:
            return
        self._ended = True
        for turn in [*self._lanes.left(), *self._answers.left()]:
            self._close(turn, observed, None)
        if self._gathering is not None:
            if code is not None:
                self._close(self._gathering, "refused", code)
            else:
                self._close(self._gathering, "response_ended" if clean else observed, None)
            self._gathering = None

    @property
    def is_answering(self) -> bool:
        """Is a response under way?"""
        return bool(self._lanes.left() or self._answers.left())

    def is_expelled(self) -> bool:
        """May whoever opened it go on no more?"""
        return self._is_expelled()

    def _put_on_the_books(self, turn: OpenExchange) -> None:
        turn.head, turn.head_written = self._head, False
        turn.committed = True
        turn.last_flush = time.perf_counter()
        self._open[turn.id.hex()] = turn

    def _close(self, turn: OpenExchange, observed: Observed, error: str | None) -> None:
        self._open.pop(turn.id.hex(), None)
        self._closer.end(self._flow, turn, observed, error)

    # -- what the caller says ---------------------------------------------------------------------------------------

    async def judge(self, message: bytes) -> Verdict:
        """May this message go on? When the answer is yes it is on record, on disk where forwarding waits for that."""
        if self._ended:
            return Verdict(passes=False)
        began = time.perf_counter()
        try:
            payload = await self._read(message)
            call = read_message(self._route, payload)
        except BodyProblem as problem:
            return self._refused(message, None, None, Deny(problem.code), began)
        create = self._kind == "responses" and is_create(payload)
        if create or self._gathering is None:
            denied = await self._gate.still(self._flow, self._first)
            if denied is not None:
                return self._refused(message, payload, call, denied, began, close=(POLICY, denied.code))
        decision = self._decision
        if create or models_of(payload):
            asked = self._gate.judge(self._first, call)
            if not isinstance(asked, Allow):
                return self._refused(message, payload, call, asked, began)
            decision = asked if create else decision
        try:
            if create:
                await self._ask(message, payload, call, decision, began)
            else:
                await self._say(message, payload)
        except JournalUnavailable as unavailable:
            log.error("Closed a WebSocket whose messages cannot be recorded: %s", unavailable)
            denied = Deny("audit_unavailable")
            return self._refused(message, payload, call, denied, began, close=(TRY_AGAIN_LATER, denied.code))
        return PASS

    async def _read(self, message: bytes) -> Json:
        if len(message) > _LARGE:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._pool, self._parsed, message)
        return self._parsed(message)

    def _parsed(self, message: bytes) -> Json:
        try:
            return parse_json(message, strict=self._strict)
        except BodyProblem:
            if self._strict:
                raise
            return None  # a laptop passes what it cannot read

    async def _ask(self, message: bytes, payload: Json, call: Call, decision: Allow, began: float) -> None:
        """A turn of its own, or the first of the connection, which goes on under the upgrade's id."""
        turn = self._gathering or self._new_turn()
        before = turn.decision, turn.call, turn.started_at
        turn.decision, turn.call = decision, call
        turn.started_at, turn.began = time.time_ns() // 1000, began
        turn.asked = time.perf_counter()
        turn.spent = turn.asked - began
        turn.first_byte = None
        try:
            await self._commit(*self._closer.turn(self._flow, turn, message))
        except JournalUnavailable:
            turn.decision, turn.call, turn.started_at = before
            raise
        if self._ended:  # while the disk was waited for: it closed what was gathering, and knew nothing of a new one
            if turn.id != self._first.id:
                self._close(turn, "client_gone", None)
            return
        if turn is self._gathering:
            self._gathering = None
        else:
            self._put_on_the_books(turn)
        turn.said += len(message)
        turn.spent = time.perf_counter() - began
        self._lanes.ask(string(mapping(payload).get("stream_id")), turn)

    async def _say(self, message: bytes, payload: Json) -> None:
        """Whatever else a caller says: of the answer that is under way, or for the next."""
        turn: OpenExchange | None
        if self._kind == "responses":
            turn = self._lanes.of_caller(string(mapping(payload).get("stream_id")))
        else:
            amid = mapping(payload).get("type") in _AMID and self._answers.left()
            turn = amid[-1] if amid else None
        if turn is None:
            turn = self._gather()
        turn.said += len(message)
        await self._commit(turn.id, Said(int((time.perf_counter() - turn.began) * 1e6)), message)

    def _gather(self) -> OpenExchange:
        """The exchange in which gathers what nobody has answered yet."""
        turn = self._gathering
        if turn is not None and turn.said + turn.response_bytes > _GATHERED:
            self._close(turn, "response_ended", None)
            turn = None
        if turn is None:
            turn = self._gathering = self._new_turn()
            turn.call, turn.decision = self._call, self._decision
            self._journal.append(*self._closer.turn(self._flow, turn, None))
            self._put_on_the_books(turn)
        return turn

    async def _commit(self, exchange: bytes, row: Intent | Said, body: bytes | None) -> None:
        if self._waits_for_disk:
            await self._journal.commit(exchange, row, body)
        else:
            self._journal.append(exchange, row, body)

    def _new_turn(self) -> OpenExchange:
        first = self._first
        return OpenExchange(
            uuid_utils.uuid7().bytes,
            time.time_ns() // 1000,
            time.perf_counter(),
            head_in=first.head_in,
            principal=first.principal,
            identified=first.identified,
            credential=first.credential,
            shown=first.shown,
            connection=first.connection,
        )

    def _refused(
        self,
        message: bytes,
        payload: Json,
        call: Call | None,
        denied: Deny,
        began: float,
        close: tuple[int, str] | None = None,
    ) -> Verdict:
        """The caller is told in the API's own words, the refusal is an exchange, the message stays here."""
        turn = self._new_turn()
        turn.decision, turn.call = denied, call
        turn.began, turn.spent = began, time.perf_counter() - began
        if not self._closer.passes_over(turn):
            self._journal.append(*self._closer.turn(self._flow, turn, message))
            self._closer.end(self._flow, turn, "refused", denied.code)
        return Verdict(
            passes=False, event=error_event(self._kind, denied.code, payload, f"event_{turn.id.hex()}"), close=close
        )

    # -- what the provider says -------------------------------------------------------------------------------------

    def told(self, message: bytes | None) -> None:
        """A copy of a message that has gone on to the caller; None for one too large to be copied."""
        if self._ended:
            return
        if message is None:
            for turn in [*self._lanes.left(), *self._answers.left(), *([self._gathering] if self._gathering else [])]:
                turn.truncated = True
            return
        turn, is_over = self._place(glance(message))
        self._tee.keep(turn, element(message))
        if is_over:
            self._close(turn, "response_ended", None)

    def _place(self, seen: Glance) -> tuple[OpenExchange, bool]:
        if self._kind == "responses":
            found, is_over = self._lanes.of_provider(seen)
        else:
            if self._answers.begins(seen):
                self._answers.begin(seen, self._gather())
                self._gathering = None
            found, is_over = self._answers.of_provider(seen)
        return found or self._gather(), is_over
