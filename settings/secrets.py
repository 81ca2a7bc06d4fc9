"""Secrets come from the environment or from a file, never from the settings themselves, and are never echoed."""

import os
import stat
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, model_validator


class Secret(BaseModel):
    """Where a secret is to be had: `{env: NAME}` or `{file: PATH}`, exactly one."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    env: str | None = None
    file: Path | None = None

    @model_validator(mode="before")
    @classmethod
    def _never_inline(cls, given: object) -> object:
        if isinstance(given, str | int | float):
            raise ValueError(  # noqa: TRY004 - pydantic collects ValueErrors
                "is written into the settings itself. Put it into the environment or a file: {env: NAME}, {file: PATH}"
            )
        return given

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if (self.env is None) == (self.file is None):
            raise ValueError("needs exactly one of env and file, as in {env: OPENAI_API_KEY}")
        return self

    @property
    def source(self) -> str:
        """Where it comes from, for people and logs."""
        return f"the environment variable {self.env}" if self.env is not None else f"the file {self.file}"

    def problem(self) -> str | None:
        """What keeps this secret from being read, with the remedy; None when it can be read."""
        if self.env is not None:
            if not os.environ.get(self.env):
                return f"names the environment variable {self.env}, which is not set. Set it, or take this setting out"
            return None
        assert self.file is not None
        try:
            empty = not self.file.read_text(encoding="utf-8").strip()
            mode = self.file.stat().st_mode
        except (OSError, UnicodeDecodeError) as cannot:
            why = cannot.strerror if isinstance(cannot, OSError) else "it is not text"
            return f"names the file {self.file}, which cannot be read: {why}"
        if mode & stat.S_IWOTH:
            # Whoever puts in a key of their own reads our calls in an account of their own.
            return f"names the file {self.file}, which everybody may write. Take that right away: chmod o-w {self.file}"
        return f"names the file {self.file}, which is empty" if empty else None

    def read(self) -> str:
        """The secret, without surrounding white space.

        Raises:
            ValueError: it cannot be read; the message says why and holds no part of it.
        """
        if said := self.problem():
            raise ValueError(said)
        if self.env is not None:
            return os.environ[self.env].strip()
        assert self.file is not None
        try:
            return self.file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError):  # since it was looked at
            raise ValueError(f"names the file {self.file}, which cannot be read any more") from None
