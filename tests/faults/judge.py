"""What a `read_committed` reader finds on the outputs, held against the oracle. Knows nothing of what was done to whom.

Missing 0, duplicate 0, wrong 0 is counted on the wire: a touchpoint is on `touchpoints.stitched` once, a revision of a
session, cart or action once. No view is there to mend anything.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from confluent_kafka import Consumer, KafkaError, Message, TopicPartition

from schemas.codec import decode
from streams.runtime.changelog import Changelog
from streams.runtime.store.memory import MemoryStore
from streams.runtime.topics import CHANGELOG, INBOX, INPUTS, OUTPUTS
from streams.simulator.emit import Emitted
from tests.integration.real_line import PARTITIONS, WAIT_S, RealLine
from tests.oracle.compare import answer, differences
from tests.oracle.touchpoints import Touchpoint, from_record
from tests.simulation.landing import landed_from

__all__ = ["assert_exactly_once", "committed_records", "positions_in_changelog", "positions_in_group"]

_IDENTITY: dict[str, Callable[[dict[str, Any]], tuple[Any, ...]]] = {
    "touchpoints.stitched": lambda row: (row["message_id"],),
    "sessions": lambda row: (row["session_id"], row["revision"]),
    "carts": lambda row: (row["episode_id"], row["revision"]),
    "actions": lambda row: (row["action_id"], row["revision"]),
    "identities": lambda row: tuple(
        row[name] for name in ("identifier", "root", "kind", "caused_by", "other_profile_id")
    ),
}


def assert_exactly_once(line: RealLine, emitted: Iterable[Emitted]) -> None:
    """Everything that was emitted is on the outputs, once and right; the group is soon told what state reflects."""
    written = [(m.topic() or "", m.value() or b"") for m in committed_records(line.bootstrap, *OUTPUTS)]
    twice = doubled(written)
    assert not twice, f"said twice on the wire: {twice}"
    # Whatever was appended just now arrived after it was received: in replay, that is what counts.
    now_ms = time.time_ns() // 1_000_000
    expected = answer(touchpoints_of(emitted, now_ms))
    found = differences(expected, landed_from(written, may_repeat=False))
    assert not found, str(found)
    deadline_s = time.monotonic() + WAIT_S
    while (told := positions_in_group(line)) != (held := positions_in_changelog(line)):
        assert time.monotonic() < deadline_s, f"the group stands at {told}, state at {held}"
        time.sleep(0.2)


def touchpoints_of(emitted: Iterable[Emitted], arrival_ms: int) -> Iterator[Touchpoint]:
    """What the oracle judges."""
    for record in emitted:
        yield from_record(decode(record.value)[1], arrival_ms)


def doubled(written: Iterable[tuple[str, bytes]]) -> dict[str, int]:
    """By topic, how many records say again what another has said."""
    seen: dict[str, Counter[tuple[Any, ...]]] = {topic: Counter() for topic in OUTPUTS}
    for topic, value in written:
        seen[topic][_IDENTITY[topic](decode(value)[1])] += 1
    counts = {topic: sum(found.values()) - len(found) for topic, found in seen.items()}
    return {topic: count for topic, count in counts.items() if count}


def committed_records(bootstrap: str, *topics: str, isolation: str = "read_committed") -> Iterator[Message]:
    """Every record of the topics, to their ends."""
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "judge",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "isolation.level": isolation,
            "log_level": 0,
        }
    )
    places = [TopicPartition(topic, partition, 0) for topic in topics for partition in range(PARTITIONS)]
    consumer.assign(places)
    # A partition comes to its end again and again while others write to it.
    left = {(place.topic, place.partition) for place in places}
    deadline_s = time.monotonic() + WAIT_S
    try:
        while left:
            assert time.monotonic() < deadline_s, f"no end of {sorted(left)}"
            for message in consumer.consume(10_000, 0.5):
                error = message.error()
                if error is None:
                    yield message
                else:
                    assert error.code() == KafkaError._PARTITION_EOF, error
                    left.discard((message.topic() or "", message.partition() or 0))
    finally:
        consumer.close()


def positions_in_group(line: RealLine) -> dict[int, dict[str, int]]:
    """What the group has committed: partition -> topic -> offset."""
    consumer = Consumer(
        {"bootstrap.servers": line.bootstrap, "group.id": line.settings.app.name, "log_level": 0}
    )
    wanted = [TopicPartition(topic, p) for topic in (*INPUTS, INBOX) for p in range(PARTITIONS)]
    found: dict[int, dict[str, int]] = {p: {} for p in range(PARTITIONS)}
    try:
        for place in consumer.committed(wanted, timeout=WAIT_S):
            if place.offset >= 0:
                found[place.partition][place.topic] = place.offset
    finally:
        consumer.close()
    return found


def positions_in_changelog(line: RealLine) -> dict[int, dict[str, int]]:
    """What a new owner of every task would start from."""
    import asyncio

    stores = {partition: MemoryStore() for partition in range(PARTITIONS)}
    restored = asyncio.run(Changelog(line.bootstrap, CHANGELOG).restore(stores))
    return {partition: dict(held.positions) for partition, held in restored.items()}
