"""The touchpoints of one batch on their way to their actors, in the order in which they occurred.

Channels and tasks are read one after the other; put in order, most profiles only ever append. Owns that order; must
not know state.
"""

from collections.abc import Sequence
from typing import Final

from mypy_extensions import mypyc_attr

from streams.core.messages import Touch
from streams.core.touchpoint import Record, Touchpoint

_PLACE_BITS: Final = 18
"""A moment and a place in the batch sort as one number several times faster than as a pair."""
_PLACES: Final = (1 << _PLACE_BITS) - 1


class Forwarded:
    """The record a touchpoint came in with, when another task forwarded it."""

    __slots__ = ("headers", "key", "offset", "partition", "timestamp", "topic", "value")

    def __init__(self, message: Touch) -> None:
        self.topic = message.topic
        self.partition = message.partition
        self.offset = message.offset
        self.timestamp = message.timestamp
        self.key = message.key
        self.value: bytes | None = message.value
        self.headers: Sequence[tuple[str, bytes]] = ()


@mypyc_attr(acyclic=True)
class Arrival:
    """A touchpoint on its way to the actor `to`; the record that brought it here, the message in it if forwarded.

    So many of its first identifiers, as `skipped` says, identify nobody.
    """

    __slots__ = ("message", "record", "skipped", "to", "touchpoint")

    def __init__(self, to: str, touchpoint: Touchpoint, record: Record, message: Touch | None) -> None:
        self.to = to
        self.touchpoint = touchpoint
        self.record = record
        self.message = message
        self.skipped = 0 if message is None else message.skipped

    def forwarded_to(self, identifier: str) -> Touch:
        """What brings it to the task of another actor: the bytes as they first came in, and where from."""
        record = self.record if self.message is None else Forwarded(self.message)
        value = record.value
        assert value is not None, "a touchpoint without a value"
        return Touch(
            identifier, value, record.key, record.topic, record.partition, record.offset, record.timestamp, self.skipped
        )  # fmt: skip


class Arrivals:
    """What a batch brought, at most 262,144 touchpoints."""

    __slots__ = ("_order", "arrived")

    def __init__(self) -> None:
        self.arrived: list[Arrival] = []
        self._order: list[int] = []

    def add(self, arrival: Arrival) -> None:
        """One more."""
        place = len(self.arrived)
        assert place <= _PLACES, "more touchpoints than a batch may have"
        self._order.append(arrival.touchpoint.occurred_ms << _PLACE_BITS | place)
        self.arrived.append(arrival)

    def in_order(self) -> list[Arrival]:
        """All of them as they occurred."""
        self._order.sort()
        arrived = self.arrived
        return [arrived[order & _PLACES] for order in self._order]
