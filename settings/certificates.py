"""The certificates that settings name, looked at before anything is started."""

import ssl
from pathlib import Path

from settings.listening import ListenerTls
from settings.schema import Settings


def certificate_problems(settings: Settings) -> list[str]:
    """What keeps the certificate of a listener or of the console, or the authority of a provider, of the sign-in or of
    the proxy, from being used, each by its path. Reads them."""
    problems = []
    shown = {f"listen[{i}].tls": listener.tls for i, listener in enumerate(settings.listen)}
    for path, tls in (shown | {"console.tls": settings.console.tls}).items():
        if tls is not None and (why := tls_problem(tls)) is not None:
            problems.append(f"{path} cannot be used: {why}")
    authorities = {f"providers.{name}": provider.ca_file for name, provider in settings.providers.items()}
    if settings.sign_in is not None:
        authorities["sign_in"] = settings.sign_in.ca_file
    if settings.upstream_proxy is not None:
        authorities["upstream_proxy"] = settings.upstream_proxy.ca_file
    for path, file in authorities.items():
        if file is not None and (why := _unread(file) or _no_authority(file)):
            problems.append(f"{path}.ca_file names {file}, which cannot be used: {why}")
    return problems


def tls_problem(tls: ListenerTls) -> str | None:
    """What keeps this certificate and its key from being shown; None when nothing does. Reads them."""
    for each in (tls.cert, tls.key):
        if (said := _unread(each)) is not None:
            return f"{each}: {said}"
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(tls.cert, tls.key, password=_asks_nobody)
    except (ssl.SSLError, ValueError) as cannot:
        return f"{tls.cert} and {tls.key} are no certificate with its key ({_said(cannot)})"
    return None


def _asks_nobody() -> str:
    raise ValueError("the key is encrypted; take the passphrase off")


def _unread(path: Path) -> str | None:
    try:
        path.read_bytes()
    except OSError as cannot:
        return cannot.strerror
    return None


def _no_authority(path: Path) -> str | None:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(path)
    except ssl.SSLError as cannot:
        return f"it holds no certificates ({_said(cannot)})"
    return None


def _said(cannot: Exception) -> str:
    return str(getattr(cannot, "reason", None) or cannot).lower().replace("_", " ")
