"""The certificates that settings name, looked at before anything is started."""

import ssl
from pathlib import Path

from settings.schema import Settings


def certificate_problems(settings: Settings) -> list[str]:
    """What keeps a listener's certificate or a provider's authority from being used, each by its path. Reads them."""
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
    for name, provider in settings.providers.items():
        if provider.ca_file is not None and (why := _unread(provider.ca_file) or _no_authority(provider.ca_file)):
            problems.append(f"providers.{name}.ca_file names {provider.ca_file}, which cannot be used: {why}")
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
