"""No proxy at all: what the load and the provider can do by themselves."""

from benchmarks.processes import Running
from benchmarks.variants import Place

NAME = "direct"


def start(place: Place) -> Running:
    return Running(NAME, place.upstream_port)
