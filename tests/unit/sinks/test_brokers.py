"""Whoever leads a partition is asked for it, over connections that may break at any byte."""

from __future__ import annotations

import contextlib
import logging
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest
from aiokafka.protocol.fetch import FetchResponse_v11

from sinks.clickhouse.brokers import Brokers, Led, Place

TOPIC = "sessions"


@dataclass
class Broker:
    """Answers each request with what a test says, as bytes behind the length and the number; None: hangs up."""

    answer: Callable[[int], bytes | None]
    asked: list[bytes] = field(default_factory=list)
    host: str = "127.0.0.1"

    def __post_init__(self) -> None:
        self._listening = socket.create_server((self.host, 0))
        self.port: int = self._listening.getsockname()[1]
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            with connection:
                while self._answered(connection):
                    pass

    def _answered(self, connection: socket.socket) -> bool:
        head = connection.recv(4, socket.MSG_WAITALL)
        if len(head) < 4:
            return False
        request = connection.recv(struct.unpack(">i", head)[0], socket.MSG_WAITALL)
        self.asked.append(request)
        body = self.answer(len(self.asked))
        if body is None:
            return False
        number = request[4:8]
        # Cut anywhere: an answer comes in pieces.
        whole = struct.pack(">i", len(number) + len(body)) + number + body
        for piece in (whole[:7], whole[7:]):
            connection.sendall(piece)
        return True

    def close(self) -> None:
        """No more connections; those that are there end with their clients."""
        with contextlib.suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._thread.join(10)


def led_by(brokers: dict[int, Broker], leaders: dict[int, int]) -> Led:
    """Brokers by number, and the number of the leader by partition."""
    addresses = {node: (broker.host, broker.port) for node, broker in brokers.items()}
    return Led(addresses, {(TOPIC, partition): node for partition, node in leaders.items()})


def response(*partitions: int) -> bytes:
    """Each has ten records' worth of offsets, and one byte for its records."""
    told: list[tuple[object, ...]] = [(partition, 0, 10, 10, 0, [], -1, b"r") for partition in partitions]
    return bytes(FetchResponse_v11(0, 0, 0, [(TOPIC, told)]).encode())


def partitions_of(brokers: Brokers, offsets: dict[Place, int]) -> list[int]:
    """Which of them were answered for."""
    return sorted(answer[0] for _, of_topic in brokers.ask(offsets) for answer in of_topic)


Opened = Callable[[Callable[[int], bytes | None]], Broker]


@pytest.fixture
def opened() -> Iterator[Opened]:
    """Makes brokers, and ends them."""
    running: list[Broker] = []

    def start(answer: Callable[[int], bytes | None]) -> Broker:
        running.append(Broker(answer))
        return running[-1]

    yield start
    for broker in running:
        broker.close()


def test_each_is_asked_for_what_it_leads(opened: Opened) -> None:
    """And for nothing else, over one connection."""
    one, other = opened(lambda _: response(0, 2)), opened(lambda _: response(1))
    brokers = Brokers(lambda: led_by({1: one, 2: other}, {0: 1, 1: 2, 2: 1}), "test")
    offsets = {(TOPIC, 0): 5, (TOPIC, 1): 6, (TOPIC, 2): 7}
    assert [partitions_of(brokers, offsets) for _ in range(2)] == [[0, 1, 2]] * 2
    brokers.close()
    assert [len(one.asked), len(other.asked)] == [2, 2]


def test_a_connection_that_breaks_is_made_anew(opened: Opened, caplog: pytest.LogCaptureFixture) -> None:
    """Nothing comes of the question that broke; the next one is answered, by whoever leads then.

    Seen to fail, with nothing ever answered again, when the connection that broke was kept.
    """
    broker = opened(lambda nth: response(0) if nth != 2 else None)
    looked: list[Led] = []

    def led() -> Led:
        looked.append(led_by({1: broker}, {0: 1}))
        return looked[-1]

    brokers = Brokers(led, "test")
    with caplog.at_level(logging.WARNING):
        answers = [partitions_of(brokers, {(TOPIC, 0): 5}) for _ in range(3)]
    brokers.close()
    assert answers == [[0], [], [0]]
    assert len(looked) == 2
    assert [record.getMessage().split(", ")[0] for record in caplog.records] == [
        f"the broker at 127.0.0.1:{broker.port} cannot be read from"
    ]


def test_who_is_not_there_holds_up_nobody_else(opened: Opened) -> None:
    """One broker refuses connections, another leads nothing that is known of: the third is asked all the same."""
    here, gone = opened(lambda _: response(0)), opened(lambda _: None)
    gone.close()
    brokers = Brokers(lambda: led_by({1: here, 2: gone}, {0: 1, 1: 2, 2: -1}), "test")
    assert partitions_of(brokers, {(TOPIC, n): 0 for n in range(4)}) == [0]
    brokers.close()
