"""Tables and views as SQL files: forward-only migrations, each applied once, and views, made anew each time.

A migration that was applied is never changed: its checksum is kept in table `migrations`, and a difference stops
everything. ClickHouse has no transactional DDL, so each statement can be run again (IF NOT EXISTS).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING, Final

from sinks.clickhouse import periods
from sinks.clickhouse.resolving import resolve_first
from sinks.clickhouse.retention import keep, kept_days
from sinks.clickhouse.writer import Unavailable, Warehouse, connect, meaning_of

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

_FILE: Final = re.compile(r"(\d{3})_(\w+)\.sql")
_ENDS: Final = re.compile(r";[ \t]*\n")
_VIEW: Final = re.compile(r"^CREATE OR REPLACE VIEW \w+", re.M)
_LOG: Final = """
CREATE TABLE IF NOT EXISTS migrations
(
    number UInt16 COMMENT 'Number of the file.',
    name String COMMENT 'Name of the file.',
    checksum String COMMENT 'SHA-256 of the file when it was applied.',
    applied_at DateTime64(3, 'UTC') DEFAULT now64(3) COMMENT 'When it was applied.'
)
ENGINE = MergeTree
ORDER BY number
COMMENT 'Which migrations this database has.'
"""


class ChangedMigration(Exception):
    """A migration that was applied has other text now."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One SQL file."""

    number: int
    name: str
    sql: str

    @property
    def checksum(self) -> str:
        """SHA-256 of its text."""
        return hashlib.sha256(self.sql.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Status:
    """A migration and whether the database has it."""

    number: int
    name: str
    is_applied: bool


def migrations() -> list[Migration]:
    """Every migration, in order."""
    return [
        Migration(int(found.group(1)), found.group(2), sql)
        for name, sql in _sql_files("migrations")
        if (found := _FILE.fullmatch(name))
    ]


def views() -> list[tuple[str, str]]:
    """(name, SQL) of every view, in the order in which they build on each other; of a period, those that are so too."""
    files = [(found.group(2), sql) for name, sql in _sql_files("views") if (found := _FILE.fullmatch(name))]
    having = [name for name, sql in files if periods.has_period(sql)]
    made = []
    for name, sql in files:
        if name in having:
            made += [
                (name, periods.with_hint(name, sql)),
                (name + periods.SUFFIX, periods.of_a_period(name, sql, having)),
            ]
        else:
            made.append((name, sql))
    return made


def statements_of(sql: str, *, is_view: bool = False) -> list[str]:
    """The statements of a file; a view's is read by the rights of who made it: readers need none to its tables."""
    if is_view:
        sql = _VIEW.sub(r"\g<0> DEFINER = CURRENT_USER SQL SECURITY DEFINER", sql)
    return [statement for statement in _ENDS.split(sql) if statement.strip()]


def migrate(warehouse: Warehouse, *, keep_days: Mapping[str, int] | None = None) -> list[str]:
    """Bring the database up to date; the names of the migrations that were missing.

    `keep_days` is table to how long its rows are kept (`retention`); None leaves that as it is.
    Raises Unavailable, Rejected or ChangedMigration.
    """
    from clickhouse_connect.driver.exceptions import Error

    try:
        with connect(warehouse, database="system") as client:
            client.command(f"CREATE DATABASE IF NOT EXISTS {warehouse.database}")
        with connect(warehouse) as client:
            client.command(_LOG)
            missing = _missing(client)
            for migration in missing:
                _apply(client, migration)
            for _, sql in views():
                _run(client, sql, is_view=True)
            keep(client, warehouse.database, keep_days or {})
            resolve_first(client)
    except (Error, OSError) as error:
        raise meaning_of(error) from error
    return [migration.name for migration in missing]


def status(warehouse: Warehouse) -> list[Status]:
    """Every migration and whether the database has it. Raises Unavailable, Rejected or ChangedMigration."""
    from clickhouse_connect.driver.exceptions import Error

    try:
        with connect(warehouse, database="system") as client:
            asked = "EXISTS TABLE {d:Identifier}.migrations"
            is_there = client.query(asked, parameters={"d": warehouse.database}).result_rows == [(1,)]
        if not is_there:
            return [Status(each.number, each.name, False) for each in migrations()]
        with connect(warehouse) as client:
            missing = {each.number for each in _missing(client)}
    except (Error, OSError) as error:
        raise meaning_of(error) from error
    return [Status(each.number, each.name, each.number not in missing) for each in migrations()]


def kept(warehouse: Warehouse) -> dict[str, int]:
    """Table to days its rows are kept, 0 for ever; empty where nothing is migrated. Raises Unavailable or Rejected."""
    from clickhouse_connect.driver.exceptions import Error

    try:
        with connect(warehouse, database="system") as client:
            return kept_days(client, warehouse.database)
    except (Error, OSError) as error:
        raise meaning_of(error) from error


def _missing(client: Client) -> list[Migration]:
    # Two that migrate at once may both have written the row.
    asked = "SELECT number, any(checksum) FROM migrations GROUP BY number"
    applied = {row[0]: row[1] for row in client.query(asked).result_rows}
    for migration in migrations():
        if applied.get(migration.number, migration.checksum) != migration.checksum:
            raise ChangedMigration(
                f"migration {migration.number:03d}_{migration.name} was applied with other text: "
                "a migration is never changed; add a new one"
            )
    return [migration for migration in migrations() if migration.number not in applied]


def _apply(client: Client, migration: Migration) -> None:
    _run(client, migration.sql)
    row = [migration.number, migration.name, migration.checksum]
    client.insert("migrations", [row], column_names=["number", "name", "checksum"])


def _run(client: Client, sql: str, *, is_view: bool = False) -> None:
    for statement in statements_of(sql, is_view=is_view):
        client.command(statement)


def _sql_files(folder: str) -> Iterator[tuple[str, str]]:
    found = (files("sinks.clickhouse") / folder).iterdir()
    for file in sorted(found, key=lambda file: file.name):
        if file.name.endswith(".sql"):
            yield file.name, file.read_text("utf-8")


__all__ = [
    "ChangedMigration",
    "Migration",
    "Status",
    "Unavailable",
    "kept",
    "migrate",
    "migrations",
    "statements_of",
    "status",
    "views",
]
