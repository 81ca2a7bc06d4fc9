"""Which way the questions of this process leave: straight, or through the company's proxy.

Kept once for the process, as a resolver or a default route is: it belongs to the network that the machine stands in,
and not to who asks. The lanes' connections are told it by their settings.
"""

import contextlib
import select
import socket
import ssl
import threading
from typing import Final

from outbound.upstream_proxy import LARGEST_HEAD, UpstreamProxy

_proxy: UpstreamProxy | None = None
_END: Final = b"\r\n\r\n"


def leave_through(proxy: UpstreamProxy | None) -> None:
    """From now on. None: straight."""
    global _proxy
    _proxy = proxy


def proxy_for(host: str) -> UpstreamProxy | None:
    """The proxy that connections to this host go through."""
    return _proxy if _proxy is not None and _proxy.carries(host) else None


def proxies_for(host: str) -> dict[str, str]:
    """The same for libraries that take proxies by scheme. Only https goes through: what they ask over plain http is a
    metadata service of the machine's own network."""
    proxy = proxy_for(host)
    return {"https": proxy.url} if proxy is not None else {}


def tunnel(proxy: UpstreamProxy, opened: socket.socket, host: str, port: int) -> socket.socket:
    """`opened` is connected to the proxy; given is a socket that leads to the host. Blocks, as long as `opened` does.

    Raises:
        UpstreamProxyFailed: there is no way through.
        OSError: the connection broke off, or the proxy's certificate is not to be trusted.
    """
    outer: socket.socket = opened
    if proxy.is_tls:
        context = ssl.create_default_context(cafile=proxy.ca_file)
        outer = context.wrap_socket(opened, server_hostname=proxy.host)
    try:
        outer.sendall(proxy.connect_head(host, port))
        head = b""
        # A byte at a time: what follows the head is not the proxy's.
        while not head.endswith(_END) and b"HTTP/1.".startswith(head[:7]):
            byte = outer.recv(1)
            if not byte:
                raise proxy.silent()
            head += byte
            if len(head) > LARGEST_HEAD:
                raise proxy.talkative()
        proxy.check(head, host, port)
    except BaseException:
        outer.close()
        raise
    return _inside(outer) if isinstance(outer, ssl.SSLSocket) else outer


def _inside(outer: ssl.SSLSocket) -> socket.socket:
    """A socket for the TLS inside this TLS, which `ssl` makes of plain sockets only."""
    near, far = socket.socketpair()
    near.settimeout(outer.gettimeout())
    threading.Thread(target=_carry, args=(outer, far), name="sekisho-upstream-proxy", daemon=True).start()
    return near


def _carry(outer: ssl.SSLSocket, far: socket.socket) -> None:
    with outer, far, contextlib.suppress(OSError):  # one of both ended, or was ended at the deadline
        while True:
            ready = [outer] if outer.pending() else select.select([outer, far], [], [])[0]
            if far in ready:
                if not (data := far.recv(65536)):
                    return
                outer.sendall(data)
            if outer in ready:
                if not (data := outer.recv(65536)):
                    return
                far.sendall(data)
