"""Tables of today and of before, on a running warehouse: what is applied, what lands meanwhile, what is refused."""

from __future__ import annotations

import pytest

from sinks.clickhouse.chunk import ChunkWriter, Span
from sinks.clickhouse.embedded import EmbeddedWarehouse
from sinks.clickhouse.migrating import ChangedMigration, Migration, migrate, migrations, status
from sinks.clickhouse.writer import Unavailable, Warehouse, Writer, connect
from tests.unit.sinks.samples import CATALOG, framed

pytestmark = pytest.mark.xdist_group("migrations")


def test_table_without_its_view_takes_nothing(opened: EmbeddedWarehouse) -> None:
    """Touchpoints pass through a table that keeps nothing; without the view behind it they would be gone."""
    place = Warehouse(opened.url, opened.user, opened.password, "incomplete")
    migrate(place)
    with connect(place) as client:
        client.command("DROP VIEW touchpoints_landing_to_touchpoints")
    values = [(0, framed("touchpoints.stitched.web")), (1, framed("touchpoints.stitched.app"))]
    span = Span("touchpoints.stitched", 0, 0, 2)
    (landed,) = ChunkWriter(CATALOG.schema).blocks(span, values, can_mix=True)
    with pytest.raises(Unavailable, match="no view behind"):
        Writer(place).insert("touchpoints_landing", landed)


def test_what_landed_before_the_landing_table_took_text_lands_no_second_time(
    opened: EmbeddedWarehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sink that was stopped between an insert and its commit repeats it, upgraded or not; the rows are the same.

    Seen to fail, with four rows, when the migration made the view behind the landing table anew.
    """
    place = Warehouse(opened.url, opened.user, opened.password, "upgraded")
    values = [
        (0, framed("touchpoints.stitched.web", event="Product Viewed", currency=None, properties={"a": "b"}))
    ]
    values.append((1, framed("touchpoints.stitched.app", event="page", currency="EUR")))
    (landed,) = ChunkWriter(CATALOG.schema).blocks(
        Span("touchpoints.stitched", 0, 0, 2), values, can_mix=True
    )
    asked = "SELECT * FROM touchpoints ORDER BY _offset"
    with monkeypatch.context() as before:
        older = [migration for migration in migrations() if migration.number < 14]
        before.setattr("sinks.clickhouse.migrating.migrations", lambda: older)
        # Today's views read what later migrations bring, and so does who has moved.
        before.setattr("sinks.clickhouse.migrating.views", list)
        before.setattr("sinks.clickhouse.migrating.resolve_first", lambda client: None)
        migrate(place)
    with connect(place) as client:
        Writer(place).insert("touchpoints_landing", landed)
        rows = client.query(asked).result_rows
        assert len(rows) == 2
        assert migrate(place)[0] == "landing_text"
        Writer(place).insert("touchpoints_landing", landed)
        assert client.query(asked).result_rows == rows
        # That forgets tokens as well.
        client.command("TRUNCATE TABLE touchpoints")
        Writer(place).insert("touchpoints_landing", landed)
        assert client.query(asked).result_rows == rows


def test_migrations_are_applied_once_and_never_changed(
    opened: EmbeddedWarehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Status tells what is missing; other text under a number that was applied stops everything."""
    place = Warehouse(opened.url, opened.user, opened.password, "fresh")
    assert not any(each.is_applied for each in status(place))
    assert migrate(place) == [each.name for each in migrations()]
    assert migrate(place) == []
    assert all(each.is_applied for each in status(place))
    changed = [Migration(each.number, each.name, each.sql + "\n") for each in migrations()]
    monkeypatch.setattr("sinks.clickhouse.migrating.migrations", lambda: changed)
    with pytest.raises(ChangedMigration, match="001_touchpoints"):
        migrate(place)
