"""Blocks into ClickHouse over its HTTP interface, and what its refusals mean for the one who tries.

Knows nothing of Kafka.

Delivery: an insert with a token that ClickHouse has already seen changes nothing, so trying again after any
failure is safe as long as the token is among the table's last `non_replicated_deduplication_window` blocks.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from sinks.clickhouse.chunk import Block

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

log = logging.getLogger(__name__)

# What passes by itself: timeouts, too many queries or parts, memory, read-only, network, shutdown, no such
# table or database (migrations may still be under way), no leader.
_TRANSIENT: Final = frozenset({
    24, 32, 60, 81, 74, 75, 76, 95, 99, 159, 164, 198, 201, 202, 203, 209, 210, 221, 236, 241, 242, 243, 252,
    254, 279, 285, 286, 290, 298, 305, 307, 319, 335, 341, 364, 373, 394, 410, 415, 416, 425, 439, 499, 574,
    594, 614, 667, 689, 718, 733, 735, 999, 1000,
})  # fmt: skip

INSERT_SETTINGS: Final[dict[str, Any]] = {
    "async_insert": 0,
    "insert_deduplicate": 1,
    "deduplicate_blocks_in_dependent_materialized_views": 1,
    "input_format_null_as_default": 1,
    "max_partitions_per_insert_block": 0,
    # Rows come as one block; to wait for more would copy them.
    "min_insert_block_size_rows": 0,
    "min_insert_block_size_bytes": 0,
    "wait_end_of_query": 1,
}


@dataclass(frozen=True, slots=True)
class Warehouse:
    """Where a ClickHouse answers, and as whom to ask it."""

    url: str
    user: str
    password: str = field(repr=False)
    database: str = "throughline"


class Unavailable(Exception):
    """Not now; the same insert may succeed later."""


class Rejected(Exception):
    """Never like this: a person is needed. Nothing was landed."""


def connect(warehouse: Warehouse, *, timeout_s: float = 60.0, database: str | None = None) -> Client:
    """A client in the warehouse's database, or in another. Raises Unavailable or Rejected."""
    import clickhouse_connect
    from clickhouse_connect.driver.exceptions import Error

    address = urlsplit(warehouse.url)
    try:
        return clickhouse_connect.get_client(
            interface=address.scheme,
            host=address.hostname or "127.0.0.1",
            port=address.port or (8443 if address.scheme == "https" else 8123),
            username=warehouse.user,
            password=warehouse.password,
            database=warehouse.database if database is None else database,
            compress=False,
            autogenerate_session_id=False,
            connect_timeout=5,
            send_receive_timeout=timeout_s,
        )
    except (Error, OSError) as error:
        raise meaning_of(error) from error


class Writer:
    """Inserts blocks; connects when it first has to, and again after every failure."""

    def __init__(self, warehouse: Warehouse) -> None:
        self._warehouse = warehouse
        self._client: Client | None = None
        self._columns: dict[str, dict[str, str]] = {}
        """Table -> name of a column -> its type."""
        self._warned: set[tuple[str, str]] = set()

    def insert(self, table: str, block: Block) -> None:
        """Land one block. Raises Unavailable or Rejected; then it may be half landed, and must be tried again."""
        from clickhouse_connect.driver.exceptions import Error

        try:
            self._insert(table, block)
        except (Error, OSError) as error:
            self.close()
            raise meaning_of(error) from error
        except Unavailable:
            self.close()
            raise

    def refusal(self, table: str, block: Block) -> str:
        """What the table would say against a block; "" if it would take it. Nothing lands. Raises Unavailable."""
        from clickhouse_connect.driver.exceptions import Error

        try:
            self._insert(table, block, is_trial=True)
        except (Error, OSError) as error:
            self.close()
            meaning = meaning_of(error)
            if isinstance(meaning, Unavailable):
                raise meaning from error
            return str(meaning)
        return ""

    def close(self) -> None:
        """Let go of the connection."""
        if self._client is not None:
            self._client.close()
        self._client = None
        self._columns.clear()

    def _insert(self, table: str, block: Block, *, is_trial: bool = False) -> None:
        if self._client is None:
            self._client = connect(self._warehouse)
        client = self._client
        names = self._known(client, table, block.columns)
        client.raw_insert(
            self._nowhere(table, names) if is_trial else table,
            column_names=names,
            insert_block=block.data,
            fmt="Avro",
            settings={**INSERT_SETTINGS, "insert_deduplication_token": block.token},
        )

    def _nowhere(self, table: str, names: Sequence[str]) -> str:
        """What reads rows as the table would, and keeps none."""
        structure = ", ".join(f"`{name}` {self._columns[table][name]}" for name in names)
        quoted = structure.replace("\\", "\\\\").replace("'", "\\'")
        return f"FUNCTION null('{quoted}')"

    def _known(self, client: Client, table: str, columns: tuple[str, ...]) -> list[str]:
        """The block's columns that the table has; a missing one is named once: its data are not landed."""
        if table not in self._columns:
            self._columns[table] = self._columns_of(client, table)
        for name in columns:
            if name not in self._columns[table] and (table, name) not in self._warned:
                self._warned.add((table, name))
                log.warning("table %s has no column for field %s; it stays in Kafka only", table, name)
        return [name for name in columns if name in self._columns[table]]

    def _columns_of(self, client: Client, table: str) -> dict[str, str]:
        """Raises Unavailable where a migration is missing: a table that keeps nothing needs the view behind it."""
        place = {"d": self._warehouse.database, "t": table}
        asked = "SELECT engine, dependencies_table FROM system.tables WHERE database = {d:String} AND name = {t:String}"
        found = client.query(asked, parameters=place).result_rows
        if not found or (found[0][0] == "Null" and not found[0][1]):
            missing = "view behind" if found else "table"
            raise Unavailable(f"no {missing} {place['d']}.{table}; throughline warehouse migrate makes it")
        asked = "SELECT name, type FROM system.columns WHERE database = {d:String} AND table = {t:String}"
        return {str(name): str(type_) for name, type_ in client.query(asked, parameters=place).result_rows}


def meaning_of(error: Exception) -> Unavailable | Rejected:
    """What a failure of ClickHouse's client means to whoever asked: try again, or never like this."""
    code = getattr(error, "code", None)
    text = str(error).split("(for url")[0].strip()
    if isinstance(code, int) and code not in _TRANSIENT and code != 0:
        return Rejected(text)
    return Unavailable(text)
