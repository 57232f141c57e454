"""The whole line, embedded: what lands is what is true, whatever is killed, whatever is fed."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from schemas.codec import encode, encode_touchpoint
from streams.cli.embedded import Running
from streams.core.step import INPUTS
from streams.importer.lag import Readers
from streams.simulator.options import Options
from tests.integration.line import assert_true, feed, line
from tests.oracle.compare import answer, differences, read_landed
from tests.oracle.rules import DEFAULT, HOUR_MS

pytestmark = pytest.mark.timeout(240)

START_MS = 1_772_000_000_000


@pytest.mark.timeout(240)
@pytest.mark.parametrize(("shared_devices", "bots"), [pytest.param(5, 1, marks=pytest.mark.slow), (15, 0)])
def test_a_day_comes_out_true(shared_devices: int, bots: int, seed: int, tmp_path: Path) -> None:
    """Four partitions, two workers: missing, duplicate, wrong, false and missed are all 0."""
    options = Options(
        people=160, seed=seed % 1_000_000 + shared_devices, shared_devices=shared_devices, bots=bots
    )
    with line(tmp_path, workers=2) as running:
        assert_true(feed(running, options), running.query)


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_a_shop_that_reminds_again_comes_out_true(seed: int, tmp_path: Path) -> None:
    """Three steps, and orders in shops that leave something in the cart: by the oracle under the same rules.

    Seen to fail where workers get this process's environment alone, and go by the defaults.
    """
    told = {"CARTS_REMINDERS_S": "7200,86400", "CARTS_LEFTOVERS": "keep"}
    rules = replace(DEFAULT, reminders_ms=(2 * HOUR_MS, 24 * HOUR_MS), keeps_leftovers=True)
    with line(tmp_path, workers=2, more=told) as running:
        fed = feed(running, Options(people=250, seed=seed % 1_000_000))
        found = differences(answer(fed.touchpoints(), rules), read_landed(running.query))
        assert not found, str(found)
        steps = running.query("SELECT DISTINCT step FROM current_actions WHERE status != 'cancelled'")
        assert sorted(step for (step,) in steps) == [1, 2, 3]


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_ten_kills_lose_nothing(seed: int, tmp_path: Path) -> None:
    """A worker killed at ten random moments, each time started again: nothing is missing, doubles are gone in views."""
    # Small batches, so that there are many commits to be killed in.
    with line(tmp_path, batch_records=50) as running:
        killer = Killer(running, random.Random(seed), kills=10)
        killer.start()
        fed = feed(running, Options(people=250, seed=seed % 1_000_000))
        killer.enough.set()
        killer.join()
        assert killer.killed == 10, "the day was over before the worker had been killed ten times"
        assert_true(fed, running.query)


class Killer(Thread):
    """Ends the worker and starts another, again and again, each time after it got on by a random number of records."""

    def __init__(self, running: Running, rnd: random.Random, *, kills: int) -> None:
        super().__init__(daemon=True)
        self._line = running.line
        self._rnd = rnd
        self._kills = kills
        self._readers = Readers(running.line.bootstrap, "throughline", partitions=4, inputs=INPUTS)
        self.enough = Event()
        self.killed = 0

    def run(self) -> None:
        """Until it has killed often enough, or is told that it is enough."""
        while self.killed < self._kills and self._gets_on_by(self._rnd.randrange(1, 600)):
            self._line.workers[0].kill()
            self._line.restart_worker(0)
            self.killed += 1
        self._readers.close()

    def _gets_on_by(self, records: int) -> bool:
        from_here = self._position()
        while self._position() < from_here + records:
            if self.enough.wait(0.02):
                return False
        return True

    def _position(self) -> int:
        return sum(lag.committed for lag in self._readers.measure().worker)


def fields(message_id: str, at_ms: int = 0, **more: Any) -> dict[str, Any]:
    """A touchpoint's fields."""
    return {
        "message_id": message_id, "type": "track", "event": "Page Viewed", "channel": "web",
        "occurred_at": START_MS + at_ms, "received_at": START_MS + at_ms, "identifiers": {"anonymous_id": "a"},
    } | more  # fmt: skip


def value(message_id: str, at_ms: int = 0, **more: Any) -> bytes:
    """A framed touchpoint."""
    return encode_touchpoint(fields(message_id, at_ms, **more))


def careless(message_id: str, **more: Any) -> bytes:
    """The same from a producer that checks no values."""
    whole = fields(message_id) | {"cart_id": None, "order_id": None, "items": [], "revenue_micros": None}
    return encode("touchpoints.web", whole | {"currency": None, "campaign": None, "location_id": None} | more)


def poison(rnd: random.Random) -> dict[bytes, str]:
    """Values that can never be processed, and the reason each must be given."""
    good = value("good")
    return {
        b"": "unreadable",
        b"hello": "unreadable",
        b"\0\0\0\0\x64" + rnd.randbytes(60): "unreadable",
        good[:-9]: "unreadable",
        b"\0\0\0\xff\xff" + good[5:]: "unknown_schema",
        value("nobody", identifiers={"email": "null", "user_id": " "}): "no_identifier",
        careless("no time", occurred_at=1 << 60): "wrong_type",
        careless("no call", type="blurb"): "wrong_type",
        careless("", event="no id"): "wrong_type",
        value("as large as they come", properties={"x": "y" * 1_040_000}): "too_large",
    }


@pytest.mark.timeout(120)
def test_poison_is_buried_whole_and_harms_nobody(seed: int, tmp_path: Path) -> None:
    """Each record that can never be processed ends on `records.dead` with its reason and its bytes; neighbours land."""
    bad = poison(random.Random(seed))
    with line(tmp_path, partitions=2) as running:
        write(running.line.bootstrap, bad)
        feeder = running.line.feeder()
        feeder.finish(START_MS)
        feeder.close()
        running.line.wait_until_landed()
        landed = {message_id for (message_id,) in running.query("SELECT message_id FROM touchpoints")}
        assert landed == {f"before-{n}" for n in range(len(bad))} | {
            "no key",
            "foreign partition",
            "1970",
            "2090",
        }
        asked = "SELECT message_id, is_late FROM touchpoints WHERE message_id IN ('1970', '2090')"
        assert {name: bool(is_late) for name, is_late in running.query(asked)} == {
            "1970": True,
            "2090": False,
        }
        [(latest_ms,)] = running.query("SELECT toUnixTimestamp64Milli(max(ended_at)) FROM current_sessions")
        assert latest_ms <= START_MS + 1_000
        assert dead_letters(running.line.bootstrap) == bad


def write(bootstrap: str, bad: dict[bytes, str]) -> None:
    """Poison between good records, and records that break rules without being poison."""
    producer = Producer({
        "bootstrap.servers": bootstrap, "partitioner": "murmur2_random", "message.max.bytes": 4_000_000,
    })  # fmt: skip

    def put(value: bytes, *, key: bytes | None = b"anonymous_id:a", partition: int = -1) -> None:
        producer.produce("touchpoints.web", value, key, partition, timestamp=START_MS)

    for number, wrong in enumerate(bad):
        put(value(f"before-{number}", number))
        put(wrong)
    put(value("no key"), key=None)
    for partition in (0, 1):
        put(value("foreign partition", 500), partition=partition)
    put(value("1970", occurred_at=1_000))
    put(value("2090", occurred_at=3_786_912_000_000, received_at=3_786_912_000_000))
    assert producer.flush(30) == 0


def dead_letters(bootstrap: str, topic: str = "touchpoints.web") -> dict[bytes, str]:
    """Value to reason of everything on `records.dead`; checks that each says where it came from."""
    consumer = Consumer({
        "bootstrap.servers": bootstrap, "group.id": "dead", "fetch.message.max.bytes": 8_000_000,
    })  # fmt: skip
    consumer.assign([TopicPartition("records.dead", partition, 0) for partition in (0, 1)])
    found: dict[bytes, str] = {}
    for record in read_all(consumer):
        headers = {name: text.decode() for name, text in record.headers() or ()}
        assert headers["topic"] == topic
        assert headers.keys() >= {"reason", "detail", "topic", "partition", "offset", "version"}
        found[record.value() or b""] = headers["reason"]
    consumer.close()
    return found


def read_all(consumer: Consumer) -> list[Any]:
    """What comes until nothing comes for two seconds."""
    found: list[Any] = []
    while records := consumer.consume(100, timeout=2.0):
        found += [record for record in records if record.error() is None]
    return found
