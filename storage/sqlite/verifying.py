"""Is the record what was recorded? Walks the chain, and says the first place where it breaks."""

import hmac
import json
import sqlite3
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from exchange.principal import Principal
from exchange.record import Seen, iso
from storage.chain import GENESIS, NOT_KEPT, digest, in_digests, link
from storage.heads import Head
from storage.problem import AlteredRow
from storage.removal.erased_columns import erased_columns
from storage.removal.holds import problem_of_holds
from storage.removal.pruning import EXPIRE, PRUNE, PRUNED, Pruned, digest_of, read_pruned
from storage.removal.tombstones import ERASE, ERASED, NODE, chain_problem
from storage.sealing.content import Opener, is_sealed, of_exchange
from storage.sealing.master import SealProblem
from storage.sealing.vault import KeyGone, Locked
from storage.sqlite.bodies import BodyReader
from storage.sqlite.breaks import ChainBreak, is_in, read_breaks, without
from storage.sqlite.shape import body_of


@dataclass(slots=True)
class Verdict:
    """What was found. `broken` is None when the chain holds from `first_seq` to `last_seq`."""

    first_seq: int = 0
    last_seq: int = 0
    records: int = 0
    broken: str | None = None
    heads_matched: int = 0
    breaks: list[str] = field(default_factory=list)  # where the file was damaged, and what is lost
    gaps: list[str] = field(default_factory=list)  # exchanges that workers counted and that are not here
    erased: int = 0  # records whose content was taken out, each named by a tombstone
    tombstones: int = 0
    unopened: int = 0  # sealed exchanges whose content was not looked at, for want of a key
    pruned: list[str] = field(default_factory=list)  # records that retention let go


def verify(
    connection: sqlite3.Connection,
    heads: Iterable[Head] = (),
    *,
    seen_one: Callable[[], None] = lambda: None,
    opener: Opener | None = None,
) -> Verdict:
    """Recompute every hash and digest, oldest first, and hold signed heads against them.

    `connection` has rows by name. `heads` are those whose signature was verified; `seen_one` is called for each record,
    for a progress bar. Without `opener`, what sealed exchanges say is not looked at, only counted.
    """
    verdict = Verdict()
    try:
        return _walked(verdict, connection, list(heads), seen_one, opener)
    except AlteredRow as altered:
        verdict.broken = str(altered)
        return verdict


def _walked(
    verdict: Verdict,
    connection: sqlite3.Connection,
    heads: list[Head],
    seen_one: Callable[[], None],
    opener: Opener | None,
) -> Verdict:
    bodies = BodyReader(connection, opener or Locked())
    previous: dict[str, str] = {}
    expected = 1
    signed = {(head.node, head.seq): head.hash for head in heads if head.node != NODE}
    verdict.broken = _tombstones(connection, verdict, [head for head in heads if head.node == NODE])
    if verdict.broken is not None:
        return verdict
    breaks = deque(read_breaks(connection))
    lost = [each for broken, _ in breaks for each in broken.lost]
    pruned = deque(read_pruned(connection))
    let_go = [(each.first, each.last) for each in pruned]
    verdict.pruned = _shown(let_go)
    expired = _expired_before(connection)
    bare = [each for broken, _ in breaks for each in broken.without]
    base: str | None = None  # the break that every node follows which has no record since
    edge = 0  # the seq after which it stands
    torn = False  # records are lost in between: the next of each node follows one that is not here
    for row in _rows(connection):
        seen_one()
        seq, node = row["seq"], row["node"]
        while breaks and breaks[0][0].after_seq < seq:
            broken, written = breaks.popleft()
            if why := _break_wrong(broken, written, previous):
                verdict.broken = f"the break after record {broken.after_seq} {why}"
                return verdict
            verdict.breaks.append(broken.said())
            previous, base, torn, edge = {}, written, False, broken.after_seq
        if not verdict.records:
            verdict.first_seq = seq
        while pruned and pruned[0].first < seq:
            gone = pruned.popleft()
            if missing := without((expected, gone.first - 1), lost):
                verdict.broken = f"records {missing[0][0]} to {missing[-1][1]} are missing"
                return verdict
            if why := _range_wrong(gone, previous.get(gone.node, base), signed):
                verdict.broken = f"records {gone.first} to {gone.last}, which were let go, {why}"
                return verdict
            previous[gone.node] = gone.hash
            expected = gone.last + 1
        if seq != expected:
            if missing := without((expected, seq - 1), lost):
                verdict.broken = f"records {missing[0][0]} to {missing[-1][1]} are missing"
                return verdict
            if seq - 1 > edge:  # else what is lost came before the break, and this follows it
                previous, base, torn = {}, None, True
        first = torn and node not in previous
        unopened = row["sealed"] is not None and opener is None
        verdict.unopened += unopened
        looked = None if unopened else bodies
        old = row["started_at"] < expired
        if why := _wrong(row, previous.get(node, base), looked, first=first, bare=is_in(seq, bare), expired=old):
            verdict.broken = f"record {seq} {why}"
            return verdict
        if (head := signed.pop((node, seq), None)) is not None:
            if head != row["hash"]:
                verdict.broken = f"record {seq} is not the one that the signed head names: the chain was made anew"
                return verdict
            verdict.heads_matched += 1
        previous[node] = row["hash"]
        verdict.records += 1
        verdict.last_seq = seq
        expected = seq + 1
    for broken, written in breaks:
        if why := _break_wrong(broken, written, previous):
            verdict.broken = f"the break after record {broken.after_seq} {why}"
            return verdict
        if verdict.records and (missing := without((expected, broken.after_seq), lost + let_go)):
            verdict.broken = f"records {missing[0][0]} to {missing[-1][1]} are missing"
            return verdict
        verdict.breaks.append(broken.said())
        previous, expected = {}, max(expected, broken.after_seq + 1)
    if cut := [seq for _, seq in signed if seq > verdict.last_seq and not is_in(seq, lost + let_go)]:
        verdict.broken = (
            f"records {verdict.last_seq + 1} to {max(cut)} are cut off: a signed head names the last of them"
        )
    elif other := [(node, seq) for node, seq in signed if not is_in(seq, lost + let_go)]:
        node, seq = other[0]
        verdict.broken = f"record {seq} is not one of {node}, as a signed head says: the chain was made anew"
    verdict.gaps = list(_gaps(connection))
    return verdict


def problem_of(connection: sqlite3.Connection, seq: int, opener: Opener) -> str | None:
    """Why this one record is not what was recorded; None when it is, and follows the record before it where that is
    here and of the same node. That nothing is missing elsewhere, `verify` alone says.

    Raises:
        LookupError: there is no such record.
    """
    row = connection.execute(f"{_SELECT} where e.seq = ?", (seq,)).fetchone()
    if row is None:
        raise LookupError(seq)
    breaks = [broken for broken, _ in read_breaks(connection)]
    before = connection.execute("select node, hash from exchange where seq = ?", (seq - 1,)).fetchone()
    follows = before is not None and before["node"] == row["node"] and all(b.after_seq != seq - 1 for b in breaks)
    previous = before["hash"] if follows else row["prev_hash"]
    bare = is_in(seq, [each for broken in breaks for each in broken.without])
    expired = row["started_at"] < _expired_before(connection)
    return _wrong(row, previous, BodyReader(connection, opener), first=False, bare=bare, expired=expired)


def _break_wrong(broken: ChainBreak, written: str, previous: dict[str, str]) -> str | None:
    """Why a break is not the one that was put down; None when it is."""
    if broken.hash() != written:
        return "was altered: what it says is not what its hash was made of"
    if any(broken.heads.get(node) != hash_ for node, hash_ in previous.items()):
        return "does not follow the records before it: some were removed, inserted or put in another order"
    return None


_SELECT: Final = (
    "select e.*, b.request, b.request_json, b.response, b.raw, r.content, x.tombstone, s.search as sealed "
    "from exchange e join body b on b.seq = e.seq left join raw_reply r on r.seq = e.seq "
    "left join erased x on x.seq = e.seq left join sealed s on s.seq = e.seq "
)


def _rows(connection: sqlite3.Connection) -> Iterator[sqlite3.Row]:
    after = 0
    while True:
        rows = connection.execute(f"{_SELECT} where e.seq > ? order by e.seq limit 200", (after,)).fetchall()
        yield from rows
        if len(rows) < 200:
            return
        after = rows[-1]["seq"]


def _range_wrong(gone: Pruned, previous: str | None, signed: dict[tuple[str, int], str]) -> str | None:
    """Why a range that is gone does not fit into the chain; None when it does."""
    if gone.prev_hash != (previous or gone.prev_hash if gone.first > 1 else GENESIS):
        return "do not follow the record before them"
    head = signed.pop((gone.node, gone.last), None)
    return None if head in (None, gone.hash) else "are not those that a signed head names"


def _expired_before(connection: sqlite3.Connection) -> int:
    """Exact bytes of what began before this may be gone: retention says so."""
    asked = "select max(json_extract(detail, '$.before')) from tombstone where kind = ?"
    return int(connection.execute(asked, (EXPIRE,)).fetchone()[0] or 0)


def _shown(ranges: list[tuple[int, int]]) -> list[str]:
    joined: list[tuple[int, int]] = []
    for first, last in ranges:
        if joined and joined[-1][1] == first - 1:
            joined[-1] = (joined[-1][0], last)
        else:
            joined.append((first, last))
    return [f"{first} to {last}" if first < last else str(first) for first, last in joined]


def _wrong(
    row: sqlite3.Row, previous: str | None, bodies: BodyReader | None, *, first: bool, bare: bool, expired: bool
) -> str | None:
    """Why this is not what was recorded. Without `bodies` the chain alone is looked at."""
    if previous is None and first and row["prev_hash"] != GENESIS:
        previous = row["prev_hash"]  # what came before was let go: vouched for from here
    if row["prev_hash"] != (previous or GENESIS):
        return "does not follow the one before it: records were removed, inserted or put in another order"
    if row["salt"] is None and not bare and row["tombstone"] is None and row["request_digest"] != NOT_KEPT:
        return _VANISHED
    if not _is_linked(row):
        return "was altered: what it says is not what its hash was made of"
    if bare:
        return None  # a break says that its content is lost
    never_kept = row["request_digest"] == NOT_KEPT
    if never_kept or row["tombstone"] is not None:
        left = [row[name] for name in ("salt", "request", "request_json", "response", "content")]
        return None if all(each is None for each in left) else "has content, though it was erased or never kept"
    raw_is_gone = row["raw"] == "expired"
    if row["salt"] is None or (row["raw"] != "kept" and not (raw_is_gone and expired)):
        return _VANISHED
    return None if bodies is None else _other_content(row, bodies)


_VANISHED: Final = "lost its content, and no tombstone says why"


def _is_linked(row: sqlite3.Row) -> bool:
    way = row["hash"].partition(":")[0]
    try:
        seen = seen_of(row)
    except (ValueError, TypeError, RecursionError):
        return False  # groups or changed are not the JSON that a hash was made of
    if way == "s2":
        seen = erased_columns(seen) if row["salt"] is None else in_digests(seen, row["salt"])
    elif way != "s1":
        return False
    digests = (row["request_digest"], row["response_digest"])
    again = link(row["prev_hash"], seen, *digests, "s2" if way == "s2" else "s1")
    return bool(again == row["hash"])


def _other_content(row: sqlite3.Row, bodies: BodyReader) -> str | None:
    try:
        salt = row["salt"]
        if row["sealed"] is not None:
            if not is_sealed(salt):
                return "has a salt that is not sealed, as it was recorded"
            salt = bodies.opener.open(salt, of_exchange(row["id"], "salt"))
        request = body_of(row, "request", bodies)
        raw_is_gone = row["raw"] == "expired"
        reply = b"" if raw_is_gone else body_of(row, "content" if row["content"] else "response", bodies)
        if row["sealed"] is not None:  # what was derived is in no hash, but under a seal of its own
            for column in ("request_json", "response"):
                body_of(row, column, bodies)
    except KeyGone:
        return "lost the key of its content, and no tombstone says why: seal.db was altered, or is another"
    except SealProblem as closed:
        return f"cannot be opened: {str(closed).rstrip('.')}"
    except (ValueError, LookupError) as gone:
        return f"has a body that cannot be read: {gone}"
    if row["response_bytes"] == 0:
        reply = b""
    checked = [("request", request), ("response", reply)]
    if raw_is_gone:  # of the exact bytes, those that are the kept object itself are still here
        checked = [("request", request)] if row["request"] is not None else []
    for what, body in checked:
        if not hmac.compare_digest(digest(salt, body), row[f"{what}_digest"]):
            return f"has another {what} than was recorded"
    return None


def _tombstones(connection: sqlite3.Connection, verdict: Verdict, heads: list[Head]) -> str | None:
    """What was taken out, and by whose command. Why it does not hold; None when it does."""
    # Tombstones of before the file was damaged are in the damaged one.
    breaks = read_breaks(connection)
    begun = max((iso(broken.at) for broken, _ in breaks), default="")
    why, matched = chain_problem(connection, [(head.seq, head.hash) for head in heads if head.at >= begun])
    if why is not None:
        return why
    verdict.heads_matched += matched
    verdict.tombstones = connection.execute("select count(*) from tombstone").fetchone()[0]
    stray = connection.execute(
        "select x.seq from erased x left join tombstone t on t.id = x.tombstone and t.kind = ? "
        "where t.id is null order by x.seq limit 1",
        (ERASE,),
    ).fetchone()
    if stray is not None:
        return f"record {stray[0]} is said to be erased, and no tombstone says so"
    verdict.erased = connection.execute("select count(*) from erased").fetchone()[0]
    for number, ended in connection.execute(
        "select json_extract(detail, '$.of'), json_extract(detail, '$.exchanges') from tombstone where kind = ?",
        (ERASED,),
    ).fetchall():
        now = connection.execute("select count(*) from erased where tombstone = ?", (number,)).fetchone()[0]
        if now > ended:
            return f"tombstone {number} names {ended} erased records, and {now} refer to it"
    return _runs_wrong(connection) or problem_of_holds(connection, carried_over=bool(breaks))


def _runs_wrong(connection: sqlite3.Connection) -> str | None:
    """Do the ranges that are gone stand as the tombstones of their runs say?"""
    stray = connection.execute(
        "select first from pruned p left join tombstone t on t.id = p.tombstone and t.kind = ? where t.id is null",
        (PRUNE,),
    ).fetchone()
    if stray is not None:
        return f"records from {stray[0]} are said to be let go, and no tombstone says so"
    for number, ranges in connection.execute(
        "select json_extract(detail, '$.of'), json_extract(detail, '$.ranges') from tombstone where kind = ?", (PRUNED,)
    ).fetchall():
        if digest_of(connection, number) != ranges:
            return f"the ranges that tombstone {number} let go were altered"
    return None


def seen_of(row: sqlite3.Row) -> Seen:
    """What was observed, as it stands in the row."""
    values: dict[str, Any] = {name: row[name] for name in Seen.__dataclass_fields__ if name not in _MADE}
    who = None
    if row["issuer"] is not None:
        groups = tuple(json.loads(row["groups"]))
        who = Principal(row["subject"], row["email"], row["domain"], row["issuer"], groups)
    return Seen(
        **values,
        principal=who,
        capture_truncated=bool(row["capture_truncated"]),
        changed=tuple(json.loads(row["changed"])),
    )


_MADE = frozenset({"principal", "capture_truncated", "changed"})


def _gaps(connection: sqlite3.Connection) -> Iterator[str]:
    """Numbers that a worker gave and that no record has. The youngest of a living worker may still be open."""
    query = (
        "select boot, previous + 1 as first, number - 1 as last from (select boot, number, "
        "lag(number, 1, 0) over (partition by boot order by number) as previous from exchange where number > 0) "
        "where number > previous + 1 order by boot, first"
    )
    let_go: dict[str, list[tuple[int, int]]] = {}
    for gone in read_pruned(connection):
        for boot, counted in gone.numbers.items():
            let_go.setdefault(boot, []).extend((first, last) for first, last in counted)
    for boot, *gap in connection.execute(query):
        for first, last in without((gap[0], gap[1]), let_go.get(boot, ())):
            numbers = str(first) if first == last else f"{first} to {last}"
            yield f"worker {boot[:13]} counted {numbers}, not recorded (yet): open, or lost"
