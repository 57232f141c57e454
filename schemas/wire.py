"""Avro's primitives and Confluent's framing, read and written by hand.

Readers take `(value, at)` and return what they read and where it ended. They raise `CodecError` for what
they can see is wrong, and let `IndexError` and `UnicodeDecodeError` escape for what Python sees: the
functions that call them in a row turn both into `CodecError` once, not once a byte.
It knows nothing of touchpoints or schemas. Avro 1.11 specification, "Binary Encoding"; Confluent wire format.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

__all__ = ["CodecError", "Reason", "frame", "long_bytes", "read_long", "read_text", "text_bytes", "unframe"]

_LONG_MIN: Final = -(1 << 63)
_LONG_MAX: Final = (1 << 63) - 1
_FRAME_BYTES: Final = 5


class Reason(StrEnum):
    """Why a record can never be processed; bounded, so each is a metric label and a header."""

    UNREADABLE = "unreadable"
    UNKNOWN_SCHEMA = "unknown_schema"
    WRONG_TYPE = "wrong_type"
    NO_IDENTIFIER = "no_identifier"
    TOO_LARGE = "too_large"
    FAILED = "failed"


class CodecError(Exception):
    """A record that is not what it claims to be; `reason` is the dead letter's reason."""

    def __init__(self, reason: Reason, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else str(reason))
        self.reason = reason
        self.detail = detail


def unreadable(detail: str) -> CodecError:
    """The bytes are not the Avro they should be."""
    return CodecError(Reason.UNREADABLE, detail)


def wrong_type(detail: str) -> CodecError:
    """The bytes decode, or the record encodes, but a value is impossible."""
    return CodecError(Reason.WRONG_TYPE, detail)


def frame(schema_id: int, body: bytes) -> bytes:
    """Confluent's framing: a zero byte, the schema id in 4 bytes big-endian, the Avro body."""
    return b"\0" + schema_id.to_bytes(4, "big") + body


def unframe(value: bytes | None) -> tuple[int, bytes]:
    """(schema id, Avro body) of a framed record; raises CodecError."""
    return schema_id_of(value), (value or b"")[_FRAME_BYTES:]


def schema_id_of(value: bytes | None) -> int:
    """The schema id of a framed record, without copying its body; raises CodecError."""
    if value is None:
        raise unreadable("null value")
    if len(value) < _FRAME_BYTES or value[0]:
        raise unreadable("no schema id in front")
    return int.from_bytes(value[1:_FRAME_BYTES], "big")


def read_long(value: bytes, at: int) -> tuple[int, int]:
    """A zigzag varint of at most 64 bits."""
    byte = value[at]
    at += 1
    if byte < 128:
        return (byte >> 1) ^ -(byte & 1), at
    number = byte & 127
    shift = 7
    while byte > 127:
        if shift > 63:
            raise unreadable("a number longer than 64 bits")
        byte = value[at]
        at += 1
        number |= (byte & 127) << shift
        shift += 7
    if number >> 64:
        raise unreadable("a number longer than 64 bits")
    return (number >> 1) ^ -(number & 1), at


def read_end(value: bytes, at: int) -> tuple[int, int]:
    """(start, end) of a length-prefixed run of bytes, inside the record."""
    size, at = read_long(value, at)
    end = at + size
    if size < 0 or end > len(value):
        raise unreadable("a length that leaves the record")
    return at, end


def read_text(value: bytes, at: int) -> tuple[str, int]:
    """A string; its UTF-8 is checked."""
    size = value[at]
    if size & 129:
        start, end = read_end(value, at)
        return value[start:end].decode(), end
    at += 1
    end = at + (size >> 1)
    if end > len(value):
        raise unreadable("a length that leaves the record")
    return value[at:end].decode(), end


def read_count(value: bytes, at: int) -> tuple[int, int]:
    """Entries of the next block of an array or map, 0 at its end; a negative count is followed by a size."""
    count, at = read_long(value, at)
    if count < 0:
        size, at = read_long(value, at)
        if size < 0 or at + size > len(value):
            raise unreadable("a block that leaves the record")
        return -count, at
    return count, at


def _varint(number: int) -> bytes:
    rest = number << 1 if number >= 0 else ~(number << 1)
    out = bytearray()
    while rest > 127:
        out.append(rest & 127 | 128)
        rest >>= 7
    out.append(rest)
    return bytes(out)


# Tables of 14 bits each: two bytes with more to follow, and what ends a number. A time is three look-ups.
_SMALL: Final = tuple(_varint(number) for number in range(1 << 13))
_GOES_ON: Final = tuple(bytes((bits & 127 | 128, bits >> 7 | 128)) for bits in range(1 << 14))
_ENDS: Final = tuple(
    bytes((bits,)) if bits < 128 else bytes((bits & 127 | 128, bits >> 7)) for bits in range(1 << 14)
)


def long_bytes(number: int) -> bytes:
    """A zigzag varint; raises CodecError beyond 64 bits or for what is no whole number."""
    try:
        if 0 <= number < 1 << 13:
            return _SMALL[number]
        if 1 << 27 <= number < 1 << 41:
            low = _GOES_ON[number << 1 & 16382]
            return low + _GOES_ON[number >> 13 & 16383] + _ENDS[number >> 27]
        if 1 << 13 <= number < 1 << 27:
            return _GOES_ON[number << 1 & 16382] + _ENDS[number >> 13]
        if not _LONG_MIN <= number <= _LONG_MAX:
            raise wrong_type("a number longer than 64 bits")
        return _varint(number)
    except TypeError as error:
        raise wrong_type(f"no whole number: {type(number).__name__}") from error


def text_bytes(text: str) -> bytes:
    """A string behind its length; raises CodecError for what is no encodable text."""
    try:
        raw = text.encode()
    except (AttributeError, UnicodeEncodeError) as error:
        raise wrong_type(f"no text: {type(text).__name__}") from error
    size = len(raw)
    return (_SMALL[size] if size < 1 << 13 else _varint(size)) + raw
