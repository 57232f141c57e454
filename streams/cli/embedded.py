"""The whole line in one place, for commands that run it: embedded warehouse, broker, workers, sink.

The one place where `sinks` and `streams` meet: by the warehouse's address.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from streams.cli.errors import ExitCode, Failure

if TYPE_CHECKING:
    from clickhouse_connect.driver.query import QueryResult

    from streams.launch.line import Line
    from streams.settings import Settings

Rows = list[tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class Running:
    """A line that runs, and how to ask its warehouse: `ask` gives column names and rows."""

    line: Line
    ask: Callable[[str], tuple[Sequence[str], Rows]]

    def query(self, sql: str) -> Rows:
        """The rows of one statement."""
        return self.ask(sql)[1]


@contextmanager
def embedded_line(settings: Settings, directory: Path | None, *, workers: int) -> Iterator[Running]:
    """Everything embedded, over a warehouse directory (None: one that is deleted at the end).

    Raises Failure where a part cannot start or dies.
    """
    from sinks.clickhouse.embedded.process import EmbeddedWarehouse, WarehouseDidNotStart
    from sinks.clickhouse.migrating import migrate
    from sinks.clickhouse.writer import Rejected, Unavailable, connect
    from sinks.clickhouse.writer import Warehouse as Address
    from streams.broker.embedded import BrokerFailed
    from streams.cli.warehouse import memory_bytes_of, reader_of
    from streams.launch.line import NotDrained, Warehouse, running
    from streams.launch.parts import PartDied

    with tempfile.TemporaryDirectory(prefix="throughline-") as scratch:
        try:
            with EmbeddedWarehouse.start(
                directory or Path(scratch) / "warehouse",
                reader=reader_of(settings),
                memory_bytes=memory_bytes_of(settings),
            ) as warehouse:
                address = Address(
                    warehouse.url, warehouse.user, warehouse.password, settings.clickhouse.database
                )
                migrate(address)
                place = Warehouse(warehouse.url, warehouse.user, warehouse.password)
                with (
                    running(settings, place, workers=workers, logs=Path(scratch)) as line,
                    connect(address) as client,
                ):
                    yield Running(line, lambda sql: _answer(client.query(sql)))
        except (WarehouseDidNotStart, BrokerFailed, Unavailable, Rejected) as error:
            raise Failure(str(error), ExitCode.UNAVAILABLE) from error
        except (PartDied, NotDrained) as error:
            raise Failure(str(error), ExitCode.FAILED) from error


def _answer(result: QueryResult) -> tuple[Sequence[str], Rows]:
    return result.column_names, [tuple(row) for row in result.result_rows]
