"""Signed heads of the chain, put where the record itself is not: a file, syslog, a webhook."""

import json
import logging
import logging.handlers
import os
import socket
import sqlite3
import threading
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from outbound.asking import NoAnswer, ask
from settings.storage import Heads
from storage.access import NODE, last_access
from storage.heads import Head, HeadSigner

log = logging.getLogger(__name__)

_WEBHOOK_TIME = 5.0  # seconds
_LARGEST = 64 << 10  # bytes of what a webhook says, which nobody reads


class Anchors:
    """Signs and publishes heads. What cannot be reached is logged; the next head vouches for all before it."""

    def __init__(self, data_dir: Path, settings: Heads) -> None:
        self._data_dir = data_dir
        self._signer = HeadSigner(data_dir)
        self._file = settings.file or data_dir / "heads.txt"
        self._webhook = settings.webhook
        self._syslog = _syslog(settings.syslog) if settings.syslog else None
        self._published: dict[str, int] = {}
        self._posting: threading.Thread | None = None

    def publish(self, heads: Mapping[str, tuple[int, str]]) -> None:
        """Sign the head of each node, (seq, hash), that is new since the last time."""
        heads = {**heads, **self._looks()}
        now = datetime.now(tz=UTC).isoformat(timespec="seconds")
        lines = []
        for node, (seq, hash_) in heads.items():
            if self._published.get(node) != seq:
                lines.append(self._signer.line(Head(node.replace(" ", "_"), seq, hash_, now)))
                self._published[node] = seq
        if not lines:
            return
        try:
            with self._file.open("ab+") as file:
                begun = file.seek(0, os.SEEK_END)
                if begun:
                    file.seek(begun - 1)
                    if file.read(1) != b"\n":
                        file.write(b"\n")  # a line that a full disk or a death cut short must not take ours with it
                file.writelines(f"{line}\n".encode() for line in lines)
        except OSError as cannot:
            log.error("The signed head cannot be written to %s: %s", self._file, cannot)
        if self._syslog is not None:
            for line in lines:
                self._syslog.info("%s", line)
        if self._webhook is not None:
            self._posting = threading.Thread(target=self._post, args=(lines,), name="heads", daemon=True)
            self._posting.start()

    def _looks(self) -> dict[str, tuple[int, str]]:
        """The head of access.db, which others write."""
        try:
            last = last_access(self._data_dir)
        except sqlite3.Error as cannot:
            log.error("access.db cannot be read, its head is not signed: %s", cannot)
            return {}
        return {} if last is None else {NODE: last}

    def close(self) -> None:
        """Give the last head the time to arrive."""
        if self._posting is not None:
            self._posting.join(_WEBHOOK_TIME / 2)

    def _post(self, lines: list[str]) -> None:
        assert self._webhook is not None
        body = json.dumps({"heads": lines}).encode()
        deadline = time.monotonic() + _WEBHOOK_TIME
        headers = {"Content-Type": "application/json"}
        try:
            ask(
                "POST",
                self._webhook,
                headers=headers,
                body=body,
                deadline=deadline,
                largest=_LARGEST,
                hoped_for=range(200, 300),
            )
        except NoAnswer as cannot:
            log.error("The signed head could not be posted: %s", cannot)


def _syslog(address: str) -> logging.Logger:
    host, colon, port = address.rpartition(":")
    logger = logging.getLogger("sekisho.heads")
    logger.propagate = False
    try:
        where: tuple[str, int] | str = (host, int(port)) if colon else address
        logger.addHandler(logging.handlers.SysLogHandler(where, socktype=socket.SOCK_DGRAM))
    except OSError as cannot:
        log.error("syslog at %s cannot be reached: %s", address, cannot)
    logger.setLevel(logging.INFO)
    return logger
