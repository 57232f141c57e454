"""A perfect landing has no differences; each way of being wrong is found and named."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from tests.oracle.compare import differences
from tests.oracle.landed import (
    ACTIONS,
    CARTS,
    EMISSIONS,
    SESSIONS,
    TOUCHPOINTS,
    Emission,
    Landed,
    LandedAction,
    LandedCart,
    LandedSession,
    LandedTouchpoint,
    read_landed,
)
from tests.oracle.rules import MINUTE_MS
from tests.oracle.world import Answer, answer
from tests.unit.oracle.build import added, ordered, touchpoint

POINTS = [
    added("m1", 0),
    replace(touchpoint("m2", 10, channel="email"), campaign=("mail", "email", "spring", None, None)),
    touchpoint("m3", 100),
    touchpoint("m4", 101, who="user_id:1 device_id:d", arrives_min=100 * 60),
    added("n1", 0, who="user_id:2"),
    ordered("n2", 50, who="user_id:2"),
    added("p1", 0, who="user_id:3"),
    ordered("p2", 20, who="user_id:3", arrives_min=600),
    touchpoint("x", who="user_id:0"),
]
ANSWER = answer(POINTS)


def perfect(expected: Answer) -> Landed:
    """What a faultless run lands: actions decided a minute after due, p1's cancelled later."""
    touchpoints, sessions, carts, actions = [], [], [], []
    for story in expected.stories:
        root = story.person.root
        session_of = {m: s.members[0] for s in story.sessions for m in s.members}
        for t in story.person.touchpoints:
            is_late = t.message_id in story.late
            touchpoints.append(LandedTouchpoint(t.message_id, root, session_of.get(t.message_id), is_late))
        sessions += [
            LandedSession(
                *(s.members[0], root, s.started_ms, s.ended_ms, len(s.members)),
                *(s.channels, s.orders, s.revenue_micros),
                revenue=s.revenue,
                is_bounce=s.is_bounce,
                is_engaged=s.is_engaged,
                path=s.path,
                is_path_cut=s.is_path_cut,
                events=s.events,
                first_campaign=s.first_campaign,
                last_campaign=s.last_campaign,
            )
            for s in story.sessions
        ]
        carts += [LandedCart(root, e.opened_ms, e.status, e.ended_by) for e in story.episodes]
        actions += [
            LandedAction(
                a.opened_by,
                a.opened_by,
                root,
                a.status,
                a.due_ms,
                a.value_micros,
                a.recovered_micros,
                a.step,
                a.trigger,
                a.currency,
            )
            for a in story.actions
        ]
    emissions = [Emission(a.opened_by, a.due_ms + MINUTE_MS) for a in actions]
    return Landed(
        touchpoints=touchpoints,
        sessions=sessions,
        carts=carts,
        actions=[*actions, LandedAction("p1", "p1", "user_id:3", "cancelled", 30 * MINUTE_MS, 5, None)],
        emissions=[*emissions, Emission("p1", 31 * MINUTE_MS)],
    )


def changed(rows: Sequence[Any], key: str, **fields: object) -> list[Any]:
    """The rows with the one that starts with `key` changed."""
    assert any(row[0] == key for row in rows)
    return [row._replace(**fields) if row[0] == key else row for row in rows]


def without(rows: Sequence[Any], key: str) -> list[Any]:
    """The rows without those that start with `key`."""
    assert any(row[0] == key for row in rows)
    return [row for row in rows if row[0] != key]


def test_a_perfect_landing_has_no_differences() -> None:
    """Everything there once and right, with late, cancelled, recovered and nobody's touchpoints."""
    found = differences(ANSWER, perfect(ANSWER))
    assert not found, found
    assert {a.status for a in ANSWER.actions} == {"due", "recovered"}


Change = Callable[[Landed], Landed]


def change(rows: str, key: str, **fields: object) -> Change:
    """One row of that kind has other fields."""
    return lambda landed: replace(landed, **{rows: changed(getattr(landed, rows), key, **fields)})


def lose(rows: str, key: str) -> Change:
    """One row of that kind is not there."""
    return lambda landed: replace(landed, **{rows: without(getattr(landed, rows), key)})


def add(rows: str, row: object) -> Change:
    """A row of that kind comes on top; an index repeats that row."""
    return lambda landed: replace(
        landed,
        **{rows: [*getattr(landed, rows), getattr(landed, rows)[row] if isinstance(row, int) else row]},
    )


MAIL = ("mail", None, None, None, None)
TWIN = LandedAction("twin", "m1", "user_id:1", "due", 40 * MINUTE_MS, 5, None)
WRONG: dict[str, tuple[str, Change]] = {
    "touchpoint lost": ("missing", lose("touchpoints", "m2")),
    "session record lost": ("missing", lose("sessions", "m3")),
    "touchpoint twice": ("duplicate", add("touchpoints", 0)),
    "session twice": ("duplicate", add("sessions", 0)),
    "action twice": ("duplicate", add("actions", 0)),
    "two actions for a cart": ("duplicate", add("actions", TWIN)),
    "other profile": ("wrong", change("touchpoints", "m2", profile="?")),
    "two people as one": ("wrong", change("touchpoints", "n1", profile="user_id:1")),
    "other session": ("wrong", change("touchpoints", "m2", session="m3")),
    "no session": ("wrong", change("touchpoints", "m2", session=None)),
    "late in a session": ("wrong", change("touchpoints", "m4", session="m3")),
    "late in its own session": ("wrong", change("touchpoints", "m4", session="m4")),
    "late and not marked": ("wrong", change("touchpoints", "m4", is_late=False)),
    "nobody's landed": ("wrong", add("touchpoints", LandedTouchpoint("x", "?", None, False))),
    "session of nothing": ("wrong", add("sessions", LandedSession("?", "?", 0, 0, 1, ("web",), 0, 0))),
    "session ends late": ("wrong", change("sessions", "m1", ended_ms=40 * MINUTE_MS)),
    "session starts early": ("wrong", change("sessions", "m1", started_ms=-1)),
    "session counts": ("wrong", change("sessions", "m1", touchpoints=3)),
    "session channels": ("wrong", change("sessions", "m1", channels=("email", "web"))),
    "session orders": ("wrong", change("sessions", "n2", orders=2)),
    "session revenue": ("wrong", change("sessions", "n2", revenue_micros=0)),
    "session currency": ("wrong", change("sessions", "n2", revenue=(("EUR", 7),))),
    "session bounce": ("wrong", change("sessions", "m3", is_bounce=False)),
    "session engaged": ("wrong", change("sessions", "n2", is_engaged=False)),
    "session path": ("wrong", change("sessions", "m1", path=("email:Product Viewed", "web:Product Added"))),
    "session path cut": ("wrong", change("sessions", "m1", is_path_cut=True)),
    "session events": ("wrong", change("sessions", "m1", events=(("Product Added", 2),))),
    "session first campaign": ("wrong", change("sessions", "m1", first_campaign=MAIL)),
    "session last campaign": ("wrong", change("sessions", "m1", last_campaign=None)),
    "path of an open session": ("wrong", change("sessions", "m1", is_final=False)),
    "cart status": ("wrong", change("carts", "user_id:2", status="emptied")),
    "cart lost": ("wrong", lose("carts", "user_id:2")),
    "cart twice": ("wrong", add("carts", 0)),
    "recovered as due": ("wrong", change("actions", "n1", status="due")),
    "due at another time": ("wrong", change("actions", "m1", due_ms=1)),
    "other value": ("wrong", change("actions", "m1", value_micros=6)),
    "other revenue": ("wrong", change("actions", "n1", recovered_micros=8)),
    "action of another": ("wrong", change("actions", "m1", profile="?")),
    "action lost": ("missed_actions", lose("actions", "m1")),
    "action not cancelled": ("false_actions", change("actions", "p1", status="due")),
    "false when decided": ("false_actions", add("emissions", Emission("p1", 600 * MINUTE_MS))),
    "decided too early": ("false_actions", add("emissions", Emission("m1", 29 * MINUTE_MS))),
    "no such cart": ("false_actions", add("emissions", Emission("?", 99 * MINUTE_MS))),
    "cancelled for nothing": ("unjustified_cancellations", change("actions", "m1", status="cancelled")),
}


@pytest.mark.parametrize("name", WRONG)
def test_each_way_of_being_wrong_is_found(name: str) -> None:
    """The count of its kind is above zero and a line says which."""
    kind, damage = WRONG[name]
    found = differences(ANSWER, damage(perfect(ANSWER)))
    assert found.counts()[kind] > 0
    assert any(line.startswith(kind) for line in found.lines)


def test_a_cancelled_twin_is_no_difference() -> None:
    """Two carts that became one have one action that stands; the other is cancelled, whatever opener it names."""
    found = differences(ANSWER, add("actions", TWIN._replace(status="cancelled"))(perfect(ANSWER)))
    assert not found, found


def test_what_was_read_ahead_of_the_clock_may_make_an_action_right() -> None:
    """The order was the device's owner's until it was seen with another account before: that arrives hours later."""
    points = [
        added("d1", 0, who="device_id:d"),
        ordered("d2", 10, who="user_id:1 device_id:d"),
        touchpoint("d3", 5, who="user_id:2 device_id:d", arrives_min=600),
    ]
    expected = answer(points)
    assert [action.opened_by for action in expected.actions] == ["d1"]
    landed = perfect(expected)
    landed = replace(landed, actions=[row for row in landed.actions if row.opened_by == "d1"])
    for decided_min in (60, 600):
        emitted = replace(landed, emissions=[Emission("d1", decided_min * MINUTE_MS)])
        assert not differences(expected, emitted), decided_min
    early = replace(landed, emissions=[Emission("d1", 29 * MINUTE_MS)])
    assert differences(expected, early).counts()["false_actions"] == 1


def test_rows_of_the_warehouse_read_as_landed() -> None:
    """Empty strings of ids are none; everything else is taken as it is."""
    rows: dict[str, list[tuple[Any, ...]]] = {
        TOUCHPOINTS: [("m1", "p", "s", 0), ("m2", "p", None, 1), ("m3", "p", "", 1)],
        SESSIONS: [
            (
                *("s", "p", 1, 2, 3, ["web"], 0, 0, 1, [("EUR", 7)], 0, 1, ["web:page"], 0, [("page", 3)]),
                *([None, None, "spring", None, None], [None] * 5),
            )
        ],
        CARTS: [("p", 1, "open", "")],
        ACTIONS: [("a", "m1", "p", "due", 3, 4, None)],
        EMISSIONS: [("m1", 5)],
    }
    assert read_landed(rows.__getitem__) == Landed(
        touchpoints=[
            LandedTouchpoint("m1", "p", "s", False),
            LandedTouchpoint("m2", "p", None, True),
            LandedTouchpoint("m3", "p", None, True),
        ],
        sessions=[
            LandedSession(
                *("s", "p", 1, 2, 3, ("web",), 0, 0, True, (("EUR", 7),), False, True, ("web:page",), False),
                *((("page", 3),), (None, None, "spring", None, None), None),
            )
        ],
        carts=[LandedCart("p", 1, "open", None)],
        actions=[LandedAction("a", "m1", "p", "due", 3, 4, None)],
        emissions=[Emission("m1", 5)],
    )
