"""The JSON Paths of streamed function arguments: names and indices only, such as `$.items[0]['unit price']`.

RFC 9535, the singular queries of §2.3.5.1 without negative indices.
"""

import re
from typing import Final

from exchange.call import Json
from wire.fields import Object

GAP: Final = 64
"""Items an index may leave out. Arguments stream in order; a far index would make a long list out of a few bytes."""

_DEPTH: Final = 128
_STEP: Final = re.compile(
    r"""\.(?P<name>[^.\[\]'"\s]+)
      | \[(?P<index>\d{1,6})\]
      | \['(?P<single>(?:[^'\\]|\\.)*)'\]
      | \["(?P<double>(?:[^"\\]|\\.)*)"\]""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPE: Final = re.compile(r"\\(.)", re.DOTALL)


def steps(path: str) -> list[str | int] | None:
    """Names and indices on the way from the root; None when the path is none of these, or is the root itself."""
    if not path.startswith("$"):
        return None
    at, found = 1, list[str | int]()
    while at < len(path):
        step = _STEP.match(path, at)
        if not step or len(found) == _DEPTH:
            return None
        if step["index"] is not None:
            found.append(int(step["index"]))
        else:
            quoted = step["single"] if step["single"] is not None else step["double"]
            found.append(step["name"] if quoted is None else _ESCAPE.sub(r"\1", quoted))
        at = step.end()
    return found or None


def put(root: Object, path: list[str | int], value: Json) -> bool:
    """Set the value at a path of one step at least, making objects and lists on the way.

    False when something else is in the way.
    """
    here: Json = root
    for step, following in zip(path, [*path[1:], None], strict=True):
        new: Json = value if following is None else [] if isinstance(following, int) else {}
        if isinstance(step, int):
            if not isinstance(here, list) or step > len(here) + GAP:
                return False
            here.extend([None] * (step + 1 - len(here)))
            if following is None or here[step] is None:
                here[step] = new
            here = here[step]
        else:
            if not isinstance(here, dict):
                return False
            if following is None or here.get(step) is None:
                here[step] = new
            here = here[step]
    return True
