"""What is measured: Sekisho, and what one would pick instead. Each file starts one, in a folder of its own."""

from dataclasses import dataclass
from pathlib import Path

from benchmarks.issuer import Issuers


class NotInstalled(Exception):  # noqa: N818 - said in the table
    """The peer is not here; the message says how to get it."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a variant is put."""

    folder: Path
    upstream: str
    """http://127.0.0.1:PORT, or https:// with `authority` as its certificate authority."""
    core: str
    issuers: Issuers
    authority: Path | None = None

    @property
    def upstream_port(self) -> int:
        return int(self.upstream.rpartition(":")[2])
