"""What befalls the sink, ClickHouse and the records costs no row and doubles none: plain `count()`, without FINAL."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from schemas.catalog import Catalog
from schemas.wire import CodecError, Reason, frame
from sinks.clickhouse.chunk import Block
from sinks.clickhouse.container import Schema
from sinks.clickhouse.embedded import EmbeddedWarehouse
from sinks.clickhouse.migrating import migrate
from sinks.clickhouse.writer import Rejected, Warehouse, Writer, connect
from streams.broker.embedded import EmbeddedBroker
from tests.integration.landed import (
    TABLES,
    AllLanded,
    Feed,
    committed,
    counted,
    dead_letters,
    exactly,
    landing,
    moved,
    place,
    until,
)
from tests.integration.rude_proxy import RudeProxy
from tests.integration.sink_process import Point
from tests.unit.sinks.samples import framed

pytestmark = pytest.mark.timeout(300)

_CATALOG = Catalog.embedded()
KILLS = 50


def sink(broker: EmbeddedBroker, warehouse: Warehouse, at: str = "") -> subprocess.Popen[bytes]:
    """A process of its own, killed at a point if one is named."""
    command = [sys.executable, "-m", "tests.integration.sink_process", broker.bootstrap, warehouse.url, "0.1"]
    return subprocess.Popen([*command, *([at] if at else [])])


def land_the_rest(broker: EmbeddedBroker, warehouse: Warehouse, feed: Feed) -> None:
    """With a sink that nothing befalls, and that has a record to land: until it is up, SIGTERM would just end it."""
    feed.write(1)
    last = sink(broker, warehouse)
    until(AllLanded(warehouse, feed))
    last.terminate()
    assert last.wait(20) == 0


def poisoned() -> dict[str, tuple[bytes, Reason]]:
    """Records that are none of their topic's, by what is wrong with them."""
    whole = framed("sessions")
    return {
        "no schema id": (b"poison", Reason.UNREADABLE),
        "a schema nobody knows": (frame(99_999, b"x"), Reason.UNKNOWN_SCHEMA),
        "cut short": (whole[:-4], Reason.UNREADABLE),
        "too long": (whole + b"xx", Reason.UNREADABLE),
        "no Avro": (whole[:5] + b"\xff" * 40, Reason.UNREADABLE),
    }


@pytest.mark.parametrize("nth", [1, pytest.param(3, marks=pytest.mark.slow)])
@pytest.mark.parametrize("point", Point)
def test_killed_at_any_step_it_lands_all_once(
    broker: EmbeddedBroker, warehouse: Warehouse, point: Point, nth: int
) -> None:
    """SIGKILL at each step of landing a range, a poisoned one among them, in the first range and in a later one.

    Seen to fail, with rows doubled, when nothing was declared before an insert.
    """
    feed = Feed(broker.bootstrap)
    feed.write(40)
    feed.poison("sessions", b"poison")
    killed = sink(broker, warehouse, f"{point}:{nth}")
    try:
        for n in range(1, 120):
            if killed.poll() is not None:
                break
            feed.write(5)
            # While records flow, offsets move with what is declared next; when they stop, they are committed.
            time.sleep(3.0 if n % 10 == 0 else 0.1)
        assert killed.wait(20) == -signal.SIGKILL
    finally:
        killed.kill()
    feed.write(20)
    land_the_rest(broker, warehouse, feed)
    with connect(warehouse) as client:
        assert counted(client) == exactly(feed)
        assert moved(client) == feed.moved
    assert set(dead_letters(broker.bootstrap).values()) == {Reason.UNREADABLE}
    assert len(dead_letters(broker.bootstrap)) == 1


@pytest.mark.slow
@pytest.mark.timeout(1_800)
@pytest.mark.parametrize("half", ["first", "second"])
def test_killed_at_a_hundred_moments_it_lands_all_once(
    broker: EmbeddedBroker, warehouse: Warehouse, seed: int, half: str
) -> None:
    """SIGKILL while records flow, fifty times in each half, so that both can run at once: plain count() is exact."""
    chance, feed = random.Random(f"{seed} {half}"), Feed(broker.bootstrap)
    client = connect(warehouse)
    for _ in range(KILLS):
        before = sum(rows for rows, _ in counted(client).values())
        feed.write(50)
        running = sink(broker, warehouse)
        # Not while it is still joining: a kill counts from its first rows on.
        until(lambda before=before: sum(rows for rows, _ in counted(client).values()) > before)  # type: ignore[misc]
        feed.write(50)
        time.sleep(chance.uniform(0.0, 0.3))
        running.kill()
        running.wait()
    land_the_rest(broker, warehouse, feed)
    assert counted(client) == exactly(feed)
    assert moved(client) == feed.moved


def test_slow_refusing_and_forgetful_clickhouse_costs_nothing(
    broker: EmbeddedBroker, warehouse: Warehouse, seed: int
) -> None:
    """Requests cut in the middle, refused for too many parts, slow; replies lost after the insert: all at random.

    Seen to fail, with rows doubled, when each attempt had a token of its own.
    """
    feed, port = Feed(broker.bootstrap), urlsplit(warehouse.url).port
    assert port is not None
    with RudeProxy(port, seed, chance=0.12) as proxy:
        behind = Warehouse(f"http://127.0.0.1:{proxy.port}", warehouse.user, warehouse.password)
        with landing(broker, Writer(behind)):
            deadline_s = time.monotonic() + 90
            while len(proxy.done) < 4 or sum(proxy.done.values()) < 20:
                if feed.written["carts"] < 1_000:
                    # A block of many pieces would never get through.
                    feed.write(20)
                time.sleep(0.1)
                assert time.monotonic() < deadline_s, proxy.done
            proxy.chance = 0.0
            until(AllLanded(warehouse, feed))
    with connect(warehouse) as client:
        assert counted(client) == exactly(feed)


def test_clickhouse_that_is_killed_in_the_middle_of_inserts_costs_nothing(
    broker: EmbeddedBroker, tmp_path: Path, seed: int
) -> None:
    """SIGKILL of ClickHouse, five times, at random moments of a busy sink."""
    chance, feed = random.Random(seed), Feed(broker.bootstrap)
    opened = EmbeddedWarehouse.start(tmp_path)
    port, warehouse = urlsplit(opened.url).port or 0, place(opened)
    migrate(warehouse)
    try:
        with landing(broker, Writer(warehouse), chunk_s=0.02):
            for _ in range(5):
                feed.write(10)
                killing = threading.Timer(chance.uniform(0.0, 0.5), opened.kill)
                killing.start()
                while opened.is_running():
                    feed.write(10)
                opened = EmbeddedWarehouse.start(tmp_path, port)
                until(AllLanded(warehouse, feed))
        with connect(warehouse) as client:
            assert counted(client) == exactly(feed)
    finally:
        opened.stop()


def test_poisoned_records_are_dead_letters_and_their_neighbours_land(
    broker: EmbeddedBroker, warehouse: Warehouse, error_log: list[str]
) -> None:
    """Each with its reason and its place, its bytes untouched; the offsets go on behind it.

    Seen to fail when nothing was buried, and, with rows that never land, when bytes behind a record were let pass.
    """
    feed, expected = Feed(broker.bootstrap), {}
    for topic in TABLES:
        for value, reason in poisoned().values():
            feed.write(30)
            expected[f"{topic}-1-{feed.end(topic, 1)}"] = str(reason)
            feed.poison(topic, value, partition=1)
    feed.write(30)
    with landing(broker, Writer(warehouse)):
        until(AllLanded(warehouse, feed))
    with connect(warehouse) as client:
        assert counted(client) == exactly(feed)
    assert dead_letters(broker.bootstrap) == expected
    for topic in TABLES:
        assert committed(broker, topic)[1] == (feed.end(topic, 1), "")
    assert len(error_log) == len(expected)
    error_log.clear()


class Picky(Writer):
    """A ClickHouse that refuses certain bytes, wherever they stand."""

    refused = b"refuse me"

    def insert(self, table: str, block: Block) -> None:
        """Refuses without landing anything."""
        if self.refused in block.data:
            raise Rejected("Code: 70. Cannot convert")
        super().insert(table, block)

    def refusal(self, table: str, block: Block) -> str:
        """The same, as a trial."""
        return "Code: 70" if self.refused in block.data else super().refusal(table, block)


def test_records_that_clickhouse_refuses_are_found_among_thousands(
    broker: EmbeddedBroker, warehouse: Warehouse, error_log: list[str]
) -> None:
    """A mixed block is taken apart; each that is refused by itself is a dead letter, all others land."""
    feed = Feed(broker.bootstrap)
    feed.write(500)
    places = []
    for topic in ("touchpoints.stitched", "carts"):
        for n in range(3):
            field = {"message_id": "refuse me"} if topic != "carts" else {"cart_id": "refuse me"}
            places.append(f"{topic}-0-{feed.end(topic, 0)}")
            feed.poison(topic, framed("touchpoints.stitched.web" if topic != "carts" else topic, **field))
            feed.write(50 * n)
    with landing(broker, Picky(warehouse)):
        until(AllLanded(warehouse, feed))
    with connect(warehouse) as client:
        assert counted(client) == exactly(feed)
    assert dead_letters(broker.bootstrap) == dict.fromkeys(places, str(Reason.FAILED))
    assert all("is a dead letter" in line for line in error_log)
    error_log.clear()


def test_a_mixed_block_that_is_refused_as_such_lands_apart(
    broker: EmbeddedBroker, warehouse: Warehouse
) -> None:
    """Schema by schema, under tokens that a restart finds declared; no record is at fault."""

    class Plain(Writer):
        """Takes one schema at a time."""

        def insert(self, table: str, block: Block) -> None:
            """Refuses a mixed block."""
            if block.is_mixed:
                raise Rejected("Code: 44. Illegal column")
            super().insert(table, block)

    feed = Feed(broker.bootstrap)
    feed.write(60)
    with landing(broker, Plain(warehouse)):
        until(AllLanded(warehouse, feed))
    with connect(warehouse) as client:
        assert counted(client) == exactly(feed)
    assert dead_letters(broker.bootstrap) == {}


def test_a_flood_stops_the_sink_and_lands_once_it_is_upgraded(
    broker: EmbeddedBroker, warehouse: Warehouse, error_log: list[str]
) -> None:
    """A sink that does not know the schema passes nothing over at any start; one that knows it lands all.

    Seen to fail, with the sink going on, when the share of dead letters was not asked for.
    """
    feed = Feed(broker.bootstrap)
    feed.write(200)
    unknown = _CATALOG.id_of("carts")

    def older(schema_id: int) -> Schema:
        if schema_id == unknown:
            raise CodecError(Reason.UNKNOWN_SCHEMA, f"schema {schema_id}")
        return _CATALOG.schema(schema_id)

    for _ in range(2):
        with (
            pytest.raises(
                Rejected, match=r"cannot be landed; .* upgrade it; or let them pass: sink.max_dead_share"
            ),
            landing(broker, Writer(warehouse), schema_of=older) as loop,
        ):
            until(loop.ended.is_set)
    assert all(offset in (0, -1001) for offset, _ in committed(broker, "carts"))
    with landing(broker, Writer(warehouse)):
        until(AllLanded(warehouse, feed))
    with connect(warehouse) as client:
        assert counted(client) == exactly(feed)
    error_log.clear()


def test_what_is_no_fault_of_the_records_stops_the_sink(broker: EmbeddedBroker, warehouse: Warehouse) -> None:
    """A ClickHouse that refuses even an empty block is not obeyed: nothing becomes a dead letter.

    Seen to fail, with a dead letter and the sink going on, when no empty block was tried.
    """

    class Locked(Writer):
        """Refuses whoever writes."""

        def insert(self, table: str, block: Block) -> None:
            raise Rejected("Code: 497. Not enough privileges")

        def refusal(self, table: str, block: Block) -> str:
            return "Code: 497. Not enough privileges"

    feed = Feed(broker.bootstrap)
    feed.write(1)
    with (
        pytest.raises(Rejected, match="Not enough privileges"),
        landing(broker, Locked(warehouse)) as loop,
    ):
        until(loop.ended.is_set)
    assert dead_letters(broker.bootstrap) == {}
