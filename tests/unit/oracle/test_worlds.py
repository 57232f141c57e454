"""Worlds are what they promise: the same for a seed, sound in their ticks, and full of every feature."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from itertools import pairwise

from tests.oracle.actions import expected_as_of
from tests.oracle.acts import Act
from tests.oracle.rules import CALLS
from tests.oracle.touchpoints import arrived_ms, is_late, occurred_ms, usable_identifiers
from tests.oracle.values import usable_value
from tests.oracle.world import Answer, answer
from tests.oracle.worlds import Tick, World, shuffled, world

SEEDS = range(150)


def summary(found: Answer) -> object:
    """What must not depend on the order of arrival."""
    return [
        (
            story.person.root,
            story.person.identifiers,
            [t.message_id for t in story.person.touchpoints],
            story.late,
            story.sessions,
            story.actions,
            [(e.opened_by, e.status, e.ended_by) for e in story.episodes],
        )
        for story in found.stories
    ]


def test_a_seed_is_a_world() -> None:
    """The same seed gives the same world, another one another."""
    assert world(5) == world(5)
    assert world(5) != world(6)


def test_arrival_order_never_changes_the_answer() -> None:
    """Persons, sessions, episodes and final actions depend on event times and identifiers alone."""
    for seed in SEEDS:
        first = world(seed)
        expected = summary(answer(first.touchpoints, first.rules, first.acts))
        for keep_times in (False, True):
            other = shuffled(first, seed + 1, keep_times=keep_times)
            assert summary(answer(other.touchpoints, other.rules, other.acts)) == expected, seed


def test_ticks_are_true() -> None:
    """What comes after a tick arrived after it, but for copies; the final ticks are past everything."""
    for seed in SEEDS:
        for each in (world(seed), shuffled(world(seed), seed)):
            seen: set[str] = set()
            clock_ms = 0
            for record in each.records():
                if isinstance(record, Tick):
                    assert record.clock_ms >= clock_ms
                    clock_ms = record.clock_ms
                elif isinstance(record, Act):
                    assert record.arrival_ms > clock_ms
                else:
                    assert record.message_id in seen or arrived_ms(record, each.rules) > clock_ms
                    seen.add(record.message_id)
            assert each.final_ticks_ms()[0] > clock_ms


def test_worlds_have_everything() -> None:
    """Every feature that a rule speaks of occurs in many worlds, one that needs two looks within 10 s in a few."""
    features: Counter[str] = Counter()
    for seed in range(100):
        features.update(set(features_of(world(seed))))
    wanted = {
        *("merge", "merge of carts", "cancelled", "recovered", "due", "purchased", "emptied", "copy", "late"),
        *("edge of a session", "one ms past a session", "one instant", "clock ahead", "nobody", "blocked"),
        *("out of order", "three identifiers", "orders of two channels", "own gaps"),
        *("one email, two spellings", "one phone, two spellings"),
        *("bounce", "not engaged", "two currencies", "two campaigns", "call without a name"),
        *("a further event", "another event", "abandoned_checkout", "payment_failed", "abandoned_browse"),
    }
    assert {name: features[name] for name in wanted if features[name] < 4} == {}
    assert features["engaged by views"] >= 2


def features_of(each: World) -> Iterable[str]:
    """Names of what occurs in a world."""
    rules, points = each.rules, each.touchpoints
    found = answer(points, rules)
    yield from {action.trigger for action in found.actions}
    yield from {action.status for action in found.actions} | {e.status for e in found.episodes}
    yield from {"own gaps"} if rules.gaps_ms else ()
    yield from {"nobody"} if found.nobody else ()
    yield from {"copy"} if len({t.message_id for t in points}) < len(points) else ()
    yield from features_of_times(each)
    yield from features_of_knowledge(each, found)
    yield from features_of_spelling(each)
    yield from features_of_sessions(found)
    for point in points:
        worn = len(usable_identifiers(point, rules))
        yield from {"three identifiers"} if worn == 3 else ()
        yield from {"blocked"} if 0 < worn < len(point.identifiers) else ()


def features_of_spelling(each: World) -> Iterable[str]:
    """Names of what values are written in more than one way, beside case and blanks."""
    spellings: dict[tuple[str, str | None], set[str]] = {}
    for point in each.touchpoints:
        for type_, raw in point.identifiers.items():
            value = usable_value(type_, raw, each.rules)
            spellings.setdefault((type_, value), set()).add(raw.strip().lower())
    for (type_, value), written in spellings.items():
        yield from {f"one {type_}, two spellings"} if value is not None and len(written) > 1 else ()


def features_of_sessions(found: Answer) -> Iterable[str]:
    """Names of what is said of sessions."""
    for session in found.sessions:
        is_short = session.ended_ms - session.started_ms < found.rules.engaged_ms
        events = {event for event, _ in session.events}
        yield from {"bounce"} if session.is_bounce else ()
        yield from {"not engaged"} if not session.is_engaged else ()
        yield from {"engaged by views"} if session.is_engaged and is_short and not session.orders else ()
        yield from {"two currencies"} if len(session.revenue) > 1 else ()
        yield from {"two campaigns"} if session.first_campaign != session.last_campaign else ()
        yield from {"call without a name"} if events & CALLS else ()
        yield from {"a further event"} if events & set(found.rules.events) else ()
        yield from {"another event"} if "other" in events else ()


def features_of_times(each: World) -> Iterable[str]:
    """Names of what times do."""
    for story in answer(each.touchpoints, each.rules).stories:
        points = story.person.touchpoints
        for a, b in pairwise(points):
            gap_ms = occurred_ms(b, each.rules) - occurred_ms(a, each.rules)
            yield {0: "one instant", 1_800_000: "edge of a session", 1_800_001: "one ms past a session"}.get(
                gap_ms, "other gap"
            )
            yield from {"out of order"} if arrived_ms(b) < arrived_ms(a) else ()
        for point in points:
            yield from {"late"} if is_late(point, each.rules) else ()
            yield from {"clock ahead"} if point.occurred_ms > point.arrival_ms else ()
        yield from {"orders of two channels"} if len({t.channel for t in points if t.order_id}) > 1 else ()


def features_of_knowledge(each: World, found: Answer) -> Iterable[str]:
    """Names of what changes as more is known: merges, actions that were right once and no longer are."""
    rules, points = each.rules, each.touchpoints
    final = {action.opened_by for action in found.actions}
    openers = {story.person.root: {e.opened_by for e in story.episodes} for story in found.stories}
    for clock_ms in each.ticks_ms:
        known = [t for t in points if arrived_ms(t, rules) <= clock_ms]
        then = answer(known, rules)
        yield from {"merge"} if {s.person.root for s in then.stories} - openers.keys() else ()
        lost = {e.opened_by for e in then.episodes} - {o for each in openers.values() for o in each}
        yield from {"merge of carts"} if lost else ()
        for action in expected_as_of(known, clock_ms, rules):
            yield from {"cancelled"} if action.opened_by not in final else ()
