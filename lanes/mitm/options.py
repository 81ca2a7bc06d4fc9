"""The mitmproxy options we insist on, each with what would go wrong otherwise."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from mitmproxy import options

from settings.schema import Settings

FIXED: Final[Mapping[str, object]] = {
    # Whatever is not HTTP would pass any HTTP gate as raw bytes.
    "rawtcp": False,
    "tcp_hosts": [],
    "udp_hosts": [],
    # Connections to or beside these hosts pass unread.
    "ignore_hosts": [],
    "allow_hosts": [],
    # A body that streams through has left before `request` can judge it.
    "stream_large_bodies": None,
    # Eager dials the provider when a caller connects: before anybody knows who that is.
    "connection_strategy": "lazy",
    # Reverse HTTPS would listen on UDP as well, where none of the limits hold.
    "http3": False,
    # The limits hold for HTTP/1.1.
    "http2": False,
    # Frames pass any policy on requests.
    "websocket": False,
    # Streams are kept in the journal; mitmproxy would hold each in memory until its end.
    "store_streamed_bodies": False,
    # Bounds requests and replies alike; requests are bounded as they are read, replies pass whole.
    "body_size_limit": None,
    # Writing the Host anew would hide a second one from the gate, which writes it itself.
    "keep_host_header": True,
    # Refuses what two parties could read differently (smuggling).
    "validate_inbound_headers": True,
    # A provider that shows the wrong certificate is not the provider.
    "ssl_insecure": False,
}
"""Never otherwise: on the mitm lane a change is refused and taken back."""


def insist(opts: options.Options, settings: Settings) -> None:
    """Set them. Call it after the addons that define these options were added."""
    opts.update(
        **FIXED,
        # A backstop: the lanes time silence themselves. A model may think for a long time without a word.
        tcp_timeout=int(max(settings.timeouts.silence, settings.limits.idle)) + 60,
        # mitmproxy makes its interception CA here; the record's folder is guarded already.
        confdir=str((settings.data_dir / "mitmproxy").absolute()),
    )
    ca_files = {str(p.ca_file) for p in settings.providers.values() if p.ca_file is not None}
    if ca_files:
        opts.update(ssl_verify_upstream_trusted_ca=_bundle(sorted(ca_files), settings.data_dir))


def _bundle(files: list[str], data_dir: Path) -> str:
    """mitmproxy takes one file of authorities: the public ones and those that the settings add."""
    import certifi

    bundle = data_dir / "mitmproxy" / "upstream-authorities.pem"
    bundle.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    parts = [Path(certifi.where()).read_text(encoding="utf-8"), *(Path(f).read_text(encoding="utf-8") for f in files)]
    bundle.write_text("\n".join(parts), encoding="utf-8")
    return str(bundle)
