"""A view for people who look with their own tools (`sqlite3`, Datasette): one row an exchange, in words and units of
RECORD.md. What a column means stands beside it, here and in the file itself (`.schema exchange_readable`)."""

import re
from collections.abc import Iterator

from sqlite_utils import Database


def m003_readable(db: Database) -> None:
    """A step of the schema (storage.sqlite.migrations); what was shipped is never edited."""
    db.execute(
        """
        create view exchange_readable as select
            e.seq as seq, -- place in the record: the order; `sekisho export --after SEQ` goes on from one
            substr(e.id, 1, 8) || '-' || substr(e.id, 9, 4) || '-' || substr(e.id, 13, 4) || '-' ||
                substr(e.id, 17, 4) || '-' || substr(e.id, 21) as id, -- UUIDv7; `sekisho show ID` prints the bodies
            strftime('%Y-%m-%dT%H:%M:%S', e.started_at / 1000000, 'unixepoch') ||
                printf('.%06dZ', e.started_at % 1000000) as started_at, -- when it began: UTC, microseconds
            e.node as node, -- the machine that recorded it
            e.issuer as issuer, -- who vouches for the person; null: nobody known
            e.subject as subject, -- the person, as the issuer names them
            e.email as email, -- address, lower case
            e.domain as domain, -- mail domain
            e.credential as credential, -- keyed hash of the caller's own provider key, to group by; never the key
            e.address as client_address, -- where the request came from
            e.user_agent as user_agent, -- what the client calls itself
            e.mode as mode, -- how it came in: reverse, forward, …
            e.outcome as decision, -- allow or deny
            e.code as code, -- of a refusal: what the caller was told (docs/codes.md)
            e.rule as rule, -- the rule that decided
            e.reason as reason, -- why exactly; the caller is not told
            e.provider as provider, -- the provider's name in the settings
            e.operation as operation, -- chat, responses, messages, embeddings, …
            e.method as method, -- of the HTTP request
            e.host as host, -- the provider's host
            e.path as path, -- at the provider, without the query
            e.request_model as request_model, -- the model that was asked for
            e.response_model as response_model, -- the model that answered
            e.stream as stream, -- 1: a stream was asked for
            e.status as status, -- HTTP status that the caller got; null: none
            e.end_state as end_state, -- how it ended (docs/record.md): complete, client_gone, …
            e.capture_truncated as capture_truncated, -- 1: the copy stopped before the reply did
            e.input_tokens as input_tokens, -- all input, cached input included
            e.output_tokens as output_tokens, -- all output, reasoning included
            e.cached_input_tokens as cached_input_tokens, -- of the input, read from the provider's cache
            e.reasoning_tokens as reasoning_tokens, -- of the output, not shown
            e.usage_source as usage_source, -- provider, estimated (counted by us) or none
            e.cost_usd as cost_usd, -- by published prices, US dollars; null: model or usage is unknown
            e.ttft / 1000.0 as ttft_ms, -- request's last byte in to reply's first body byte in, milliseconds
            e.duration / 1000.0 as duration_ms, -- request's first byte in to the end, milliseconds
            e.overhead / 1000.0 as overhead_ms, -- spent in us before the request was forwarded, milliseconds
            e.request_bytes as request_bytes, -- body on the wire, before content decoding
            e.response_bytes as response_bytes, -- the same of the reply
            e.thread_id as thread_id, -- exchanges of one conversation have one; `sekisho show THREAD` prints it once
            e.upstream_request_id as upstream_request_id, -- the provider's own id of it
            b.raw as raw, -- the exact bytes: kept, expired, masked or off
            e.hash as hash, -- commits to this exchange and all before it (`sekisho verify`)
            e.prev_hash as prev_hash -- the one before it of the same node
        from exchange e left join body b on b.seq = e.seq
        """
    )


_COLUMN = re.compile(r" as (\w+),? -- (.+)$", re.MULTILINE)


def columns(view: str) -> Iterator[tuple[str, str]]:
    """(name, meaning) of each column, from the SQL of the view as it stands in the file."""
    for found in _COLUMN.finditer(view):
        yield found[1], found[2]
