"""A provider that is a real server of gRPC, with a method of each kind; and a channel to it through a proxy."""

import contextlib
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc

from tests.identities.certificates import authority, server_tls
from tests.journeys.forwarding import HOST, ForwardInstance

SERVICE = "test.v1.Echo"


class GrpcProvider:
    """At https://localhost:`port`. Messages are bytes. `received`: (method, metadata, messages) of each call."""

    def __init__(self, folder: Path) -> None:
        self.ca_file = authority(folder)
        server_tls(folder, "localhost")
        pem = (folder / "localhost.pem").read_bytes()
        self.received: list[tuple[str, dict[str, Any], list[bytes]]] = []
        self.cancelled: list[str] = []
        self._server = grpc.server(ThreadPoolExecutor(8))
        handlers = {
            "Unary": grpc.unary_unary_rpc_method_handler(self._unary),
            "Fails": grpc.unary_unary_rpc_method_handler(self._fails),
            "Slow": grpc.unary_unary_rpc_method_handler(self._slow),
            "Tells": grpc.unary_stream_rpc_method_handler(self._tells),
            "Hears": grpc.stream_unary_rpc_method_handler(self._hears),
            "Talks": grpc.stream_stream_rpc_method_handler(self._talks),
        }
        self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
        self.port = self._server.add_secure_port("localhost:0", grpc.ssl_server_credentials([(pem, pem)]))
        self._server.start()

    @property
    def url(self) -> str:
        return f"https://localhost:{self.port}"

    def __enter__(self) -> "GrpcProvider":
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop(0).wait(5)

    def _note(self, method: str, context: Any) -> list[bytes]:
        messages: list[bytes] = []
        self.received.append((method, dict(context.invocation_metadata()), messages))
        context.add_callback(lambda: None if context.is_active() else self.cancelled.append(method))
        return messages

    def _unary(self, request: bytes, context: Any) -> bytes:
        self._note("Unary", context).append(request)
        context.send_initial_metadata((("x-first", "1"),))
        context.set_trailing_metadata((("x-last-bin", b"\0\1\2"),))
        return request[::-1]

    def _fails(self, request: bytes, context: Any) -> bytes:
        self._note("Fails", context).append(request)
        context.abort(grpc.StatusCode.NOT_FOUND, "そんなものはない")
        return b""

    def _slow(self, request: bytes, context: Any) -> bytes:
        self._note("Slow", context).append(request)
        while context.is_active():
            time.sleep(0.02)
        return request

    def _tells(self, request: bytes, context: Any) -> Iterator[bytes]:
        self._note("Tells", context).append(request)
        for number in range(5):
            yield request + b"%d" % number
            time.sleep(0.1)

    def _hears(self, requests: Iterator[bytes], context: Any) -> bytes:
        messages = self._note("Hears", context)
        messages.extend(requests)
        return b"|".join(messages)

    def _talks(self, requests: Iterator[bytes], context: Any) -> Iterator[bytes]:
        messages = self._note("Talks", context)
        for request in requests:
            messages.append(request)
            yield request.upper()


@contextlib.contextmanager
def channel(instance: ForwardInstance, token: str | None = None) -> Iterator[Any]:
    """To api.openai.com, through the forward listener, trusting its CA: an unmodified client."""
    proxy = f"http://{f'ann:{token}@' if token else ''}127.0.0.1:{instance.forward}"
    trusted = grpc.ssl_channel_credentials(instance.authority.read_bytes())
    with grpc.secure_channel(f"{HOST}:443", trusted, options=[("grpc.http_proxy", proxy)]) as made:
        yield made
