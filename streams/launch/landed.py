"""What a run has left in the warehouse: rows by table, people, actions by status. Knows the views by name only."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

Query = Callable[[str], list[tuple[Any, ...]]]

_COUNTS = """
SELECT
    (SELECT count() FROM touchpoints), (SELECT count() FROM current_touchpoints), (SELECT count() FROM profiles),
    (SELECT uniqExact(identifier) FROM identities WHERE kind = 'created'),
    (SELECT count() FROM current_sessions), (SELECT countIf(NOT is_final) FROM current_sessions),
    (SELECT count() FROM current_carts), (SELECT countIf(is_late) FROM current_touchpoints)
"""
_ACTIONS = "SELECT status, count(), sum(value_micros) FROM current_actions GROUP BY status ORDER BY status"
_RESCUED = """
SELECT count() FROM current_carts AS cart
INNER JOIN current_touchpoints AS bought ON bought.message_id = cart.settled_by
WHERE cart.status = 'purchased' AND bought.channel NOT IN ('web', 'app')
"""


@dataclass(frozen=True, slots=True)
class Landed:
    """Rows and what they say; `rows` counts touchpoints as landed, `touchpoints` each once."""

    rows: int
    touchpoints: int
    late: int
    profiles: int
    merges: int
    sessions: int
    open_sessions: int
    carts: int
    bought_elsewhere: int
    actions: dict[str, int] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """For programs."""
        return asdict(self)


def landed(query: Query) -> Landed:
    """Ask the warehouse; raises what `query` raises."""
    rows, touchpoints, profiles, begun, sessions, unfinished, carts, late = query(_COUNTS)[0]
    return Landed(
        rows=rows,
        touchpoints=touchpoints,
        late=late,
        profiles=profiles,
        # Each profile that was begun and is none now became part of another.
        merges=begun - profiles,
        sessions=sessions,
        open_sessions=unfinished,
        carts=carts,
        bought_elsewhere=query(_RESCUED)[0][0],
        actions={status: count for status, count, _ in query(_ACTIONS)},
    )
