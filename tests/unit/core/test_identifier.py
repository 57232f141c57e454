"""Which values identify, and where an identifier lives."""

from __future__ import annotations

from aiokafka.partitioner import murmur2 as kafka_murmur2
from hypothesis import given
from hypothesis import strategies as st

from streams.core.identifier import MEMO_LIMIT, Identifiers, murmur2
from streams.core.rules import Rules


@given(st.binary(max_size=40))
def test_partitions_are_those_of_the_java_client(key: bytes) -> None:
    """Our murmur2 is Kafka's, made non-negative as its partitioner does."""
    assert murmur2(key) == kafka_murmur2(key) & 0x7FFFFFFF


def test_the_strongest_type_comes_first_whatever_its_value() -> None:
    """Order is (rank of type, identifier)."""
    identifiers = Identifiers(Rules(), 4)
    found = identifiers.usable(
        {"anonymous_id": "a", "user_id": " z ", "colour": "red", "email": "null"}, b"raw"
    )
    assert found == ("user_id:z", "anonymous_id:a")
    assert identifiers.known(b"raw") == found


def test_what_was_left_out_is_remembered_with_the_rest() -> None:
    """Types of values that identify nobody, of ranked types alone; of a map that has none: none."""
    identifiers = Identifiers(Rules(blocked=("user_id:till",)), 4)
    identifiers.usable(
        {"user_id": "Till", "email": "null", "phone": "+49 30 1234", "colour": "null"}, b"some"
    )
    identifiers.usable({"user_id": "7"}, b"none")
    assert (identifiers.blocked(b"some"), identifiers.blocked(b"none")) == (("user_id", "email"), ())
    assert identifiers.known(b"some") == ("phone:+49301234",)


def test_memory_of_maps_is_bounded() -> None:
    """What is forgotten is worked out again, whole."""
    identifiers = Identifiers(Rules(), 4)
    for number in range(MEMO_LIMIT + 1):
        identifiers.usable({"user_id": str(number + 1), "email": "null"}, b"%d" % number)
    assert (identifiers.known(b"0"), identifiers.blocked(b"0")) == (None, ())
    assert (identifiers.known(b"%d" % MEMO_LIMIT), identifiers.blocked(b"%d" % MEMO_LIMIT)) == (
        (f"user_id:{MEMO_LIMIT + 1}",),
        ("email",),
    )
