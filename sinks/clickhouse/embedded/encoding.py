"""How an answer is compressed on its way. Pure."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from typing import Any, Final

import zstandard

from sinks.clickhouse.embedded.blocks import stored


class _Plain:
    def compress(self, piece: bytes) -> bytes:
        return piece

    def flush(self) -> bytes:
        return b""


class Encoder:
    """Compresses an answer piece by piece, as the client accepts it; `name` is its Content-Encoding or empty."""

    def __init__(self, accepted: str, *, in_blocks: bool = False) -> None:
        names = [part.split(";")[0].strip() for part in accepted.split(",")]
        self.name = next((name for name in names if name in _COMPRESSORS), "")
        self._compressor = _COMPRESSORS.get(self.name, _Plain)()
        self._in_blocks = in_blocks

    def encode(self, piece: bytes) -> bytes:
        """What can be sent now."""
        return bytes(self._compressor.compress(stored(piece) if self._in_blocks else piece))

    def finish(self) -> bytes:
        """What is left to send."""
        return bytes(self._compressor.flush())


_COMPRESSORS: Final[Mapping[str, Callable[[], Any]]] = {
    "gzip": lambda: zlib.compressobj(1, zlib.DEFLATED, 16 + zlib.MAX_WBITS),
    "zstd": lambda: zstandard.ZstdCompressor(1).compressobj(),
}
