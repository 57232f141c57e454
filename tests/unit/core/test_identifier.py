"""Which values identify, and where an identifier lives."""

from __future__ import annotations

import pytest
from aiokafka.partitioner import murmur2 as kafka_murmur2
from hypothesis import given
from hypothesis import strategies as st

from streams.core.identifier import Identifiers, murmur2, normalise
from streams.core.rules import RANKS


@given(st.binary(max_size=40))
def test_partitions_are_those_of_the_java_client(key: bytes) -> None:
    """Our murmur2 is Kafka's, made non-negative as its partitioner does."""
    assert murmur2(key) == kafka_murmur2(key) & 0x7FFFFFFF


@pytest.mark.parametrize(
    ("kind", "value", "identifier"),
    [
        ("email", " A@B.c ", "email:a@b.c"),
        ("user_id", " X7 ", "user_id:X7"),
        ("user_id", "NULL", None),
        ("user_id", "-1", None),
        ("device_id", "00000000-0000-0000-0000-000000000000", None),
        ("email", "  ", None),
        ("user_id", "a\0b", None),
        ("user_id", "0x", "user_id:0x"),
    ],
)
def test_values_that_identify_nobody_are_ignored(kind: str, value: str, identifier: str | None) -> None:
    """Normalised once, here; what trackers write for nothing identifies nobody."""
    assert normalise(kind, value) == identifier


def test_the_strongest_type_comes_first_whatever_its_value() -> None:
    """Order is (rank of type, identifier)."""
    identifiers = Identifiers(RANKS, 4)
    found = identifiers.usable(
        {"anonymous_id": "a", "user_id": "z", "colour": "red", "email": "null"}, b"raw"
    )
    assert found == ("user_id:z", "anonymous_id:a")
    assert identifiers.known(b"raw") == found
