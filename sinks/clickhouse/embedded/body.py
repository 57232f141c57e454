"""The body of a request as it arrives: undone of its compression, its beginning looked at, the rest passed on. Pure.

A body is never held whole, unless its statement is the body; rows behind an INSERT go through in pieces.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

import lz4.frame
import zstandard

from sinks.clickhouse.embedded.blocks import unpacked
from sinks.clickhouse.embedded.failure import refusal

HEAD_BYTES: Final = 1 << 20
"""So much is looked at for where a statement ends and its rows begin."""
_STATEMENT_BYTES_MAX: Final = 1 << 28


class Body:
    """Pieces of a body, decoded: `head` first, then `rest` or `whole`. Read by one thread at a time."""

    def __init__(self, pieces: Iterable[bytes] = ()) -> None:
        self._pieces = iter(pieces)
        self._head: bytes | None = None

    def head(self) -> bytes:
        """Its first mebibyte or a little more; all of it if it is shorter. May be asked again. Raises Refused."""
        if self._head is None:
            held: list[bytes] = []
            size = 0
            while size < HEAD_BYTES and (piece := next(self._pieces, None)) is not None:
                held.append(piece)
                size += len(piece)
            self._head = held[0] if len(held) == 1 else b"".join(held)
        return self._head

    def rest(self) -> Iterator[bytes]:
        """What comes behind the head. Raises Refused where the body is broken."""
        self.head()
        return self._pieces

    def whole(self) -> bytes:
        """All of it, for a statement. Raises Refused if it is longer than any statement should be."""
        held = [self.head()]
        size = len(held[0])
        for piece in self._pieces:
            held.append(piece)
            size += len(piece)
            if size > _STATEMENT_BYTES_MAX:
                text = f"The statement is longer than {_STATEMENT_BYTES_MAX} bytes; send rows behind INSERT … FORMAT."
                raise refusal(62, text, "SYNTAX_ERROR")
        return b"".join(held) if len(held) > 1 else held[0]


def decoded(pieces: Iterable[bytes], encoding: str, *, is_blocks: bool = False) -> Iterator[bytes]:
    """The pieces as they were before their Content-Encoding, and before ClickHouse's own (`decompress=1`).

    Raises Refused at once for an unknown encoding; later, for a broken body or one that ends too early.
    """
    name = encoding or "identity"
    if name != "identity" and name not in _DECOMPRESSORS:
        text = f"Content-Encoding {encoding} is not supported; use gzip, deflate, lz4 or zstd."
        raise refusal(89, text, "UNKNOWN_COMPRESSION_METHOD")
    plain = iter(pieces) if name == "identity" else _inflated(pieces, name)
    return unpacked(plain) if is_blocks else plain


def _inflated(pieces: Iterable[bytes], encoding: str) -> Iterator[bytes]:
    """One stream or several, one behind the other (as `cat a.gz b.gz` makes)."""
    start = _DECOMPRESSORS[encoding]
    stream, is_started = start(), False
    try:
        for piece in pieces:
            while piece:
                if stream.eof:
                    stream = start()
                is_started = True
                inflated = stream.decompress(piece)
                if inflated:
                    yield bytes(inflated)
                piece = (stream.unused_data or b"") if stream.eof else b""
    except (zlib.error, zstandard.ZstdError, RuntimeError) as error:
        raise refusal(354, f"The body is not {encoding}: {error}.", "CANNOT_DECOMPRESS") from error
    if is_started and not stream.eof:
        raise refusal(354, f"The body ends before its {encoding} does.", "CANNOT_DECOMPRESS")


_DECOMPRESSORS: Final[Mapping[str, Callable[[], Any]]] = {
    "gzip": lambda: zlib.decompressobj(16 + zlib.MAX_WBITS),
    "deflate": zlib.decompressobj,
    "lz4": lz4.frame.LZ4FrameDecompressor,
    "zstd": lambda: zstandard.ZstdDecompressor().decompressobj(),
}
