"""What a token is for, where it is for less than its owner may do."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Scope:
    """`models` (globs, over the whole name) and `operations` that a token may be used for; None: whatever its owner
    may."""

    models: tuple[str, ...] | None = None
    operations: tuple[str, ...] | None = None
