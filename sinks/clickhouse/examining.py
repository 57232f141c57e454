"""Which records of a refused range are at fault, as no block can take them. Pure: what ClickHouse says, it is told."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from schemas.wire import CodecError
from sinks.clickhouse.chunk import Record, by_schema

__all__ = ["at_fault"]


def at_fault(
    records: Sequence[Record],
    *,
    check: Callable[[bytes], None],
    is_refused: Callable[[Sequence[Record]], bool],
) -> list[int]:
    """Offsets, rising, of the records that `check` finds broken, or that are refused by themselves.

    `is_refused` is asked of records of one schema, 2·n·log2(rows) times at most for n of them at fault.
    """
    broken = {offset for offset, value in records if not _is_whole(value, check)}
    found = list(broken)
    whole = [record for record in records if record[0] not in broken]
    for of_schema in by_schema(whole).values():
        found += _refused(of_schema, is_refused)
    return sorted(found)


def _is_whole(value: bytes, check: Callable[[bytes], None]) -> bool:
    try:
        check(value)
    except CodecError:
        return False
    return True


def _refused(records: Sequence[Record], is_refused: Callable[[Sequence[Record]], bool]) -> list[int]:
    if not records or not is_refused(records):
        return []
    if len(records) == 1:
        return [records[0][0]]
    middle = len(records) // 2
    return _refused(records[:middle], is_refused) + _refused(records[middle:], is_refused)
