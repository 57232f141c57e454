"""CityHash128 in its version 1.0.2, the checksum of ClickHouse's compressed blocks. Pure.

Written after the description of the algorithm (Pike, Alakuijala, 2011) as ClickHouse froze it
(https://clickhouse.com/docs/native-protocol/hash). Many texts of one length are hashed at once, a column of
words at a time: the same lines work on whole numbers and on arrays of them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy

_K0: Final = 0xC3A5C85C97CB3127
_K1: Final = 0xB492B66FBE98F273
_K2: Final = 0x9AE16A3B2F90404F
_K3: Final = 0xC949D7C7509E6557
_MUL: Final = 0x9DDFEA08EB382D69
_MASK: Final = (1 << 64) - 1
_LOOP_BYTES: Final = 128

Word = Any
"""A 64 bit number, or an array of them (`uint64`)."""
_Fetch = Callable[[int], Word]


def cityhash128(text: bytes) -> bytes:
    """16 bytes, the lower half first, each half little-endian."""
    low, high = _hash(text)
    return bytes(low.to_bytes(8, "little") + high.to_bytes(8, "little"))


def cityhash128_rows(rows: numpy.ndarray[Any, numpy.dtype[numpy.uint8]]) -> list[bytes]:
    """The same for each row of a matrix of bytes; a row has at least 144."""

    # Words of one place beside each other, so that each step reads memory in order.
    aligned = rows[:, 16 : 16 + (rows.shape[1] - 16) // 8 * 8]
    words = numpy.ascontiguousarray(numpy.ascontiguousarray(aligned).view("<u8").T)

    def fetch(at: int) -> Word:
        if at % 8 == 0:
            return words[at // 8]
        return numpy.ascontiguousarray(rows[:, 16 + at : 24 + at]).view("<u8")[:, 0]

    first = numpy.ascontiguousarray(rows[:, :16]).view("<u8")
    low, high = _long(fetch, rows.shape[1] - 16, (first[:, 0] ^ _K3, first[:, 1]))
    pairs = numpy.stack([low, high], axis=1).astype("<u8")
    return [pair.tobytes() for pair in pairs]


def _hash(text: bytes) -> tuple[int, int]:
    length = len(text)
    if length >= 16:
        seed = (_word(text, 0) ^ _K3, _word(text, 8))
        rest = text[16:]
        if len(rest) < _LOOP_BYTES:
            return _short(rest, seed)
        return _long(lambda at: int.from_bytes(rest[at : at + 8], "little"), len(rest), seed)
    if length >= 8:
        return _short(b"", (_word(text, 0) ^ (length * _K0 & _MASK), _word(text, length - 8) ^ _K1))
    return _short(text, (_K0, _K1))


def _word(text: bytes, at: int) -> int:
    return int.from_bytes(text[at : at + 8], "little")


def _rotated(word: Word, by: int) -> Word:
    return ((word >> by) | (word << (64 - by))) & _MASK if by else word


def _mixed(word: Word) -> Word:
    return word ^ (word >> 47)


def _of_two(low: Word, high: Word) -> Word:
    a = _mixed((low ^ high) * _MUL & _MASK)
    return _mixed((high ^ a) * _MUL & _MASK) * _MUL & _MASK


def _weak(fetch: _Fetch, at: int, a: Word, b: Word) -> tuple[Word, Word]:
    w, x, y, z = (fetch(at + step) for step in (0, 8, 16, 24))
    a = (a + w) & _MASK
    b = _rotated((b + a + z) & _MASK, 21)
    c = a
    a = (a + x + y) & _MASK
    b = (b + _rotated(a, 44)) & _MASK
    return (a + z) & _MASK, (b + c) & _MASK


def _tiny(text: bytes) -> int:
    """Of at most 16 bytes."""
    length = len(text)
    if length > 8:
        a, b = _word(text, 0), _word(text, length - 8)
        return int(_of_two(a, _rotated((b + length) & _MASK, length)) ^ b)
    if length >= 4:
        a = int.from_bytes(text[:4], "little")
        return int(_of_two((length + (a << 3)) & _MASK, int.from_bytes(text[-4:], "little")))
    if length:
        y, z = text[0] + (text[length >> 1] << 8), length + (text[-1] << 2)
        return int(_mixed((y * _K2 ^ z * _K3) & _MASK) * _K2 & _MASK)
    return _K2


def _short(text: bytes, seed: tuple[int, int]) -> tuple[int, int]:
    """Of fewer than 128 bytes."""
    a, b = seed
    length = len(text)
    if length <= 16:
        a = _mixed(a * _K1 & _MASK) * _K1 & _MASK
        c = (b * _K1 + _tiny(text)) & _MASK
        d = _mixed((a + (_word(text, 0) if length >= 8 else c)) & _MASK)
    else:
        c = _of_two((_word(text, length - 8) + _K1) & _MASK, a)
        d = _of_two((b + length) & _MASK, (c + _word(text, length - 16)) & _MASK)
        a = (a + d) & _MASK
        for at in range(0, length - 16, 16):
            a = (a ^ (_mixed(_word(text, at) * _K1 & _MASK) * _K1)) * _K1 & _MASK
            b ^= a
            c = (c ^ (_mixed(_word(text, at + 8) * _K1 & _MASK) * _K1)) * _K1 & _MASK
            d ^= c
    a, b = _of_two(a, c), _of_two(d, b)
    return a ^ b, _of_two(b, a)


def _long(fetch: _Fetch, length: int, seed: tuple[Word, Word]) -> tuple[Word, Word]:
    """Of 128 bytes and more; `fetch(at)` is the word that begins there."""
    x, y = seed
    z = length * _K1 & _MASK
    v0 = (_rotated(y ^ _K1, 49) * _K1 + fetch(0)) & _MASK
    v1 = (_rotated(v0, 42) * _K1 + fetch(8)) & _MASK
    w0 = (_rotated((y + z) & _MASK, 35) * _K1 + x) & _MASK
    w1 = _rotated((x + fetch(88)) & _MASK, 53) * _K1 & _MASK
    whole = length // _LOOP_BYTES * _LOOP_BYTES
    for at in range(0, whole, 64):
        x = _rotated((x + y + v0 + fetch(at + 16)) & _MASK, 37) * _K1 & _MASK ^ w1
        y = _rotated((y + v1 + fetch(at + 48)) & _MASK, 42) * _K1 & _MASK ^ v0
        z = _rotated(z ^ w0, 33)
        v0, v1 = _weak(fetch, at, v1 * _K1 & _MASK, (x + w0) & _MASK)
        w0, w1 = _weak(fetch, at + 32, (z + w1) & _MASK, y)
        z, x = x, z
    y = (y + _rotated(w0, 37) * _K0 + z) & _MASK
    x = (x + _rotated((v0 + z) & _MASK, 49) * _K0) & _MASK
    # The rest is read from the end, in steps of 32 that may reach back into what was read.
    for done in range(32, length - whole + 32, 32):
        at = length - done
        y = (_rotated((y - x) & _MASK, 42) * _K0 + v1) & _MASK
        w0 = (w0 + fetch(at + 16)) & _MASK
        x = (_rotated(x, 49) * _K0 + w0) & _MASK
        w0 = (w0 + v0) & _MASK
        v0, v1 = _weak(fetch, at, v0, v1)
    x, y = _of_two(x, v0), _of_two(y, w0)
    return (_of_two((x + v1) & _MASK, w1) + y) & _MASK, _of_two((x + w1) & _MASK, (y + v1) & _MASK)
