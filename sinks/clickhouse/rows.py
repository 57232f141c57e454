"""Records out of Kafka's record batches, and into the body of an Avro block. Pure; compiled, as `setup.py` says.

It looks into no record beyond the framing in front of it. What is written out here a step at a time is each record's
whole cost in the sink; compiled, a third of what it is otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from mypy_extensions import i64

from schemas.wire import long_bytes, schema_id_of

__all__ = ["Record", "joined", "schema_ids_of", "take_records"]

Record = tuple[int, bytes]
"""(offset, framed value)."""

_FRAME_BYTES: Final = 5
_JOINED_AT_ONCE: Final = 128
"""So many rows still lie in the processor's cache when they are put together."""
_LOW_BITS: Final = 13
_LOW: Final = tuple(long_bytes((1 << 27) + low)[:2] for low in range(1 << _LOW_BITS))
"""The first two bytes of every offset from 8192 on, by its low 13 bits; what follows changes every 8192 offsets."""


def take_records(data: bytes, begin: int, count: int, base: int, least: int, into: list[Record]) -> None:
    """Append the `count` records that begin at `begin`, of a batch of format 2 that is not compressed, whose first
    offset is `base`: those from offset `least` on that have a value. IndexError where the batch ends before they do.

    https://kafka.apache.org/documentation/#record
    """
    at: i64 = begin
    length: i64 = 0
    delta: i64 = 0
    left: i64 = count
    while left > 0:
        left -= 1
        length, at = _varint(data, at)
        end: i64 = at + length
        # Attributes, then the timestamp, which nobody asks for.
        at += 1
        while data[at] > 127:
            at += 1
        delta, at = _varint(data, at + 1)
        length, at = _varint(data, at)
        if length > 0:
            at += length
        length, at = _varint(data, at)
        offset: int = base + delta
        if length >= 0 and offset >= least:
            into.append((offset, data[at : at + length]))
        at = end


def schema_ids_of(records: list[Record]) -> list[int]:
    """The ids of their schemas, rising, each once. Raises CodecError for a record without framing."""
    found: dict[int, bool] = {}
    last: i64 = -1
    for _, value in records:
        if len(value) < _FRAME_BYTES or value[0] != 0:
            schema_id_of(value)
        schema_id = _framed_id(value)
        if schema_id != last:
            found[schema_id] = True
            last = schema_id
    return sorted(found)


def joined(records: list[Record], partition: int, branches: Mapping[int, bytes]) -> list[bytes]:
    """Each record without its framing, and its place behind it; before it what `branches` has for its schema.

    In pieces, to be put into a file in one go. All of `records` are framed. Without any branches there is nothing
    before a record; KeyError for a schema without one.
    """
    pieces: list[bytes] = []
    parts: list[bytes] = []
    place = long_bytes(partition)
    has_branches = len(branches) > 0
    branch, tail = b"", b""
    last: i64 = -1
    high: int = -1
    left: i64 = _JOINED_AT_ONCE
    for offset, value in records:
        if has_branches:
            schema_id = _framed_id(value)
            if schema_id != last:
                branch = branches[schema_id]
                last = schema_id
        rest = offset >> _LOW_BITS
        if rest == 0:
            parts += [branch, value[_FRAME_BYTES:], place, long_bytes(offset)]
        else:
            if rest != high:
                tail = long_bytes(offset)[2:]
                high = rest
            parts += [branch, value[_FRAME_BYTES:], place, _LOW[offset & 8191], tail]
        left -= 1
        if left == 0:
            pieces.append(b"".join(parts))
            parts = []
            left = _JOINED_AT_ONCE
    pieces.append(b"".join(parts))
    return pieces


def _framed_id(value: bytes) -> i64:
    a: i64 = value[1]
    b: i64 = value[2]
    c: i64 = value[3]
    d: i64 = value[4]
    return a << 24 | b << 16 | c << 8 | d


def _varint(data: bytes, at: i64) -> tuple[i64, i64]:
    byte: i64 = data[at]
    at += 1
    number: i64 = byte & 127
    shift: i64 = 7
    while byte > 127:
        byte = data[at]
        at += 1
        number |= (byte & 127) << shift
        shift += 7
    return (number >> 1) ^ -(number & 1), at
