"""Sessions of one person across channels: maximal unions of the intervals that touchpoints cover."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from tests.oracle.rules import CALLS, DEFAULT, EVENTS, VIEWS, Rules
from tests.oracle.touchpoints import Campaign, Touchpoint, occurred_ms

ORDER = "Order Completed"
OTHER = "other"


@dataclass(frozen=True, slots=True)
class Session:
    """`members`: message ids in order; `channels` by first appearance; `revenue` and `events` as pairs, sorted."""

    members: tuple[str, ...]
    started_ms: int
    ended_ms: int
    channels: tuple[str, ...]
    orders: int
    revenue_micros: int
    revenue: tuple[tuple[str, int], ...]
    is_bounce: bool
    is_engaged: bool
    path: tuple[str, ...]
    is_path_cut: bool
    events: tuple[tuple[str, int], ...]
    first_campaign: Campaign | None
    last_campaign: Campaign | None


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
    events = [event_of(t, rules) for t in group]
    campaigns = [campaign for t in group if (campaign := campaign_of(t)) is not None]
    return Session(
        members=tuple(t.message_id for t in group),
        started_ms=occurred_ms(group[0], rules),
        ended_ms=occurred_ms(group[-1], rules),
        channels=tuple(dict.fromkeys(t.channel for t in group)),
        orders=len(orders),
        revenue_micros=sum(t.revenue_micros or 0 for t in orders),
        revenue=revenue_of(orders),
        is_bounce=len(group) == 1,
        is_engaged=is_engaged(group, rules),
        path=path_of(group, rules)[: rules.longest_path],
        is_path_cut=len(group) > rules.longest_path,
        events=tuple(sorted(Counter(events).items())),
        first_campaign=campaigns[0] if campaigns else None,
        last_campaign=campaigns[-1] if campaigns else None,
    )


def event_of(touchpoint: Touchpoint, rules: Rules = DEFAULT) -> str:
    """The event by its name, if that is one told apart; else the call, but a `track` that has a name says nothing."""
    if touchpoint.event in EVENTS | CALLS or touchpoint.event in rules.events:
        return touchpoint.event
    return OTHER if touchpoint.event and touchpoint.type == "track" else touchpoint.type


def path_of(group: Sequence[Touchpoint], rules: Rules = DEFAULT) -> tuple[str, ...]:
    """Where each touchpoint was and what it was."""
    return tuple(f"{t.channel}:{event_of(t, rules)}" for t in group)


def is_engaged(group: Sequence[Touchpoint], rules: Rules = DEFAULT) -> bool:
    """10 s or longer from first to last touchpoint, an order, or two views."""
    lasted_ms = occurred_ms(group[-1], rules) - occurred_ms(group[0], rules)
    views = sum(event_of(t, rules) in VIEWS for t in group)
    return lasted_ms >= rules.engaged_ms or views >= 2 or any(t.event == ORDER for t in group)


def revenue_of(orders: Sequence[Touchpoint]) -> tuple[tuple[str, int], ...]:
    """By currency; what has more than 16 characters is none."""
    said = [
        (t.currency if t.currency and len(t.currency) <= 16 else "", t.revenue_micros or 0) for t in orders
    ]
    return tuple(sorted((name, sum(n for c, n in said if c == name)) for name in {c for c, _ in said}))


def campaign_of(touchpoint: Touchpoint) -> Campaign | None:
    """The first 256 characters of each part; none where no part says anything."""
    source, medium, name, term, content = (
        (part or "")[:256] or None for part in touchpoint.campaign or ("",) * 5
    )
    said = source, medium, name, term, content
    return said if any(said) else None
