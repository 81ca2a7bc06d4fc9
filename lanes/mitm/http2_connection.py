"""hyper-h2's connection with the send buffers of mitmproxy's, and bounds on what the other side may make us hold."""

from typing import Any, Final

import h2.config
import h2.connection
import h2.events
import hpack
from h2.settings import SettingCodes
from mitmproxy.proxy.layers.http import _http_h2

STREAMS: Final = 100  # what many take for granted before they read our settings
WINDOW: Final = 256 << 10  # bytes of one stream's body that may come before any is taken
_FRAME: Final = 16 << 10


class PlainEncoder(hpack.Encoder):
    """Without Huffman coding: hpack's takes time by the square of a value's length, 14 s for 256 KiB."""

    def encode(self, headers: Any, huffman: bool = False) -> bytes:
        return super().encode(headers, huffman)


class BoundedConnection(_http_h2.BufferedH2Connection):
    """`head_bytes` bounds a head or trailers, decoded; `window` what all streams may send before any is taken."""

    def __init__(self, config: h2.config.H2Configuration, *, head_bytes: int, window: int) -> None:
        super().__init__(config)
        self._window = window
        settings = self.local_settings
        settings.initial_window_size = WINDOW
        settings.max_frame_size = _FRAME
        settings[SettingCodes.MAX_HEADER_LIST_SIZE] = head_bytes
        if config.client_side:
            settings.enable_push = 0
        else:
            settings[SettingCodes.MAX_CONCURRENT_STREAMS] = STREAMS
        settings.acknowledge()
        self.max_inbound_frame_size = _FRAME
        self.decoder.max_header_list_size = head_bytes
        self.encoder = PlainEncoder()

    def initiate_connection(self) -> None:
        h2.connection.H2Connection.initiate_connection(self)
        self.increment_flow_control_window(self._window - self.inbound_flow_control_window)

    @property
    def held_back(self) -> int:
        """Bytes that wait for the other side's windows."""
        return sum(len(part.data) for parts in self.stream_buffers.values() for part in parts)

    def holds(self, stream: int) -> bool:
        """Does anything of this stream wait for the other side's windows?"""
        return bool(self.stream_buffers.get(stream))

    def is_open(self, stream: int) -> bool:
        """Is there still something to be said on this stream, by either side?"""
        found = self.streams.get(stream)
        return found is not None and bool(found.open)

    def send_data(  # type: ignore[override] # mitmproxy's, too, takes no memoryview
        self, stream_id: int, data: bytes, end_stream: bool = False, pad_length: Any = None
    ) -> None:
        """A window that the other side made smaller than what is under way is negative (RFC 9113 §6.9.2), and holds
        everything back."""
        if not self.holds(stream_id) and self.local_flow_control_window(stream_id) < 0:
            size = self.max_outbound_frame_size
            held = [_http_h2.SendH2Data(data[at : at + size], False) for at in range(0, len(data), size)]
            held += [_http_h2.SendH2Data(b"", True)] if end_stream else []
            self.stream_buffers[stream_id].extend(held)
        else:
            super().send_data(stream_id, data, end_stream, pad_length)

    def reset_stream(self, stream_id: int, error_code: int = 0) -> None:
        self.stream_trailers.pop(stream_id, None)
        super().reset_stream(stream_id, error_code)

    def receive_data(self, data: bytes) -> list[h2.events.Event]:
        events: list[h2.events.Event] = super().receive_data(data)
        for event in events:
            if isinstance(event, h2.events.StreamReset):
                self.stream_trailers.pop(event.stream_id, None)
        return events
