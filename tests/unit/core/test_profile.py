"""Sessions, carts, actions and merges of one task, from records to records."""

from __future__ import annotations

import pytest

from streams.core import claims
from streams.core.actor import Profile
from streams.core.actors import load
from streams.core.messages import Bid, Cause
from streams.core.profile import Profiles
from streams.core.rules import Rules
from tests.unit.core.records import (
    HOUR_MS,
    MINUTE_MS,
    START_MS,
    FakeRecord,
    OneTask,
    added,
    bought,
    touchpoint,
)


def test_a_session_takes_in_the_last_moment_of_its_gap() -> None:
    """A touchpoint covers [t, t + gap], bounds inclusive."""
    task = OneTask()
    task.take(
        touchpoint("1", 0),
        touchpoint("2", 30 * MINUTE_MS),
        touchpoint("3", 60 * MINUTE_MS + 1, channel="app"),
    )
    assert task.sessions() == [(0, 30, 2), (60, 60, 1)]


def test_a_late_touchpoint_bridges_two_sessions_and_one_is_retracted() -> None:
    """Sessions are a function of event times: what bridges two makes one, and says where the other went."""
    task = OneTask()
    task.take(touchpoint("1", 0), touchpoint("2", 50 * MINUTE_MS))
    task.take(touchpoint("3", 25 * MINUTE_MS, arrives_ms=2 * HOUR_MS))
    assert task.sessions() == [(0, 50, 3)]
    [gone] = [s for s in task.latest("sessions", "session_id") if s["is_retracted"]]
    [kept] = [s for s in task.latest("sessions", "session_id") if not s["is_retracted"]]
    assert gone["retracted_into"] == kept["session_id"]


def test_the_gap_is_the_channels() -> None:
    """A channel may have a gap of its own."""
    task = OneTask(Rules(is_replay=True, gaps_ms={"pos": MINUTE_MS}))
    task.take(touchpoint("1", 0, channel="pos"), touchpoint("2", 2 * MINUTE_MS))
    assert task.sessions() == [(0, 0, 1), (2, 2, 1)]


def test_a_duplicate_counts_once_however_it_comes() -> None:
    """The same message_id again, in the batch or a day later, changes nothing."""
    task = OneTask()
    task.take(touchpoint("1", 0), touchpoint("1", 0))
    effects = task.take(touchpoint("1", 0, arrives_ms=24 * HOUR_MS))
    assert effects.counts["duplicates"] == 1
    assert effects.outputs == {}
    assert task.sessions() == [(0, 0, 1)]


def test_nothing_is_decided_while_a_claim_has_no_answer() -> None:
    """Whom it is put to may be waiting for others, for longer than clocks take to go round."""
    profiles, profile = Profiles(Rules(is_replay=True)), Profile(["user_id:u"])
    assert profiles.held_until(profile, 10, now_ms=0) is None
    bid = Bid("device_id:d", "user_id:u", 1, Cause("m", 0, 0, "user_id:u"))
    claims.add(profile.reserved, bid)
    assert profiles.held_until(profile, 10, now_ms=0) == 11
    claims.remove(profile.reserved, bid)
    assert profiles.held_until(profile, 11, now_ms=0) is None


def test_a_copy_of_one_that_came_late_counts_once() -> None:
    """Whatever came is known for 72 h from then, though its session is forgotten 72 h after it ended."""
    task = OneTask()
    task.take(touchpoint("1", 0, arrives_ms=72 * HOUR_MS))
    task.tick(73 * HOUR_MS)
    effects = task.take(touchpoint("1", 0, arrives_ms=143 * HOUR_MS))
    assert effects.counts["duplicates"] == 1
    task.tick(145 * HOUR_MS)
    actor = load("anonymous_id:a", task.store)
    assert actor is not None
    assert actor.profile is not None
    assert actor.profile.late == {}


def test_more_than_72_hours_late_lands_without_a_session() -> None:
    """Late is arrival − occurred > 72 h; it is stitched, marked, and counted once."""
    task = OneTask()
    late = touchpoint("1", 0, arrives_ms=72 * HOUR_MS + 1)
    task.take(late, touchpoint("2", 0, arrives_ms=72 * HOUR_MS))
    task.take(late)
    landed = {
        r["message_id"]: (r["is_late"], r["session_id"] is None) for r in task.said["touchpoints.stitched"]
    }
    assert landed == {"1": (True, True), "2": (False, False)}
    assert len(task.said["touchpoints.stitched"]) == 2


@pytest.mark.parametrize(
    ("occurred_ms", "counts_at"), [(START_MS * 2, START_MS), (START_MS - 5, START_MS - 5)]
)
def test_nothing_occurs_after_it_arrives(occurred_ms: int, counts_at: int) -> None:
    """A clock in the future is clamped to the moment of arrival; one in the past is believed."""
    task = OneTask()
    task.take(touchpoint("1", 0, occurred_at=occurred_ms))
    [session] = task.latest("sessions", "session_id")
    assert session["started_at"] == counts_at


def test_a_cart_left_for_half_an_hour_is_due_once() -> None:
    """The first silence of abandon_after makes one action an episode, after the timer's lateness."""
    task = OneTask()
    task.take(added("1", 0), touchpoint("2", 5 * MINUTE_MS))
    task.tick(35 * MINUTE_MS + 9_999)
    assert task.actions() == []
    task.tick(35 * MINUTE_MS + 10_000)
    [action] = task.said["actions"]
    assert (action["status"], action["due_at"]) == ("due", START_MS + 35 * MINUTE_MS)
    assert (action["value_micros"], action["opened_by"]) == (10_000_000, "1")
    task.take(touchpoint("3", 60 * MINUTE_MS))
    task.tick(5 * HOUR_MS)
    assert len(task.said["actions"]) == 1


def test_a_purchase_in_any_channel_settles_the_cart() -> None:
    """Nobody who bought at the till in time gets an action."""
    task = OneTask()
    task.take(added("1", 0, user_id="7", anonymous_id="a"))
    task.take(bought("2", 30 * MINUTE_MS, user_id="7", channel="pos"))
    task.tick(5 * HOUR_MS)
    assert task.actions() == []


def test_a_late_till_cancels_and_a_later_purchase_recovers() -> None:
    """What turns out settled in time is cancelled under the same id; what is bought afterwards is recovered."""
    late, after = OneTask(), OneTask()
    for task in (late, after):
        task.take(added("1", 0, user_id="7"))
        task.tick(31 * MINUTE_MS)
    late.take(bought("2", 29 * MINUTE_MS, user_id="7", channel="pos", arrives_ms=9 * HOUR_MS))
    after.take(bought("2", 2 * HOUR_MS, user_id="7", channel="pos"))
    assert [a["status"] for a in late.said["actions"]] == ["due", "cancelled"]
    assert len({a["action_id"] for a in late.said["actions"]}) == 1
    [recovered] = after.latest("actions", "action_id")
    assert (recovered["status"], recovered["recovered_micros"]) == ("recovered", 10_000_000)


def test_a_purchase_before_the_timer_fires_is_never_due() -> None:
    """Bought after due, known when it is decided: said as recovered at once, so nobody is written to."""
    task = OneTask()
    task.take(added("1", 0), bought("2", 31 * MINUTE_MS))
    task.tick(5 * HOUR_MS)
    assert [a["status"] for a in task.said["actions"]] == ["recovered"]


def test_an_emptied_cart_is_never_sent_on() -> None:
    """Emptied after it was due, before it was decided: kept for analysis."""
    task = OneTask()
    gone = [{"product_id": "p", "quantity": 1}]
    task.take(added("1", 0), touchpoint("2", 30 * MINUTE_MS + 5_000, event="Product Removed", items=gone))
    task.tick(5 * HOUR_MS)
    assert [(a["status"], a["historical"]) for a in task.said["actions"]] == [("due", True)]


def test_activity_that_arrives_late_moves_the_due_time() -> None:
    """Due is a function of event times: an action decided too early says so itself."""
    task = OneTask()
    task.take(added("1", 0))
    task.tick(31 * MINUTE_MS)
    task.take(touchpoint("2", 20 * MINUTE_MS, arrives_ms=40 * MINUTE_MS))
    [action] = task.latest("actions", "action_id")
    assert action["due_at"] == START_MS + 50 * MINUTE_MS


def test_a_login_brings_the_cart_to_the_person() -> None:
    """A merge joins sessions and carts, and takes back what was decided without it."""
    task = OneTask()
    task.take(added("1", 0, anonymous_id="phone"), bought("2", 10 * MINUTE_MS, user_id="7", channel="pos"))
    task.tick(31 * MINUTE_MS)
    assert task.actions() == ["due"]
    task.take(touchpoint("3", 60 * MINUTE_MS, anonymous_id="phone", user_id="7"))
    assert task.actions() == ["cancelled"]
    assert task.sessions() == [(0, 10, 2), (60, 60, 1)]
    roots = {record["identifier"]: record["root"] for record in task.said["identities"]}
    assert roots == {"anonymous_id:phone": "user_id:7", "user_id:7": "user_id:7"}


def test_timers_survive_a_restart() -> None:
    """Timers are data of the actors: a new owner finds them in the state."""
    task = OneTask()
    task.take(added("1", 0))
    task.restart()
    task.tick(31 * MINUTE_MS)
    assert task.actions() == ["due"]


def test_everything_is_forgotten_in_the_end() -> None:
    """Once no record can change it any more, nothing of a touchpoint stays but who belongs to whom."""
    task = OneTask()
    task.take(added("1", 0, anonymous_id="a", user_id="7"), touchpoint("2", HOUR_MS, user_id="7"))
    task.take(*(touchpoint(f"v{i}", i * HOUR_MS, user_id="7") for i in range(50)))
    task.take(touchpoint("late", 0, arrives_ms=90 * HOUR_MS, user_id="7"))
    for hours in range(60, 400, 20):
        task.tick(hours * HOUR_MS)
    assert sorted(key for key in task.store if not key.startswith(b"\0")) == [b"anonymous_id:a", b"user_id:7"]
    assert len(task.store[b"user_id:7"]) <= 100


def test_a_record_that_fails_goes_whole_and_alone() -> None:
    """Bad records are dead letters with a reason, their bytes untouched; neighbours are processed."""
    good = touchpoint("1")
    assert good.value is not None
    cases: dict[str, list[bytes | None]] = {
        "unreadable": [b"", b"\0\0", b"\xff" * 40, good.value[:-3], good.value + b"x", None],
        "unknown_schema": [b"\0\0\0\0\x09" + good.value[5:]],
        "no_identifier": [touchpoint("2", email=" NULL ").value, touchpoint("3", user_id="000-0").value],
        "too_large": [b"\0\0\0\0\x64" + bytes(983_040)],
    }
    web_as_pos = b"\0\0\0\0\x66" + good.value[5:]
    cases["wrong_type"] = [web_as_pos]
    for reason, values in cases.items():
        for value in values:
            task = OneTask()
            effects = task.take(touchpoint("before"), FakeRecord(value), touchpoint("after"))
            assert [(dead.reason, dead.record.value) for dead in effects.dead] == [(reason, value)]
            assert [r["message_id"] for r in task.said["touchpoints.stitched"]] in (
                ["before", "after"],
                ["after", "before"],
            )


def test_identifiers_that_identify_nobody_are_counted_by_type() -> None:
    """The touchpoint lives on by its others; each record counts, remembered or not, a dead letter too."""
    task = OneTask()
    first = task.take(
        touchpoint("1", user_id="7", email="NULL", phone="000"),
        touchpoint("2", user_id="8", email="null"),
        touchpoint("3", email="Test@shop.example"),
        touchpoint("4", user_id="7"),
    )
    again = task.take(touchpoint("5", user_id="7", email="NULL", phone="000"))
    assert (first.counts["blocked:email"], first.counts["blocked:phone"], len(first.dead)) == (3, 1, 1)
    assert (again.counts["blocked:email"], again.counts["blocked:phone"]) == (1, 1)
    assert [key for key in task.store if b"email" in key or b"phone" in key] == []
    assert task.take(touchpoint("6", user_id="7", email="null"), FakeRecord(b"")).counts["blocked:email"] == 1


def test_a_failure_in_the_middle_of_a_record_leaves_no_trace() -> None:
    """A record that breaks the code half-way is taken out, and the batch is done again from committed state."""
    task, clean = OneTask(), OneTask()
    profiles = task.step._profiles
    # The gap of a session is looked up when the touchpoint is in the journal already: of the web alone there is one.
    profiles._gaps_ms = profiles._gaps_ms[:1]
    bad = added("bad", 1, channel="app", user_id="9", anonymous_id="a")
    effects = task.take(touchpoint("1", 0), bad, touchpoint("2", 2))
    clean.take(touchpoint("1", 0), touchpoint("2", 2))
    assert [dead.reason for dead in effects.dead] == ["failed"]
    assert task.store == clean.store


def test_a_restart_finds_its_timers_without_reading_profiles() -> None:
    """When an actor next has something to do stands first in its head; held and idle ones are found alike."""
    kept, restarted = OneTask(), OneTask()
    for task in (kept, restarted):
        task.take(added("1", 0), touchpoint("2", MINUTE_MS, user_id="8"), touchpoint("3", 0, user_id="9"))
        if task is restarted:
            task.restart()
        for minutes in (32, 62, 100, 80 * 60, 200 * 60):
            task.tick(minutes * MINUTE_MS)
    assert kept.actions() == ["due"]
    assert restarted.said == kept.said
    assert restarted.store == kept.store


@pytest.mark.parametrize("pause_ms", [0, 31 * MINUTE_MS])
def test_a_journal_of_thousands_changes_little(pause_ms: int) -> None:
    """A touchpoint of a profile with 10,000 in its window writes what it changed, not everything.

    In one long session and in a hundred: sessions that are written whole with every touchpoint take 4,800 bytes.
    """
    task = OneTask()
    times = [i * 10_000 + i // 100 * pause_ms for i in range(10_000)]
    task.take(*(touchpoint(f"v{i}", at_ms) for i, at_ms in enumerate(times)))
    sizes = []
    for i in range(40):
        effects = task.take(touchpoint(f"w{i}", times[-1] + 1 + i))
        changes = [change for change in effects.changes if change[0] != b"\0clocks"]
        sizes.append(sum(len(key) + len(value or b"") for key, value in changes))
    assert max(sizes) <= 600


def test_a_machines_touchpoints_land_and_bloat_nothing() -> None:
    """Beyond a bound, touchpoints of one profile are stitched and landed without a session; state stops growing."""
    rules = Rules(is_replay=True, most_touchpoints=50)
    task = OneTask(rules)
    task.take(*(touchpoint(f"b{i}", i * 1_000) for i in range(50)))
    held = sum(map(len, task.store.values()))
    effects = task.take(*(touchpoint(f"c{i}", 50_000 + i) for i in range(200)), touchpoint("b7", 7_000))
    assert effects.counts["excess"] == 200
    assert effects.counts["duplicates"] == 1
    assert len(task.said["touchpoints.stitched"]) == 250
    assert [r["session_id"] for r in task.said["touchpoints.stitched"][50:]] == [None] * 200
    assert sum(map(len, task.store.values())) <= held + 50


def test_a_cart_that_lay_for_days_is_a_new_one() -> None:
    """72 h after it was due a cart has expired, whether or not the clock has got that far."""
    for hours_ticked in (None, 71, 99):
        task = OneTask()
        task.take(added("1", 0))
        if hours_ticked:
            task.tick(hours_ticked * HOUR_MS)
        task.take(bought("2", 72 * HOUR_MS + 30 * MINUTE_MS + 1, arrives_ms=100 * HOUR_MS))
        task.take(added("3", 73 * HOUR_MS, arrives_ms=100 * HOUR_MS))
        task.tick(400 * HOUR_MS)
        assert task.actions() == ["due", "due"]
        assert [cart["status"] for cart in task.latest("carts", "episode_id")] == ["abandoned", "abandoned"]
        assert [action["historical"] for action in task.latest("actions", "action_id")] == [False, True]


def test_a_touchpoint_of_a_past_that_ticks_have_ended_lands_without_a_session() -> None:
    """Ticks that come before the records they stand for are a feeder's mistake: it costs those their sessions, no more.

    Seen to fail, with a worker that ends, where a session is taken for granted.
    """
    task = OneTask(Rules(is_replay=True, gaps_ms={"email": MINUTE_MS}))
    task.take(touchpoint("1", 0, channel="email"), touchpoint("2", 10 * MINUTE_MS))
    task.tick(72 * HOUR_MS + 10 * MINUTE_MS)
    task.take(touchpoint("3", -MINUTE_MS, arrives_ms=71 * HOUR_MS))
    landed = {row["message_id"]: row["session_id"] for row in task.said["touchpoints.stitched"]}
    assert landed["3"] is None
    assert len({landed["1"], landed["2"]}) == 2
