"""Our side's key of WireGuard tunnels: made once, kept in `keys/wireguard.key`. In base64, as `wg` writes keys."""

import base64
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from identities.private_file import kept_secret


def private_key(data_dir: Path) -> str:
    """Raises UnusableKey: the file holds something else. OSError: it can be neither read nor made."""
    return base64.b64encode(kept_secret(data_dir / "keys" / "wireguard.key")).decode("ascii")


def public_key(data_dir: Path) -> str:
    """What the peers' settings name. Raises as `private_key`."""
    private = X25519PrivateKey.from_private_bytes(base64.b64decode(private_key(data_dir)))
    return base64.b64encode(private.public_key().public_bytes_raw()).decode("ascii")
