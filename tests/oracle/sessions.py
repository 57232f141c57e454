"""Sessions of one person across channels: maximal unions of the intervals that touchpoints cover."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tests.oracle.rules import DEFAULT, Rules
from tests.oracle.touchpoints import Touchpoint, occurred_ms

ORDER = "Order Completed"


@dataclass(frozen=True, slots=True)
class Session:
    """`members`: message ids in order; `channels` by first appearance."""

    members: tuple[str, ...]
    started_ms: int
    ended_ms: int
    channels: tuple[str, ...]
    orders: int
    revenue_micros: int


def sessions_of(touchpoints: Sequence[Touchpoint], rules: Rules = DEFAULT) -> tuple[Session, ...]:
    """Sessions of a person's on-time touchpoints, given in order."""
    groups: list[list[Touchpoint]] = []
    covered_until_ms = 0
    for touchpoint in touchpoints:
        starts_ms, ends_ms = cover(touchpoint, rules)
        # Both bounds belong to a cover, so one that starts where another ends still touches it.
        if groups and starts_ms <= covered_until_ms:
            groups[-1].append(touchpoint)
            covered_until_ms = max(covered_until_ms, ends_ms)
        else:
            groups.append([touchpoint])
            covered_until_ms = ends_ms
    return tuple(session_of(group, rules) for group in groups)


def cover(touchpoint: Touchpoint, rules: Rules = DEFAULT) -> tuple[int, int]:
    """[t, t + gap of its channel]."""
    starts_ms = occurred_ms(touchpoint, rules)
    return starts_ms, starts_ms + rules.gaps_ms.get(touchpoint.channel, rules.gap_ms)


def session_of(group: Sequence[Touchpoint], rules: Rules = DEFAULT) -> Session:
    """What is said of a session: it ends at its last touchpoint, not at the end of its cover."""
    orders = [t for t in group if t.event == ORDER]
    return Session(
        members=tuple(t.message_id for t in group),
        started_ms=occurred_ms(group[0], rules),
        ended_ms=occurred_ms(group[-1], rules),
        channels=tuple(dict.fromkeys(t.channel for t in group)),
        orders=len(orders),
        revenue_micros=sum(t.revenue_micros or 0 for t in orders),
    )
