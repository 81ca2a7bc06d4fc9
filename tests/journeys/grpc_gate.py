"""A real Sekisho before a provider that speaks HTTP/2 over TLS."""

from pathlib import Path
from typing import Any

from tests.journeys.forwarding import ForwardInstance
from tests.journeys.instance import GATEWAY

ALLOWED = GATEWAY.replace("operations: [chat, responses]", "operations: [chat, responses, other]")
"""A rule that lets pass what nobody knows, gRPC among it."""


class GrpcInstance(ForwardInstance):
    """`api.openai.com` is at this upstream, whose certificate `ca_file` signed."""

    def __init__(self, folder: Path, upstream: str, ca_file: Path, **more: Any) -> None:
        super().__init__(folder, upstream, **more)
        text = self.config.read_text(encoding="utf-8")
        self.config.write_text(text.replace("{upstream:", f"{{ca_file: '{ca_file}', upstream:", 1), encoding="utf-8")

    def by_path(self, path: str, count: int = 1) -> list[dict[str, Any]]:
        """The records of calls of this method, as soon as there are so many."""
        found: list[dict[str, Any]] = []

        def enough() -> bool:
            found[:] = [record for record in self.records() if record["path"] == path]
            return len(found) >= count

        self.wait_until(enough)
        return found
