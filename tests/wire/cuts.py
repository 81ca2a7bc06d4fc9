"""Ways to cut a body, as the network might."""

import random
from collections.abc import Iterator


def every_cut(raw: bytes) -> Iterator[tuple[bytes, ...]]:
    """Whole, byte by byte, and in two at every place."""
    yield (raw,)
    yield tuple(raw[i : i + 1] for i in range(len(raw)))
    for i in range(1, len(raw)):
        yield raw[:i], raw[i:]


def random_cuts(raw: bytes, seed: int, most: int = 64) -> Iterator[bytes]:
    """Pieces of random sizes, the same ones for the same seed."""
    dice = random.Random(seed)
    at = 0
    while at < len(raw):
        size = dice.randint(1, most)
        yield raw[at : at + size]
        at += size
