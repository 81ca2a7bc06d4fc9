"""How this machine's programs reach an instance."""

from dataclasses import dataclass
from urllib.parse import quote

from certificates.bundle import ClientFiles
from settings.listening import Listener
from settings.schema import Dialect, Settings

LOOPBACK = "localhost,127.0.0.1,::1"
"""What never goes through a proxy, besides what somebody else named."""


@dataclass(frozen=True)
class Road:
    """`reverse` is the base address (`http://127.0.0.1:8080`), `proxy` that of the forward listener, with the token
    where one is needed. `prefixes` are the paths of the providers in reverse mode, by dialect, the first of each."""

    reverse: str | None
    proxy: str | None
    files: ClientFiles | None
    prefixes: dict[Dialect, str]

    def base(self, dialect: Dialect, path: str = "") -> str | None:
        """Where the reverse mode serves this dialect; None: no provider speaks it, or there is no reverse listener."""
        if self.reverse is None or dialect not in self.prefixes:
            return None
        return f"{self.reverse}{self.prefixes[dialect]}{path}"


def road_from(settings: Settings, files: ClientFiles | None, token: str | None = None, host: str | None = None) -> Road:
    """The first listener of each mode, as a program on this machine reaches it, or on another, which knows this one as
    `host`."""
    prefixes: dict[Dialect, str] = {}
    for name, provider in settings.providers.items():
        if provider.dialect is not None:
            prefixes.setdefault(provider.dialect, f"/{name}")
    default = settings.providers[settings.default_provider].dialect
    if default is not None:
        prefixes[default] = ""
    reverse = next((each for each in settings.listen if each.mode == "reverse"), None)
    forward = next((each for each in settings.listen if each.mode == "forward"), None)
    return Road(
        reverse=_address(reverse, host) if reverse is not None else None,
        proxy=_address(forward, host, token) if forward is not None else None,
        files=files,
        prefixes=prefixes,
    )


def _address(listener: Listener, known_as: str | None, token: str | None = None) -> str:
    host = known_as or listener.address.host
    if host in ("0.0.0.0", ""):  # noqa: S104 - compared, not bound
        host = "127.0.0.1"
    elif host == "::":
        host = "::1"
    shown = f"[{host}]" if ":" in host else host
    who = f"token:{quote(token, safe='')}@" if token else ""
    return f"{'https' if listener.tls else 'http'}://{who}{shown}:{listener.address.port}"
