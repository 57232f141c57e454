"""Kafka's Fetch request and response (version 11) as bytes, for all partitions of a broker in one go.

Takes aiokafka's place in this one request only: its struct classes spend 20 us on each partition of each fetch, most
of which have nothing. Must not know what is done with records, nor look into them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from io import BytesIO
from struct import Struct
from typing import Any, NamedTuple

from aiokafka.errors import CorruptRecordException, IncompatibleBrokerVersion
from aiokafka.protocol.fetch import FetchRequest_v11
from aiokafka.structs import TopicPartition

__all__ = ["Answer", "Fetch"]

READ_COMMITTED = 1
_VERSION = 11
"""Kafka 2.3 and newer, and the first with everything that is needed (version 10 reads zstd)."""

_HEAD = Struct(">iiiibii")
"""Replica, longest wait, least bytes, most bytes, isolation level, session (none) and its epoch (none)."""
_NAME_AND_COUNT = Struct(">i")
_ASKED = Struct(">iiqqi")
"""Partition, leader epoch, offset, log start, most bytes."""
_TAIL = Struct(">ih").pack(0, 0)
"""No forgotten topics, no rack."""
_UNKNOWN = -1

_ANSWER_HEAD = Struct(">ihii")
"""Throttle time, error, session, count of topics."""
_SHORT = Struct(">h")
_INT = Struct(">i")
_ANSWERED = Struct(">ihqqqi")
"""Partition, error, end, last stable offset, log start, count of aborted transactions."""
_ABORTED = Struct(">qq")
_RECORDS = Struct(">ii")
"""Preferred replica, bytes of records."""


class Answer(NamedTuple):
    """What a broker says of one partition; `aborted` is (producer, first offset) of transactions to be left out."""

    tp: TopicPartition
    error_code: int
    highwater: int
    last_stable: int
    aborted: list[tuple[int, int]]
    records: bytes


class _Answers:
    """A response as aiokafka's connection decodes it: from a buffer that stands behind the response's header."""

    @staticmethod
    def decode(buffer: BytesIO) -> list[Answer]:
        """The answers, in the order of the response. Raises CorruptRecordException."""
        # Of an untouched buffer it is the bytes it was made from, not a copy.
        data, at = buffer.getvalue(), buffer.tell()
        _, error_code, _, topics = _ANSWER_HEAD.unpack_from(data, at)
        if error_code:
            raise CorruptRecordException(f"a fetch without a session was refused with error {error_code}")
        at += _ANSWER_HEAD.size
        answers: list[Answer] = []
        for _ in range(topics):
            (length,) = _SHORT.unpack_from(data, at)
            topic = data[at + 2 : at + 2 + length].decode()
            at += 2 + length
            (partitions,) = _INT.unpack_from(data, at)
            at += 4
            for _ in range(partitions):
                answer, at = _answer(data, at, topic=topic)
                answers.append(answer)
        return answers


def _answer(data: bytes, at: int, *, topic: str) -> tuple[Answer, int]:
    partition, error_code, highwater, last_stable, _, count = _ANSWERED.unpack_from(data, at)
    at += 34
    aborted: list[tuple[int, int]] = []
    for _ in range(count):
        aborted.append(_ABORTED.unpack_from(data, at))
        at += 16
    _, length = _RECORDS.unpack_from(data, at)
    at += 8
    records = b""
    if length > 0:
        records = data[at : at + length]
        at += length
    tp = TopicPartition(topic, partition)
    return Answer(tp, error_code, highwater, last_stable, aborted, records), at


class Fetch(FetchRequest_v11):  # type: ignore[misc]  # aiokafka's structs have no types
    """A request for the partitions of one broker, to be given to aiokafka's client; answered by a list of `Answer`."""

    RESPONSE_TYPE = _Answers

    def __init__(self, asked: Mapping[TopicPartition, int], *, wait_ms: int, most: int, each: int) -> None:
        """`asked` is the offset to read from, by partition; `most` and `each` bound the bytes of the response and
        of each partition in it (a broker exceeds both for a first batch that is larger)."""
        self._asked = asked
        self._wait_ms = wait_ms
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
        by_topic: dict[str, list[bytes]] = {}
        for (topic, partition), offset in self._asked.items():
            part = _ASKED.pack(partition, _UNKNOWN, offset, _UNKNOWN, self._each)
            by_topic.setdefault(topic, []).append(part)
        head = _HEAD.pack(_UNKNOWN, self._wait_ms, 1, self._most, READ_COMMITTED, 0, _UNKNOWN)
        return b"".join([head, _INT.pack(len(by_topic)), *_topics(by_topic), _TAIL])

    def __repr__(self) -> str:
        return f"<Fetch of {len(self._asked)} partitions>"

    def __eq__(self, other: Any) -> bool:
        return self is other

    __hash__ = object.__hash__


def _topics(by_topic: Mapping[str, list[bytes]]) -> Iterable[bytes]:
    for topic, parts in by_topic.items():
        name = topic.encode()
        yield _SHORT.pack(len(name))
        yield name
        yield _INT.pack(len(parts))
        yield from parts
