"""Two profiles of 100,000 identifiers each become one, while others go on: how long do the others wait for it?

In process, one task: the others arrive at 20,000/s by a clock that the task's own work moves, in CPU seconds, and each
waits for the end of the batch that it is in. That is what the merge holds the others up by, whatever else the machine
has to do and whatever a commit takes.

On a real Kafka, exactly once, one worker. Each of the two is a person that came with one device after another, no limit
set; then, in the middle of a shop's day, somebody shows a device of the one beside the account of the other. From then
on the delays of all others are taken, from produce to a `read_committed` reader, until the merge is through, and beside
them those before it. Pieces go one after another, a transaction each, so this takes longer than in process. At half of
the rate: on two cores that broker, worker, producer and reader share, 20,000/s is more than they bear, with a merge or
without (p99 2.3 s before it began, 0.8 s with two workers). A first day warms the broker up, see `real_kafka`.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path

from confluent_kafka import Consumer, Message, TopicPartition

from schemas.codec import decode, encode_touchpoint
from streams.broker.jars import ToolMissing
from streams.core.rules import RANKS, Rules
from streams.core.step import INBOX, Step
from streams.importer.feeding import Feeder
from streams.runtime.engine import Reflected
from streams.runtime.store.memory import MemoryStore
from streams.simulator.emit import Emitted
from tests.bench.core import no_garbage
from tests.bench.real_kafka import delay, delay_of, delays, installation, node, run_workers, wait_until_read
from tests.bench.report import Row, Section
from tests.bench.stream import TICK_MS, KafkaRecord, Stream, shop_day
from tests.bench.whole_job import PARTITIONS

MEMBERS = 100_000
RATE = 20_000.0
KAFKA_RATE = 10_000.0
PEOPLE = 10_000
"""A day of some 25 s at that rate."""
BAR_MS = 500.0
_BATCH = 2_000
_WARM_UP_S = 1.0
_BEFORE_MERGE_S = 3.0
_OTHERS = 20_000
START_MS = 1_772_000_000_000
_BEFORE_S = (4.0, 10.0)
_SMALL_BATCHES = {"THROUGHLINE_WORKER_BATCH_RECORDS": "500"}
"""While the two come to be: nobody else has thousands of links under way to one root, each of which is looked at again
with each answer."""
_NO_LIMITS = ",".join(f"{kind}=0" for kind in RANKS)


def section(members: int = MEMBERS, people: int = PEOPLE) -> Section:
    """All of it, on a broker of its own; a section without rows where none can be had."""
    title = "A merge of two profiles of many identifiers"
    try:
        with tempfile.TemporaryDirectory(prefix="throughline-bench-") as scratch, node(Path(scratch)) as at:
            rows = [*_in_process(members), *_on_kafka(at, members, shop_day(people), Path(scratch))]
            return Section(
                title, rows, f"{members:,} identifiers each; in process first, then on a real Kafka"
            )
    except ToolMissing as missing:
        return Section(title, _in_process(members), str(missing))


def _on_kafka(bootstrap: str, members: int, stream: Stream, scratch: Path) -> list[Row]:
    start_ms = stream.options.start_ms
    delay(bootstrap, stream, KAFKA_RATE, logs=scratch)
    more = {"IDENTITY_LIMITS": _NO_LIMITS, "IDENTITY_SHARED_PROFILES": "0"}
    with installation(bootstrap, "exactly_once", **more) as environment:
        app = environment["THROUGHLINE_APP_NAME"]
        with (
            Feeder(bootstrap, app, PARTITIONS, pace=False, tick_ms=TICK_MS, outputs=()) as feeder,
            run_workers({**environment, **_SMALL_BATCHES}, 1, scratch) as running,
        ):
            feeder.tick(start_ms - 1)
            for record in _many(members, start_ms):
                feeder.send(record.channel, record.key, record.value, record.arrival_ms)
            feeder.flush()
            wait_until_read(bootstrap, app, running)
        with run_workers(environment, 1, scratch) as running:
            wait_until_read(bootstrap, app, running)
            place = int(KAFKA_RATE * _BEFORE_S[1])
            link = _shown(f"{members}", start_ms, "one", f"two-{members // 2:06d}")
            records = [*stream.records[:place], link, *stream.records[place:]]
            began_s = time.time()
            found = delays(bootstrap, records, KAFKA_RATE)
            wait_until_read(bootstrap, app, running)
            until_s = _merged_s(bootstrap) - began_s
    before = [late_s for at_s, late_s in found if _BEFORE_S[0] < at_s < _BEFORE_S[1]]
    during = [late_s for at_s, late_s in found if _BEFORE_S[1] <= at_s <= max(until_s, _BEFORE_S[1] + 1)]
    note = f"at {KAFKA_RATE:,.0f} touchpoints/s"
    return [
        Row("until the two are one", until_s - _BEFORE_S[1], "s"),
        Row("produce to readable before, p99", delay_of(KAFKA_RATE, before).p99_ms, "ms", note=note),
        Row("produce to readable meanwhile, median", delay_of(KAFKA_RATE, during).p50_ms, "ms"),
        Row("produce to readable meanwhile, p99", delay_of(KAFKA_RATE, during).p99_ms, "ms", BAR_MS),
    ]


class _Task:
    """One task without limits."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        self.step = Step(0, 1, Rules(is_replay=True, limits={}, shared_profiles=0), self.store)
        self.to_itself: list[KafkaRecord] = []
        self._commits = 0

    def take(self, records: Sequence[KafkaRecord]) -> float:
        """A batch, with what the one before has said to the next; the CPU seconds that it took."""
        batch = {"touchpoints.web": records, INBOX: self.to_itself}
        started_s = time.process_time()
        effects = self.step.process(batch, now_ms=0, caught_up={})
        self._commits += 1
        self.store.apply(effects.changes, Reflected(self._commits))
        spent_s = time.process_time() - started_s
        self.to_itself = [
            KafkaRecord(INBOX, 0, n, 0, key, value) for n, (key, value) in enumerate(effects.inbox.get(0, ()))
        ]
        return spent_s


def _in_process(members: int) -> list[Row]:
    task = _Task()
    records = (record for one in _many(members, START_MS) for record in _record(one))
    while batch := list(islice(records, _BATCH)):
        task.take(batch)
    while task.to_itself:
        task.take([])
    link = _shown(f"{members}", START_MS, "one", f"two-{members // 2:06d}")
    others = _Others(Emitted("web", one.key, one.value, one.arrival_ms) for one in shop_day(_OTHERS).records)
    with no_garbage():
        others.go_on(task, until=lambda: others.now_s > _WARM_UP_S)
        before_s = others.go_on(task, until=lambda: others.now_s > _WARM_UP_S + _BEFORE_MERGE_S)
        began_s = others.now_s
        meanwhile_s = others.go_on(task, *_record(link), until=lambda: not task.to_itself)
    note = f"at {RATE:,.0f} touchpoints/s, one task"
    return [
        Row("of others before, p99", delay_of(RATE, before_s).p99_ms, "ms", note=note),
        Row("of others meanwhile, median", delay_of(RATE, meanwhile_s).p50_ms, "ms"),
        Row("of others meanwhile, p99", delay_of(RATE, meanwhile_s).p99_ms, "ms", BAR_MS),
        Row("of others meanwhile, longest", 1_000 * max(meanwhile_s), "ms"),
        Row("until the two are one", others.now_s - began_s, "s"),
    ]


class _Others:
    """Touchpoints that arrive at an even rate by a clock which only the task's own work moves, in CPU seconds."""

    def __init__(self, emitted: Iterable[Emitted]) -> None:
        self._records = [record for one in emitted for record in _record(one)]
        self._taken = 0
        self.now_s = 0.0

    def go_on(self, task: _Task, *first: KafkaRecord, until: Callable[[], bool]) -> list[float]:
        """Each batch is what has arrived by then; how long each touchpoint waited for the end of its batch, in s."""
        late_s: list[float] = []
        while True:
            began = self._taken
            has_arrived = max(began + 1, int(self.now_s * RATE) + 1)
            self._taken = min(has_arrived, began + _BATCH)
            assert self._taken <= len(self._records), "the day is over before the merge"
            self.now_s += task.take([*self._records[began : self._taken], *first])
            late_s += [self.now_s - number / RATE for number in range(began, self._taken)]
            first = ()
            if until():
                return late_s
            # The next one is not taken before it is there.
            self.now_s = max(self.now_s, self._taken / RATE)


def _record(one: Emitted) -> Iterator[KafkaRecord]:
    yield KafkaRecord("touchpoints.web", 0, 0, one.arrival_ms, one.key, one.value)


def _many(members: int, start_ms: int) -> Iterator[Emitted]:
    """Two accounts, each with one device after another."""
    for number in range(members):
        for account in ("one", "two"):
            yield _shown(f"{number}", start_ms, account, f"{account}-{number:06d}")


def _shown(name: str, at_ms: int, account: str, device: str) -> Emitted:
    fields = {
        "message_id": f"{account} {name}",
        "type": "track",
        "event": "Page Viewed",
        "channel": "web",
        "occurred_at": at_ms,
        "received_at": at_ms,
        "identifiers": {"user_id": account, "device_id": device},
    }
    return Emitted("web", f"user_id:{account}".encode(), encode_touchpoint(fields), at_ms)


def _merged_s(bootstrap: str) -> float:
    """When the account that handed over said so, by the broker's clock or the producer's: seconds since the epoch."""
    reader = Consumer(
        {"bootstrap.servers": bootstrap, "group.id": "bench", "isolation.level": "read_committed"}
    )
    reader.assign([TopicPartition("identities", partition, 0) for partition in range(PARTITIONS)])
    found_s = 0.0
    while messages := reader.consume(10_000, 3.0):
        found_s = max([found_s, *_moments(messages)])
    reader.close()
    return found_s


def _moments(messages: Sequence[Message]) -> Iterator[float]:
    for message in messages:
        value, timestamp = message.value(), message.timestamp()
        assert value is not None, "a tombstone in identities"
        row = decode(value)[1]
        if row["kind"] == "merged" and row["identifier"] in ("user_id:one", "user_id:two"):
            yield timestamp[1] / 1_000
