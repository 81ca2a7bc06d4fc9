"""The certificates that settings name, looked at before anything is started."""

import ssl
from pathlib import Path

from settings.schema import Settings


def certificate_problems(settings: Settings) -> list[str]:
    """What keeps a listener's certificate, or the authority of a provider or of the proxy, from being used, each by its
    path. Reads them."""
    problems = []
    for i, listener in enumerate(settings.listen):
        if listener.tls is not None:
            cert, key = listener.tls.cert, listener.tls.key
            why = next((f"{each}: {said}" for each in (cert, key) if (said := _unread(each))), None)
            try:
                if why is None:
                    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(cert, key, password=_asks_nobody)
            except (ssl.SSLError, ValueError) as cannot:
                why = f"{cert} and {key} are no certificate with its key ({_said(cannot)})"
            if why is not None:
                problems.append(f"listen[{i}].tls cannot be used: {why}")
    authorities = {f"providers.{name}": provider.ca_file for name, provider in settings.providers.items()}
    if settings.upstream_proxy is not None:
        authorities["upstream_proxy"] = settings.upstream_proxy.ca_file
    for path, file in authorities.items():
        if file is not None and (why := _unread(file) or _no_authority(file)):
            problems.append(f"{path}.ca_file names {file}, which cannot be used: {why}")
    return problems


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
