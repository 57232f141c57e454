"""A changelog as its owners write it, with a dict as the model of what it says."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec
from aiokafka import AIOKafkaProducer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from streams.runtime.batches import pack_one
from streams.runtime.changelog import OFFSETS_KEY, Changelog, Restored, changelog_batches
from streams.runtime.engine import Change, Store
from streams.runtime.plan import PLAN_KEY, Plan
from streams.runtime.restoring import Progress
from streams.runtime.store.format import STATE_FORMAT, StateFormat, new_changelog_id
from tests.stores import all_of

__all__ = ["PARTITIONS", "Commit", "Log"]

PARTITIONS = 3

State = dict[int, dict[bytes, bytes]]
Commit = tuple[int, list[Change]]
"""Partition and changes."""


class Log:
    """A changelog topic, what its owners commit to it, and what it should therefore say."""

    def __init__(self, bootstrap: str, topic: str, *, is_real: bool) -> None:
        self.bootstrap = bootstrap
        self.topic = topic
        self.is_real = is_real
        self.state: State = {partition: {} for partition in range(PARTITIONS)}
        self.positions: dict[int, dict[str, int]] = {partition: {} for partition in range(PARTITIONS)}
        self.limit_bytes = 1 << 20
        """Of a batch; commits that are larger are several."""
        self.records = 0
        """Changes, ends of plans and positions of what was committed."""

    def create(self) -> None:
        """As `throughline topics create` would, except for what takes a day."""
        if self.is_real:
            config = {"cleanup.policy": "compact"}
            admin = AdminClient({"bootstrap.servers": self.bootstrap})
            [made] = admin.create_topics([NewTopic(self.topic, PARTITIONS, 1, config=config)]).values()
            made.result(30)
            # Made is not yet known: clients log it as an error if they ask too soon.
            while not self._has_leaders(admin):
                time.sleep(0.1)

    def _has_leaders(self, admin: AdminClient) -> bool:
        found = admin.list_topics(timeout=10).topics.get(self.topic)
        return found is not None and [p.leader >= 0 for p in found.partitions.values()] == [True] * PARTITIONS

    def delete(self) -> None:
        """And everything in it."""
        admin = AdminClient({"bootstrap.servers": self.bootstrap})
        [gone] = admin.delete_topics([self.topic]).values()
        gone.result(30)
        while self.topic in admin.list_topics(timeout=10).topics:
            time.sleep(0.1)
        self.__init__(self.bootstrap, self.topic, is_real=self.is_real)  # type: ignore[misc]  # nothing is left

    def append(self, *commits: Commit, stores: Mapping[int, tuple[Store, Restored]] | None = None) -> None:
        """Commits, each confirmed before it is applied to the store of its task, as a worker does."""
        if stores is None:
            unbegun = [p for p, positions in self.positions.items() if not positions]
            headers = {p: STATE_FORMAT.header(new_changelog_id()) for p in unbegun}
        else:
            headers = {p: list(restored.header) for p, (_, restored) in stores.items()}

        async def work(producer: Any) -> None:
            for number, (partition, changes) in enumerate(commits):
                positions = {"in": self.positions[partition].get("in", 0) + 1}
                rows = [*headers.pop(partition, ()), *changes]
                for batch in self._batches(rows, positions, number):
                    appended = await (await producer.send_batch(batch, self.topic, partition=partition))
                self._note(partition, changes, positions)
                if stores is not None:
                    store, restored = stores[partition]
                    end = int(appended.offset) + int(batch.record_count())
                    store.apply(changes, restored.behind(end, positions))

        asyncio.run(self._producing(work))

    def abandon(self, partition: int, changes: list[Change], *, parts: int) -> None:
        """The first batches of a commit of several, whose owner then died."""

        async def work(producer: Any) -> None:
            batches = self._batches(changes, {"in": 1_000_000}, 0)
            for batch in batches[: min(parts, len(batches) - 1)]:
                await (await producer.send_batch(batch, self.topic, partition=partition))

        asyncio.run(self._producing(work))

    def _batches(self, changes: list[Change], positions: dict[str, int], at_ms: int) -> list[Any]:
        return changelog_batches(changes, positions, timestamp_ms=at_ms, limit_bytes=self.limit_bytes)

    def plan(self, partition: int, plan: Plan) -> None:
        """What an owner wrote before it died."""

        async def work(producer: Any) -> None:
            batch = pack_one([(PLAN_KEY, plan.encode())], 0, limit_bytes=1 << 20)
            await (await producer.send_batch(batch, self.topic, partition=partition))

        asyncio.run(self._producing(work))

    def transact(self, *transactions: tuple[int, list[Change], bool]) -> None:
        """Partition, changes, and whether the transaction is committed or aborted."""

        async def work(producer: Any) -> None:
            for partition, changes, is_committed in transactions:
                await producer.begin_transaction()
                positions = {"in": self.positions[partition].get("in", 0) + 1}
                rows = [*changes, (OFFSETS_KEY, msgspec.msgpack.encode(positions))]
                batch = pack_one(rows, 0, limit_bytes=1 << 20, is_transactional=True)
                await (await producer.send_batch(batch, self.topic, partition=partition))
                if is_committed:
                    await producer.commit_transaction()
                    self._note(partition, changes, positions)
                else:
                    await producer.abort_transaction()

        asyncio.run(self._producing(work, transactional_id=f"{self.topic}-owner"))

    async def _producing(self, work: Callable[[Any], Awaitable[None]], **options: Any) -> None:
        async with AIOKafkaProducer(
            bootstrap_servers=self.bootstrap, acks="all", linger_ms=0, max_batch_size=1 << 20, **options
        ) as producer:
            await work(producer)

    def _note(self, partition: int, changes: list[Change], positions: dict[str, int]) -> None:
        self.positions[partition] = positions
        self.records += len(changes) + 2
        for key, value in changes:
            if value is None:
                self.state[partition].pop(key, None)
            else:
                self.state[partition][key] = value

    def restore(
        self, stores: Mapping[int, Store], *, state_format: StateFormat = STATE_FORMAT
    ) -> tuple[dict[int, Restored], int]:
        """What a new owner knows then, and how many records it read for that."""
        told: list[Progress] = []
        changelog = Changelog(self.bootstrap, self.topic, state_format=state_format, tell=told.append)
        restored = asyncio.run(changelog.restore(stores))
        assert told[-1].share == 1.0
        return restored, told[-1].records

    def assert_restored(self, stores: Mapping[int, Store], restored: Mapping[int, Restored]) -> None:
        """Stores and positions are what was committed, and the core sees no key that is not its own."""
        assert {p: all_of(store) for p, store in stores.items()} == self.state
        assert {p: found.positions for p, found in restored.items()} == self.positions
