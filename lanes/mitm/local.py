"""Local capture: connections of programs on this machine, taken by name or process number (mitmproxy's redirector; on
Linux eBPF, with root's rights). What comes is treated as in transparent mode."""

import asyncio
import logging
import os
import signal
import sys
from pathlib import Path
from typing import Final

import mitmproxy_rs
from mitmproxy.proxy import layer, mode_servers, mode_specs
from mitmproxy.proxy.context import Context

from lanes.mitm.packets import Packets
from lanes.mitm.roads import Roads

log = logging.getLogger(__name__)

_STARTING_S: Final = 15.0
_SETTLING_S: Final = 1.0  # it says that it is there before it has tried
_LOOK_S: Final = 2.0


class CannotCapture(OSError):  # noqa: N818 - said to a person
    """This machine does not let us, or lacks something."""


class CapturedMode(mode_specs.ProxyMode):
    """`captured:codex,4711`. mitmproxy's own `local` guesses protocols."""

    description = "local capture"
    default_port = None
    transport_protocol = mode_specs.BOTH

    def __post_init__(self) -> None:
        if not self.data:
            raise ValueError("captured takes the names or numbers of programs")
        mitmproxy_rs.local.LocalRedirector.describe_spec(self.data)


class CapturedInstance(mode_servers.ServerInstance[CapturedMode]):
    """As ForwardInstance; there is one redirector a machine, and so one of these. Our own process is left out."""

    listen_addrs = ()
    _redirector: mitmproxy_rs.local.LocalRedirector | None = None
    _watching: asyncio.Task[None] | None = None

    @property
    def is_running(self) -> bool:
        return self._redirector is not None

    def make_top_layer(self, context: Context) -> layer.Layer:
        raise NotImplementedError("CheckpointHandler brings its own")

    async def _start(self) -> None:
        """Raises CannotCapture, and as Roads."""
        roads = Roads(self.mode, self.manager)
        packets = Packets(roads, self.mode)
        why = mitmproxy_rs.local.LocalRedirector.unavailable_reason() or lacking()
        if why is None:
            try:
                async with asyncio.timeout(_STARTING_S):
                    made = await mitmproxy_rs.local.start_local_redirector(packets.tcp, packets.udp)
                made.set_intercept(f"{self.mode.data},!{os.getpid()}")
                await asyncio.sleep(_SETTLING_S)
            except Exception as problem:  # noqa: BLE001 - of no class of its own; the message says it
                why = str(problem).partition("\n")[0] or type(problem).__name__
            else:
                if _redirector_runs():
                    self._redirector = made
                    self._watching = asyncio.get_running_loop().create_task(self._watch(), name="redirector")
                    roads.lane.watch()
                    return
                made.close()
                why = "mitmproxy's redirector ended at once."
        raise CannotCapture(
            f"Programs on this machine cannot be captured: {why} It takes root's rights, sudo, cgroup v2, Linux 6.8; "
            "without, take capture out of the settings and use sekisho run."
        )

    async def _watch(self) -> None:
        """It is a process of its own, and nobody tells us that it ended. Then this worker ends and is started again."""
        while _redirector_runs():
            await asyncio.sleep(_LOOK_S)
        if self._redirector is not None:
            log.error("mitmproxy's redirector ended: programs are captured no more. Starting anew.")
            signal.raise_signal(signal.SIGTERM)

    async def _stop(self) -> None:
        redirector, self._redirector = self._redirector, None
        if self._watching is not None:
            self._watching.cancel()
        if redirector is not None:
            redirector.set_intercept("")
            redirector.close()


def lacking(cgroups: Path = Path("/sys/fs/cgroup")) -> str | None:
    """What the redirector would fail for without saying so: on Linux it attaches a program (`cgroup/sock_create`, by
    bpf_link_create(2)) to the root of cgroup v2, where it takes that to be. None: nothing known of."""
    if not sys.platform.startswith("linux") or (cgroups / "cgroup.controllers").exists():
        return None
    return (
        f"{cgroups} is not cgroup v2 (of a mixed hierarchy only its folder unified is). Start with the kernel "
        "parameter systemd.unified_cgroup_hierarchy=1, or within a mount namespace that has cgroup2 there."
    )


def _redirector_runs() -> bool:
    """Is it a child of ours still? Only Linux tells; elsewhere it is taken to be."""
    if not sys.platform.startswith("linux"):
        return True
    for task in Path("/proc/self/task").iterdir():
        try:
            for child in (task / "children").read_text().split():
                if Path(f"/proc/{child}/comm").read_text().strip() == "sudo":
                    return True
        except OSError:
            continue  # it ended while we looked
    return False
