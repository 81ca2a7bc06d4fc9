"""Where something listens, and with which certificate."""

from pathlib import Path
from typing import Annotated

from pydantic import Field, field_validator, model_validator

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
