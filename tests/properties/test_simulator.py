"""Laws of the simulator's rules on arbitrary records, and of arbitrary simulated days."""

from __future__ import annotations

import random
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from streams.simulator.compare import compare
from streams.simulator.emit import Simulation
from streams.simulator.options import MINUTE_MS, Options
from streams.simulator.recorder import Entry
from streams.simulator.truth import Rules, judge
from streams.simulator.verdict import Truth
from tests.unit.simulator.build import START_MS, bought, entry, landed

EVENTS = (
    "Product Added",
    "Product Added",
    "Product Removed",
    "Cart Updated",
    "Order Completed",
    "Email Opened",
)
PEOPLE = ("user_id:1", "anonymous_id:a", "user_id:1 anonymous_id:a", "user_id:2", "email:b user_id:2")
ITEMS = st.lists(
    st.tuples(st.sampled_from(("hat", "tie")), st.integers(0, 2), st.integers(1, 9)), max_size=2
).map(tuple)
MINUTES = st.sampled_from((0, 0, 1, 10, 29, 30, 31, 60, 90, 4_400))


@st.composite
def records(draw: st.DrawFn, people: tuple[str, ...] = PEOPLE) -> list[Entry]:
    """Up to a dozen records, each some minutes after the one before."""
    at_min, made = 0.0, []
    for number in range(draw(st.integers(1, 12))):
        at_min += draw(MINUTES)
        delay_min = draw(st.sampled_from((0, 0, 0, 5, 700, 4_321)))
        made.append(
            entry(
                f"m{number}",
                at_min,
                event=draw(st.sampled_from(EVENTS)),
                who=draw(st.sampled_from(people)),
                channel=draw(st.sampled_from(("web", "pos"))),
                items=draw(ITEMS),
                revenue_micros=draw(st.none() | st.integers(0, 9)),
                arrives_min=at_min + delay_min,
            )
        )
    return made


def told(entries: list[Entry]) -> set[tuple[object, ...]]:
    """The profiles in a form that has no order, the late ones among their touchpoints neither."""
    return {
        (profile.identifiers, profile.sessions, frozenset(profile.late), repr(profile.episodes))
        for profile in judge(entries, Rules()).profiles
    }


@given(records(), st.randoms(use_true_random=False))
def test_the_order_of_arrival_changes_nothing(entries: list[Entry], rnd: random.Random) -> None:
    """Who is who, sessions, carts and actions at the end depend on the records alone; copies do not count."""
    shuffled = rnd.sample(entries, k=len(entries)) + entries[:3]
    assert told(shuffled) == told(entries)


@given(records())
def test_every_touchpoint_has_one_place(entries: list[Entry]) -> None:
    """In one session of one person, or late; no identifier belongs to two people."""
    profiles = judge(entries, Rules()).profiles
    placed = [message_id for profile in profiles for message_id in profile.message_ids()]
    assert sorted(placed) == sorted(each.touchpoint.message_id for each in entries)
    identifiers = [identifier for profile in profiles for identifier in profile.identifiers]
    assert len(set(identifiers)) == len(identifiers)


@given(records())
def test_sessions_are_apart_and_hold_together(entries: list[Entry]) -> None:
    """More than the gap lies between two of a person, never more than the gap within one."""
    occurred_ms = {each.touchpoint.message_id: each.touchpoint.occurred_at for each in entries}
    for profile in judge(entries, Rules()).profiles:
        for before, after in pairwise(profile.sessions):
            assert after.started_ms - before.ended_ms > 30 * MINUTE_MS
        for session in profile.sessions:
            times_ms = [occurred_ms[message_id] for message_id in session.touchpoints]
            assert times_ms[0] == session.started_ms
            assert times_ms[-1] == session.ended_ms
            assert all(0 <= late - early <= 30 * MINUTE_MS for early, late in pairwise(times_ms))


@given(records())
def test_an_abandoned_cart_means_silence(entries: list[Entry]) -> None:
    """In the half hour before the due time nobody of that person did anything, and the cart held something."""
    occurred_ms = {each.touchpoint.message_id: each.touchpoint.occurred_at for each in entries}
    for profile in judge(entries, Rules()).profiles:
        times_ms = [occurred_ms[m] for session in profile.sessions for m in session.touchpoints]
        for episode in profile.episodes:
            if (due := episode.abandonment) is not None:
                assert not any(due.due_ms - 30 * MINUTE_MS < at_ms <= due.due_ms for at_ms in times_ms)
                assert due.due_ms - 30 * MINUTE_MS in times_ms
                assert due.items
                assert due.value_micros > 0


@given(records(people=("user_id:1",)), st.integers(1, 30 * MINUTE_MS), st.sampled_from((0, 60, 600)))
def test_a_purchase_in_time_takes_the_action_away(
    entries: list[Entry], after_ms: int, delay_min: int
) -> None:
    """Whichever cart was abandoned: had its owner bought at a till by then, even unheard of for hours, it was not."""
    for episode in judge(entries, Rules()).profiles[0].episodes:
        if episode.abandonment is None:
            continue
        silent_ms = episode.abandonment.due_ms - 30 * MINUTE_MS
        at_min = (silent_ms + after_ms - START_MS) / MINUTE_MS
        purchase = bought("till", at_min, arrives_min=at_min + delay_min)
        (profile,) = judge([*entries, purchase], Rules()).profiles
        settled = next(each for each in profile.episodes if episode.opened_by in each.touchpoints)
        assert settled.status == "purchased"
        assert settled.abandonment is None


@settings(max_examples=15, deadline=None)
@given(
    people=st.integers(2, 12),
    seed=st.integers(0, 10**6),
    hours=st.floats(0.2, 48),
    shared=st.integers(0, 1),
    shares=st.lists(st.floats(0, 0.3), min_size=5, max_size=5),
)
def test_any_day_can_be_simulated_and_agrees_with_itself(
    people: int, seed: int, hours: float, shared: int, shares: list[float]
) -> None:
    """Whatever is asked for: arrival order, counts that add up, and a right warehouse that differs nowhere."""
    late, out_of_order, duplicate, clock_error, dirty = shares
    options = Options(
        people=people,
        seed=seed,
        hours=hours,
        shared_devices=shared,
        late_share=late,
        out_of_order_share=out_of_order,
        duplicate_share=duplicate,
        clock_error_share=clock_error,
        dirty_share=dirty,
    )
    simulation = Simulation(options)
    entries = list(simulation.entries())
    arrivals_ms = [each.arrival_ms for each in entries]
    assert arrivals_ms == sorted(arrivals_ms)
    truth: Truth = simulation.truth()
    assert truth.counts().records == len(entries)
    assert compare(truth, landed(truth).query).is_equal
