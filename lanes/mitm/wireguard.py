"""WireGuard mode: a person's machine or telephone, whose packets come through a tunnel of its own to a listener of its
own. Whoever holds the key of that tunnel is that person; what comes out of it is treated as in transparent mode."""

import asyncio
import base64
import binascii
import logging
from pathlib import Path
from typing import Final

import mitmproxy_rs
from mitmproxy import ctx
from mitmproxy.proxy import layer, mode_servers, mode_specs
from mitmproxy.proxy.context import Context

from identities.wireguard_key import private_key
from lanes.mitm.packets import Packets, system_resolver
from lanes.mitm.roads import Roads

_STACK: Final = "mitmproxy.packet_sources.wireguard"
"""The logger of mitmproxy's stack: it writes a line for each packet that it cannot use, and anybody may send those."""


class Seldom(logging.Filter):
    """Lets one line pass in ten seconds; the next says how many there were between."""

    def __init__(self) -> None:
        super().__init__()
        self._until = 0.0
        self._left_out = 0

    def filter(self, record: logging.LogRecord) -> bool:
        if record.created < self._until:
            self._left_out += 1
            return False
        if self._left_out:
            record.msg, record.args = f"{record.getMessage()} ({self._left_out} more lines of this kind before)", ()
        self._until, self._left_out = record.created + 10.0, 0
        return True


_seldom: Final = Seldom()


class TunnelledMode(mode_specs.ProxyMode):
    """`tunnelled:PEER'S PUBLIC KEY@0.0.0.0:51820`. mitmproxy's `wireguard` has one key for everybody, and guesses
    protocols."""

    description = "WireGuard"
    transport_protocol = mode_specs.UDP

    def __post_init__(self) -> None:
        try:
            fits = len(base64.b64decode(self.data, validate=True)) == 32
        except binascii.Error:
            fits = False
        if not fits:
            raise ValueError("tunnelled takes a public key, 32 bytes in base64")


class TunnelledInstance(mode_servers.AsyncioServerInstance[TunnelledMode]):
    """As ForwardInstance. One peer for each: mitmproxy's stack does not say whose of several keys a packet came by."""

    def make_top_layer(self, context: Context) -> layer.Layer:
        raise NotImplementedError("CheckpointHandler brings its own")

    async def listen(  # type: ignore[override] # a narrower list
        self, host: str, port: int
    ) -> list[mitmproxy_rs.wireguard.WireGuardServer]:
        """Raises OSError where the address cannot be had, UnusableKey, and as Roads."""
        roads = Roads(self.mode, self.manager)
        logging.getLogger(_STACK).addFilter(_seldom)  # once: the same one again changes nothing
        packets = Packets(roads, self.mode, system_resolver())
        key = await asyncio.to_thread(private_key, Path(ctx.options.confdir).parent)
        server = await mitmproxy_rs.wireguard.start_wireguard_server(
            host.strip("[]"), port, key, [self.mode.data], packets.tcp, packets.udp
        )
        roads.lane.watch()
        return [server]
