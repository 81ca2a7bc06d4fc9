"""How content is sealed at rest."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from settings.program import printed
from settings.secrets import Secret
from settings.section import Section


class MasterKeySource(Secret):
    """Where a master key is to be had: `{file: PATH}`, `{env: NAME}`, or `{command: [PROGRAM, ARGUMENT…]}`, which
    prints it: the way to a key service. No shell is involved; what the program complains of goes to standard error."""

    command: Annotated[tuple[Annotated[str, Field(min_length=1)], ...], Field(min_length=1)] | None = None

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if sum(source is not None for source in (self.env, self.file, self.command)) != 1:
            raise ValueError("needs exactly one of file, env and command, as in {file: /etc/sekisho/master.key}")
        return self

    def read(self) -> str:
        """The key as text, without surrounding white space. Blocks.

        Raises:
            ValueError: it cannot be had; the message says why and holds no part of it.
        """
        if self.command is None:
            return super().read()
        return printed(self.command)


class Seal(Section):
    """Content is sealed before it touches the disk. The keys are read when they are needed, never echoed.

    `old_keys` are those that `key` followed: they open what `sekisho seal rotate` has not wrapped anew yet. `index` is
    how words are found: `keyed` by keyed hashes of them, `plain` by themselves, `off` not at all.
    """

    key: MasterKeySource
    old_keys: tuple[MasterKeySource, ...] = ()
    index: Literal["keyed", "plain", "off"] = "keyed"
