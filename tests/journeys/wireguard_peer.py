"""A peer of WireGuard in user space, for one tunnel and one command: the handshake of its white paper (§5.4), and a TUN
device in a network namespace of its own. `python -m tests.journeys.wireguard_peer PORT SERVER'S-KEY OWN-KEY COMMAND…`.
"""

import base64
import contextlib
import fcntl
import hmac
import os
import select
import socket
import struct
import subprocess
import sys
import threading
import time
from hashlib import blake2s

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from tests.journeys.transparent_road import lines

_TUNSETIFF, _IFF_TUN_NO_PI = 0x400454CA, 0x1001


def hashed(*parts: bytes) -> bytes:
    return blake2s(b"".join(parts)).digest()


def keys(chain: bytes, given: bytes, count: int) -> list[bytes]:
    """HKDF with HMAC-BLAKE2s."""
    first, made = hmac.digest(chain, given, blake2s), [b""]
    for i in range(1, count + 1):
        made.append(hmac.digest(first, made[-1] + bytes([i]), blake2s))
    return made[1:]


def nonce(count: int) -> bytes:
    return struct.pack("<4xQ", count)


class Tunnel:
    """`send` and `receive` are keys; `theirs` is how the other side calls this tunnel. Raises TimeoutError when the
    other side does not answer: it knows no such key."""

    def __init__(self, wire: socket.socket, server: bytes, own: X25519PrivateKey) -> None:
        ephemeral, theirs = X25519PrivateKey.generate(), X25519PublicKey.from_public_bytes(server)
        shown = ephemeral.public_key().public_bytes_raw()
        chain = hashed(b"Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s")
        seen = hashed(hashed(chain, b"WireGuard v1 zx2c4 Jason@zx2c4.com"), server)
        (chain,), seen = keys(chain, shown, 1), hashed(seen, shown)
        chain, key = keys(chain, ephemeral.exchange(theirs), 2)
        static = ChaCha20Poly1305(key).encrypt(nonce(0), own.public_key().public_bytes_raw(), seen)
        seen = hashed(seen, static)
        chain, key = keys(chain, own.exchange(theirs), 2)
        now = struct.pack(">QI", 2**62 + 10 + time.time_ns() // 10**9, time.time_ns() % 10**9)
        stamp = ChaCha20Poly1305(key).encrypt(nonce(0), now, seen)
        seen = hashed(seen, stamp)
        message = struct.pack("<II", 1, 7) + shown + static + stamp
        message += blake2s(message, key=hashed(b"mac1----", server), digest_size=16).digest() + bytes(16)
        wire.settimeout(1.5)
        wire.send(message)
        while (answer := wire.recv(2048))[0] != 2:
            pass  # of the tunnel before, which the other side does not know to be over
        _, self.theirs, ours = struct.unpack("<III", answer[:12])
        assert ours == 7
        other = X25519PublicKey.from_public_bytes(answer[12:44])
        (chain,), seen = keys(chain, answer[12:44], 1), hashed(seen, answer[12:44])
        (chain,) = keys(chain, ephemeral.exchange(other), 1)
        (chain,) = keys(chain, own.exchange(other), 1)
        chain, mixed, key = keys(chain, bytes(32), 3)
        ChaCha20Poly1305(key).decrypt(nonce(0), answer[44:60], hashed(seen, mixed))
        send, receive = keys(chain, b"", 2)
        self.send, self.receive = ChaCha20Poly1305(send), ChaCha20Poly1305(receive)


def pump(wire: socket.socket, tunnel: Tunnel, device: int) -> None:
    wire.settimeout(None)
    count = 0

    def say(packet: bytes) -> None:
        nonlocal count
        packet += bytes(-len(packet) % 16)
        head = struct.pack("<IIQ", 4, tunnel.theirs, count)
        wire.send(head + tunnel.send.encrypt(nonce(count), packet, b""))
        count += 1

    say(b"")  # the other side speaks once it has heard something
    while True:
        for ready in select.select([wire.fileno(), device], [], [])[0]:
            if ready == device:
                say(os.read(device, 2048))
            elif (data := wire.recv(2048))[0] == 4:
                packet = tunnel.receive.decrypt(nonce(int.from_bytes(data[8:16], "little")), data[16:], b"")
                with contextlib.suppress(OSError):  # a keep-alive is empty
                    os.write(device, packet)


def main(port: int, server: str, own: str, command: list[str]) -> int:
    wire = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    wire.connect(("127.0.0.1", port))
    try:
        tunnel = Tunnel(wire, base64.b64decode(server), X25519PrivateKey.from_private_bytes(base64.b64decode(own)))
    except TimeoutError:
        print('{"failed": "no answer to the handshake"}')
        return 0
    os.unshare(os.CLONE_NEWNET)  # the socket stays where it was made
    device = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(device, _TUNSETIFF, struct.pack("16sH22x", b"wg0", _IFF_TUN_NO_PI))
    lines("""
        link set lo up
        addr add 10.99.0.2/32 dev wg0
        link set wg0 mtu 1280 up
        route add default dev wg0
    """)
    threading.Thread(target=pump, args=(wire, tunnel, device), daemon=True).start()
    return subprocess.run(command, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4:]))
