"""What a task was about to do: written before anything is sent, so that a successor does exactly that, first.

Without transactions a crash can leave a batch's outputs without its state. If the successor cut its batches elsewhere,
what was sent might name sessions or carts that then never come about. The step is pure, so the same batch from the
same state sends the same bytes: only repeats, which ids make recognisable. Must not know what records mean.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from aiokafka import TopicPartition
from aiokafka.errors import OffsetOutOfRangeError

from streams.runtime.engine import Record

__all__ = ["PLAN_KEY", "Plan", "PlanLost", "plan_of", "read_again"]

PLAN_KEY = b"\x00plan"
"""The runtime's own key in the changelog; the commit that carries the plan out removes it."""


class PlanLost(Exception):
    """Records of a batch that was under way are not in Kafka any more."""


class Plan(msgspec.Struct, array_like=True, frozen=True):
    """A batch: (topic, first offset, offset behind the last) in the order they were processed in, and the clocks."""

    ranges: list[tuple[str, int, int]]
    now_ms: int
    caught_up: dict[str, int]

    def encode(self) -> bytes:
        """For the changelog."""
        return msgspec.msgpack.encode(self)


def plan_of(records: Mapping[str, Sequence[Record]], *, now_ms: int, caught_up: Mapping[str, int]) -> Plan:
    """The plan of a turn."""
    ranges = [(topic, batch[0].offset, batch[-1].offset + 1) for topic, batch in records.items() if batch]
    return Plan(ranges, now_ms, dict(caught_up))


async def read_again(consumer: Any, partition: int, plan: Plan) -> dict[str, list[Record]]:
    """The records of a plan, by a consumer that is nobody's member. Raises PlanLost."""
    batch: dict[str, list[Record]] = {}
    for topic, start, stop in plan.ranges:
        tp = TopicPartition(topic, partition)
        consumer.assign([tp])
        consumer.seek(tp, start)
        found = batch[topic] = []
        while await consumer.position(tp) < stop:
            try:
                fetched = await consumer.getmany(tp, timeout_ms=1000)
            except OffsetOutOfRangeError as error:
                raise PlanLost(f"{topic}[{partition}] no longer has offset {start}") from error
            for records in fetched.values():
                found += [record for record in records if record.offset < stop]
    return batch
