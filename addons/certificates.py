"""What a caller showed of itself in the TLS handshake."""

from collections.abc import Sequence

from cryptography.hazmat.primitives.serialization import Encoding
from mitmproxy.connection import Client


def chain_of(client: Client) -> Sequence[bytes]:
    """The certificates this caller showed, in DER, its own first; mostly there are none."""
    shown = client.certificate_list
    return [one.to_cryptography().public_bytes(Encoding.DER) for one in shown] if shown else ()
