"""What an engine says about the same rows: `python -m tests.integration.engine_answers DIRECTORY`, as JSON.

Whichever chDB Python finds makes all tables and views, lands a day as the sink would, each block twice, and a year of
rows, and asks every view. Only SQL and Avro, no server of ours: what holds here holds on a ClickHouse of that version.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

from chdb import session

from schemas.catalog import Catalog
from sinks.clickhouse.chunk import Block, ChunkWriter, Span
from sinks.clickhouse.landing import TARGETS
from sinks.clickhouse.migrating import migrations, statements_of, views
from sinks.clickhouse.resolving import resolve
from sinks.clickhouse.retention import MOMENTS, keep, kept_days
from sinks.clickhouse.writer import INSERT_SETTINGS
from tests.bench.stream import shop_day
from tests.bench.tasks import made_of
from tests.bench.warehouse import QUESTIONS
from tests.bench.warehouse_rows import inserts

PEOPLE: Final = 100
ROWS: Final = 20_000
DATABASE: Final = "throughline"
KEPT_DAYS: Final = 9_000
_PARAMETER: Final = re.compile(r"\{(\w+):([^}]+)\}")
_OF_HTTP: Final = "wait_end_of_query"


class Engine:
    """As much of a ClickHouse client as `resolve` and `keep` need."""

    def __init__(self, directory: Path) -> None:
        self._session: Any = session.Session(str(directory / "engine"))  # type: ignore[no-untyped-call]
        self.command(f"CREATE DATABASE IF NOT EXISTS {DATABASE}")
        self.command(f"USE {DATABASE}")

    def command(self, sql: str, parameters: Mapping[str, Any] | None = None) -> None:
        """A statement without an answer."""
        self._session.query(_bound(sql, parameters or {}))

    def query(self, sql: str, parameters: Mapping[str, Any] | None = None) -> SimpleNamespace:
        """Rows in `result_rows`, numbers of 64 bits among them as text."""
        said = self._session.query(_bound(sql, parameters or {}), "JSONCompactEachRow").bytes().decode()
        return SimpleNamespace(result_rows=[json.loads(line) for line in said.splitlines()])


def main(directory: Path) -> None:
    """Land, ask, print: version, rows by table, days that they are kept, and by question how many rows and a digest."""
    engine: Any = Engine(directory)
    for statement in statements():
        engine.command(statement)
    landed = land_a_day(engine, directory / "block.avro")
    for statement in inserts(ROWS):
        engine.command(f"{statement} SETTINGS max_partitions_per_insert_block = 0")
    resolve(engine, {})
    keep(engine, DATABASE, dict.fromkeys(MOMENTS, KEPT_DAYS))
    kept = kept_days(engine, DATABASE)
    answers = {name: digest(engine.query(sql).result_rows) for name, sql in QUESTIONS.items()}
    version = engine.query("SELECT version()").result_rows[0][0]
    print(json.dumps({"version": version, "landed": landed, "kept": kept, "answers": answers}))


def statements() -> Iterable[str]:
    """All that makes tables and views."""
    for migration in migrations():
        yield from statements_of(migration.sql)
    for _, sql in views():
        yield from statements_of(sql, is_view=True)


def land_a_day(engine: Engine, block_file: Path) -> dict[str, tuple[int, int]]:
    """By topic: how many records there were, how many rows there are."""
    made = made_of(shop_day(PEOPLE), TARGETS)
    chunks = ChunkWriter(Catalog.embedded().schema)
    found = {}
    for topic, target in TARGETS.items():
        span, records = Span(topic, 0, 0, len(made[topic])), list(enumerate(made[topic]))
        for block in chunks.blocks(span, records, can_mix=bool(target.mixed_table)):
            block_file.write_bytes(block.data)
            for _ in range(2):
                engine.command(
                    _insert(target.mixed_table if block.is_mixed else target.table, block, block_file)
                )
        [[rows]] = engine.query(f"SELECT count() FROM {target.table}").result_rows
        found[topic] = (len(records), int(rows))
    return found


def digest(rows: Iterable[list[Any]]) -> tuple[int, str]:
    """How many, and what they are, in any order; of fractions nine digits: sums depend on the order of adding."""
    texts = sorted(
        json.dumps(json.loads(json.dumps(row), parse_float=lambda text: f"{float(text):.9g}")) for row in rows
    )
    return len(texts), hashlib.sha256("\n".join(texts).encode()).hexdigest()


def _insert(table: str, block: Block, block_file: Path) -> str:
    settings = {name: value for name, value in INSERT_SETTINGS.items() if name != _OF_HTTP}
    told = ", ".join(f"{name} = {value}" for name, value in settings.items())
    columns = ", ".join(f"`{name}`" for name in block.columns)
    return (
        f"INSERT INTO {table} ({columns}) FROM INFILE '{block_file}' "
        f"SETTINGS {told}, insert_deduplication_token = '{block.token}' FORMAT Avro"
    )


def _bound(sql: str, parameters: Mapping[str, Any]) -> str:
    return (
        _PARAMETER.sub(lambda found: f"CAST({parameters[found[1]]!r} AS {found[2]})", sql)
        if parameters
        else sql
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
