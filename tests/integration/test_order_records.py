"""What orders are made of, apart from other touchpoints: complete, once, and read as if it were not apart."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sinks.clickhouse.embedded import EmbeddedWarehouse
from sinks.clickhouse.migrating import migrate, migrations, statements_of
from sinks.clickhouse.writer import Warehouse
from tests.integration.shop import Shop, at_ms
from tests.integration.test_views import TABLES

pytestmark = pytest.mark.xdist_group("order_records")

NUMBER = 15
TOLD = "SELECT message_id FROM order_records ORDER BY message_id, place"


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warehouse]:
    """A warehouse with its tables and views."""
    with EmbeddedWarehouse.start(tmp_path_factory.mktemp("warehouse")) as running:
        warehouse = Warehouse(running.url, running.user, running.password)
        migrate(warehouse)
        yield warehouse


@pytest.fixture
def shop(opened: Warehouse) -> Iterator[Shop]:
    """An empty shop."""
    shop = Shop(opened)
    yield shop
    for table in TABLES:
        shop.client.command(f"TRUNCATE TABLE {table}")
    shop.client.close()


def statements(beginning: str) -> list[str]:
    """Those of the migration that begin so."""
    sql = next(each.sql for each in migrations() if each.number == NUMBER)
    return [each.strip() for each in statements_of(sql) if each.strip().startswith(beginning)]


def records(shop: Shop) -> list[bytes]:
    """Two orders in two months, of two channels, and a page between them."""
    return [
        shop.touchpoint("web", "Order Completed", "ann", at_ms("2024-01-31"), message_id="m1"),
        shop.touchpoint("web", "Page Viewed", "ann", at_ms("2024-02-01"), message_id="m2"),
        shop.touchpoint("pos", "Sale", "ann", at_ms("2024-02-02"), message_id="m3", is_return=True),
    ]


@pytest.mark.parametrize("together", [True, False], ids=["mixed block", "block a channel"])
def test_repeated_insert_adds_nothing_and_repairs_one_that_was_half_applied(
    shop: Shop, together: bool
) -> None:
    """After a crash between both tables, the same block again brings what is missing and nothing else.

    Seen to fail with inserts that do not pass repeated blocks on (deduplicate_blocks_in_dependent_materialized_views).
    """
    values = records(shop)
    blocks = [values] if together else [values[:2], values[2:]]
    shop.client.command("DROP VIEW touchpoints_to_order_records")
    for block in blocks:
        shop.land("touchpoints.stitched", *block)
    for statement in statements("CREATE MATERIALIZED VIEW"):
        shop.client.command(statement)
    assert shop.ask(TOLD) == []
    for _ in range(2):
        shop._offsets.clear()
        for block in blocks:
            shop.land("touchpoints.stitched", *block)
        assert shop.ask(TOLD) == [("m1",), ("m3",)]
        assert shop.ask("SELECT count() FROM touchpoints") == [(3,)]


def test_migration_fills_in_what_was_there_once(shop: Shop) -> None:
    """Rows from before are taken over, also by a migration that was cut off and is run again.

    Seen to fail with rows taken over that are there already.
    """
    shop.land("touchpoints.stitched", *records(shop))
    shop.client.command("TRUNCATE TABLE order_records")
    for _ in range(2):
        for statement in statements("INSERT"):
            shop.client.command(statement)
        assert shop.ask(TOLD) == [("m1",), ("m3",)]


def test_filled_in_and_landed_are_the_same(shop: Shop) -> None:
    """A row is worked out the same way, whether it lands or was there before.

    Seen to fail with another profile_hash in one of both.
    """
    shop.land("touchpoints.stitched", *records(shop))
    landed = shop.ask("SELECT * FROM order_records ORDER BY place")
    shop.client.command("TRUNCATE TABLE order_records")
    for statement in statements("INSERT"):
        shop.client.command(statement)
    assert shop.ask("SELECT * FROM order_records ORDER BY place") == landed


def test_copies_of_an_order_without_id_meet_in_a_merge(shop: Shop) -> None:
    """The order that two people have under one message_id is one once they are one person; a late copy gives way.

    Seen to fail with copies told apart by the profile they were written with.
    """
    at = at_ms("2024-03-01")
    shop.order("a", at, message_id="m1", euros=7)
    shop.order("b", at - 1, message_id="m1", euros=7, is_late=True)
    asked = (
        "SELECT profile_id, ordered_at = toDateTime64('2024-03-01', 3, 'UTC') FROM orders ORDER BY profile_id"
    )
    assert shop.ask(asked) == [("a", 1), ("b", 0)]
    shop.belongs("user_id:1", "a", own="a")
    shop.belongs("email:x", "a", own="b", kind="merged")
    assert shop.ask(asked) == [("a", 1)]


def test_period_has_what_all_history_has(shop: Shop) -> None:
    """Days count from midnight to midnight, and a copy outside the period decides as it does elsewhere.

    Seen to fail with copies looked for in the period alone.
    """
    shop.tell("web", "Page Viewed", "ann", at_ms("2024-03-01") - 1, message_id="m1")
    shop.tell("web", "Page Viewed", "ann", at_ms("2024-03-01"), message_id="m1")
    shop.tell("web", "Page Viewed", "ann", at_ms("2024-03-01"), message_id="m2")
    shop.tell("web", "Page Viewed", "ann", at_ms("2024-03-03") - 1, message_id="m3")
    shop.tell("web", "Page Viewed", "ann", at_ms("2024-03-03"), message_id="m4")
    asked = (
        "SELECT message_id FROM touchpoints_between(since = '2024-03-01', until = '2024-03-02') ORDER BY 1"
    )
    assert shop.ask(asked) == [("m2",), ("m3",)]
