"""How long tables keep raw rows: ClickHouse's TTL, set where settings differ from what a table has.

Owns which moment of a row counts. Identities are kept for ever: whose all history is, hangs on them. Must not know
where settings come from.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

_RETRACTED_DAYS: Final = 30
MOMENTS: Final[Mapping[str, str]] = {
    "touchpoints": "toDateTime(event_at)",
    # A retraction goes after what it takes back, or that would come back to life.
    "sessions": f"toDateTime(ended_at) + toIntervalDay(if(is_retracted, {_RETRACTED_DAYS}, 0))",
    "carts": f"toDateTime(updated_at) + toIntervalDay(if(status = 'retracted', {_RETRACTED_DAYS}, 0))",
    "actions": "toDateTime(decided_at)",
    "deliveries": "toDateTime(attempted_at)",
}
"""Table to the moment from which its rows are kept for so many days, as SQL."""
FOLLOWING: Final[Mapping[str, str]] = {"order_records": "touchpoints"}
"""Table to the one that it is filled from, whose time and moment are its own."""
FOR_EVER: Final = 0
_KEPT: Final = re.compile(r"\bTTL\b.*toIntervalDay\((\d+)\)", re.S)


def kept_days(client: Client, database: str) -> dict[str, int]:
    """Table to days, FOR_EVER where it has no limit; of the tables of MOMENTS that are there."""
    return _days_of(client, database, list(MOMENTS))


def _days_of(client: Client, database: str, tables: Sequence[str]) -> dict[str, int]:
    asked = """
        SELECT name, engine_full FROM system.tables
        WHERE database = {database:String} AND name IN {names:Array(String)}"""
    found = client.query(asked, parameters={"database": database, "names": list(tables)}).result_rows
    return {
        name: int(match.group(1)) if (match := _KEPT.search(engine)) else FOR_EVER for name, engine in found
    }


def keep(client: Client, database: str, days: Mapping[str, int]) -> None:
    """Make it so. What a shorter time leaves out is deleted with the next merges, for good; the rest stays."""
    known = _days_of(client, database, [*MOMENTS, *FOLLOWING])
    for table, source in ((each, FOLLOWING.get(each, each)) for each in known):
        most = days.get(source, known[table])
        if known[table] == most:
            continue
        if most == FOR_EVER:
            client.command(f"ALTER TABLE {table} REMOVE TTL")
        else:
            client.command(f"ALTER TABLE {table} MODIFY TTL {MOMENTS[source]} + toIntervalDay({most})")


__all__ = ["FOLLOWING", "FOR_EVER", "MOMENTS", "keep", "kept_days"]
