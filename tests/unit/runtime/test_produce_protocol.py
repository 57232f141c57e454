"""Produce requests are, byte for byte, what aiokafka's connection makes of its own; and its sender sends them."""

from __future__ import annotations

import asyncio
import struct
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.conn import AIOKafkaConnection
from aiokafka.errors import IncompatibleBrokerVersion
from aiokafka.protocol.produce import ProduceRequest, ProduceRequest_v7, ProduceResponse_v7
from hypothesis import given
from hypothesis import strategies as st

from streams.runtime.batches import pack_one
from streams.runtime.produce_protocol import Produce, send_unjoined

names = st.text(min_size=1, max_size=20)
topics = st.lists(
    st.tuples(names, st.lists(st.tuples(st.integers(0, 100), st.binary(max_size=200)), max_size=3)),
    max_size=4,
)


def written(request: Any) -> bytes:
    """What a connection of aiokafka's writes for it."""

    async def scenario() -> bytes:
        connection = AIOKafkaConnection("nowhere", 0, client_id="us")
        found: list[Any] = []
        connection._writer = SimpleNamespace(write=found.append)
        connection._versions = {0: (0, 10)}
        connection._correlation_id = 6
        connection.send(request).close()
        connection._writer = None
        [message] = found
        assert type(message) is bytes
        return message

    return asyncio.run(scenario())


@given(topics, names | st.none())
def test_a_request_is_what_aiokafka_would_send(
    sent: list[tuple[str, list[tuple[int, bytes]]]], name: str
) -> None:
    """Length, header and body. Fails if the pieces are joined too early, too late, or in another order."""
    ours = Produce(sent, required_acks=-1, timeout=40_000, transactional_id=name)
    stock = ProduceRequest(name, -1, 40_000, sent)
    assert written(ours) == written(stock)
    assert struct.unpack_from(">ihh", written(ours))[1:] == (0, 7)


def test_an_old_broker_is_refused() -> None:
    """A broker that does not know this version of Produce would misread it."""
    request = Produce([], required_acks=-1, timeout=1, transactional_id=None)
    assert request.prepare({0: (3, 12)}) is request
    assert ProduceRequest_v7.RESPONSE_TYPE is ProduceResponse_v7 is request.RESPONSE_TYPE
    for versions in ({0: (0, 6)}, {0: (8, 12)}, {}):
        with pytest.raises(IncompatibleBrokerVersion):
            request.prepare(versions)


def test_the_sender_sends_ours() -> None:
    """All batches for a broker in one request, sequence numbers in them, answers to whoever waits for each."""

    async def scenario() -> None:
        from aiokafka import AIOKafkaProducer

        producer = AIOKafkaProducer(bootstrap_servers="nowhere:1", acks="all", enable_idempotence=True)
        producer._txn_manager.set_pid_and_epoch(7, 1)
        sent: list[Produce] = []

        async def send(node_id: int, request: Produce) -> ProduceResponse_v7:
            sent.append(request)
            told = [(topic, [(p, 0, 100, -1, 0) for p, _ in of]) for topic, of in request.topics]
            return ProduceResponse_v7(told, 0)

        producer.client.send = send
        producer.client.cluster.leader_for_partition = lambda tp: 1
        send_unjoined(producer)
        accumulator = producer._message_accumulator
        futures = [
            await accumulator.add_batch(
                pack_one([(b"k", b"v")] * 3, 1, limit_bytes=1000), TopicPartition(topic, 0), 1
            )
            for topic in ("a", "b")
        ]
        await producer._sender.start()
        done = await asyncio.gather(*futures)
        assert [(at.topic, at.offset) for at in done] == [("a", 100), ("b", 100)]
        [request] = sent
        assert [topic for topic, _ in request.topics] == ["a", "b"]
        # Producer id, epoch and first sequence lie in the header of each batch.
        assert struct.unpack_from(">qhi", request.topics[0][1][0][1], 43) == (7, 1, 0)
        assert producer._txn_manager.sequence_number(TopicPartition("a", 0)) == 3
        assert not producer._sender._muted_partitions
        assert not producer._sender._in_flight
        await producer._sender.close()
        producer._closed = True
        await producer.client.close()

    asyncio.run(scenario())
