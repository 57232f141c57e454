"""The order of a commit, seen from the producer."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiokafka.errors import KafkaError

from streams.runtime.batches import BatchTooLarge
from streams.runtime.commit import AtLeastOnce, TaskTopics
from streams.runtime.engine import Change
from streams.runtime.metrics import Metrics
from streams.runtime.plan import Plan
from tests.unit.runtime.fakes import FakeEffects, fake_record

TOPICS = TaskTopics(inputs=("in",), outputs=("out",), inbox="inbox", changelog="changelog", dead="dead")


@dataclass
class Producer:
    """Notes what it is asked to send and what it has confirmed; refuses one topic."""

    refuses: str = ""
    log_start: int = 0
    events: list[str] = field(default_factory=list)

    async def send_batch(self, batch: Any, topic: str, *, partition: int) -> asyncio.Future[Any]:
        self.events.append(f"send {topic}[{partition}] {batch.record_count()}")
        return asyncio.ensure_future(self._confirm(topic, partition))

    async def _confirm(self, topic: str, partition: int) -> Any:
        await asyncio.sleep(0)
        if topic == self.refuses:
            raise KafkaError(f"no {topic}")
        self.events.append(f"confirm {topic}[{partition}]")
        return Appended(topic, partition, offset=100, log_start_offset=self.log_start)


@dataclass
class Appended:
    """What a broker says of an appended batch."""

    topic: str
    partition: int
    offset: int
    log_start_offset: int


PLAN = Plan([("in", 7, 8)], 0, {})
EFFECTS = FakeEffects(
    outputs={"out": [(b"k", b"v"), (b"k", b"w")]},
    inbox={0: [(b"k", b"m")], 3: [(b"k", b"n")]},
    changes=[(b"a", b"1"), (b"b", None)],
    dead=[fake_record("in", 7)],
)


def commit(
    producer: Producer, effects: FakeEffects = EFFECTS, *, limit_bytes: int = 10_000
) -> tuple[int, Any]:
    """Commits for task 2; what was returned, and what was noted for the group."""
    noted: list[tuple[int, Mapping[str, int]]] = []
    step = AtLeastOnce(
        lambda: producer,
        TOPICS,
        note=lambda partition, positions: noted.append((partition, positions)),
        metrics=Metrics(),
        changelog_batch_bytes=limit_bytes,
    )
    try:
        return asyncio.run(step.commit(2, effects, positions={"in": 8}, plan=PLAN)), noted
    finally:
        assert len(noted) == (producer.events[-1:] == ["confirm changelog[2]"])


def test_the_changelog_is_sent_when_all_else_is_confirmed() -> None:
    """The plan, confirmed; outputs, dead letters and inbox, all confirmed; one batch with changes and positions."""
    producer = Producer()
    end, noted = commit(producer)
    assert producer.events[:2] == ["send changelog[2] 1", "confirm changelog[2]"]
    before, after = producer.events[2:-2], producer.events[-2:]
    others = {"out[2]", "dead[2]", "inbox[0]", "inbox[3]"}
    assert {event.split()[1] for event in before if event.startswith("confirm")} == others
    # Two changes, the end of the plan, the positions.
    assert after == ["send changelog[2] 4", "confirm changelog[2]"]
    assert end == 104
    assert noted == [(2, {"in": 8})]


def test_a_batch_that_sends_nothing_needs_no_plan() -> None:
    """Nothing can be left over of it."""
    producer = Producer()
    commit(producer, FakeEffects(changes=[(b"a", b"1")]))
    assert producer.events == ["send changelog[2] 3", "confirm changelog[2]"]


@pytest.mark.parametrize("topic", ["out", "dead", "inbox"])
def test_nothing_is_counted_that_was_not_sent(topic: str) -> None:
    """If any of the outputs fails, the changelog gets nothing but the plan."""
    producer = Producer(refuses=topic)
    with pytest.raises(KafkaError):
        commit(producer)
    assert [event for event in producer.events if event.startswith("send changelog")] == [
        "send changelog[2] 1"
    ]


def test_the_group_is_told_nothing_that_the_changelog_lacks() -> None:
    """If the changelog fails, no position is noted."""
    with pytest.raises(KafkaError):
        commit(Producer(refuses="changelog"))


def test_nothing_is_sent_if_a_change_does_not_fit() -> None:
    """Too large for any changelog batch: refused before the first output leaves."""
    producer = Producer()
    with pytest.raises(BatchTooLarge):
        commit(producer, FakeEffects(changes=[(b"a", bytes(10_000))]))
    assert producer.events == []


def test_changes_of_several_batches_go_one_after_the_other_behind_a_plan() -> None:
    """Each is confirmed before the next: none may be there that one before it lacks."""
    producer = Producer()
    changes: list[Change] = [(b"k%d" % n, bytes(1_000)) for n in range(20)]
    end, _ = commit(producer, FakeEffects(changes=changes))
    sent, confirmed = producer.events[::2], producer.events[1::2]
    assert sent[0] == "send changelog[2] 1"
    counts = [int(event.split()[-1]) for event in sent[1:]]
    # Each with its number; the end of the plan and the positions behind the changes.
    assert len(counts) == 3
    assert sum(counts) == 20 + 2 + 3
    assert confirmed == ["confirm changelog[2]"] * 4
    assert end == 100 + counts[-1]


def test_a_changelog_that_lost_its_beginning_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    """The broker says so with every append; people are told with the first."""
    producer = Producer(log_start=5)
    noted: list[int] = []
    step = AtLeastOnce(
        lambda: producer,
        TOPICS,
        note=lambda partition, positions: noted.append(partition),
        metrics=Metrics(),
        changelog_batch_bytes=10_000,
    )

    async def twice() -> None:
        await step.commit(2, EFFECTS, positions={"in": 8}, plan=PLAN)
        await step.commit(2, EFFECTS, positions={"in": 9}, plan=PLAN)

    asyncio.run(twice())
    [told] = caplog.records
    assert (told.levelname, "can no longer be restored" in told.message) == ("WARNING", True)
