"""Where something listens, with which certificate, and what comes in there."""

import base64
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from settings.domains import mail_parts
from settings.section import Section


class Address(Section):
    """Host and port to listen on, written `127.0.0.1:8080` or `[::1]:8080`."""

    host: str
    port: Annotated[int, Field(le=65535)]

    @model_validator(mode="before")
    @classmethod
    def _written(cls, given: object) -> object:
        if not isinstance(given, str):
            return given
        host, colon, port = given.rpartition(":")
        if not colon or not port.isdigit():
            raise ValueError("is not an address. Write host:port, as in 127.0.0.1:8080")
        return {"host": host.strip("[]"), "port": int(port)}

    @field_validator("port")
    @classmethod
    def _chosen(cls, given: int) -> int:
        if given < 1:
            raise ValueError("must be chosen, from 1 to 65535: callers have to know it")
        return given

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class ListenerTls(Section):
    """The certificate shown to callers."""

    cert: Path
    key: Path


class Peer(Section):
    """The one who calls at a WireGuard listener: by whose public key, and who that is."""

    public_key: str
    email: str

    @field_validator("public_key")
    @classmethod
    def _a_key(cls, given: str) -> str:
        try:
            fits = len(base64.b64decode(given, validate=True)) == 32
        except ValueError:
            fits = False
        if not fits:
            raise ValueError("is no WireGuard key. Write the 44 characters that `wg pubkey` prints")
        return given

    @field_validator("email")
    @classmethod
    def _an_address(cls, given: str) -> str:
        if (parts := mail_parts(given)) is None:
            raise ValueError("is not an e-mail address. Write ann@example.com")
        return "@".join(parts)


class Listener(Section):
    """One way in. `issuers` are the names of those whose identity counts here; none named means all."""

    address: Address
    mode: Literal["reverse", "forward", "transparent", "wireguard"] = "reverse"
    issuers: tuple[str, ...] | None = None
    tls: ListenerTls | None = None
    peer: Peer | None = None


def listeners(given: object) -> object:
    """One address alone is a list of one listener there."""
    if isinstance(given, int):
        raise ValueError(f"is not an address. Write host:port, as in 127.0.0.1:{given}")  # noqa: TRY004 - pydantic's
    return [{"address": given}] if isinstance(given, str) else given
