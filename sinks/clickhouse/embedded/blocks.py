"""ClickHouse's own block compression, `compress=1` and `decompress=1`: what JDBC and Go clients speak. Pure.

A block is a checksum of 16 bytes over all that follows, a method, the size with this head of 9 bytes, the size
when unpacked, and the packed bytes (https://clickhouse.com/docs/native-protocol/compression). Clients ask for it
to spare a network; on loopback there is none, so that answers go as LZ4 blocks that hold their bytes as they are.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from typing import Any, Final

import lz4.block
import numpy
import zstandard

from sinks.clickhouse.embedded.cityhash import cityhash128, cityhash128_rows
from sinks.clickhouse.embedded.failure import refusal

_CHECKSUM_BYTES: Final = 16
_HEAD: Final = struct.Struct("<BII")
_NONE, _LZ4, _ZSTD = 0x02, 0x82, 0x90
_BLOCK_BYTES_MAX: Final = 1 << 28
# Small and all of one size, so that their checksums are worked out side by side.
_STORED_BYTES: Final = 4096


def stored(piece: bytes) -> bytes:
    """The bytes in blocks of LZ4 without any match."""
    whole = len(piece) // _STORED_BYTES
    blocks = _stored_rows(piece[: whole * _STORED_BYTES], whole) if whole else []
    rest = piece[whole * _STORED_BYTES :]
    if rest:
        block = _stored_head(len(rest)) + rest
        blocks.append(cityhash128(block) + block)
    return b"".join(blocks)


def _stored_rows(piece: bytes, count: int) -> list[bytes]:
    head = _stored_head(_STORED_BYTES)
    rows: numpy.ndarray[Any, numpy.dtype[numpy.uint8]] = numpy.empty(
        (count, len(head) + _STORED_BYTES), dtype=numpy.uint8
    )
    rows[:, : len(head)] = numpy.frombuffer(head, dtype=numpy.uint8)
    rows[:, len(head) :] = numpy.frombuffer(piece, dtype=numpy.uint8).reshape(count, _STORED_BYTES)
    return [check + row.tobytes() for check, row in zip(cityhash128_rows(rows), rows, strict=True)]


def _stored_head(length: int) -> bytes:
    """The head of a block and LZ4's word for "so many bytes follow as they are"."""
    if length < 15:
        literal = bytes([length << 4])
    else:
        more, last = divmod(length - 15, 255)
        literal = b"\xf0" + b"\xff" * more + bytes([last])
    return _HEAD.pack(_LZ4, _HEAD.size + len(literal) + length, length) + literal


def unpacked(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The blocks of a body, unpacked, however it is cut into pieces.

    Raises Refused for one that is broken or ends too early. Checksums are not compared: TCP has its own.
    """
    held = bytearray()
    for piece in pieces:
        held += piece
        at = 0
        while (end := _end_of_block(held, at)) is not None and end <= len(held):
            yield _unpacked_block(bytes(held[at + _CHECKSUM_BYTES : end]))
            at = end
        del held[:at]
    if held:
        raise refusal(354, "The body ends within a compressed block.", "CANNOT_DECOMPRESS")


def _end_of_block(held: bytearray, at: int) -> int | None:
    if len(held) < at + _CHECKSUM_BYTES + _HEAD.size:
        return None
    method, size, unpacked_size = _HEAD.unpack_from(held, at + _CHECKSUM_BYTES)
    if method not in (_NONE, _LZ4, _ZSTD):
        text = f"The body is not in ClickHouse's compressed blocks of LZ4 or ZSTD (method {method:#x})."
        raise refusal(89, text, "UNKNOWN_COMPRESSION_METHOD")
    if not _HEAD.size <= size <= _BLOCK_BYTES_MAX or unpacked_size > _BLOCK_BYTES_MAX:
        text = f"A compressed block is said to be of {size} and {unpacked_size} bytes."
        raise refusal(354, text, "CANNOT_DECOMPRESS")
    return int(at + _CHECKSUM_BYTES + size)


def _unpacked_block(block: bytes) -> bytes:
    method, _, unpacked_size = _HEAD.unpack_from(block)
    packed = block[_HEAD.size :]
    try:
        if method == _LZ4:
            return bytes(lz4.block.decompress(packed, uncompressed_size=unpacked_size))
        if method == _ZSTD:
            return zstandard.ZstdDecompressor().decompress(packed, max_output_size=unpacked_size)
    except (lz4.block.LZ4BlockError, zstandard.ZstdError) as error:
        raise refusal(354, f"A compressed block is broken: {error}.", "CANNOT_DECOMPRESS") from error
    return packed
