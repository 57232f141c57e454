"""Everything on the output topics is in ClickHouse once, whatever happens to the sink, to ClickHouse or in between."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from confluent_kafka import Producer

from schemas.catalog import CHANNELS
from sinks.clickhouse.chunk import Block
from sinks.clickhouse.embedded import EmbeddedWarehouse
from sinks.clickhouse.migrating import migrate
from sinks.clickhouse.writer import Unavailable, Warehouse, Writer, connect
from streams.broker.embedded import EmbeddedBroker
from tests.integration.landed import AllLanded, Feed, committed, counted, exactly, landing, place, until
from tests.integration.sink_process import SESSION_MS
from tests.unit.sinks.samples import framed

pytestmark = pytest.mark.timeout(300)


def test_everything_lands_once_and_is_committed(broker: EmbeddedBroker, warehouse: Warehouse) -> None:
    """Every topic into its table, every channel's own fields in place; then the offsets say so."""
    feed = Feed(broker.bootstrap)
    feed.write(300)
    with landing(broker, Writer(warehouse)) as loop:
        until(AllLanded(warehouse, feed))
        feed.write(7)
        until(AllLanded(warehouse, feed))
    with connect(warehouse) as client:
        assert counted(client) == exactly(feed)
        asked = "SELECT channel, count() FROM touchpoints GROUP BY channel ORDER BY channel"
        assert [channel for channel, _ in client.query(asked).result_rows] == sorted(CHANNELS)
        asked = "SELECT event_at, items.product_id, campaign.source FROM touchpoints WHERE message_id = 'm3'"
        ((at, products, source),) = client.query(asked).result_rows
        assert (at.timestamp(), products, source) == (1_700_000_000, ["p1"], "mail")
    assert dict(loop.landed) == feed.written
    for topic, rows in feed.written.items():
        offsets = committed(broker, topic)
        assert sum(offset for offset, _ in offsets) == rows
        assert {metadata for _, metadata in offsets} == {""}


def test_chunk_is_cut_by_rows_before_it_is_old(broker: EmbeddedBroker, warehouse: Warehouse) -> None:
    """A full chunk does not wait for its time; what was in hand lands when the sink stops, and nothing twice."""
    feed = Feed(broker.bootstrap)
    feed.write(100)
    fed = sum(feed.written.values())
    with connect(warehouse) as client:
        with landing(broker, Writer(warehouse), chunk_s=3_600, chunk_rows=50):
            until(lambda: sum(rows for rows, _ in counted(client).values()) > fed - 50)
        assert all(rows == different for rows, different in counted(client).values())


class Recorded:
    """Passes blocks on, remembering their tokens, `asked` those of failed inserts too; may fail before or after one."""

    def __init__(self, inserts: Writer) -> None:
        self._inserts = inserts
        self.asked: list[str] = []
        self.tokens: list[str] = []
        self.failing: Callable[[], str] = lambda: ""

    def refusal(self, table: str, block: Block) -> str:
        return self._inserts.refusal(table, block)

    def insert(self, table: str, block: Block) -> None:
        self.asked.append(block.token)
        failing = self.failing()
        if failing == "before":
            raise Unavailable("not now")
        self._inserts.insert(table, block)
        self.tokens.append(block.token)
        if failing == "after":
            raise Unavailable("the reply was lost")


@pytest.mark.parametrize("moment", ["before", "after"])
def test_failed_insert_is_repeated_with_its_token(
    broker: EmbeddedBroker, warehouse: Warehouse, moment: str, seed: int
) -> None:
    """Half of all inserts fail, before or after they took effect: every row once, every token the same again."""
    chance = random.Random(seed)
    feed, inserts = Feed(broker.bootstrap), Recorded(Writer(warehouse))
    inserts.failing = lambda: moment if chance.random() < 0.5 else ""
    feed.write(60)
    with landing(broker, inserts):
        until(AllLanded(warehouse, feed))
        inserts.failing = lambda: ""
    with connect(warehouse) as client:
        assert counted(client) == exactly(feed)
    assert (len(inserts.tokens) > len(set(inserts.tokens))) == (moment == "after")


def test_declared_range_is_landed_first_and_as_declared(broker: EmbeddedBroker, warehouse: Warehouse) -> None:
    """A sink that goes while an insert is open leaves the range; the next one repeats just that, then the rest."""
    feed, first = Feed(broker.bootstrap), Recorded(Writer(warehouse))
    feed.write(20)
    first.failing = lambda: "after"
    with landing(broker, first):
        until(lambda: len(first.tokens) > 0)
    declared = {metadata for _, metadata in committed(broker, "sessions")}
    assert declared == {"pending:10;together=0:0+a,1:0+a"}
    feed.write(20)
    second = Recorded(Writer(warehouse))
    with landing(broker, second):
        until(AllLanded(warehouse, feed))
    assert set(first.tokens) < set(second.tokens)
    with connect(warehouse) as client:
        assert counted(client) == exactly(feed)


def test_ranges_that_landed_together_are_repeated_by_each_who_has_one(
    broker: EmbeddedBroker, warehouse: Warehouse
) -> None:
    """Two sinks share what one had begun: each repeats the whole block, for which it reads the other's range again.

    Seen to fail when each landed its own range alone.
    """
    feed, first = Feed(broker.bootstrap), Recorded(Writer(warehouse))
    feed.write(20)
    first.failing = lambda: "after"
    with landing(broker, first):
        until(lambda: len(first.tokens) > 0)
    feed.write(20)
    sinks = [Recorded(Writer(warehouse)) for _ in range(2)]
    for each in sinks:
        # Nobody lands before both have their part.
        each.failing = lambda: "before" if min(len(each.asked) for each in sinks) == 0 else ""
    with landing(broker, sinks[0]), landing(broker, sinks[1]):
        until(AllLanded(warehouse, feed))
    shared = set(sinks[0].tokens) & set(sinks[1].tokens)
    assert [token for token in shared if "-0-0-10_1-0-10-" in token]
    with connect(warehouse) as client:
        assert counted(client) == exactly(feed)


def test_clickhouse_that_goes_and_comes_back_loses_nothing(
    broker: EmbeddedBroker, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Only the sink waits: it says so once, stays in the group, and lands everything afterwards."""
    opened = EmbeddedWarehouse.start(tmp_path)
    port = int(opened.url.rpartition(":")[2])
    warehouse = place(opened)
    migrate(warehouse)
    feed = Feed(broker.bootstrap)
    feed.write(20)
    with caplog.at_level(logging.WARNING, "sinks"), landing(broker, Writer(warehouse)):
        until(AllLanded(warehouse, feed))
        opened.stop()
        feed.write(20)
        until(lambda: "is unavailable" in caplog.text)
        time.sleep(2 * SESSION_MS / 1000)  # longer than the group would wait for a silent member
        opened = EmbeddedWarehouse.start(tmp_path, port)
        until(AllLanded(warehouse, feed))
    try:
        with connect(warehouse) as client:
            assert counted(client) == exactly(feed)
    finally:
        opened.stop()
    told = [record.getMessage() for record in caplog.records if record.name.startswith("sinks")]
    assert [message.split(",")[0].split(" after")[0] for message in told] == [
        "ClickHouse is unavailable",
        "ClickHouse is back",
    ]


def test_second_sink_takes_over_without_repeating(broker: EmbeddedBroker, warehouse: Warehouse) -> None:
    """A rebalance in the middle: what one has landed the other does not, what one held the other lands."""
    feed = Feed(broker.bootstrap)
    feed.write(50)
    with landing(broker, Writer(warehouse)):
        until(AllLanded(warehouse, feed))
        with landing(broker, Writer(warehouse)):
            for _ in range(10):
                feed.write(20)
                time.sleep(0.2)
            until(AllLanded(warehouse, feed))
        feed.write(20)
        until(AllLanded(warehouse, feed))
    with connect(warehouse) as client:
        assert counted(client) == exactly(feed)


def test_records_deleted_before_they_landed_are_reported(
    broker: EmbeddedBroker, warehouse: Warehouse, error_log: list[str]
) -> None:
    """Nothing can bring them back: a person is told which, and the rest lands."""
    feed = Feed(broker.bootstrap)
    feed.write(10)
    with landing(broker, Writer(warehouse)):
        until(AllLanded(warehouse, feed))
    producer = Producer({"bootstrap.servers": broker.bootstrap, "compression.type": "none"})
    for n in range(100):
        value = framed("carts", episode_id=f"big{n}", cart_id="x" * 150_000)
        producer.produce("carts", value, partition=0)
        producer.flush(10)
    with landing(broker, Writer(warehouse)), connect(warehouse) as client:
        until(lambda: client.query("SELECT countIf(episode_id = 'big99') FROM carts").result_rows == [(1,)])
        kept = client.query("SELECT count() FROM carts WHERE startsWith(episode_id, 'big')").result_rows[0][0]
    assert 0 < kept < 100
    assert len(error_log) == 1
    assert f"carts/0: offsets 5 to {104 - kept} were deleted" in error_log[0]
    error_log.clear()
