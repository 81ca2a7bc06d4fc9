"""How a connection came in: what its requests may say of their destination, and where they lead unless directed."""

from dataclasses import dataclass

from mitmproxy.proxy import mode_specs

from lanes.express.head import RequestHead

type Target = tuple[str, int, bytes]
"""Host, port and scheme of a request."""


@dataclass(frozen=True, slots=True)
class Way:
    """`host`, `port` and `scheme` of everything that comes this way; of a plain forward proxy (`absolute`) each request
    names its own."""

    host: str
    port: int
    scheme: bytes
    absolute: bool = False
    tunnel: bool = False

    def target(self, head: RequestHead) -> Target:
        """Where this request leads as far as the way says. A tunnel leads to one place whatever its requests name; that
        they name another is for the gate to refuse."""
        if self.tunnel:
            return self.host, self.port, self.scheme
        if not self.absolute:
            return self.host, self.port, head.scheme or self.scheme
        host, port = split_authority(head.authority, 80) or ("", 0)
        return host, port, head.scheme.lower() or self.scheme


def reverse(mode: mode_specs.ReverseMode) -> Way:
    """The way of a reverse listener: where a request goes that no addon directs."""
    return Way(*mode.address, mode.scheme.encode())


def split_authority(authority: bytes, usual: int | None) -> tuple[str, int] | None:
    """Host, lower-case, and port of `host:port` or `[address]:port` (RFC 3986 §3.2); None for anything else, userinfo
    included. `usual` is the port where none is written; None demands one."""
    if not authority.isascii() or b"@" in authority:
        return None
    text = authority.decode("ascii").lower()
    host, colon, port = text.rpartition(":")
    if not colon or text.endswith("]"):
        host, port = text, ""
        if usual is None:
            return None
    elif not port.isdigit() or len(port) > 5 or not 0 < int(port) < 65536:
        return None
    if host.startswith("[") != host.endswith("]") or (":" in host and not host.startswith("[")):
        return None
    host = host.strip("[]").removesuffix(".")
    if not host or any(c in host for c in "/?#[]\\ %"):
        return None
    return host, int(port) if port else usual or 0
