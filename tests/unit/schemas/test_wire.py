"""Avro's primitives, each by the specification's own examples and at each edge."""

from __future__ import annotations

import pytest

from schemas.wire import CodecError, Reason, long_bytes, read_count, read_long, read_text, text_bytes
from tests.unit.schemas.records import long_spelled

EDGES = sorted(
    {sign * (2**power + step) for power in range(63) for step in (-1, 0, 1) for sign in (1, -1)}
    | {2**63 - 1, -(2**63)}
)


@pytest.mark.parametrize(
    ("number", "raw"),
    [(0, b"\x00"), (-1, b"\x01"), (1, b"\x02"), (-2, b"\x03"), (-64, b"\x7f"), (64, b"\x80\x01")],
)
def test_numbers_are_spelled_as_the_specification_says(number: int, raw: bytes) -> None:
    """Avro 1.11, "Binary Encoding": zigzag, then seven bits a byte."""
    assert long_bytes(number) == raw
    assert read_long(raw, 0) == (number, len(raw))


def test_every_length_of_number_is_written_and_read() -> None:
    """At every power of two and beside it, whichever table it comes from; padded or not."""
    for number in EDGES:
        raw = long_bytes(number)
        assert raw == long_spelled(number, 0)
        assert read_long(b"--" + raw, 2) == (number, 2 + len(raw))
        padded = long_spelled(number, 3)
        assert read_long(padded, 0) == (number, len(padded))


@pytest.mark.parametrize("number", [2**63, -(2**63) - 1, 2**70])
def test_no_number_is_longer_than_64_bits(number: int) -> None:
    """Neither written nor read."""
    with pytest.raises(CodecError) as raised:
        long_bytes(number)
    assert raised.value.reason is Reason.WRONG_TYPE


@pytest.mark.parametrize(
    ("read", "raw"),
    [
        (read_long, b"\xff" * 9 + b"\x02"),
        (read_long, b"\x80" * 10 + b"\x01"),
        (read_text, b"\x08abc"),
        (read_text, b"\x01abc"),
        (read_text, b"\x88\x00abc"),
        (read_count, b"\x01\x04\x00"),
        (read_count, b"\x01\x01\x00"),
    ],
)
def test_what_leaves_the_record_is_unreadable(read: object, raw: bytes) -> None:
    """Numbers beyond 64 bits, texts and blocks beyond the end or with a negative length."""
    assert callable(read)
    with pytest.raises(CodecError) as raised:
        read(raw, 0)
    assert raised.value.reason is Reason.UNREADABLE


def test_texts_carry_their_length_in_bytes() -> None:
    """Not in characters."""
    assert text_bytes("foo") == b"\x06foo"
    assert text_bytes("ü") == b"\x04\xc3\xbc"
    assert read_text(b"\x04\xc3\xbc", 0) == ("ü", 3)
