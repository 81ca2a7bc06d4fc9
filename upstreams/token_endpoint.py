"""One POST to a token endpoint."""

import json
import time
from pathlib import Path

from exchange.call import Json
from outbound.asking import NoAnswer, ask
from upstreams.refreshed import NotObtained

DEADLINE_S = 10.0
_LARGEST = 256 << 10


def post(url: str, body: bytes, media_type: str, *, ca_file: Path | None = None) -> tuple[int, dict[str, Json]]:
    """Status and answer, which is empty where it is no JSON object. Blocks, at most DEADLINE_S and one look-up of the
    name.

    Raises:
        NotObtained: there was no whole answer.
    """
    deadline = time.monotonic() + DEADLINE_S
    headers = {"Content-Type": media_type}
    try:
        said = ask("POST", url, headers=headers, body=body, deadline=deadline, largest=_LARGEST, ca_file=ca_file)
    except NoAnswer as problem:
        raise NotObtained(f"cannot be had from {url}: {problem}"[:300]) from problem
    try:
        answer = json.loads(said.body)
    except (ValueError, RecursionError):
        answer = None
    return said.status, answer if isinstance(answer, dict) else {}
