"""Which provider a request is for, and what its request line is there."""

from collections.abc import Mapping
from urllib.parse import SplitResult, urlsplit

from addons.flows import Destination
from settings.schema import Provider


class Destinations:
    """The providers of the settings, by path prefix; the default one answers without."""

    def __init__(self, providers: Mapping[str, Provider], default: str) -> None:
        self._default = default
        self._parts = {name: urlsplit(provider.upstream) for name, provider in providers.items()}
        self._dialects = {name: provider.dialect for name, provider in providers.items()}
        # By the whole address: a key must not go to another port of the host, nor in the clear.
        self._addresses = {(parts.scheme, parts.hostname, _port(parts)): name for name, parts in self._parts.items()}
        self._named: dict[str, str] = {}
        for name, provider in providers.items():
            for host in provider.known_by:
                self._named.setdefault(host, name)

    def of(self, target: str) -> Destination:
        """The destination of a request target (path and query) as the caller sent it."""
        path, mark, query = target.partition("?")
        first, slash, rest = path[1:].partition("/")
        name = self._default
        if first in self._parts and first != self._default:
            name, path = first, slash + rest or "/"
        return self._at(name, path, query if mark else None)

    def of_front(self, provider: str | None, target: str) -> Destination:
        """The destination of a request that a page of a front makes: its provider (None: the default), this target."""
        path, mark, query = target.partition("?")
        return self._at(provider or self._default, path, query if mark else None)

    def named(self, scheme: str, host: str, port: int, target: str) -> Destination:
        """The destination of a request that came through us as a forward proxy, for this host: its provider, at the
        upstream of the settings. One that is no provider's has no destination (`known` False)."""
        path, mark, query = target.partition("?")
        name = self._named.get(host) or next(
            (name for name, parts in self._parts.items() if (parts.hostname, _port(parts)) == (host, port)), None
        )
        if name is None:
            return Destination(host, "openai", scheme, host, port, "", path, query if mark else None, known=False)
        base = self._parts[name].path
        # What callers know as the provider's address has the path of its upstream: /openai/v1 at Groq's.
        return self._at(name, path.removeprefix(base) if path.startswith(base + "/") else path, query if mark else None)

    def _at(self, name: str, path: str, query: str | None) -> Destination:
        parts, dialect = self._parts[name], self._dialects[name]
        assert dialect is not None  # the settings filled it in
        return Destination(
            provider=name,
            dialect=dialect,
            scheme=parts.scheme,
            host=parts.hostname or "",
            port=_port(parts),
            base=parts.path,
            path=path,
            query=query,
        )

    def as_asked(self, scheme: str, host: str, port: int, target: str) -> Destination:
        """The destination of a request that names its own host (forward and transparent modes)."""
        path, mark, query = target.partition("?")
        name = self._addresses.get((scheme, host, port))
        dialect = self._dialects[name] if name else None
        return Destination(
            provider=name or host,
            dialect=dialect or "openai",
            scheme=scheme,
            host=host,
            port=port,
            base="",
            path=path,
            query=query if mark else None,
            known=name is not None,
        )


def _port(parts: SplitResult) -> int:
    return parts.port or (443 if parts.scheme == "https" else 80)
