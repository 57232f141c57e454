"""Fetch requests and responses are, byte for byte, what aiokafka's own structs make of them."""

from __future__ import annotations

from io import BytesIO

import pytest
from aiokafka.errors import CorruptRecordException, IncompatibleBrokerVersion
from aiokafka.protocol.fetch import FetchRequest, FetchRequest_v11, FetchResponse_v11
from aiokafka.structs import TopicPartition
from hypothesis import given
from hypothesis import strategies as st

from streams.runtime.fetch_protocol import Answer, Fetch

topics = st.text(min_size=1, max_size=20)
offsets = st.integers(0, 2**60)
answers = st.builds(
    Answer,
    tp=st.builds(TopicPartition, topics, st.integers(0, 1000)),
    error_code=st.sampled_from([0, 1, 6]),
    highwater=offsets,
    last_stable=offsets,
    aborted=st.lists(st.tuples(st.integers(0, 2**40), offsets), max_size=3),
    records=st.binary(max_size=50),
)


def response_of(found: list[Answer], *, error_code: int = 0) -> bytes:
    """A response as a broker writes it, each answer as a topic of its own."""
    told = [
        (
            answer.tp.topic,
            [
                (
                    answer.tp.partition,
                    answer.error_code,
                    answer.highwater,
                    answer.last_stable,
                    0,
                    answer.aborted,
                    -1,
                    answer.records,
                )
            ],
        )
        for answer in found
    ]
    return bytes(FetchResponse_v11(0, error_code, 0, told).encode())


def decoded(body: bytes) -> list[Answer]:
    """The answers of a response that stands behind a header of four bytes."""
    buffer = BytesIO(b"head" + body)
    buffer.seek(4)
    return Fetch.RESPONSE_TYPE.decode(buffer)


@given(st.dictionaries(st.builds(TopicPartition, topics, st.integers(0, 1000)), offsets, max_size=30))
def test_a_request_is_what_aiokafka_would_send(asked: dict[TopicPartition, int]) -> None:
    """The same partitions, offsets and limits, in the order asked. Fails if a field is left out or swapped."""
    by_topic: dict[str, list[tuple[int, int, int]]] = {}
    for tp, offset in asked.items():
        by_topic.setdefault(tp.topic, []).append((tp.partition, offset, 1000))
    stock = FetchRequest(50, 1, 8000, 1, list(by_topic.items()), rack_id="").build(FetchRequest_v11)
    ours = Fetch(asked, wait_ms=50, most=8000, each=1000)
    assert ours.encode() == stock.encode()
    header = {"correlation_id": 7, "client_id": "us"}
    assert ours.build_request_header(**header).encode() == stock.build_request_header(**header).encode()


@given(st.lists(answers, max_size=5))
def test_a_response_is_read_as_it_was_written(found: list[Answer]) -> None:
    """Every field of every partition. Fails if any of them is skipped by a wrong number of bytes."""
    assert decoded(response_of(found)) == found


def test_what_is_null_is_empty() -> None:
    """A broker says null where there are no aborted transactions or no records."""
    null = FetchResponse_v11(0, 0, 0, [("t", [(3, 0, 9, 8, 0, None, -1, None)])]).encode()
    assert decoded(null) == [Answer(TopicPartition("t", 3), 0, 9, 8, [], b"")]


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
