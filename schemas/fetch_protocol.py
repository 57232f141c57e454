"""Kafka's Fetch request and response (version 11) as bytes, for all partitions of a broker in one go.

Takes aiokafka's place in this one request only: its struct classes spend 20 us on each partition of each fetch, most
of which have nothing. Must not know what is done with records, nor look into them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from io import BytesIO
from struct import Struct

from aiokafka.errors import CorruptRecordException, IncompatibleBrokerVersion
from aiokafka.protocol.fetch import FetchRequest_v11

__all__ = ["Answer", "Fetch"]

READ_COMMITTED = 1
_VERSION = 11
"""Kafka 2.3 and newer, and the first with everything that is needed (version 10 reads zstd)."""

_NONE = -1
_SHORT = Struct(">h")
_INT = Struct(">i")

_HEAD = Struct(">iiiibiii")
"""Replica, longest wait, least bytes, most bytes, isolation level, session (none) and its epoch (none), count of
topics."""
_ASKED = "iiqqi"
"""Partition, leader epoch, offset, log start, most bytes."""
_TAIL = Struct(">ih").pack(0, 0)
"""No forgotten topics, no rack."""

_ANSWER_HEAD = Struct(">ihii")
"""Throttle time, error, session, count of topics."""
_ANSWERED = Struct(">ihqqqiii")
"""Partition, error, end, last stable offset, log start, count of aborted transactions, and if there are none:
preferred replica, bytes of records."""
_ANSWERED_BYTES = 34
"""Without the last two."""
_ABORTED = Struct(">qq")
_RECORDS = Struct(">ii")

Answer = tuple[int, int, int, int, list[tuple[int, int]], bytes]
"""Of one partition: its number, error code, end, last stable offset, (producer, first offset) of transactions to be
left out, records."""


class _Answers:
    """A response as aiokafka's connection decodes it: from a buffer that stands behind the response's header."""

    @staticmethod
    def decode(buffer: BytesIO) -> list[tuple[str, list[Answer]]]:
        """The answers by topic, in the order of the response. Raises CorruptRecordException."""
        # Of an untouched buffer it is the bytes it was made from, not a copy.
        data, at = buffer.getvalue(), buffer.tell()
        _, error_code, _, topics = _ANSWER_HEAD.unpack_from(data, at)
        if error_code:
            raise CorruptRecordException(f"a fetch without a session was refused with error {error_code}")
        at += _ANSWER_HEAD.size
        found: list[tuple[str, list[Answer]]] = []
        for _ in range(topics):
            (length,) = _SHORT.unpack_from(data, at)
            at += 2 + length
            answers: list[Answer] = []
            found.append((data[at - length : at].decode(), answers))
            (partitions,) = _INT.unpack_from(data, at)
            at += 4
            for _ in range(partitions):
                at = _read_answer(data, at, answers)
        return found


def _read_answer(data: bytes, at: int, into: list[Answer]) -> int:
    length: int
    partition, error_code, end, stable, _, count, _, length = _ANSWERED.unpack_from(data, at)
    at += _ANSWERED_BYTES
    aborted: list[tuple[int, int]] = []
    if count > 0:
        for _ in range(count):
            aborted.append(_ABORTED.unpack_from(data, at))
            at += _ABORTED.size
        _, length = _RECORDS.unpack_from(data, at)
    at += _RECORDS.size
    if length <= 0:
        into.append((partition, error_code, end, stable, aborted, b""))
        return at
    into.append((partition, error_code, end, stable, aborted, data[at : at + length]))
    return at + length


class Fetch(FetchRequest_v11):  # type: ignore[misc]  # aiokafka's structs have no types
    """A request for partitions of one broker, to be given to aiokafka's client; answered by lists of `Answer`."""

    RESPONSE_TYPE = _Answers

    def __init__(
        self, asked: Mapping[str, Sequence[tuple[int, int]]], *, wait_ms: int, most: int, each: int
    ) -> None:
        """`asked` has, by topic, partitions and the offsets to read from; `most` and `each` bound the bytes of the
        response and of each partition in it (a broker exceeds both for a first batch that is larger)."""
        self.asked = asked
        self.wait_ms = wait_ms
        self._most = most
        self._each = each

    def prepare(self, versions: Mapping[int, tuple[int, int]]) -> Fetch:
        """What aiokafka asks of a request: itself, if the broker takes this version."""
        least, newest = versions.get(self.API_KEY, (0, 0))
        if not least <= _VERSION <= newest:
            raise IncompatibleBrokerVersion(
                f"the broker does not answer Fetch v{_VERSION}; Kafka 2.3 or newer does"
            )
        return self

    def encode(self) -> bytes:
        """The request without its header."""
        topics = len(self.asked)
        head = _HEAD.pack(_NONE, self.wait_ms, 1, self._most, READ_COMMITTED, 0, _NONE, topics)
        return b"".join([head, *self._topics(), _TAIL])

    def _topics(self) -> Iterator[bytes]:
        each = self._each
        for topic, partitions in self.asked.items():
            yield _name(topic)
            values = [len(partitions)]
            for partition, offset in partitions:
                values += (partition, _NONE, offset, _NONE, each)
            yield _partitions(len(partitions)).pack(*values)

    def __repr__(self) -> str:
        return f"<Fetch from {len(self.asked)} topics>"


@lru_cache(maxsize=256)
def _name(topic: str) -> bytes:
    name = topic.encode()
    return _SHORT.pack(len(name)) + name


@lru_cache(maxsize=256)
def _partitions(count: int) -> Struct:
    return Struct(">i" + _ASKED * count)
