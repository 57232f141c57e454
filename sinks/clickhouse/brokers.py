"""Connections to the brokers that lead partitions, for one kind of question: what is there from an offset on.

Plain sockets that one thread writes to and then reads from: an event loop's buffers copy each answer three times more,
which is half of what a row costs in the sink. Must not know what records are, nor who asks.
"""

from __future__ import annotations

import logging
import socket
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Final

from confluent_kafka import KafkaException

from schemas.fetch_protocol import Answer, Fetch

__all__ = ["Brokers", "Led", "Place"]

log = logging.getLogger(__name__)

Place = tuple[str, int]
"""(topic, partition)."""
Asked = Mapping[str, Sequence[tuple[int, int]]]
"""By topic: partition and the offset to read from."""
Answers = list[tuple[str, list[Answer]]]

_MOST_BYTES: Final = 16 << 20
_EACH_BYTES: Final = 4 << 20
_TIMEOUT_S: Final = 10
_TIMEVAL: Final = struct.pack("ll", _TIMEOUT_S, 0)
_LENGTH: Final = struct.Struct(">i")
_HEAD: Final = struct.Struct(">hhih")
"""API, its version, number of the request, length of the client's name; Kafka's request header 1."""
_NUMBER_BYTES: Final = 4


@dataclass(frozen=True, slots=True)
class Led:
    """Who leads what, by the brokers' numbers."""

    addresses: Mapping[int, tuple[str, int]]
    leaders: Mapping[Place, int]


class _Connection:
    """One broker's; one question at a time."""

    def __init__(self, host: str, port: int, client_id: str) -> None:
        """Raises OSError."""
        self._client_id = client_id.encode()
        self._number = 0
        self._socket = socket.create_connection((host, port), timeout=_TIMEOUT_S)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # The kernel's own limits, since with Python's a socket does not wait for a whole answer.
        self._socket.settimeout(None)
        for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
            self._socket.setsockopt(socket.SOL_SOCKET, option, _TIMEVAL)

    def send(self, request: Fetch) -> None:
        """Raises OSError."""
        self._number += 1
        head = _HEAD.pack(request.API_KEY, request.API_VERSION, self._number, len(self._client_id))
        whole = head + self._client_id + request.encode()
        self._socket.sendall(_LENGTH.pack(len(whole)) + whole)

    def receive(self) -> Answers:
        """What was asked for last. Raises OSError, or CorruptRecordException for a broker that refuses the request."""
        (length,) = _LENGTH.unpack(self._read(_LENGTH.size))
        answer = BytesIO(self._read(length))
        (number,) = _LENGTH.unpack(answer.read(_NUMBER_BYTES))
        if number != self._number:
            raise ConnectionError(f"answer {number} to request {self._number}")
        found: Answers = Fetch.RESPONSE_TYPE.decode(answer)
        return found

    def _read(self, length: int) -> bytes:
        data = self._socket.recv(length, socket.MSG_WAITALL)
        # A signal ends the waiting before its time.
        while len(data) < length:
            more = self._socket.recv(length - len(data), socket.MSG_WAITALL)
            if not more:
                raise ConnectionError("the broker closed the connection")
            data += more
        return data

    def close(self) -> None:
        """Let go of it."""
        self._socket.close()


class Brokers:
    """Asks whoever leads a partition; connects when it first has to, and looks for leaders again after a failure."""

    def __init__(self, led: Callable[[], Led], client_id: str) -> None:
        """`led` says who leads what by now; it may raise KafkaException."""
        self._led = led
        self._client_id = client_id
        self._addresses: Mapping[int, tuple[str, int]] = {}
        self._leaders: dict[Place, int] = {}
        self._connections: dict[int, _Connection] = {}

    def ask(self, offsets: Mapping[Place, int]) -> Answers:
        """What there is from these offsets on, some megabytes at most, without waiting for more.

        Without those partitions whose broker is not to be reached. Raises CorruptRecordException.
        """
        asked = self._by_leader(offsets)
        waiting = [node for node in asked if self._send(node, asked[node])]
        return [answer for node in waiting for answer in self._receive(node)]

    def look_again(self) -> None:
        """Leaders have changed."""
        self._leaders.clear()

    def close(self) -> None:
        """Let go of all connections."""
        for connection in self._connections.values():
            connection.close()
        self._connections.clear()

    def _by_leader(self, offsets: Mapping[Place, int]) -> dict[int, dict[str, list[tuple[int, int]]]]:
        if not offsets.keys() <= self._leaders.keys():
            self._find_leaders()
        asked: dict[int, dict[str, list[tuple[int, int]]]] = {}
        for place, offset in offsets.items():
            node = self._leaders.get(place)
            if node is not None:
                topic, partition = place
                asked.setdefault(node, {}).setdefault(topic, []).append((partition, offset))
        return asked

    def _find_leaders(self) -> None:
        try:
            found = self._led()
        except KafkaException as error:
            log.warning("no broker says who leads which partition, trying again: %s", error)
            return
        for node, address in self._addresses.items():
            if found.addresses.get(node) != address:
                self._let_go(node)
        self._addresses = found.addresses
        # Who has no leader by now may have one the next time.
        self._leaders = {place: node for place, node in found.leaders.items() if node in found.addresses}

    def _send(self, node: int, asked: Asked) -> bool:
        request = Fetch(asked, wait_ms=0, most=_MOST_BYTES, each=_EACH_BYTES)
        try:
            if node not in self._connections:
                self._connections[node] = _Connection(*self._addresses[node], self._client_id)
            self._connections[node].send(request)
        except OSError as error:
            self._broke(node, error)
            return False
        return True

    def _receive(self, node: int) -> Answers:
        try:
            return self._connections[node].receive()
        except OSError as error:
            self._broke(node, error)
            return []

    def _broke(self, node: int, error: OSError) -> None:
        host, port = self._addresses[node]
        log.warning("the broker at %s:%d cannot be read from, trying again: %s", host, port, error)
        self._let_go(node)
        self.look_again()

    def _let_go(self, node: int) -> None:
        connection = self._connections.pop(node, None)
        if connection is not None:
            connection.close()
