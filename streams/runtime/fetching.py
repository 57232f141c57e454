"""The fetch loop under an aiokafka consumer: which partitions are asked for when, and what waits to be taken.

Takes the place of aiokafka's own loop and leaves to aiokafka the group, metadata, connections and positions; runs on
the consumer's event loop. Must not know tasks, batches or what records mean.

Why: with 64 partitions a fetch of aiokafka costs 1.5 ms although most of them have nothing, and a record three times
what it has to. And what it has fetched of a partition must be taken before more is asked for: records then wait for
two batches. Here, fetching goes on behind what waits, within bounds. There is one request at a time to a broker, so one
that the broker holds, because there is nothing yet, holds up every partition that is not part of it: while one is left
out, no request is to be held.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Collection, Iterable, Sequence
from typing import Any

from aiokafka import errors

from schemas.fetch_protocol import Answer, Fetch
from streams.runtime.bell import Bell, end_wait
from streams.runtime.fetch_sources import FetchPace, Source, by_topic
from streams.runtime.fetched import Fetched, KafkaRecord

__all__ = ["Fetching"]

log = logging.getLogger(__name__)

_RETRY_S = 0.1
_NOBODY = -1
"""Leads a partition that has no leader at the moment."""
_FOR_THE_TAKER = (errors.OffsetOutOfRangeError, errors.TopicAuthorizationFailedError)


class Fetching:
    """Fetches for one consumer. What comes waits, in the order of fetching, until it is taken."""

    def __init__(self, consumer: Any, pace: FetchPace) -> None:
        self._client = consumer._client
        self._subscriptions = consumer._subscription
        self._waiters: Collection[asyncio.Future[None]] = consumer._fetcher._fetch_waiters
        self._pace = pace
        self._assignment: Any = None
        self._sources: dict[int, dict[str, Source]] = {}
        self._ready: dict[int, dict[str, Source]] = {}
        self._led: dict[int, list[Source]] = {}
        self._bells: dict[int, Bell] = {}
        self._is_led_anew = asyncio.Event()
        self._crash: BaseException | None = None
        self._held_bytes = 0
        self._heard_ms = 0
        self._client.cluster.add_listener(lambda metadata: self._is_led_anew.set())

    @classmethod
    async def in_place_of_stock(cls, consumer: Any, pace: FetchPace) -> Fetching:
        """Stops the loop of a consumer that is started and not yet subscribed, and runs this one, as long as that."""
        fetcher = consumer._fetcher
        fetcher._fetch_task.cancel()
        await asyncio.wait([fetcher._fetch_task])
        fetching = cls(consumer, pace)
        fetcher._fetch_task = asyncio.ensure_future(fetching._run())
        return fetching

    # -- for those who take

    def ready(self, partition: int, topics: Collection[str]) -> list[str]:
        """Topics of which something waits, those taken from longest ago first."""
        if self._crash is not None:
            raise self._crash
        return [topic for topic in self._ready.get(partition, ()) if topic in topics]

    def take(self, topic: str, partition: int, *, room: int) -> list[KafkaRecord]:
        """Up to so many records of those that wait; moves the consumer's position. Raises KafkaError."""
        source = self._ready[partition][topic]
        if source.failure is not None:
            failure, source.failure = source.failure, None
            self._forget(source)
            raise failure
        waiting, state = source.waiting, source.state
        if not waiting or not self._assignment.active or state._position != waiting[0].position:
            self._forget(source)
            return []
        records: list[KafkaRecord] = []
        while waiting and len(records) < room:
            fetched = waiting[0]
            records += fetched.take(room - len(records))
            state.consumed_to(fetched.position)
            if fetched.is_empty:
                waiting.popleft()
                source.size_bytes -= fetched.size_bytes
                self._held_bytes -= fetched.size_bytes
        if waiting:
            ready = self._ready[partition]
            ready[topic] = ready.pop(topic)
            self._tell_change()
        else:
            self._forget(source)
        return records

    def position(self, topic: str, partition: int) -> int | None:
        """Offset behind what was taken, markers of transactions included; None while nobody has set one."""
        source = self._sources.get(partition, {}).get(topic)
        position: int | None = source.state._position if source is not None else None
        return position

    def is_behind(self, partition: int, topics: Collection[str]) -> bool:
        """True if the broker has shown records of these that were not fetched."""
        sources = self._sources.get(partition, {})
        return any(
            topic in topics and at.state.lso is not None and at.is_behind for topic, at in sources.items()
        )

    def caught_up(self, partition: int, topics: Collection[str]) -> dict[str, int]:
        """Topic -> when the fetch was sent that showed an end which we have reached, epoch ms."""
        return {
            topic: source.shown_ms
            for topic, source in self._sources.get(partition, {}).items()
            if topic in topics
            and source.shown_ms is not None
            and (position := source.state._position) is not None
            and position >= source.state.highwater
        }

    def lags(self) -> tuple[dict[tuple[str, int], int], int]:
        """Records that can be read and were not taken, by topic and partition; when the last fetch was sent that was
        answered, epoch ms, 0 if none was."""
        found: dict[tuple[str, int], int] = {}
        for sources in self._sources.values():
            for source in sources.values():
                end, position = source.state.highwater, source.state._position
                if end is not None and position is not None:
                    # What lies behind an open transaction cannot be read by anybody.
                    stable = end if source.state.lso is None else min(end, source.state.lso)
                    found[source.tp.topic, source.tp.partition] = max(0, stable - position)
        return found, self._heard_ms

    def seeked(self) -> None:
        """Positions were moved from outside: what waits is void, and there may be something to ask for."""
        for sources in self._sources.values():
            for source in sources.values():
                self._let_go(source)
                source.failure = None
        self._ready.clear()
        self._tell_change()

    def _forget(self, source: Source) -> None:
        self._let_go(source)
        topic, partition = source.tp
        ready = self._ready[partition]
        del ready[topic]
        if not ready:
            del self._ready[partition]
        self._tell_change()

    def _let_go(self, source: Source) -> None:
        self._held_bytes -= source.size_bytes
        source.size_bytes = 0
        source.waiting.clear()

    def _tell_change(self) -> None:
        for bell in self._bells.values():
            bell.ring()

    # -- the loop

    async def _run(self) -> None:
        try:
            while True:
                await self._serve(await self._next_assignment())
        except Exception as error:
            # Whoever takes raises it.
            self._crash = error
            self._tell_takers()

    async def _next_assignment(self) -> Any:
        while True:
            subscription = self._subscriptions.subscription
            assignment = subscription.assignment if subscription is not None else None
            if assignment is not None and assignment.active:
                return assignment
            try:
                await self._subscriptions.wait_for_assignment()
            except errors.KafkaError as error:
                # Whoever takes is told by aiokafka itself.
                log.debug("no assignment: %r", error)

    async def _serve(self, assignment: Any) -> None:
        """One loop a broker, until the assignment ends."""
        self._assignment = assignment
        self._sources, self._ready, self._held_bytes = {}, {}, 0
        for tp in sorted(assignment.tps):
            self._sources.setdefault(tp.partition, {})[tp.topic] = Source(tp, assignment.state_value(tp))
        loops: dict[int, asyncio.Task[None]] = {}
        try:
            while assignment.active:
                self._is_led_anew.clear()
                self._led = self._by_leader()
                for node in self._led.keys() - loops.keys() - {_NOBODY}:
                    loops[node] = asyncio.ensure_future(self._fetch_from(node, assignment))
                self._tell_change()
                if _NOBODY in self._led:
                    self._client.force_metadata_update()
                    await asyncio.sleep(_RETRY_S)
                    continue
                await self._until_led_anew(assignment, loops.values())
        finally:
            for loop in loops.values():
                loop.cancel()
            await asyncio.gather(*loops.values(), return_exceptions=True)
            self._sources, self._ready, self._held_bytes = {}, {}, 0

    def _by_leader(self) -> dict[int, list[Source]]:
        """Broker -> what it leads."""
        led: dict[int, list[Source]] = {}
        for sources in self._sources.values():
            for source in sources.values():
                node = self._client.cluster.leader_for_partition(source.tp)
                led.setdefault(_NOBODY if node is None else node, []).append(source)
        return led

    async def _until_led_anew(self, assignment: Any, loops: Iterable[asyncio.Task[None]]) -> None:
        led_anew = asyncio.ensure_future(self._is_led_anew.wait())
        try:
            done, _ = await asyncio.wait(
                [assignment.unassign_future, led_anew, *loops], return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            led_anew.cancel()
        for ended in done:
            ended.result()

    async def _fetch_from(self, node: int, assignment: Any) -> None:
        sent_s, has_brought = -1.0, True
        bell = self._bells[node] = Bell()
        while assignment.active:
            led = self._led.get(node, ())
            asked = self._asked_of(led)
            is_whole = len(asked) == len(led)
            due_s = self._due_s(asked, sent_s, is_whole=is_whole, has_brought=has_brought)
            left_s = due_s - time.monotonic()
            if left_s > 0:
                await bell.wait(left_s)
                continue
            sent_s = time.monotonic()
            wait_ms = self._pace.wait_ms if is_whole else 0
            has_brought = await self._fetch(node, assignment, asked, wait_ms=wait_ms)

    def _asked_of(self, led: Iterable[Source]) -> list[Source]:
        most, ready = self._pace.each_bytes, self._ready
        is_full = self._held_bytes >= self._pace.buffer_bytes
        return [
            source
            for source in led
            if source.is_to_be_asked(most) and not (is_full and source.tp.partition in ready)
        ]

    def _due_s(self, asked: Sequence[Source], sent_s: float, *, is_whole: bool, has_brought: bool) -> float:
        """When the next request is due, on the monotonic clock."""
        if not asked:
            return float("inf")
        if has_brought and any(source.is_behind for source in asked):
            return sent_s
        if not is_whole and not any(source.has_flow for source in asked):
            return sent_s + self._pace.quiet_s
        return sent_s + self._pace.gap_s

    async def _fetch(self, node: int, assignment: Any, asked: list[Source], *, wait_ms: int) -> bool:
        """One request and its answer. True if it brought records."""
        pace = self._pace
        request = Fetch(by_topic(asked), wait_ms=wait_ms, most=pace.most_bytes, each=pace.each_bytes)
        sent_ms = time.time_ns() // 1_000_000
        try:
            answers = await self._client.send(node, request)
        except errors.IncompatibleBrokerVersion:
            raise
        except errors.KafkaError as error:
            log.warning("a fetch from broker %s failed, trying again: %r", node, error)
            await asyncio.sleep(_RETRY_S)
            return False
        if not assignment.active:
            return False
        has_brought, has_failed = self._accept(answers, sent_ms=sent_ms)
        if has_brought:
            self._tell_takers()
        if has_failed:
            await asyncio.sleep(_RETRY_S)
        return has_brought

    def _accept(self, found: Iterable[tuple[str, list[Answer]]], *, sent_ms: int) -> tuple[bool, bool]:
        """Whether anything came for the takers, and whether any partition was refused."""
        has_brought = has_failed = False
        sources = self._sources
        for topic, answers in found:
            for partition, error_code, end, stable, aborted, records in answers:
                source = sources[partition][topic]
                state = source.state
                if source.next_at != source.asked_at:
                    # Sought meanwhile.
                    continue
                if error_code:
                    has_failed = True
                    has_brought |= self._refuse(source, error_code)
                    continue
                state.highwater, state.lso = end, stable
                source.shown_ms = self._heard_ms = sent_ms
                source.has_flow = False
                if records:
                    fetched = Fetched(source.tp, records, position=source.asked_at, aborted=aborted)
                    if not fetched.is_empty:
                        source.waiting.append(fetched)
                        source.has_flow = has_brought = True
                        source.size_bytes += fetched.size_bytes
                        self._held_bytes += fetched.size_bytes
                        self._ready.setdefault(partition, {})[topic] = source
        return has_brought, has_failed

    def _refuse(self, source: Source, error_code: int) -> bool:
        """True if whoever takes has to hear of it."""
        error = errors.for_code(error_code)
        if error in _FOR_THE_TAKER:
            what: Any = (
                {source.tp: source.asked_at} if error is errors.OffsetOutOfRangeError else source.tp.topic
            )
            source.failure = error(what)
            self._ready.setdefault(source.tp.partition, {})[source.tp.topic] = source
            return True
        log.warning(
            "%s[%d] cannot be fetched, trying again: %s", source.tp.topic, source.tp.partition, error.__name__
        )
        if error.invalid_metadata:
            self._client.force_metadata_update()
        return False

    def _tell_takers(self) -> None:
        for waiter in list(self._waiters):
            end_wait(waiter)
