"""`sekisho setup`: what has to be done outside of Sekisho, printed; nothing is changed."""

from typing import TYPE_CHECKING, Annotated

import typer

from cli.failure import WrongUse
from cli.options import Config, settings_at

if TYPE_CHECKING:
    from settings.schema import Listener

app = typer.Typer(no_args_is_help=True, help="Print what has to be done outside of Sekisho; nothing is changed.")

_NFT = """\
# nft -f FILE: what comes in on {interface} for port 443 goes to Sekisho's transparent listener; IPv4 and IPv6 alike.
# QUIC (UDP 443) is refused, so that programs fall back to TCP: it cannot be read.
table inet sekisho {{
  chain prerouting {{
    type nat hook prerouting priority dstnat; policy accept;
    iifname "{interface}" tcp dport 443 redirect to :{port}
  }}
  chain forward {{
    type filter hook forward priority filter; policy accept;
    iifname "{interface}" udp dport 443 reject
  }}
}}
# undo: nft delete table inet sekisho
"""

_IPTABLES = """\
# The same with iptables, for both families. QUIC (UDP 443) is refused: it cannot be read.
for each in iptables ip6tables; do
  $each -t nat -A PREROUTING -i {interface} -p tcp --dport 443 -j REDIRECT --to-ports {port}
  $each -A FORWARD -i {interface} -p udp --dport 443 -j REJECT
done
# undo: the same lines with -D in place of -A
"""

_SYSCTL = """\
# This machine is the router of those on {interface}:
sysctl -w net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
"""


@app.callback()
def setup() -> None:
    """Print what has to be done outside of Sekisho; nothing is changed."""


@app.command()
def transparent(
    config: Config = None,
    interface: Annotated[
        str, typer.Option("--interface", metavar="NAME", help="Where the callers' connections come in.")
    ] = "eth1",
    with_iptables: Annotated[bool, typer.Option("--iptables", help="For iptables in place of nftables.")] = False,
) -> None:
    """Print the rules that bring a network's connections to the transparent listener (Linux; IPv4 and IPv6).

    What this machine itself sends is left alone: so our own connections never come back to us.
    """
    if not interface or len(interface) > 15 or not all(c.isalnum() or c in "-_.@" for c in interface):
        raise WrongUse(f"--interface {interface!r} is no name of an interface.")
    port = _port([one for one in settings_at(config).listen if one.mode == "transparent"])
    rules = _IPTABLES if with_iptables else _NFT
    typer.echo((_SYSCTL + rules).format(interface=interface, port=port), nl=False)


def _port(listeners: "list[Listener]") -> int:
    ports = {one.address.port for one in listeners}
    if len(ports) != 1:
        families = "{address: '0.0.0.0:3129', mode: transparent}, {address: '[::]:3129', mode: transparent}"
        raise WrongUse(
            f"The rules need one port of the transparent listeners, and the settings have {len(ports)}. "
            f"Write in `listen`: {families}"
        )
    return ports.pop()
