"""The tables fit the contracts, and explain themselves."""

from __future__ import annotations

import re

import pytest

from schemas.catalog import CHANNELS, Catalog
from sinks.clickhouse.container import MIXED_PREFIX
from sinks.clickhouse.migrating import migrations, views

CATALOG = Catalog.embedded()
SQL = {migration.name: migration.sql for migration in migrations()}
TABLES = {name: sql for name, sql in SQL.items() if f"\nCREATE TABLE IF NOT EXISTS {name}\n" in f"\n{sql}"}
COLUMN = re.compile(r"^    (`[^`]+`|\w+) .*?(?:COMMENT '((?:[^'\\]|\\.)+)')?,?$", re.M)
ADDED = re.compile(
    r"^    ADD COLUMN IF NOT EXISTS (`[^`]+`|\w+) .*?(?:COMMENT '((?:[^'\\]|\\.)+)')? AFTER (`[^`]+`|\w+)[,;]?$",
    re.M,
)


def columns(table: str) -> dict[str, str]:
    """Column to comment, in the table's order: those it was created with, and those that were added since."""
    body = SQL[table].split("\n(\n")[1].split("\n)\n")[0]
    found = [(name.strip("`"), comment) for name, comment in COLUMN.findall(body)]
    for sql in SQL.values():
        for statement in sql.split(";\n"):
            if f"ALTER TABLE {table}\n" not in statement:
                continue
            for name, comment, before in ADDED.findall(statement):
                place = 1 + [known for known, _ in found].index(before.strip("`"))
                found.insert(place, (name.strip("`"), comment))
    return dict(found)


def fields(subject: str) -> list[str]:
    return [field["name"] for field in CATALOG.schema(CATALOG.id_of(subject))["fields"]]


@pytest.mark.parametrize("topic", ["sessions", "carts", "actions", "identities", "deliveries"])
def test_every_field_has_its_column(topic: str) -> None:
    """A record's fields, and where it was read, are the table's columns."""
    assert list(columns(topic)) == [*fields(topic), "_partition", "_offset"]


@pytest.mark.parametrize("channel", CHANNELS)
def test_every_field_of_every_channel_has_its_column(channel: str) -> None:
    """No channel's own field stays behind in Kafka."""
    names = fields(f"touchpoints.stitched.{channel}")
    assert set(names) <= set(columns("touchpoints"))
    assert {MIXED_PREFIX + name for name in names} <= set(columns("touchpoints_landing"))


def test_landing_table_fills_every_column() -> None:
    """What the sink inserts is what the table gets; only `event_at` is worked out there."""
    landing = {name.removeprefix(MIXED_PREFIX) for name in columns("touchpoints_landing")}
    assert set(columns("touchpoints")) - landing == {"event_at"}
    for name in landing:
        assert f"`{MIXED_PREFIX}{name}` AS {name}" in SQL["identified_by"]


def test_every_column_has_a_comment() -> None:
    """Comments are the documentation in BI tools."""
    for table in TABLES:
        assert [name for name, comment in columns(table).items() if not comment] == []


def test_every_table_that_keeps_rows_remembers_tokens() -> None:
    """Without a window ClickHouse would land a repeated insert twice; what is resolved may be written twice."""
    for table, sql in TABLES.items():
        keeps_what_was_read = table not in ("touchpoints_landing", "resolved_identifiers")
        assert ("non_replicated_deduplication_window = 10000" in sql) == keeps_what_was_read


def test_migrations_are_numbered_without_gaps() -> None:
    """A number names one migration for ever."""
    assert [migration.number for migration in migrations()] == list(range(1, len(SQL) + 1))


def test_views_say_what_they_are() -> None:
    """Each view can be made again at any time, has a name of its own, and a comment."""
    assert len({name for name, _ in views()}) == len(views())
    for name, sql in views():
        assert f"CREATE OR REPLACE VIEW {name} AS" in sql
        assert re.search(r"\nCOMMENT '.+';\n$", sql)
