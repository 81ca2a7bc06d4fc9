"""Connections that come by the network: one of our own that comes back is no caller."""

import asyncio
from typing import Any

from lanes.express.door import OpenDoor
from lanes.express.lane import Lane
from lanes.mitm.transparent import DivertedInstance, DivertedMode


class _Knock:
    """As far as the check goes."""

    def __init__(self, peer: tuple[str, int]) -> None:
        self.aborted = False
        self._peer = peer
        self.transport: Any = self

    def get_extra_info(self, _name: str) -> tuple[str, int]:
        return self._peer

    def abort(self) -> None:
        self.aborted = True


async def test_a_connection_of_our_own_that_comes_back_is_ended_and_not_passed_on() -> None:
    instance = DivertedInstance(DivertedMode.parse("diverted@0.0.0.0:3129"), None)

    class Roads:
        keeper = Lane(OpenDoor())

    Roads.keeper.dial.our_ends.add(("10.0.0.1", 40000))
    instance._roads = Roads()  # type: ignore[assignment]
    knock = _Knock(("10.0.0.1", 40000))
    await asyncio.wait_for(instance._serve(knock, None), 5)  # type: ignore[arg-type]
    assert knock.aborted
