"""Addresses of the web, as the settings name them."""

import ipaddress
from urllib.parse import urlsplit


def is_loopback(host: str) -> bool:
    """Is this host this machine, by its name alone (no look-up)?"""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def base_address(given: str) -> str:
    """An http or https address, with no slash at its end, and nothing behind its path.

    Raises:
        ValueError: it is none.
    """
    try:
        url = urlsplit(given)
        usable = url.scheme in ("http", "https") and url.hostname and (url.port is None or url.port > 0)
    except ValueError:
        usable = False
    if not usable or url.query or url.fragment or url.username:
        raise ValueError("is not an address. Write https://host, with a port and a path where needed")
    return given.rstrip("/")


def web_address(given: str) -> str:
    """An address that keys may come from: https://, or plain http:// on loopback.

    Raises:
        ValueError: it is not one; the message holds the remedy and is to be read after the address.
    """
    try:
        url = urlsplit(given)
        usable = url.scheme in ("http", "https") and url.hostname and (url.port is None or url.port > 0)
    except ValueError:
        usable = False
    if not usable or url.username or url.password or url.query or url.fragment or not given.isascii() or " " in given:
        raise ValueError("is not a web address. Write https://host/path, without user, query and fragment")
    if url.scheme == "http" and not is_loopback(url.hostname or ""):
        raise ValueError(
            "is plain http://, where anybody on the way could put in keys of their own. Use https:// "
            "(http:// is for loopback only)"
        )
    return given
