"""One endpoint: reads `actions` in a group of its own, sends, records, commits.

Each endpoint has its own consumer, so that one that hangs holds up nobody: when `endpoint.backlog` events are in hand
it stops reading, and what it has not read stays in Kafka. Before anything of what was read is sent, it is declared
(`positions`); whoever reads the partition next then knows that news of it may be out although no record says so.

Delivery: at least once, under an idempotency key. An offset is committed when everything before it has an outcome
whose record is stored. A crash repeats requests whose record was not; nothing else, as long as the ledger remembers
the action.
Revisions of an action are told in their order, also across a restart; across processes of one group, a person who is
merged may move to another one between two revisions: receivers go by `revision`.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Final

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from schemas.catalog import Catalog
from sinks.consuming import BACKOFF_S, FENCED, TIMEOUT_S, Configuration, configuration, refusal_of_commit
from sinks.webhook.answers import Answer, Outcome
from sinks.webhook.endpoint import Endpoint
from sinks.webhook.event import Event, Place, event_of
from sinks.webhook.lanes import Delivery, Job, Lanes
from sinks.webhook.ledger import Ledger
from sinks.webhook.metrics import Metrics
from sinks.webhook.positions import Positions
from sinks.webhook.recording import History, Recorder
from sinks.webhook.sending import Sender

__all__ = ["ACTIONS", "Courier", "Surroundings"]

log = logging.getLogger(__name__)

ACTIONS: Final = "actions"

_TURN_S: Final = 0.02
_READ_RECORDS: Final = 500
_COMMIT_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What all couriers of a service share. `clock_ms` is the wall clock."""

    bootstrap_servers: str
    group: str
    recorder: Recorder
    history: History
    sender: Sender
    metrics: Metrics
    catalog: Catalog
    clock_ms: Callable[[], int]
    random: Random
    session_timeout_ms: int = 6_000


class Courier:
    """Brings actions to one endpoint; everything of it runs in one event loop."""

    def __init__(self, endpoint: Endpoint, ledger: Ledger, surroundings: Surroundings) -> None:
        self._endpoint = endpoint
        self._around = surroundings
        self._lanes = Lanes(endpoint, ledger, surroundings.random)
        self._positions = Positions()
        self._consumer = Consumer(_configuration(f"{surroundings.group}-{endpoint.name}", surroundings))
        self._requests: dict[asyncio.Task[Answer], Job] = {}
        self._assigned_now: list[TopicPartition] = []
        self._is_paused = False
        self._committed_s = 0.0
        self._news = asyncio.Event()
        self.outcomes: Counter[Outcome] = Counter()
        """Since the start."""
        self.is_ready = False
        """It has partitions, or none are left for it, and knows what was done before."""

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop`, then requests under way end. Raises CannotRecord, CodecError or KafkaException."""
        self._consumer.subscribe(
            [ACTIONS], on_assign=self._assigned, on_revoke=self._revoked, on_lost=self._lost
        )
        try:
            while not stop.is_set():
                await self._turn(stop)
            await self._finish()
        finally:
            for request in self._requests:
                request.cancel()
            await asyncio.gather(*self._requests, return_exceptions=True)
            self._consumer.close()

    async def _turn(self, stop: asyncio.Event) -> None:
        if self._assigned_now:
            await self._settle_in()
        events = self._read()
        if events and not await self._declare(stop):
            self._forget()
            events = []
        for event in events:
            self._take_in(self._lanes.offer(event, self._around.clock_ms()))
        self._send()
        self._collect()
        self._around.recorder.poll()
        self._throttle()
        await self._commit_if_due()
        self._tell_metrics()
        self._news.clear()
        try:
            await asyncio.wait_for(self._news.wait(), _TURN_S)
        except TimeoutError:
            return

    async def _finish(self) -> None:
        """Let requests under way end: each has its time limit. What waits stays in Kafka."""
        while self._requests:
            await asyncio.wait(self._requests, return_when=asyncio.FIRST_COMPLETED)
            self._collect()
        await self._around.recorder.flush()
        await self._commit()

    # Reading

    def _read(self) -> list[Event]:
        room = self._endpoint.backlog - self._lanes.size
        messages = self._consumer.consume(max(1, min(_READ_RECORDS, room)), 0)
        events = [self._event_of(message) for message in messages]
        return [event for event in events if event is not None]

    def _event_of(self, message: Message) -> Event | None:
        place = _place(message)
        error = message.error()
        if error is not None:
            self._heed(error, place)
            return None
        was_declared = self._positions.take(place)
        if was_declared is None:
            return None
        return event_of(
            message.value(),
            place,
            appended_ms=message.timestamp()[1],
            was_declared=was_declared,
            catalog=self._around.catalog,
        )

    def _heed(self, error: KafkaError, place: Place) -> None:
        if error.code() == KafkaError._PARTITION_EOF:
            self._positions.reach(place)
        elif error.fatal():
            raise KafkaException(error)
        elif not error.retriable():
            log.warning("reading %s: %s", ACTIONS, error.str())

    def _throttle(self) -> None:
        """Stop reading with the backlog full, go on with it half empty; the group is told that we live meanwhile."""
        size, most = self._lanes.size, self._endpoint.backlog
        if not self._is_paused and size >= most:
            self._consumer.pause(self._consumer.assignment())
        elif self._is_paused and size <= most // 2:
            self._consumer.resume(self._consumer.assignment())
        else:
            return
        self._is_paused = not self._is_paused

    # Sending

    def _send(self) -> None:
        while (started := self._lanes.start(self._around.clock_ms())) is not None:
            if isinstance(started, Delivery):
                self._take_in([started])
                continue
            request = asyncio.create_task(self._around.sender.send(self._endpoint, started))
            request.add_done_callback(lambda _: self._news.set())
            self._requests[request] = started

    def _collect(self) -> None:
        for request in [each for each in self._requests if each.done()]:
            job = self._requests.pop(request)
            answer = request.result()
            self._around.metrics.seconds.labels(self._endpoint.name).observe(answer.latency_ms / 1_000)
            self._take_in(self._lanes.finish(job, answer, self._around.clock_ms()))

    def _take_in(self, deliveries: list[Delivery]) -> None:
        for delivery in deliveries:
            name, place = self._endpoint.name, delivery.event.place
            self.outcomes[delivery.outcome] += 1
            self._around.metrics.deliveries.labels(name, delivery.outcome, delivery.reason).inc()
            if delivery.outcome == Outcome.SKIPPED:
                self._positions.settle(place)
            else:
                self._around.recorder.record(name, delivery, self._settling(delivery))

    def _settling(self, delivery: Delivery) -> Callable[[], None]:
        positions, place = self._positions, delivery.event.place
        return lambda: positions.settle(place) if delivery.is_final else None

    # Offsets

    async def _declare(self, stop: asyncio.Event) -> bool:
        """Say what is about to be sent, and wait until the broker has it; False: the group has moved on, or we stop."""
        for attempt in range(1_000_000_000):
            error = await self._commit()
            if error is None:
                return True
            if error.code() in FENCED or stop.is_set():
                return False
            await asyncio.sleep(BACKOFF_S[min(attempt, len(BACKOFF_S) - 1)])
        return False

    async def _commit_if_due(self) -> None:
        now_s = asyncio.get_running_loop().time()
        if now_s - self._committed_s >= _COMMIT_S:
            await self._commit()

    async def _commit(self) -> KafkaError | None:
        """Commit what has an outcome; the broker's refusal, which is heard of again at the next commit."""
        self._committed_s = asyncio.get_running_loop().time()
        offsets = self._positions.uncommitted()
        error = await asyncio.to_thread(self._commit_now, offsets) if offsets else None
        if error is None:
            self._positions.committed(offsets)
        elif error.fatal():
            raise KafkaException(error)
        else:
            log.warning("offsets of %s cannot be committed yet: %s", self._endpoint.name, error.str())
        return error

    def _commit_now(self, offsets: dict[int, tuple[int, str]]) -> KafkaError | None:
        asked = [
            TopicPartition(ACTIONS, partition, offset, metadata)
            for partition, (offset, metadata) in offsets.items()
        ]
        return refusal_of_commit(self._consumer, asked)

    # Group

    def _assigned(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        consumer.assign(partitions)
        consumer.pause(partitions)
        self._assigned_now = partitions
        self._is_paused = False
        self.is_ready = not partitions

    async def _settle_in(self) -> None:
        """Learn what was done before, and where it ended; then read on."""
        partitions, self._assigned_now = self._assigned_now, []
        committed = await self._patiently(partitions)
        for each in committed:
            self._positions.open(each.partition, max(each.offset, 0), each.metadata)
        self._consumer.resume(partitions)
        self.is_ready = True

    async def _patiently(self, partitions: list[TopicPartition]) -> list[TopicPartition]:
        """Where they are committed, the history known: asked again for a while, for a broker may hiccup."""
        for backoff_s in BACKOFF_S:
            try:
                return await self._stand_of(partitions)
            except KafkaException as error:
                log.warning("the broker does not answer, asking again: %s", error)
                await asyncio.sleep(backoff_s)
        return await self._stand_of(partitions)

    async def _stand_of(self, partitions: list[TopicPartition]) -> list[TopicPartition]:
        committed = await asyncio.to_thread(self._consumer.committed, partitions, TIMEOUT_S)
        await self._around.history.catch_up()
        return committed

    def _revoked(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        if offsets := self._positions.uncommitted():
            self._commit_now(offsets)
        self._forget()

    def _lost(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self._forget()

    def _forget(self) -> None:
        self._lanes.clear()
        self._positions = Positions()
        self._assigned_now = []

    # Being looked at

    def _tell_metrics(self) -> None:
        name, metrics = self._endpoint.name, self._around.metrics
        metrics.held.labels(name).set(self._lanes.size)
        lag = 0
        for partition, settled in self._positions.settled().items():
            _, high = self._consumer.get_watermark_offsets(TopicPartition(ACTIONS, partition), cached=True)
            lag += max(0, high - settled)
        metrics.lag.labels(name).set(lag)


def _configuration(group: str, around: Surroundings) -> Configuration:
    asked = configuration(
        around.bootstrap_servers,
        group,
        session_timeout_ms=around.session_timeout_ms,
        # A new endpoint hears of what is still worth sending; what was deleted unread had expired long before.
        offset_reset="earliest",
        queued_kbytes=4_096,
    )
    # Deliveries of a week are read in between two polls.
    return asked | {"max.poll.interval.ms": 900_000}


def _place(message: Message) -> Place:
    partition, offset = message.partition(), message.offset()
    return -1 if partition is None else partition, -1 if offset is None else offset
