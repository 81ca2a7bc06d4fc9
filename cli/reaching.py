"""Are the providers reached from here, and does their clock agree with ours? Asked only when a person wants it."""

import http.client
import ssl
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from cli.checkup import Sign

if TYPE_CHECKING:
    from settings.schema import Provider, Settings

_PATIENCE_S: Final = 10.0
_COARSE_S: Final = 2.0  # the Date field has whole seconds (RFC 9110 §6.6.1), and the answer was on its way


def providers(settings: "Settings") -> Iterator[Sign]:
    """A HEAD request without a key to each provider's upstream; whatever status comes back, it was reached."""
    for name, provider in settings.providers.items():
        yield from _asked(name, provider, settings.identity.clock_skew)


def _asked(name: str, provider: "Provider", allowed_s: float) -> Iterator[Sign]:
    url = urlsplit(provider.upstream)
    host = url.hostname or ""
    try:
        if url.scheme == "https":
            trusted = ssl.create_default_context(cafile=provider.ca_file)
            connection: http.client.HTTPConnection = http.client.HTTPSConnection(
                host, url.port, timeout=_PATIENCE_S, context=trusted
            )
        else:
            connection = http.client.HTTPConnection(host, url.port, timeout=_PATIENCE_S)
        began = time.monotonic()
        try:
            connection.request("HEAD", url.path or "/", headers={"User-Agent": "sekisho doctor"})
            answer = connection.getresponse()
        finally:
            connection.close()
    except (OSError, http.client.HTTPException) as cannot:
        why = getattr(cannot, "strerror", None) or str(cannot) or type(cannot).__name__
        advice = "Is there a firewall, a proxy that must be passed, or a CA of your own (ca_file) in between?"
        yield Sign(f"{name} at {provider.upstream} is not reached: {why}", "wrong", advice)
        return
    took = time.monotonic() - began
    yield Sign(f"{name} at {provider.upstream} is reached ({1000 * took:.0f} ms)")
    yield from _clock(name, answer.getheader("Date"), took, allowed_s)


def _clock(name: str, date: str | None, took: float, allowed_s: float) -> Iterator[Sign]:
    try:
        theirs = parsedate_to_datetime(date or "")
    except ValueError:
        return  # it says no time, or none that can be read: then there is nothing to compare
    ahead = (datetime.now(UTC) - theirs.astimezone(UTC)).total_seconds() - took / 2
    if abs(ahead) > allowed_s + _COARSE_S:
        which = "ahead of" if ahead > 0 else "behind"
        what = f"this machine's clock is {abs(ahead):.0f} s {which} {name}'s"
        yield Sign(what, "wrong", f"Set the clock by NTP: tokens are judged by it, with {allowed_s:.0f} s to spare.")
    else:
        yield Sign(f"this machine's clock and {name}'s agree")
