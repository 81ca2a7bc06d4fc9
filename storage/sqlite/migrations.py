"""The schema of audit.db. A step that was shipped is never edited, and imports nothing of ours."""

from typing import Final

from sqlite_utils import Database, Migrations

from storage.removal.due import m009_due
from storage.removal.pruning import m007_retention
from storage.removal.tombstones import m005_erasable
from storage.sqlite.breaks import m004_breaks
from storage.sqlite.coverage import m008_coverage
from storage.sqlite.readable import m003_readable
from storage.sqlite.sealed_rows import m006_sealed
from storage.sqlite.tally import m010_tally, m011_unnamed
from storage.sqlite.thread_index import m002_threads

migrations: Final = Migrations("audit")

SCHEMA_VERSION: Final = 12
"""What this code can read and write: the number of the last step below."""


@migrations()
def m001_exchanges(db: Database) -> None:
    db.execute(
        """
        create table exchange (
            seq integer primary key autoincrement, -- the order of the record; gaps do not occur
            id text not null unique,               -- UUIDv7, 32 hex digits
            started_at integer not null,           -- microseconds since 1970, wall clock: may go backwards
            node text not null,                    -- who recorded it; one hash chain each

            -- observed, covered by the hash
            issuer text, subject text, email text, domain text, groups text, -- JSON list; all null: nobody known
            credential text,                       -- keyed hash of the caller's own provider key
            address text, user_agent text, mode text not null,
            outcome text not null, code text, rule text, reason text, policy text not null,
            provider text not null, method text not null, host text not null, path text not null, query text,
            observed text not null,                -- how it ended, as the worker saw it
            status integer,                        -- what the caller got; null: nothing
            request_bytes integer not null, response_bytes integer not null,
            capture_truncated integer not null,
            upstream_request_id text,
            overhead integer, ttft integer, duration integer, -- microseconds
            changed text not null,                 -- JSON list
            boot text not null, number integer not null, -- the worker's life, and its count of exchanges: gaps show

            -- derived, by the reader named here; may be derived again
            reader integer not null,
            operation text not null, request_model text, response_model text, stream integer not null,
            end_state text not null,
            input_tokens integer, output_tokens integer, cached_input_tokens integer, reasoning_tokens integer,
            usage_source text not null, cost_usd real, thread_id text,

            -- the chain
            salt blob, request_digest text not null, response_digest text not null,
            prev_hash text not null, hash text not null
        ) strict
        """
    )
    db.execute("create index exchange_boot on exchange (boot, number)")
    db.execute("create index exchange_started_at on exchange (started_at)")
    db.execute("create index exchange_person on exchange (issuer, subject, seq)")
    db.execute("create index exchange_thread on exchange (thread_id, seq) where thread_id is not null")
    db.execute(
        """
        create table person ( -- scope of chunks; 0 is everybody of whom nothing is known
            id integer primary key, issuer text not null, subject text not null, unique (issuer, subject)
        ) strict
        """
    )
    db.execute(
        """
        create table chunk (
            id integer primary key,
            scope integer not null,  -- person.id: nothing is shared between people
            digest blob not null,    -- BLAKE2b-128 of the content
            content blob not null,   -- a manifest (storage.sqlite.bodies)
            unique (scope, digest)
        ) strict
        """
    )
    db.execute(
        """
        create table body (
            seq integer primary key references exchange (seq),
            request blob,       -- manifest of the bytes as they came. null: there were none, or they are not kept
            request_json blob,  -- manifest of the request as JSON; null: the bytes are that JSON themselves
            response blob,      -- manifest of the whole reply object, JSON; null: there is none
            request_type text, request_coding text, response_type text, response_coding text,
            raw text not null   -- kept | expired | masked | off
        ) strict
        """
    )
    db.execute(
        """
        create table raw_reply (
            seq integer primary key references exchange (seq),
            content blob,       -- manifest of the bytes as they came; null: they are body.response
            arrivals blob       -- packed MessagePack [[offset, length], …] in microseconds and bytes
        ) strict
        """
    )
    db.execute(
        """
        create virtual table search using fts5 (
            user_text, answer_text, tool_text, -- cut into words and CJK bigrams by storage.sqlite.search
            content='', tokenize='unicode61 remove_diacritics 2'
        )
        """
    )
    db.execute(
        """
        create table journal_cursor (
            boot text not null, file text not null,
            low_water integer not null, -- rows up to this one are stored
            primary key (boot, file)
        ) strict, without rowid
        """
    )
    db.execute("create table meta (name text primary key, value text not null) strict, without rowid")
    db.execute("insert into meta values ('search_tokens', '1')")


migrations()(m002_threads)
migrations()(m003_readable)
migrations()(m004_breaks)
migrations()(m005_erasable)
migrations()(m006_sealed)
migrations()(m007_retention)
migrations()(m008_coverage)
migrations()(m009_due)
migrations()(m010_tally)
migrations()(m011_unnamed)


@migrations()
def m012_grpc_status(db: Database) -> None:
    """What the trailers of a reply of gRPC said; the bytes of its body do not."""
    db.execute("alter table body add column grpc_status integer")
