"""How the record is kept."""

from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from settings.sealing import Seal
from settings.section import Section
from settings.units import Duration, Share, Size


class Heads(Section):
    """Where signed heads of the chain go: kept elsewhere, they show a tail that was cut off."""

    every: Duration = 600.0
    file: Path | None = None
    syslog: str | None = None
    webhook: str | None = None

    @field_validator("webhook")
    @classmethod
    def _an_address(cls, given: str | None) -> str | None:
        if given is not None and urlsplit(given).scheme not in ("http", "https"):
            raise ValueError("is not an address. Write https://host/path")
        return given


OnFailure = Literal["block", "spill", "allow"]


class Keep(Section):
    """How long the record is kept: for so many days, as long as audit.db takes no more than so many bytes; and how long
    the exact bytes of exchanges. Nothing said is for ever."""

    days: Annotated[float, Field(gt=0)] | None = None
    bytes: Size | None = None
    raw: Duration | None = 30 * 86400.0


class Storage(Section):
    """How the record is kept."""

    on_failure: OnFailure | None = None
    spill_dir: Path | None = None
    disk_warn: Share = 0.10
    disk_stop: Share = 0.03
    ballast: Size | None = None
    journal_limit: Size = 1 << 30
    journal_file: Size = 64 << 20
    capture_limit: Size = 128 << 20
    flush_after: Duration = 1.0
    flush_bytes: Size = 64 << 10
    heads: Heads = Heads()
    seal: Seal | None = None
    keep: Keep = Keep()
