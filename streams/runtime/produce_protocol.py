"""Kafka's Produce request (version 7) as bytes that are put together once.

Takes aiokafka's place in encoding this one request: its struct classes copy every record batch eight times on the way
to the socket, and a commit is up to some megabytes. When and where to send, sequence numbers, retries and transactions
stay aiokafka's. Must not know what the batches hold.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from struct import Struct
from typing import Any

from aiokafka.errors import IncompatibleBrokerVersion
from aiokafka.producer.sender import SendProduceReqHandler
from aiokafka.protocol.produce import ProduceRequest_v7

__all__ = ["Produce", "send_unjoined"]

_VERSION = 7
"""Kafka 2.1 and newer."""

_SHORT = Struct(">h")
_INT = Struct(">i")
_HEAD = Struct(">hii")
"""Acknowledgements, timeout, count of topics."""
_PARTITION = Struct(">ii")
"""Partition, bytes of its batch."""


class Produce(ProduceRequest_v7):  # type: ignore[misc]  # aiokafka's structs have no types
    """A request with one batch a partition, to be given to aiokafka's client; answered by aiokafka's own response."""

    def __init__(
        self,
        topics: Sequence[tuple[str, Sequence[tuple[int, bytes]]]],
        *,
        required_acks: int,
        timeout: int,
        transactional_id: str | None,
    ) -> None:
        self.topics = topics
        self.required_acks = required_acks
        self.timeout = timeout
        self.transactional_id = transactional_id

    def prepare(self, versions: Mapping[int, tuple[int, int]]) -> Produce:
        """What aiokafka asks of a request: itself, if the broker takes this version."""
        least, newest = versions.get(self.API_KEY, (0, 0))
        if not least <= _VERSION <= newest:
            raise IncompatibleBrokerVersion(
                f"the broker does not answer Produce v{_VERSION}; Kafka 2.1 or newer does"
            )
        return self

    def encode(self) -> Any:
        """The request without its header, in pieces."""
        pieces = [
            _SHORT.pack(-1) if self.transactional_id is None else _name(self.transactional_id),
            _HEAD.pack(self.required_acks, self.timeout, len(self.topics)),
        ]
        for topic, partitions in self.topics:
            pieces += [_name(topic), _INT.pack(len(partitions))]
            for partition, batch in partitions:
                pieces += [_PARTITION.pack(partition, len(batch)), batch]
        return _Body(pieces)

    def __repr__(self) -> str:
        return f"<Produce to {len(self.topics)} topics>"


class _Body:
    """What aiokafka's connection takes for bytes: it puts the header before them, then their length before that, and
    writes the result. That is when they become one, instead of being copied by each of the two."""

    __slots__ = ("_is_headed", "_pieces")

    def __init__(self, pieces: list[bytes], *, is_headed: bool = False) -> None:
        self._pieces = pieces
        self._is_headed = is_headed

    def __len__(self) -> int:
        return sum([len(piece) for piece in self._pieces])

    def __radd__(self, before: bytes) -> _Body | bytes:
        pieces = [before, *self._pieces]
        return b"".join(pieces) if self._is_headed else _Body(pieces, is_headed=True)


class _Handler(SendProduceReqHandler):  # type: ignore[misc]
    """aiokafka's, with our request."""

    def create_request(self) -> Produce:
        topics: dict[str, list[tuple[int, bytes]]] = {}
        for tp, batch in self._batches.items():
            topics.setdefault(tp.topic, []).append((tp.partition, batch.get_data_buffer()))
        sender = self._sender
        transactions = sender._txn_manager
        return Produce(
            list(topics.items()),
            required_acks=sender._acks,
            timeout=sender._request_timeout_ms,
            transactional_id=None if transactions is None else transactions.transactional_id,
        )


def send_unjoined(producer: Any) -> None:
    """Lets this AIOKafkaProducer send with our requests. Not for one without acknowledgements."""
    sender = producer._sender

    async def send(node_id: int, batches: Mapping[Any, Any]) -> None:
        await _Handler(sender, batches).do(node_id)
        sender._in_flight.remove(node_id)
        sender._muted_partitions.difference_update(batches)

    sender._send_produce_req = send


def _name(text: str) -> bytes:
    encoded = text.encode()
    return _SHORT.pack(len(encoded)) + encoded
