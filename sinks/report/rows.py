"""Questions to the warehouse whose rows are values of the model.

Columns stand in the order of the fields; what is no number (NaN, infinite) is None, and times are of UTC. Must not know
any question.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

Kind = TypeVar("Kind")


class Asking:
    """A warehouse, and the parameters every question may use."""

    def __init__(self, client: Client, parameters: Mapping[str, Any]) -> None:
        self._client = client
        self._parameters = dict(parameters)

    def rows(self, sql: str, **more: Any) -> list[tuple[Any, ...]]:
        """The rows as they are."""
        found = self._client.query(sql, parameters={**self._parameters, **more}).result_rows
        return [tuple(map(_value, row)) for row in found]

    def all(self, kind: type[Kind], sql: str, **more: Any) -> tuple[Kind, ...]:
        """The rows as values of `kind`."""
        return tuple(kind(*row) for row in self.rows(sql, **more))

    def one(self, sql: str, **more: Any) -> tuple[Any, ...]:
        """The only row."""
        [row] = self.rows(sql, **more)
        return row


def share(part: float, whole: float) -> float | None:
    """Of nothing there is none."""
    return part / whole if whole else None


def _value(cell: Any) -> Any:
    if isinstance(cell, float) and not math.isfinite(cell):
        return None
    if isinstance(cell, datetime) and cell.tzinfo is None:
        return cell.replace(tzinfo=UTC)
    return tuple(cell) if isinstance(cell, list) else cell
