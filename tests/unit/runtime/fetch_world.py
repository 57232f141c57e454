"""A consumer as `Fetching` sees one, on a broker that answers when told to."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from aiokafka.consumer.subscription_state import SubscriptionState
from aiokafka.errors import KafkaConnectionError
from aiokafka.structs import TopicPartition

from schemas.fetch_protocol import Answer, Fetch
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
    broker: Broker,
    *,
    gap_s: float = 0.0,
    is_sought: bool = True,
    each_bytes: int = 1000,
    buffer_bytes: int = 1 << 20,
) -> AsyncIterator[World]:
    """The loop at work on both partitions, from offset 0."""

    waiters: set[asyncio.Future[None]] = set()
    subscriptions = SubscriptionState()
    consumer = SimpleNamespace(
        _client=broker, _subscription=subscriptions, _fetcher=SimpleNamespace(_fetch_waiters=waiters)
    )
    pace = FetchPace(
        most_bytes=1000, each_bytes=each_bytes, wait_ms=50, gap_s=gap_s, buffer_bytes=buffer_bytes
    )
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
