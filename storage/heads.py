"""Signed heads of the chain. Kept elsewhere they show what the file itself cannot: a tail that was cut off, a chain
that was made anew."""

import base64
import os
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from storage.problem import StoreProblem

_ORIGIN = "sekisho/1"
_DIGITS = 20  # what was signed has no more


@dataclass(frozen=True, slots=True)
class Head:
    """The last record of a node at some time."""

    node: str
    seq: int
    hash: str
    at: str  # RFC 3339, UTC

    def text(self) -> str:
        """What is signed."""
        return f"{_ORIGIN} {self.node} {self.seq} {self.hash} {self.at}"


def signing_key(data_dir: Path) -> Ed25519PrivateKey | None:
    """The key that signs heads here; None where there is none yet.

    Raises:
        StoreProblem: what is there is no key.
    """
    path = data_dir / "keys" / "heads.key"
    try:
        return Ed25519PrivateKey.from_private_bytes(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValueError:
        raise StoreProblem(
            f"{path} is damaged: it is no Ed25519 key of 32 bytes. Put its copy back; without one, move it, "
            "heads.pub and heads.txt to a safe place: a new key is made; the old heads verify by the old heads.pub."
        ) from None


class HeadSigner:
    """Signs heads with an Ed25519 key of its own under `<data_dir>/keys`, made on first use.

    Raises:
        StoreProblem: the key is damaged.
    """

    def __init__(self, data_dir: Path) -> None:
        path = data_dir / "keys" / "heads.key"
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        kept = signing_key(data_dir)
        self._key = kept or Ed25519PrivateKey.generate()
        if kept is None:
            raw = self._key.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption())
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(raw)
        public = self._key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        (data_dir / "keys" / "heads.pub").write_text(base64.b64encode(public).decode() + "\n", encoding="ascii")

    def line(self, head: Head) -> str:
        """One line: the head, and its signature in base64."""
        return f"{head.text()} {base64.b64encode(self._key.sign(head.text().encode())).decode()}"


def public_key(data_dir: Path) -> str:
    """The verifying key, base64.

    Raises:
        FileNotFoundError: no head was signed here yet.
    """
    return (data_dir / "keys" / "heads.pub").read_text(encoding="ascii", errors="replace").strip()


def read_heads(text: str, key: str) -> tuple[list[Head], list[str]]:
    """The heads of these lines, and what is wrong with the others. `key` is the verifying key, base64.

    Raises:
        ValueError: it is no key.
    """
    try:
        verifying = Ed25519PublicKey.from_public_bytes(base64.b64decode(key, validate=True))
    except ValueError:
        raise ValueError("the key to verify it with (heads.pub, or --key) is no Ed25519 key in base64") from None
    heads: list[Head] = []
    problems: list[str] = []
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        parts = line.split(" ")
        if len(parts) != 6 or parts[0] != _ORIGIN or not (parts[2].isascii() and parts[2].isdecimal()):
            problems.append(f"line {number} is no signed head")
            continue
        try:
            verifying.verify(base64.b64decode(parts[5].rstrip("\r"), validate=True), " ".join(parts[:5]).encode())
        except (InvalidSignature, ValueError):
            problems.append(f"line {number} has a signature that does not verify")
            continue
        heads.append(Head(parts[1], int(parts[2][:_DIGITS]), parts[3], parts[4]))
    return heads, problems
