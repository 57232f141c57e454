"""The simulator's rules on hand-made records, and against the oracle on whole days."""

from __future__ import annotations

import pytest

from streams.simulator.emit import Simulation
from streams.simulator.encoding import as_record
from streams.simulator.options import HOUR_MS, MINUTE_MS, Options
from streams.simulator.recorder import Entry
from streams.simulator.truth import Abandonment, Profile, Rules, judge
from tests.oracle.touchpoints import from_record
from tests.oracle.world import Story, answer
from tests.unit.simulator.build import START_MS, added, bought, entry

DUE_MS = START_MS + 30 * MINUTE_MS


def only_profile(*entries: Entry) -> Profile:
    """Of records that all belong to one person."""
    (profile,) = judge(entries, Rules()).profiles
    return profile


def abandonments(*entries: Entry) -> list[Abandonment | None]:
    """One for each episode of the only person."""
    return [episode.abandonment for episode in only_profile(*entries).episodes]


def test_people_are_what_records_link() -> None:
    """Who is shown together is one person; each profile that is given up for that is a merge."""
    records = [
        entry("m1", 0, who="anonymous_id:a"),
        entry("m2", 1, who="email:x@y"),
        entry("m3", 2, who="anonymous_id:b"),
        entry("m4", 3, who="email:x@y anonymous_id:a"),
    ]
    judged = judge(records, Rules())
    people = {profile.identifiers: sorted(profile.message_ids()) for profile in judged.profiles}
    assert people == {("anonymous_id:a", "email:x@y"): ["m1", "m2", "m4"], ("anonymous_id:b",): ["m3"]}
    assert judged.merges == 1


def test_a_first_login_is_a_merge() -> None:
    """The account begins a profile, the anonymous one goes into it; a weaker identifier that is new does not."""
    visits = [entry("m1", 0, who="anonymous_id:a"), entry("m2", 1, who="user_id:1 anonymous_id:a")]
    known = [entry("m1", 0, who="user_id:1"), entry("m2", 1, who="user_id:1 anonymous_id:a")]
    assert judge(visits, Rules()).merges == 1
    assert judge(known, Rules()).merges == 0


def test_copies_count_once() -> None:
    """The same message id again is no touchpoint."""
    first = added("m1", 0)
    judged = judge([first, first], Rules())
    assert judged.duplicates == 1
    assert [list(profile.message_ids()) for profile in judged.profiles] == [["m1"]]
    assert judged.profiles[0].episodes[0].abandonment == Abandonment(DUE_MS, {"hat": 1}, 5, "due", None)


def test_the_gap_belongs_to_the_session() -> None:
    """30 minutes of silence keep a session together, a millisecond more parts it."""
    together = only_profile(entry("m1", 0), entry("m2", 30))
    apart = only_profile(entry("m1", 0), entry("m2", 30 + 1 / MINUTE_MS))
    assert [session.touchpoints for session in together.sessions] == [("m1", "m2")]
    assert [session.touchpoints for session in apart.sessions] == [("m1",), ("m2",)]


@pytest.mark.parametrize("minute", [0.001, 15, 30])
def test_a_purchase_at_the_till_in_time_leaves_nothing_abandoned(minute: float) -> None:
    """Whatever the channel, and however late it arrives."""
    assert abandonments(added("m1", 0), bought("m2", minute, arrives_min=600)) == [None]


def test_a_purchase_after_the_action_recovers_within_72_hours() -> None:
    """Counted from the due time, bound included."""
    recovered = Abandonment(DUE_MS, {"hat": 1}, 5, "recovered", 7)
    missed = Abandonment(DUE_MS, {"hat": 1}, 5, "due", None)
    last_min = 30 + 72 * 60
    assert abandonments(added("m1", 0), bought("m2", 31)) == [recovered]
    assert abandonments(added("m1", 0), bought("m2", last_min)) == [recovered]
    assert abandonments(added("m1", 0), bought("m2", last_min + 1)) == [missed]


def test_any_touchpoint_is_activity() -> None:
    """An opened mail puts the due time off; the cart and its value are those of the last sign of life."""
    abandoned = Abandonment(DUE_MS + 20 * MINUTE_MS, {"hat": 1}, 5, "due", None)
    assert abandonments(added("m1", 0), entry("m2", 20, event="Email Opened", channel="email")) == [abandoned]


def test_carts_follow_their_events() -> None:
    """Added adds, the latest price counts, removed takes away, updated replaces, and an empty cart ends it."""
    profile = only_profile(
        entry("m1", 0, event="Product Added", items=(("hat", 2, 5), ("tie", 1, 3))),
        entry("m2", 1, event="Product Added", items=(("hat", 1, 4),)),
        entry("m3", 2, event="Product Removed", items=(("tie", 1, 3), ("sock", 1, 9))),
        entry("m4", 60, event="Cart Updated", items=(("cap", 1, 8), ("tie", 0, 3))),
        entry("m5", 61, event="Product Removed", items=(("cap", 1, 8),)),
        added("m6", 62),
    )
    first, second = profile.episodes
    assert (first.status, first.touchpoints) == ("emptied", ("m1", "m2", "m3", "m4", "m5"))
    assert first.abandonment == Abandonment(DUE_MS + 2 * MINUTE_MS, {"hat": 3}, 12, "due", None)
    assert (second.status, second.opened_by) == ("open", "m6")


def test_impossible_clocks_follow_the_rules() -> None:
    """The future is clamped to the arrival; more than 72 hours ago is late and takes no part, 72 hours are not."""
    profile = only_profile(
        entry("m1", 600, arrives_min=0),
        entry("m2", -72 * 60 - 1, arrives_min=0),
        entry("m3", -72 * 60, arrives_min=0),
    )
    assert [(session.started_ms, session.touchpoints) for session in profile.sessions] == [
        (START_MS - 72 * HOUR_MS, ("m3",)),
        (START_MS, ("m1",)),
    ]
    assert profile.late == ("m2",)


NASTY = Options(
    people=120,
    seed=11,
    hours=12,
    shared_devices=20,
    bots=1,
    late_share=0.1,
    duplicate_share=0.1,
    clock_error_share=0.02,
    dirty_share=0.1,
    misrouted_share=0.1,
)


@pytest.mark.parametrize("options", [Options(people=150, seed=5), NASTY])
def test_the_truth_of_a_day_is_the_oracles(options: Options) -> None:
    """Two answers that share no code agree on every person, session, cart and action of the same records."""
    simulation = Simulation(options)
    records = [from_record(as_record(each.touchpoint), each.arrival_ms) for each in simulation.entries()]
    told = answer(records)
    assert not told.nobody
    assert {as_told(profile) for profile in simulation.truth().profiles} == set(
        map(as_answered, told.stories)
    )


def as_told(profile: Profile) -> tuple[object, ...]:
    """A profile in a form both sides can take."""
    return (
        profile.identifiers,
        frozenset(profile.late),
        tuple(
            (
                each.touchpoints,
                each.started_ms,
                each.ended_ms,
                each.channels,
                each.orders,
                each.revenue_micros,
            )
            for each in profile.sessions
        ),
        tuple(each.opened_by for each in profile.episodes),
        tuple(
            (episode.opened_by, due.due_ms, due.value_micros, due.status, due.recovered_micros)
            for episode in profile.episodes
            if (due := episode.abandonment) is not None
        ),
    )


def as_answered(story: Story) -> tuple[object, ...]:
    """A story of the oracle in the same form."""
    return (
        tuple(sorted(story.person.identifiers)),
        story.late,
        tuple(
            (each.members, each.started_ms, each.ended_ms, each.channels, each.orders, each.revenue_micros)
            for each in story.sessions
        ),
        tuple(each.opened_by for each in story.episodes),
        tuple(
            (each.opened_by, each.due_ms, each.value_micros, each.status, each.recovered_micros)
            for each in story.actions
        ),
    )


def test_nobody_is_busy_before_the_day_or_after_it() -> None:
    """Event times that count lie within the simulation."""
    options = Options(people=80, hours=3)
    simulation = Simulation(options)
    for _ in simulation.entries():
        pass
    sessions = [session for profile in simulation.truth().profiles for session in profile.sessions]
    assert min(session.started_ms for session in sessions) >= options.start_ms
    assert max(session.ended_ms for session in sessions) < options.end_ms + 7 * HOUR_MS
