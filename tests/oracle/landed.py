"""What a run has landed, as plain rows: read from ClickHouse by the caller's query, or built by hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from tests.oracle.touchpoints import Campaign

Query = Callable[[str], Sequence[tuple[Any, ...]]]


class LandedTouchpoint(NamedTuple):
    """One row a touchpoint; `session` is None for a late one."""

    message_id: str
    profile: str
    session: str | None
    is_late: bool


class LandedSession(NamedTuple):
    """The latest revision of a session that stands; `revenue` and `events` as pairs, sorted."""

    session: str
    profile: str
    started_ms: int
    ended_ms: int
    touchpoints: int
    channels: tuple[str, ...]
    orders: int
    revenue_micros: int
    is_final: bool = True
    revenue: tuple[tuple[str, int], ...] = ()
    is_bounce: bool = False
    is_engaged: bool = False
    path: tuple[str, ...] = ()
    is_path_cut: bool = False
    events: tuple[tuple[str, int], ...] = ()
    first_campaign: Campaign | None = None
    last_campaign: Campaign | None = None


class LandedCart(NamedTuple):
    """The latest revision of a cart episode that stands."""

    profile: str
    opened_ms: int
    status: str
    settled_by: str | None


class LandedAction(NamedTuple):
    """The latest revision of an action; `opened_by` is the opener of the cart it stands for by now."""

    action: str
    opened_by: str
    profile: str
    status: str
    due_ms: int
    value_micros: int
    recovered_micros: int | None
    step: int = 1
    trigger: str = "abandoned_cart"
    currency: str | None = None

    @property
    def key(self) -> tuple[str, str, int]:
        """What it stands for."""
        return self.opened_by, self.trigger, self.step


class Emission(NamedTuple):
    """The first revision of an action that asked somebody to act, with the clock it was decided at.

    `caused_by` is the touchpoint that has led to it in the end.
    """

    opened_by: str
    decided_ms: int
    step: int = 1
    trigger: str = "abandoned_cart"
    caused_by: str = ""


@dataclass(frozen=True, slots=True)
class Landed:
    """Rows of one run; `carts` is None where they are not to be compared."""

    touchpoints: Sequence[LandedTouchpoint] = ()
    sessions: Sequence[LandedSession] = ()
    actions: Sequence[LandedAction] = ()
    emissions: Sequence[Emission] = ()
    carts: Sequence[LandedCart] | None = None


TOUCHPOINTS = (
    "SELECT message_id, toString(profile_id), toString(session_id), is_late FROM current_touchpoints"
)
SESSIONS = """
SELECT toString(session_id), toString(profile_id), toUnixTimestamp64Milli(started_at),
       toUnixTimestamp64Milli(ended_at), touchpoints, channels, orders, revenue_micros, is_final,
       arraySort(CAST(revenue, 'Array(Tuple(String, Int64))')), is_bounce, is_engaged, path, is_path_cut,
       arraySort(CAST(events, 'Array(Tuple(String, Int64))')),
       array(first_campaign.1, first_campaign.2, first_campaign.3, first_campaign.4, first_campaign.5),
       array(last_campaign.1, last_campaign.2, last_campaign.3, last_campaign.4, last_campaign.5)
FROM current_sessions"""
CARTS = """
SELECT toString(profile_id), toUnixTimestamp64Milli(opened_at), toString(status), settled_by
FROM current_carts"""
ACTIONS = """
SELECT toString(action_id), opened_by, toString(profile_id), toString(status),
       toUnixTimestamp64Milli(due_at), value_micros, recovered_micros, step, toString(trigger), currency
FROM current_actions"""
EMISSIONS = """
SELECT DISTINCT argMin(opened_by, revision), toUnixTimestamp64Milli(decided_at), argMin(step, revision),
       toString(argMin(trigger, revision)), argMin(caused_by[-1], revision)
FROM actions WHERE status != 'cancelled' GROUP BY action_id, decided_at"""


def read_landed(query: Query) -> Landed:
    """Everything that is compared, through `query(sql) -> rows` on the database `throughline`."""
    return Landed(
        touchpoints=[LandedTouchpoint(m, p, s or None, bool(late)) for m, p, s, late in query(TOUCHPOINTS)],
        sessions=[_session(*row) for row in query(SESSIONS)],
        carts=[LandedCart(p, opened, status, by or None) for p, opened, status, by in query(CARTS)],
        actions=[LandedAction(*row) for row in query(ACTIONS)],
        emissions=[Emission(*row) for row in query(EMISSIONS)],
    )


def _session(*row: Any) -> LandedSession:
    *plain, revenue, is_bounce, is_engaged, path, is_path_cut, events, first, last = row
    session, profile, started_ms, ended_ms, touchpoints, channels, orders, revenue_micros, is_final = plain
    return LandedSession(
        *(session, profile, started_ms, ended_ms, touchpoints, tuple(channels), orders, revenue_micros),
        is_final=bool(is_final),
        revenue=tuple(map(tuple, revenue)),
        is_bounce=bool(is_bounce),
        is_engaged=bool(is_engaged),
        path=tuple(path),
        is_path_cut=bool(is_path_cut),
        events=tuple(map(tuple, events)),
        first_campaign=_campaign(first),
        last_campaign=_campaign(last),
    )


def _campaign(parts: Sequence[str | None]) -> Campaign | None:
    """A tuple of the warehouse is never NULL: one of NULLs is none."""
    source, medium, name, term, content = parts
    return (source, medium, name, term, content) if any(parts) else None
