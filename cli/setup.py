"""`sekisho setup`: what has to be done outside of Sekisho, printed; nothing is changed."""

from typing import TYPE_CHECKING, Annotated

import typer

from cli.failure import Failed, WrongUse
from cli.options import Config, settings_at

if TYPE_CHECKING:
    from settings.listening import Listener

app = typer.Typer(no_args_is_help=True, help="Print what has to be done outside of Sekisho; nothing is changed.")

_NFT = """\
# What comes in on {interface} for port 443 goes to Sekisho's transparent listener; IPv4 and IPv6 alike.
# QUIC (UDP 443) is refused, so that programs fall back to TCP: it cannot be read.
nft -f - <<'RULES'
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
RULES
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
# For a shell of root's (| sh). This machine is the router of those on {interface}:
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


_WIREGUARD = """\
# {email}: what their machine's WireGuard is given. Its private key is the one whose public key is
# {peer}; it never leaves that machine. The CA has to be trusted there: sekisho ca install.
[Interface]
PrivateKey = …
Address = 10.99.0.2/32
DNS = 10.99.0.1

[Peer]
PublicKey = {ours}
AllowedIPs = 0.0.0.0/0, ::/0
Endpoint = {endpoint}
PersistentKeepalive = 25
"""


@app.command()
def wireguard(
    config: Config = None,
    host: Annotated[
        str, typer.Option("--host", metavar="NAME", help="The name or address by which their machines find this one.")
    ] = "sekisho.example.com",
) -> None:
    """Print what the WireGuard of each peer's machine is given: our public key, where we are, what goes through."""
    from identities.private_file import UnusableKey
    from identities.wireguard_key import public_key

    settings = settings_at(config)
    listeners = [one for one in settings.listen if one.peer is not None]
    if not listeners:
        raise WrongUse(
            "The settings have no listener of the mode wireguard. Write in `listen`, with what `wg pubkey` says of "
            "their key: {address: '0.0.0.0:51820', mode: wireguard, peer: {public_key: …, email: ann@example.com}}"
        )
    try:
        ours = public_key(settings.data_dir)
    except UnusableKey as cannot:
        raise Failed(str(cannot)) from None
    pages = []
    for one in listeners:
        assert one.peer is not None
        endpoint = f"{host}:{one.address.port}"
        pages.append(_WIREGUARD.format(email=one.peer.email, peer=one.peer.public_key, ours=ours, endpoint=endpoint))
    typer.echo("\n".join(pages), nl=False)


def _port(listeners: "list[Listener]") -> int:
    ports = {one.address.port for one in listeners}
    if len(ports) != 1:
        families = "{address: '0.0.0.0:3129', mode: transparent}, {address: '[::]:3129', mode: transparent}"
        raise WrongUse(
            f"The rules need one port of the transparent listeners, and the settings have {len(ports)}. "
            f"Write in `listen`: {families}"
        )
    return ports.pop()
