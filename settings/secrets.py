"""Secrets come from the environment, a file or a program, never from the settings themselves, and are never echoed."""

import os
import shutil
import stat
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, model_validator

from settings.program import printed
from settings.section import Section
from settings.units import Duration


class Secret(Section):
    """Where a secret is to be had: `{env: NAME}` or `{file: PATH}`, exactly one."""

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


class ProviderSecret(Secret):
    """A secret that is read again while we run: `{env: NAME}`, `{file: PATH}`, or
    `{command: [PROGRAM, ARGUMENT…], every: 10 m}`, exactly one.

    The program prints the secret alone and ends with 0 within ten seconds; no shell is involved, and it sees our
    environment. `every` is in seconds, five minutes when left out.
    """

    command: Annotated[tuple[Annotated[str, Field(min_length=1)], ...], Field(min_length=1)] | None = None
    every: Annotated[Duration, Field(ge=1)] | None = None

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if sum(source is not None for source in (self.env, self.file, self.command)) != 1:
            raise ValueError("needs exactly one of env, file and command, as in {env: OPENAI_API_KEY}")
        if self.every is not None and self.command is None:
            raise ValueError("has every, which is for a command: a file is looked at all the time. Take it out")
        return self

    @property
    def source(self) -> str:
        return f"the program {self.command[0]}" if self.command is not None else super().source

    def problem(self) -> str | None:
        """As Secret's. A program is only looked for, not run."""
        if self.command is None:
            return super().problem()
        if shutil.which(self.command[0]) is None:
            return f"names the program {self.command[0]}, which cannot be run. Write where it is, as in /usr/bin/…"
        return None

    def read(self) -> str:
        """As Secret's. Blocks while a program runs."""
        return printed(self.command) if self.command is not None else super().read()
