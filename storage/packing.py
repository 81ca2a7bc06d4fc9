"""How blobs are made small: zstd with a dictionary that ships here. The first byte says how the rest is packed."""

from pathlib import Path
from typing import Final

import zstandard

_PLAIN, _DICTIONARY_1 = b"\x00", b"\x01"
_LEVEL: Final = 3
_WORTH_IT: Final = 64  # bytes; below, packing costs more than it saves

_DICTIONARY: Final = zstandard.ZstdCompressionDict(
    (Path(__file__).parent / "dictionary" / "1.zdict").read_bytes(), dict_type=zstandard.DICT_TYPE_AUTO
)
"""Never changed once shipped: what was packed with it needs it. A better one gets the next number."""


class Packer:
    """Packs and unpacks. Not thread-safe."""

    def __init__(self) -> None:
        _DICTIONARY.precompute_compress(level=_LEVEL)
        self._compressor = zstandard.ZstdCompressor(
            level=_LEVEL, dict_data=_DICTIONARY, write_dict_id=False, write_checksum=False
        )
        self._decompressor = zstandard.ZstdDecompressor(dict_data=_DICTIONARY)

    def pack(self, content: bytes) -> bytes:
        if len(content) >= _WORTH_IT:
            packed = self._compressor.compress(content)
            if len(packed) < len(content):
                return _DICTIONARY_1 + packed
        return _PLAIN + content

    def unpack(self, blob: bytes) -> bytes:
        """The content again.

        Raises:
            ValueError: these bytes were not packed here.
        """
        kind, rest = blob[:1], blob[1:]
        if kind == _PLAIN:
            return rest
        if kind != _DICTIONARY_1:
            raise ValueError(f"nobody knows how this was packed ({kind!r})")
        try:
            return self._decompressor.decompress(rest)
        except (zstandard.ZstdError, MemoryError) as broken:  # a made-up size
            raise ValueError(f"this cannot be unpacked: {broken}") from broken
