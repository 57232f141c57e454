"""Which partitions are asked for, when, and what becomes of the answers; over aiokafka's own positions."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.consumer.subscription_state import SubscriptionState
from aiokafka.errors import KafkaConnectionError, OffsetOutOfRangeError
from aiokafka.structs import TopicPartition

from streams.runtime.fetch_protocol import Answer, Fetch
from streams.runtime.fetch_sources import FetchPace
from streams.runtime.fetching import Fetching
from tests.unit.runtime.test_fetched import Batch

A, B = TopicPartition("a", 0), TopicPartition("b", 0)
NEVER_S = 3600.0


@dataclass
class Broker:
    """Partitions that hold records of one batch each; answers when told to, as the client aiokafka has."""

    ends: dict[TopicPartition, int] = field(default_factory=lambda: {A: 0, B: 0})
    stable: dict[TopicPartition, int] = field(default_factory=dict)
    errors: dict[TopicPartition, int] = field(default_factory=dict)
    leaders: dict[TopicPartition, int | None] = field(default_factory=dict)
    requests: list[tuple[int, Fetch]] = field(default_factory=list)
    metadata_asked: int = 0
    fails: int = 0
    slow_s: float = 0.0
    heard_ms: list[int] = field(default_factory=list)
    listener: Callable[[Any], None] = lambda metadata: None
    gate: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def cluster(self) -> Broker:
        return self

    def add_listener(self, listener: Callable[[Any], None]) -> None:
        self.listener = listener

    def leader_for_partition(self, tp: TopicPartition) -> int | None:
        return self.leaders.get(tp, 1)

    def force_metadata_update(self) -> None:
        self.metadata_asked += 1

    async def send(self, node: int, request: Fetch) -> list[tuple[str, list[Answer]]]:
        """Everything from the position on; waits at the gate like a request that is held, if it may be held."""
        self.requests.append((node, request))
        if self.fails:
            self.fails -= 1
            raise KafkaConnectionError("gone")
        asked = {TopicPartition(topic, 0): at for topic, [(_, at)] in request.asked.items()}
        if all(at >= self.ends[tp] for tp, at in asked.items()) and request.wait_ms:
            await self.gate.wait()
        self.heard_ms.append(time.time_ns() // 1_000_000)
        await asyncio.sleep(self.slow_s)
        return [(tp.topic, [self._answer(tp, at)]) for tp, at in asked.items()]

    def _answer(self, tp: TopicPartition, at: int) -> Answer:
        end = self.ends[tp]
        stable = self.stable.get(tp, end)
        data = Batch(stable - at).encode(at) if at < stable else b""
        return 0, self.errors.get(tp, 0), end, stable, [], data

    def asked(self) -> list[dict[str, int]]:
        """Topic -> offset of each request."""
        return [{topic: at for topic, [(_, at)] in request.asked.items()} for _, request in self.requests]


@dataclass
class World:
    """A consumer as `Fetching` sees one."""

    broker: Broker
    fetching: Fetching
    subscriptions: SubscriptionState
    waiters: set[asyncio.Future[None]]

    def seek(self, tp: TopicPartition, offset: int) -> None:
        self.subscriptions.seek(tp, offset)
        self.fetching.seeked()

    def position(self, tp: TopicPartition) -> int:
        return int(self.subscriptions.subscription.assignment.state_value(tp).position)

    def take(self, topic: str, *, room: int = 100) -> list[int]:
        return [record.offset for record in self.fetching.take(topic, 0, room=room)]


@asynccontextmanager
async def world(
    broker: Broker, *, gap_s: float = 0.0, is_sought: bool = True, buffer_bytes: int = 1 << 20
) -> AsyncIterator[World]:
    """The loop at work on both partitions, from offset 0."""

    waiters: set[asyncio.Future[None]] = set()
    subscriptions = SubscriptionState()
    consumer = SimpleNamespace(
        _client=broker, _subscription=subscriptions, _fetcher=SimpleNamespace(_fetch_waiters=waiters)
    )
    pace = FetchPace(most_bytes=1000, each_bytes=1000, wait_ms=50, gap_s=gap_s, buffer_bytes=buffer_bytes)
    fetching = Fetching(consumer, pace)
    subscriptions.subscribe({"a", "b"})
    subscriptions.assign_from_subscribed({A, B})
    running = asyncio.ensure_future(fetching._run())
    found = World(broker, fetching, subscriptions, waiters)
    try:
        await settle()
        if is_sought:
            subscriptions.seek(A, 0)
            subscriptions.seek(B, 0)
            fetching.seeked()
            await settle()
        yield found
    finally:
        running.cancel()
        await asyncio.wait([running])


async def settle(*, after_s: float = 0.0) -> None:
    """Lets everything happen that is due by then."""
    await asyncio.sleep(after_s)
    for _ in range(20):
        await asyncio.sleep(0)


def test_nothing_is_asked_without_a_position() -> None:
    """Between an assignment and the seek to where state says, a fetch would begin anywhere."""

    async def scenario() -> None:
        async with world(Broker({A: 5, B: 5}), is_sought=False) as at:
            assert at.broker.requests == []
            at.seek(A, 3)
            await settle()
            assert at.broker.asked() == [{"a": 3}]

    asyncio.run(scenario())


def test_what_waits_is_not_asked_for_again_until_it_is_taken() -> None:
    """One answer of a partition waits at a time: that bounds memory. Taken in part, it still waits."""

    async def scenario() -> None:
        async with world(Broker({A: 5, B: 0})) as at:
            assert at.fetching.ready(0, {"a", "b"}) == ["a"]
            assert at.take("a", room=3) == [0, 1, 2]
            await settle(after_s=0.06)
            assert all("a" not in asked for asked in at.broker.asked()[1:])
            assert at.take("a") == [3, 4]
            assert at.fetching.ready(0, {"a"}) == []
            await settle()
            assert at.broker.asked()[-1]["a"] == 5
            assert at.position(A) == 5

    asyncio.run(scenario())


def test_what_waits_is_asked_for_anew_before_it_is_taken() -> None:
    """What was fetched when a task was last free is a batch old; from the same place there may be more by now.

    Seen to fail without `renew`: the first two records are taken, and the others wait for another batch.
    """

    async def scenario() -> None:
        async with world(Broker({A: 2, B: 0})) as at:
            assert at.fetching.ready(0, {"a"}) == ["a"]
            at.broker.ends |= {A: 5, B: 1}
            at.fetching.renew({0}, below_bytes=1000)
            assert at.fetching.is_renewing()
            await settle()
            assert at.broker.asked()[-1] == {"a": 0, "b": 0}
            assert not at.fetching.is_renewing()
            assert (at.take("a"), at.take("b")) == ([0, 1, 2, 3, 4], [0])
            assert at.fetching._held_bytes == 0

    asyncio.run(scenario())


def test_nothing_is_asked_for_anew_without_need() -> None:
    """Enough waits; nothing waits, so that it is asked for anyway; it was asked for a moment ago; or no more is to
    be fetched."""

    async def scenario() -> None:
        async with world(Broker({A: 2, B: 0})) as at:
            at.fetching.renew({0}, below_bytes=1)
            assert not at.fetching.is_renewing()
            at.take("a")
            at.fetching.renew({0}, below_bytes=1000)
            assert not at.fetching.is_renewing()
        for more in ({"gap_s": NEVER_S}, {"buffer_bytes": 1}):
            async with world(Broker({A: 2, B: 0}), **more) as at:
                at.fetching.renew({0}, below_bytes=1000)
                assert not at.fetching.is_renewing()

    asyncio.run(scenario())


def test_what_cannot_be_asked_for_anew_is_no_reason_to_ask_others() -> None:
    """A partition that lost its leader: seen to fail, with requests one after another, where any renewing is one."""

    async def scenario() -> None:
        async with world(Broker({A: 2, B: 0})) as at:
            at.broker.leaders[A] = None
            at.broker.listener(None)
            await settle()
            at.fetching.renew({0}, below_bytes=1000)
            before = len(at.broker.requests)
            await settle(after_s=0.03)
            assert at.fetching.is_renewing()
            assert len(at.broker.requests) - before <= 2

    asyncio.run(scenario())


def test_a_rebalance_ends_all_renewing() -> None:
    """Whoever waits for it would wait until the poll's end, poll after poll."""

    async def scenario() -> None:
        async with world(Broker({A: 2, B: 0}, slow_s=0.01)) as at:
            await settle(after_s=0.02)
            at.fetching.renew({0}, below_bytes=1000)
            at.subscriptions.assign_from_subscribed({B})
            await settle()
            assert not at.fetching.is_renewing()

    asyncio.run(scenario())


def test_a_request_is_held_only_while_nothing_waits() -> None:
    """A request that the broker holds would hold up the partitions that are freed meanwhile."""

    async def scenario() -> None:
        async with world(Broker({A: 0, B: 0})) as at:
            at.broker.ends[A] = 2
            at.broker.gate.set()
            await settle()
            # Held, then not: the quiet partition is looked at after 50 ms.
            await settle(after_s=0.06)
            waits = [request.wait_ms for _, request in at.broker.requests]
            assert waits[0] == 50
            assert waits[-1] == 0
            assert at.broker.asked()[-1] == {"b": 0}

    asyncio.run(scenario())


def test_a_partition_that_is_behind_is_asked_at_once() -> None:
    """No pause between two fetches while the broker has more; with nothing more, the pause is kept."""

    async def scenario() -> None:
        broker = Broker({A: 9, B: 0})
        broker.stable[A] = 4
        async with world(broker, gap_s=NEVER_S) as at:
            assert at.take("a") == [0, 1, 2, 3]
            await settle()
            assert len(broker.requests) == 1, "what is not yet committed is no reason to ask"
        async with world(Broker({A: 9, B: 0}), gap_s=NEVER_S) as at:
            at.take("a", room=4)
            at.broker.ends[A] = 12
            at.subscriptions.subscription.assignment.state_value(A).lso = 12
            at.take("a")
            await settle()
            assert at.broker.asked()[1:] == [{"a": 9, "b": 0}]

    asyncio.run(scenario())


def test_a_seek_voids_what_waits_and_what_is_on_its_way() -> None:
    """Records from before a seek are never handed out after it, fetched or in flight."""

    async def scenario() -> None:
        async with world(Broker({A: 5, B: 0})) as at:
            at.seek(A, 2)
            assert at.fetching.ready(0, {"a"}) == []
            await asyncio.sleep(0)
            at.seek(A, 1)
            await settle()
            assert at.take("a") == [1, 2, 3, 4]
            at.subscriptions.seek(A, 5)
            await settle()
        async with world(Broker({A: 5, B: 0})) as at:
            at.subscriptions.seek(A, 3)
            assert at.take("a") == [], "the position was moved behind our back"

    asyncio.run(scenario())


def test_caught_up_is_told_by_when_the_fetch_was_sent() -> None:
    """A record that arrived while the answer was on its way is not covered by that answer."""

    async def scenario() -> None:
        async with world(Broker({A: 0, B: 2}, slow_s=0.02)) as at:
            assert at.fetching.caught_up(0, {"a", "b"}) == {}
            await settle(after_s=0.03)
            assert set(at.fetching.caught_up(0, {"a", "b"})) == {"a"}
            assert at.fetching.caught_up(0, {"a"})["a"] <= at.broker.heard_ms[0]
            assert at.fetching.lags()[0] == {("a", 0): 0, ("b", 0): 2}
            assert at.fetching.is_behind(0, {"b"})
            at.take("b")
            assert set(at.fetching.caught_up(0, {"a", "b"})) == {"a", "b"}
            assert at.fetching.lags()[0] == {("a", 0): 0, ("b", 0): 0}
            assert not at.fetching.is_behind(0, {"a", "b"})

    asyncio.run(scenario())


def test_whoever_takes_hears_of_trimmed_records() -> None:
    """An offset that the broker no longer has is an error of that partition's taker, and of nobody else."""

    async def scenario() -> None:
        broker = Broker({A: 5, B: 5}, errors={A: 1})
        async with world(broker) as at:
            assert at.take("b") == [0, 1, 2, 3, 4]
            with pytest.raises(OffsetOutOfRangeError):
                at.take("a")

    asyncio.run(scenario())


def test_a_lost_leader_holds_up_nobody_else() -> None:
    """Metadata are asked for until there is one; the other partitions are fetched meanwhile."""

    async def scenario() -> None:
        async with world(Broker({A: 5, B: 5}, leaders={A: None})) as at:
            assert at.broker.asked() == [{"b": 0}]
            assert at.broker.metadata_asked > 0
            at.broker.leaders[A] = 2
            await settle(after_s=0.15)
            assert (at.take("a"), at.take("b")) == ([0, 1, 2, 3, 4], [0, 1, 2, 3, 4])

    asyncio.run(scenario())


def test_a_moved_leader_is_followed() -> None:
    """A broker that no longer leads says so, new metadata are asked for, and the next fetch goes where they point."""

    async def scenario() -> None:
        async with world(Broker({A: 5, B: 5}, errors={B: 6})) as at:
            assert at.broker.metadata_asked == 1
            assert at.fetching.ready(0, {"a", "b"}) == ["a"]
            at.broker.errors.clear()
            at.broker.leaders[B] = 2
            at.broker.listener(None)
            await settle(after_s=0.15)
            assert [node for node, request in at.broker.requests if "b" in request.asked] == [1, 2]
            assert at.take("b") == [0, 1, 2, 3, 4]

    asyncio.run(scenario())


def test_a_failed_fetch_is_made_again() -> None:
    """A broken connection costs a pause, no record."""

    async def scenario() -> None:
        async with world(Broker({A: 5, B: 0}, fails=1)) as at:
            assert at.fetching.ready(0, {"a"}) == []
            await settle(after_s=0.15)
            assert at.take("a") == [0, 1, 2, 3, 4]

    asyncio.run(scenario())


def test_a_new_assignment_starts_over() -> None:
    """Nothing that waits survives a rebalance; what is assigned now is asked for, the rest is not."""

    async def scenario() -> None:
        async with world(Broker({A: 5, B: 5})) as at:
            assert at.fetching.ready(0, {"a", "b"}) != []
            at.subscriptions.assign_from_subscribed({B})
            await settle()
            assert at.fetching.ready(0, {"a", "b"}) == []
            at.seek(B, 4)
            await settle()
            assert at.broker.asked()[-1] == {"b": 4}
            assert at.take("b") == [4]

    asyncio.run(scenario())


def test_what_waits_is_bounded_but_starves_nobody() -> None:
    """Beyond the buffer, no more is asked for of a task of which something waits. Unbounded, B is asked again."""

    async def scenario() -> None:
        async with world(Broker({A: 5, B: 0}), buffer_bytes=1) as at:
            await settle(after_s=0.2)
            before = len(at.broker.requests)
            at.broker.ends[B] = 1
            await settle(after_s=0.2)
            assert len(at.broker.requests) == before
            assert at.fetching.ready(0, {"a", "b"}) == ["a"]
            at.take("a")
            await settle(after_s=0.2)
            assert at.take("b") == [0]

    asyncio.run(scenario())


def test_a_taker_that_waits_is_told() -> None:
    """Both of records and of the end of the loop; what ended it is raised."""

    async def scenario() -> None:
        async with world(Broker({A: 0, B: 0}), gap_s=NEVER_S) as at:
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            at.waiters.add(waiter)
            at.broker.ends[A] = 1
            at.broker.gate.set()
            await asyncio.wait_for(waiter, 5)
            assert at.take("a") == [0]

    asyncio.run(scenario())


def test_what_breaks_the_loop_is_raised_to_whoever_takes() -> None:
    """A loop that died in silence would look like a topic without records."""

    async def scenario() -> None:
        broker = Broker({A: 1, B: 0})
        broker._answer = lambda tp, at: None  # type: ignore[method-assign,assignment,return-value]
        async with world(broker) as at:
            await settle()
            with pytest.raises(TypeError):
                at.fetching.ready(0, {"a"})

    asyncio.run(scenario())
