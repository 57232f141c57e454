"""How far readers are behind a feeder, in records and roughly in bytes.

Role: ask the broker for end offsets and for what the worker group and the sink group have committed, and say
whether everything was read, how much is in flight per task, and who stands still. It must not know what a
record means, nor write anything.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec  # type: ignore[attr-defined] # not in its __all__

from streams.runtime.topics import INBOX, OUTPUTS

T = TypeVar("T")

_REQUEST_S = 30.0
_AGAIN_S = 0.2
_ON_THE_MOVE = frozenset({
    KafkaError.NOT_COORDINATOR, KafkaError.COORDINATOR_NOT_AVAILABLE, KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
    KafkaError.NOT_LEADER_FOR_PARTITION, KafkaError.LEADER_NOT_AVAILABLE,
})  # fmt: skip
"""A topic or group has a new home, or none for a moment: as after a start of the broker, or of an installation."""


class LostRecords(RuntimeError):
    """The broker dropped records that a reader had not read: the result of the run would be wrong."""


@dataclass(frozen=True, slots=True)
class Lag:
    """One reader group on one partition: it will read `committed` next, the broker holds up to `end`."""

    group: str
    topic: str
    partition: int
    committed: int
    end: int

    @property
    def records(self) -> int:
        return max(0, self.end - self.committed)

    def __str__(self) -> str:
        return f"{self.group} on {self.topic}[{self.partition}] at {self.committed:,} of {self.end:,}"


@dataclass(frozen=True, slots=True)
class Reading:
    """The lags of all readers at one moment; committed offsets were asked for before end offsets."""

    worker: tuple[Lag, ...]
    sink: tuple[Lag, ...]

    def is_drained(self) -> bool:
        """True if the worker has finished everything, with all that its own records brought about.

        A worker commits after what it wrote is on the broker, and ends are read after commits: equality means
        that nothing was left to read and nothing new came of it.
        """
        return all(lag.records == 0 for lag in self.worker)

    def positions(self) -> tuple[int, ...]:
        """What has to change for a reader to count as alive."""
        return tuple(lag.committed for lag in (*self.worker, *self.sink))

    def in_flight(self, task: int, mean_bytes: Mapping[str, float]) -> float:
        """Bytes that can come to lie unread in one partition of one topic of this task, at worst.

        Everything unread on the inputs and the inbox of a task ends on one partition of an output topic, on
        top of what the slowest sink partition has not read.
        """
        unread = sum(lag.records * mean_bytes[lag.topic] for lag in self.worker if lag.partition == task)
        landed = max(
            (lag.records * mean_bytes[lag.topic] for lag in self.sink if lag.partition == task), default=0.0
        )
        return unread + landed

    def records_in_flight(self, task: int) -> int:
        """The same in records, a bound on unread batches: a broker may keep a limited number."""
        unread = sum(lag.records for lag in self.worker if lag.partition == task)
        return unread + max((lag.records for lag in self.sink if lag.partition == task), default=0)

    def slowest(self, mean_bytes: Mapping[str, float]) -> Lag:
        return max((*self.worker, *self.sink), key=lambda lag: lag.records * mean_bytes[lag.topic])


def connection(bootstrap: str) -> dict[str, Any]:
    """Client settings; failures come as exceptions, so the library need not print them as well."""
    return {"bootstrap.servers": bootstrap, "log_level": 0}


class Readers:
    """The worker group on the inputs and the inbox, the sink group on the outputs.

    A group that has committed nothing stands at the oldest record there is.
    """

    def __init__(
        self,
        bootstrap: str,
        app: str,
        *,
        partitions: int,
        inputs: Sequence[str],
        outputs: Sequence[str] = OUTPUTS,
    ) -> None:
        self._app = app
        self._worker_topics = (*inputs, INBOX)
        self._sink_topics = tuple(outputs)
        self._partitions = partitions
        self._admin = AdminClient(connection(bootstrap))
        self._groups = {
            group: Consumer({**connection(bootstrap), "group.id": group, "enable.auto.commit": False})
            for group in (app, f"{app}-sink")
        }

    def measure(self) -> Reading:
        """Raises LostRecords where a reader's next record is gone, KafkaException where the broker is."""
        worker = self._committed(self._app, self._worker_topics)
        sink = self._committed(f"{self._app}-sink", self._sink_topics)
        everywhere = [*worker, *sink]
        ends = self._offsets(everywhere, OffsetSpec.latest())  # type: ignore[no-untyped-call]
        starts = self._offsets(everywhere, OffsetSpec.earliest())  # type: ignore[no-untyped-call]
        return Reading(
            worker=tuple(_lag(self._app, at, worker[at], starts[at], ends[at]) for at in worker),
            sink=tuple(_lag(f"{self._app}-sink", at, sink[at], starts[at], ends[at]) for at in sink),
        )

    def close(self) -> None:
        for consumer in self._groups.values():
            consumer.close()

    def _committed(self, group: str, topics: Sequence[str]) -> dict[tuple[str, int], int]:
        wanted = [TopicPartition(topic, task) for topic in topics for task in range(self._partitions)]
        if not wanted:
            return {}
        found = patiently(lambda: self._groups[group].committed(wanted, timeout=_REQUEST_S))
        return {(at.topic, at.partition): at.offset for at in found}

    def _offsets(self, places: Sequence[tuple[str, int]], spec: OffsetSpec) -> dict[tuple[str, int], int]:
        asked = {TopicPartition(topic, task): spec for topic, task in places}

        def ask() -> dict[tuple[str, int], int]:
            answers = self._admin.list_offsets(asked, request_timeout=_REQUEST_S)
            return {(at.topic, at.partition): answer.result().offset for at, answer in answers.items()}

        return patiently(ask)


def patiently(ask: Callable[[], T], *, sleep: Callable[[float], None] = time.sleep) -> T:
    """The answer, asked for again while what it is about is on the move, for 30 s. Raises KafkaException."""
    for _ in range(int(_REQUEST_S / _AGAIN_S)):
        try:
            return ask()
        except KafkaException as error:
            if error.args[0].code() not in _ON_THE_MOVE:
                raise
            sleep(_AGAIN_S)
    return ask()


def _lag(group: str, place: tuple[str, int], committed: int, start: int, end: int) -> Lag:
    topic, partition = place
    if 0 <= committed < start:
        raise LostRecords(
            f"{group} has yet to read record {committed:,} of {topic}[{partition}], but the broker's oldest "
            f"is {start:,}: it keeps too little for this feed"
        )
    return Lag(group, topic, partition, committed if committed >= 0 else start, end)
