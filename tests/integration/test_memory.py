"""A worker's memory does not grow with what waits for it. On a real Kafka: an embedded one holds too little to tell.

The core is a fake that counts a few hundred keys, so that all that could grow is what lies between broker and commit.
Bounds are generous beside what would lie there if nothing held it back: the input itself.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest
from confluent_kafka import Producer

from schemas.codec import encode_touchpoint
from streams.launch.parts import peak_rss_bytes
from tests.conftest import require
from tests.integration import runtime_world
from tests.integration.brokers import RealKafka
from tests.integration.counting_worker import INPUTS
from tests.integration.real_line import PARTITIONS, WAIT_S, installation, reading, records
from tests.integration.runtime_world import Keyed, WorkerProcess, World

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]

MB = 1_000_000
RECORD_BYTES = 1_000


@pytest.fixture
def make_world(real_kafka: RealKafka, fresh_topics: Callable[[str], str]) -> Iterator[Callable[[], World]]:
    """Topics of their own, as often as asked."""
    made: list[World] = []

    def make() -> World:
        made.append(World(real_kafka.bootstrap, suffix=f"{fresh_topics('')}-{len(made)}", session_s=6.0))
        made[-1].create_topics()
        return made[-1]

    yield make
    for world in made:
        world.close()


def burst(megabytes: int) -> Iterable[Keyed]:
    """So much input, over all inputs and partitions."""
    filler = random.Random(0).randbytes(RECORD_BYTES)
    for number in range(megabytes * MB // RECORD_BYTES):
        yield INPUTS[number % len(INPUTS)], b"k%d" % (number % 300), b"keep/%d/" % number + filler


def rss(worker: WorkerProcess) -> float:
    """What it holds now, in MB."""
    pages = int(Path(f"/proc/{worker.process.pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / MB


def peak(worker: WorkerProcess) -> float:
    """The most it ever held, in MB."""
    return peak_rss_bytes(worker.process.pid) / MB


def test_ten_times_the_burst_takes_no_more_memory(make_world: Callable[[], World]) -> None:
    """12 MB waiting or 120: fetched is what can be taken soon, and no more.

    Seen to fail when each fetch may bring all there is of a partition.
    """
    peaks = []
    for megabytes in (12, 120):
        world = make_world()
        world.produce(burst(megabytes))
        worker = world.start_worker("--batch-records=500", "--step-s=0.01")
        world.wait_until_counted(megabytes * MB // RECORD_BYTES)
        peaks.append(peak(worker))
        assert worker.stop() == 0
    print(f"peak with 12 MB waiting {peaks[0]:.0f} MB, with 120 MB {peaks[1]:.0f} MB")
    assert peaks[1] - peaks[0] < 50


def test_what_lies_fetched_is_bounded_whatever_the_number_of_partitions(
    make_world: Callable[[], World], monkeypatch: pytest.MonkeyPatch
) -> None:
    """256 partitions with 300 MB to read: each task has something, beyond that `worker.fetch_buffer_bytes` is kept to.

    Of that one batch is opened in each. Seen to take 270 MB without the budget. It stops while it waits for room.
    """
    monkeypatch.setattr(runtime_world, "PARTITIONS", 64)
    world = make_world()
    world.produce(burst(300))
    worker = world.start_worker(
        "--partitions=64", "--batch-records=50", "--step-s=0.02", "--buffer-bytes=33554432"
    )
    worker.restored(64)
    before = rss(worker)
    held = [rss(worker) - before for _ in seconds(12.0)]
    print(f"over the start, in MB: {[round(one) for one in held[::20]]}")
    assert max(held) < 200
    assert worker.stop() == 0


def seconds(long: float) -> Iterator[None]:
    """Ten times a second, for so long."""
    until_s = time.monotonic() + long
    while time.monotonic() < until_s:
        yield
        time.sleep(0.1)


def test_a_broker_that_stops_leaves_memory_where_it_is(
    make_world: Callable[[], World], real_kafka: RealKafka
) -> None:
    """Stopped in mid-flow for 12 s, with records written before and commits in hand; then all is counted, once."""
    pid = real_kafka.pid
    if pid is None:
        require("kafka", "the broker is no process of this machine, so it cannot be stopped")
    world = make_world()
    sent = list(burst(60))
    world.produce(sent)
    worker = world.start_worker("--batch-records=500", "--step-s=0.02")
    worker.restored(PARTITIONS)
    time.sleep(1.0)
    os.kill(pid, signal.SIGSTOP)
    try:
        held = [rss(worker) for _ in seconds(12.0)]
    finally:
        os.kill(pid, signal.SIGCONT)
    print(f"while stopped, in MB: {[round(one) for one in held[::20]]}")
    assert max(held) - held[0] < 40
    world.assert_all_once(sent)
    assert worker.stop() == 0
    assert peak(worker) == 0 or peak(worker) < held[0] + 80


@pytest.mark.parametrize("largest", [983_040, 5_000_000])
def test_records_up_to_the_limit_pass_and_one_byte_more_is_a_dead_letter(
    largest: int, real_kafka: RealKafka, tmp_path: Path
) -> None:
    """Whole, by every way through the line: stitched where it came, and forwarded to its task."""
    with installation(real_kafka, tmp_path, KAFKA_MAX_RECORD_BYTES=str(largest)) as line:
        producer = Producer({"bootstrap.servers": line.bootstrap, "message.max.bytes": largest + 100_000})
        sent = {padded(f"to {partition}", largest): partition for partition in range(PARTITIONS)}
        for value, partition in sent.items():
            producer.produce("touchpoints.web", value, b"anonymous_id:a", partition)
        too_large = padded("more", largest + 1)
        producer.produce("touchpoints.web", too_large, b"anonymous_id:a", 0)
        assert producer.flush(WAIT_S) == 0
        line.start("worker")
        with reading(line.bootstrap, "touchpoints.stitched") as stitched:
            got = {
                (one.value() or b"")[5:largest] for one in records(stitched, for_s=WAIT_S, until=len(sent))
            }
        assert got == {value[5:] for value in sent}
        with reading(line.bootstrap, "records.dead") as dead:
            [letter] = records(dead, for_s=WAIT_S, until=1)
        assert letter.value() == too_large
        assert dict(letter.headers() or [])["reason"] == b"too_large"
        line.stop()


def padded(message_id: str, size: int) -> bytes:
    """A touchpoint of exactly so many bytes."""

    def of(filler: int) -> bytes:
        return encode_touchpoint({
            "message_id": message_id, "type": "track", "event": "Page Viewed", "channel": "web",
            "occurred_at": 1_772_000_000_000, "received_at": 1_772_000_000_000,
            "identifiers": {"anonymous_id": "a"}, "properties": {"x": "y" * filler},
        })  # fmt: skip

    value = of(size - (len(of(size)) - size))
    assert len(value) == size
    return value
