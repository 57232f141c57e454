"""Fetch requests and responses are, byte for byte, what aiokafka's own structs make of them."""

from __future__ import annotations

from io import BytesIO

import pytest
from aiokafka.errors import CorruptRecordException, IncompatibleBrokerVersion
from aiokafka.protocol.fetch import FetchRequest, FetchRequest_v11, FetchResponse_v11
from hypothesis import given
from hypothesis import strategies as st

from schemas.fetch_protocol import Answer, Fetch

topics = st.text(min_size=1, max_size=20)
offsets = st.integers(0, 2**60)
answers = st.tuples(
    st.integers(0, 1000),
    st.sampled_from([0, 1, 6]),
    offsets,
    offsets,
    st.lists(st.tuples(st.integers(0, 2**40), offsets), max_size=3),
    st.binary(max_size=50),
)
partitions = st.lists(st.tuples(st.integers(0, 1000), offsets), min_size=1, max_size=8)


def response_of(found: list[tuple[str, list[Answer]]], *, error_code: int = 0) -> bytes:
    """A response as a broker writes it."""
    told = [
        (
            topic,
            [(at, error, end, stable, 0, aborted, -1, data) for at, error, end, stable, aborted, data in of],
        )
        for topic, of in found
    ]
    return bytes(FetchResponse_v11(0, error_code, 0, told).encode())


def decoded(body: bytes) -> list[tuple[str, list[Answer]]]:
    """The answers of a response that stands behind a header of four bytes."""
    buffer = BytesIO(b"head" + body)
    buffer.seek(4)
    return Fetch.RESPONSE_TYPE.decode(buffer)


@given(st.dictionaries(topics, partitions, max_size=6))
def test_a_request_is_what_aiokafka_would_send(asked: dict[str, list[tuple[int, int]]]) -> None:
    """The same partitions, offsets and limits, in the order asked. Fails if a field is left out or swapped."""
    by_topic = [(topic, [(at, offset, 1000) for at, offset in of]) for topic, of in asked.items()]
    stock = FetchRequest(50, 1, 8000, 1, by_topic, rack_id="").build(FetchRequest_v11)
    ours = Fetch(asked, wait_ms=50, most=8000, each=1000)
    assert ours.encode() == stock.encode()
    header = {"correlation_id": 7, "client_id": "us"}
    assert ours.build_request_header(**header).encode() == stock.build_request_header(**header).encode()


@given(st.lists(st.tuples(topics, st.lists(answers, max_size=4)), max_size=4))
def test_a_response_is_read_as_it_was_written(found: list[tuple[str, list[Answer]]]) -> None:
    """Every field of every partition. Fails if any of them is skipped by a wrong number of bytes."""
    assert decoded(response_of(found)) == found


def test_what_is_null_is_empty() -> None:
    """A broker says null where there are no aborted transactions or no records."""
    null = FetchResponse_v11(0, 0, 0, [("t", [(3, 0, 9, 8, 0, None, -1, None)])]).encode()
    assert decoded(null) == [("t", [(3, 0, 9, 8, [], b"")])]


def test_a_response_refused_as_a_whole_is_no_answer() -> None:
    """An error of the whole response must not pass for 'nothing there'."""
    with pytest.raises(CorruptRecordException):
        decoded(response_of([], error_code=71))


def test_an_old_broker_is_refused() -> None:
    """A broker that does not know this version of Fetch would misread it."""
    request = Fetch({}, wait_ms=0, most=1, each=1)
    assert request.prepare({1: (4, 17)}) is request
    for versions in ({1: (0, 10)}, {1: (12, 17)}, {}):
        with pytest.raises(IncompatibleBrokerVersion):
            request.prepare(versions)
