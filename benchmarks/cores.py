"""Which core does what: what is measured has one to itself, the load and the provider another."""

import os
import sys
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Cores:
    """Lists of cores, as taskset(1) takes them."""

    measured: str
    others: str
    both: str
    """For two workers: their cores. With three cores or more the second is a free one, else the load's."""
    second_is_free: bool


def cores() -> Cores:
    """Two of the cores we may use, three for two workers; more stay idle, so that runs on other machines compare.

    Raises:
        SystemExit: there is one only; load and proxy would measure each other.
    """
    usable = sorted(os.sched_getaffinity(0))
    if len(usable) < 2:
        sys.exit("The benchmark needs two cores: one for what is measured, one for the load. This machine has one.")
    first, second, third = usable[0], usable[1], usable[2] if len(usable) > 2 else usable[1]
    return Cores(str(first), str(second), f"{first},{third}", len(usable) > 2)
