"""Write touchpoints into Kafka in arrival order, with clock ticks, no faster than their readers read.

Role: the one way by which history and simulations enter Kafka. A feeder knows records as bytes with a
channel, a key and an arrival time; it must not know where they come from or what they mean.

Delivery: each record once and in order per partition (idempotent producer). A feeder that fails has to be run
again from the start: touchpoints then repeat with the same `message_id`, which the pipeline counts once.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any

from confluent_kafka import KafkaError, Message, Producer

from schemas.catalog import CHANNELS
from streams.importer.lag import Lag, Readers, Reading, connection
from streams.runtime.topics import INBOX, INPUTS, OUTPUTS

HOUR_MS = 3_600_000

#: Past the longest timer: 72 h of lateness and recovery, and an hour for what is due after that.
_LAST_TICK_MS = 73 * HOUR_MS
#: Past what is due soon, so that it is decided soon: a single leap would make every last action history.
_SOON_MS = 2 * HOUR_MS
#: Silence of more than a day is worth stopping for, unless it comes every few records.
_SILENCE_MS = 24 * HOUR_MS
_RECORDS_PER_STOP = 1_000
#: Ticks that follow such a one, each once the one before was read: a timer also waits until the moment at which it was
#: found due is passed.
_CLOSING_TICKS = 3

# The embedded broker keeps 5 MiB or 100,000 record batches of a partition and forgets the oldest.
_MAX_IN_FLIGHT_BYTES = 5 * 512 * 1024
_MAX_IN_FLIGHT_RECORDS = 50_000
#: Below this much room it is better to wait than to ask again after a few records.
_WORTHWHILE_BYTES = 64 * 1024
#: What a record costs besides key and value (headers, timestamps, its share of a batch).
_OVERHEAD_BYTES = 24
_TICK_BYTES = 48
#: First guess where nothing is known yet of what readers write.
_GUESS_BYTES = 400.0

_NEVER_MS = -1
_STALLED_S = 60.0
_CLOSE_S = 10.0
_POLL_S = 0.02
_SENDS_PER_POLL = 5_000


class DeliveryFailed(RuntimeError):
    """Kafka did not take a record; nothing after it was written."""


class WrongPartitions(RuntimeError):
    """The input topics are missing, or divided otherwise than the settings say."""


class ReaderStalled(RuntimeError):
    """A reader made no progress while the feeder waited for it."""


class Feeder:
    """Feeds the inputs of one application.

    `tick_ms` is the arrival time between ticks; where records are sparse (fewer than there are input
    partitions) it stretches up to `sparse_tick_ms`, so that ticks never outnumber records by much.
    `tick_ms=None` writes no ticks but the closing ones, and then arrival times may run backwards.
    """

    def __init__(
        self,
        bootstrap: str,
        app: str,
        partitions: int,
        *,
        pace: bool,
        tick_ms: int | None = 60_000,
        sparse_tick_ms: int = 6 * HOUR_MS,
        outputs: Sequence[str] = OUTPUTS,
        stalled_s: float = _STALLED_S,
    ) -> None:
        self._topics = {channel: f"touchpoints.{channel}" for channel in CHANNELS}
        self._partitions = partitions
        self._pace = pace
        self.tick_ms = tick_ms
        self._sparse_tick_ms = sparse_tick_ms
        self._stalled_s = stalled_s
        self._failure: str | None = None
        self._producer = Producer(_producer_settings(bootstrap, self._delivered))
        self._require_partitions()
        self._readers = Readers(bootstrap, app, partitions=partitions, inputs=INPUTS, outputs=outputs)
        self.records = 0
        self.bytes = 0
        self.ticks = 0
        self.last_arrival_ms: int | None = None
        self._last_tick_ms = _NEVER_MS
        self._records_at_tick = 0
        self._records_at_stop = 0
        self._grants: deque[tuple[int, int]] = deque([(0, 0)], maxlen=3)
        self._next_tick_ms = 0
        self._unpolled = 0
        self._room = 0.0

    def send(self, channel: str, key: bytes, value: bytes, arrival_ms: int) -> None:
        """Write one touchpoint; `arrival_ms` may not lie at or before a tick already written."""
        if arrival_ms <= self._last_tick_ms:
            raise ValueError(f"arrival {arrival_ms} comes after the tick {self._last_tick_ms}")
        if arrival_ms >= self._next_tick_ms:
            self._consider_tick(arrival_ms)
        size = len(key) + len(value) + _OVERHEAD_BYTES
        if self._pace and self._room < size:
            self._wait_for_room(size)
        self._room -= size
        self._produce(self._topics[channel], value, key=key, timestamp=arrival_ms)
        self.records += 1
        self.bytes += size
        if self.last_arrival_ms is None or arrival_ms > self.last_arrival_ms:
            self.last_arrival_ms = arrival_ms

    def tick(self, clock_ms: int) -> None:
        """Say on every input partition that everything which arrived by `clock_ms` is written."""
        if clock_ms <= self._last_tick_ms:
            raise ValueError(f"tick {clock_ms} does not come after the tick {self._last_tick_ms}")
        headers: list[tuple[str, str | bytes | None]] = [("clock-ms", str(clock_ms).encode())]
        for topic in INPUTS:
            for partition in range(self._partitions):
                self._produce(topic, None, partition=partition, headers=headers, timestamp=clock_ms)
        self.ticks += 1
        self._last_tick_ms = clock_ms
        self._records_at_tick = self.records
        # On one task a tick weighs a record per input.
        self._room -= len(INPUTS) * _TICK_BYTES

    def finish(self, last_ms: int, *, wait: bool | None = None) -> None:
        """Close the feed: ticks past what is due soon, then past the last timer.

        `wait=None` waits for the worker to read each tick if the feeder paces itself. Without waiting (no worker
        runs) the ticks lie in Kafka together. Raises ReaderStalled and DeliveryFailed.
        """
        end_ms = max(last_ms, self.last_arrival_ms or last_ms)
        is_waiting = self._pace if wait is None else wait
        for after_ms in (_SOON_MS, _LAST_TICK_MS):
            self._stop_at(end_ms + after_ms, is_waiting=is_waiting)

    def _stop_at(self, clock_ms: int, *, is_waiting: bool) -> None:
        """Let every timer due by then fire: a tick, and others each once the one before was read."""
        for step in range(_CLOSING_TICKS + 1):
            self.tick(clock_ms + step)
            self.flush()
            if is_waiting:
                self.wait_until_read()

    def flush(self) -> None:
        """Return when Kafka has everything that was sent."""
        self._producer.flush()
        self._raise_failure()

    def wait_until_read(self) -> None:
        """Return when the worker has committed everything on the inputs and the inbox."""
        self.flush()
        self._wait(
            lambda reading: reading.is_drained(),
            lambda reading: max(reading.worker, key=lambda lag: lag.records),
        )

    def close(self) -> None:
        """Write out what was sent, as far as that takes seconds, and let go of Kafka."""
        try:
            left = self._producer.flush(_CLOSE_S)
            self._raise_failure()
            if left:
                raise DeliveryFailed(f"{left:,} records are still on their way")
        finally:
            self._readers.close()

    def __enter__(self) -> Feeder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.close()
            return
        # Whoever failed here must not wait for a broker that may be gone.
        self._producer.purge()
        self._readers.close()

    def _consider_tick(self, arrival_ms: int) -> None:
        """A record that arrives now shows that everything up to the millisecond before is written."""
        if self.tick_ms is None:
            return
        clock_ms = arrival_ms - 1
        if self._last_tick_ms == _NEVER_MS:
            self.tick(clock_ms)
        elif clock_ms - self._last_tick_ms >= self.tick_ms:
            if self._pace and self._is_silence(clock_ms):
                self._records_at_stop = self.records
                self._stop_at((self.last_arrival_ms or 0) + _SOON_MS, is_waiting=True)
            is_dense = self.records - self._records_at_tick >= len(INPUTS) * self._partitions
            if is_dense or clock_ms - self._last_tick_ms >= self._sparse_tick_ms:
                self.tick(clock_ms)
        self._next_tick_ms = self._last_tick_ms + self.tick_ms + 1

    def _is_silence(self, clock_ms: int) -> bool:
        """Nothing arrived for more than a day, and enough before it to be worth a stop."""
        is_long = clock_ms - (self.last_arrival_ms or clock_ms) > _SILENCE_MS
        return is_long and self.records - self._records_at_stop >= _RECORDS_PER_STOP

    def _produce(self, topic: str, value: bytes | None, **more: Any) -> None:
        self._unpolled += 1
        if self._unpolled >= _SENDS_PER_POLL:
            self._unpolled = 0
            self._producer.poll(0)
            self._raise_failure()
        while True:
            try:
                self._producer.produce(topic, value, **more)
                return
            except BufferError:
                self._producer.poll(_POLL_S)
                self._raise_failure()

    def _wait_for_room(self, size: int) -> None:
        # What is still in the producer has no offset yet, so it is written out before lags are read.
        self.flush()
        needed = max(size, _WORTHWHILE_BYTES)
        self._grants.append((self.records, self.bytes))
        means = self._mean_bytes()

        def is_roomy(reading: Reading) -> bool:
            self._room = self._room_of(reading, means)
            return self._room >= needed

        self._wait(is_roomy, lambda reading: reading.slowest(means))

    def _room_of(self, reading: Reading, means: dict[str, float]) -> float:
        """Bytes that may be sent now even if all of them went to one partition."""
        tasks = range(self._partitions)
        room = _MAX_IN_FLIGHT_BYTES - max(reading.in_flight(task, means) for task in tasks)
        records = _MAX_IN_FLIGHT_RECORDS - max(reading.records_in_flight(task) for task in tasks)
        return min(room, records * self._mean_sent())

    def _mean_bytes(self) -> dict[str, float]:
        """Mean record size by topic; what is not written here is guessed on the safe side."""
        mean = self._mean_sent()
        sizes = dict.fromkeys(INPUTS, mean)
        sizes[INBOX] = mean + 100.0
        sizes.update(dict.fromkeys(OUTPUTS, max(mean, _GUESS_BYTES)))
        return sizes

    def _mean_sent(self) -> float:
        """Mean size of what was sent, or of what was sent lately if that was larger."""
        starts = ((0, 0), *list(self._grants)[:-1])
        means = [
            (self.bytes - size) / (self.records - records)
            for records, size in starts
            if self.records > records
        ]
        return max(means, default=_GUESS_BYTES)

    def _wait(self, done: Callable[[Reading], bool], culprit: Callable[[Reading], Lag]) -> None:
        reading = self._readers.measure()
        moved_s, positions = time.monotonic(), reading.positions()
        while not done(reading):
            time.sleep(_POLL_S)
            reading = self._readers.measure()
            if reading.positions() != positions:
                moved_s, positions = time.monotonic(), reading.positions()
            elif time.monotonic() - moved_s > self._stalled_s:
                raise ReaderStalled(
                    f"no reader made progress for {self._stalled_s:.0f} s; "
                    f"the furthest behind is {culprit(reading)}. Is it running?"
                )

    def _require_partitions(self) -> None:
        """Two partition counts would send a person's records to two tasks: refuse to start."""
        known = self._producer.list_topics(timeout=10).topics
        found = {topic: len(known[topic].partitions) if topic in known else 0 for topic in INPUTS}
        wrong = {topic: count for topic, count in found.items() if count != self._partitions}
        if wrong:
            listed = ", ".join(f"{topic} has {count or 'none'}" for topic, count in wrong.items())
            raise WrongPartitions(f"the input topics need {self._partitions} partitions: {listed}")

    def _delivered(self, error: KafkaError | None, record: Message) -> None:
        if error is not None and self._failure is None:
            self._failure = f"{record.topic()}: {error}"

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise DeliveryFailed(self._failure)


def _producer_settings(
    bootstrap: str, on_delivery: Callable[[KafkaError | None, Message], None]
) -> dict[str, Any]:
    return {
        **connection(bootstrap),
        "partitioner": "murmur2_random",
        # Keeps order through retries, so that no record overtakes a tick.
        "enable.idempotence": True,
        # Batches as large as they come: the embedded broker hands out one batch a partition and fetch.
        "linger.ms": 300,
        "batch.size": 262_144,
        "queue.buffering.max.messages": 500_000,
        "queue.buffering.max.kbytes": 131_072,
        "message.timeout.ms": 120_000,
        "delivery.report.only.error": True,
        "on_delivery": on_delivery,
    }
