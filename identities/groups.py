"""A person's groups, as far as they travel with them in a token: a header and a cookie hold only so much."""

import json
from collections.abc import Collection, Iterable
from typing import Final

LARGEST: Final = 2048
"""Bytes of JSON. With it a session stays below the 4096 bytes of a cookie (RFC 6265 §6.1)."""


class TooManyGroups(ValueError):  # noqa: N818 - said to whoever signs in
    """Not even the groups on which decisions rest fit."""


def carried(groups: Iterable[str], named: Collection[str]) -> tuple[str, ...]:
    """Those that travel, at most LARGEST: first the `named` ones, on which rules decide, then others in their order.

    Raises:
        TooManyGroups: a named one would have to stay behind; a rule that denies must not miss it.
    """
    found = dict.fromkeys(groups)
    kept: list[str] = []
    size = 2
    for group in [*(each for each in found if each in named), *(each for each in found if each not in named)]:
        size += len(json.dumps(group)) + 2
        if size > LARGEST:
            if group in named:
                raise TooManyGroups("more groups that rules name than a session holds")
            break
        kept.append(group)
    return tuple(kept)
