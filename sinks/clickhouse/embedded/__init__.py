"""An embedded ClickHouse: one process owns a chDB directory and answers ClickHouse's HTTP interface on loopback.

Whoever wants data from it (the sink, `throughline query`, notebooks, BI tools) uses an ordinary HTTP client, so
that the path which is tested here is the path to a real server. Starting one needs no chDB in the caller's
process; only `engine` loads it.
"""

from __future__ import annotations

from sinks.clickhouse.embedded.directory import DirectoryTaken, Holder, holder_of, is_warehouse
from sinks.clickhouse.embedded.process import EmbeddedWarehouse, WarehouseDidNotStart
from sinks.clickhouse.embedded.users import Credentials

__all__ = [
    "Credentials",
    "DirectoryTaken",
    "EmbeddedWarehouse",
    "Holder",
    "WarehouseDidNotStart",
    "holder_of",
    "is_warehouse",
]
