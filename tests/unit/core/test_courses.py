"""What a session says happened in it, from records to records of one task."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from streams.core.journal import ENTRY_BYTES
from streams.core.rules import Rules
from streams.core.sessions import Session, session_of
from streams.core.shapes import SessionRow
from streams.core.vocabulary import EVENTS, FIRST_FURTHER, IS_VIEW, ORDERED, OTHER, VIEWS, Vocabulary
from tests.oracle import rules as oracle
from tests.unit.core.records import HOUR_MS, MINUTE_MS, OneTask, act, bought, touchpoint

MAIL = {"source": "mail", "medium": "email", "name": "spring", "term": None, "content": None}
SEARCH = {"source": "search", "medium": None, "name": None, "term": "shoes", "content": None}
COURSE = ("path", "is_path_cut", "events", "first_campaign", "last_campaign")
NOTHING = {"path": [], "is_path_cut": False, "events": {}, "first_campaign": None, "last_campaign": None}


def course(session: dict[str, Any]) -> dict[str, Any]:
    """What a record says happened."""
    return {name: session[name] for name in COURSE}


def standing(task: OneTask) -> list[dict[str, Any]]:
    """Sessions as they stand, by their beginning."""
    found = [s for s in task.latest("sessions", "session_id") if not s["is_retracted"]]
    return sorted(found, key=lambda session: session["started_at"])


def test_what_happened_is_told_once_a_session_is_final() -> None:
    """Until then there is nothing of it; what every revision says is there from the first."""
    task = OneTask()
    task.take(
        touchpoint("1", 0, event="Email Opened", channel="email", campaign=MAIL),
        touchpoint("2", 1_000, event="Home", type="page"),
        touchpoint("3", 2_000, event="Something Else", channel="app", campaign=SEARCH),
        bought("4", 3_000, channel="pos", currency="EUR"),
        bought("5", 4_000, channel="pos"),
    )
    [opened] = standing(task)
    assert course(opened) == NOTHING
    task.tick(HOUR_MS)
    [final] = standing(task)
    for session in (opened, final):
        assert session["revenue"] == {"EUR": 10_000_000, "": 10_000_000}
        assert (session["is_bounce"], session["is_engaged"]) == (False, True)
    assert course(final) == {
        "path": ["email:Email Opened", "web:page", "app:other", "pos:Order Completed", "pos:Order Completed"],
        "is_path_cut": False,
        "events": {"Email Opened": 1, "page": 1, "other": 1, "Order Completed": 2},
        "first_campaign": MAIL,
        "last_campaign": SEARCH,
    }


def test_what_is_forgotten_at_once_is_told_before() -> None:
    """A clock that leaps past all that is remembered ends a session and forgets it in one step.

    Its journal and its campaigns are gone when records are made.
    """
    task = OneTask()
    task.take(touchpoint("1", 0, campaign=MAIL))
    task.tick(400 * HOUR_MS)
    [session] = standing(task)
    assert (session["path"], session["first_campaign"]) == (["web:Page Viewed"], MAIL)
    assert sorted(key for key in task.store if not key.startswith(b"\0")) == [b"anonymous_id:a"]


def test_a_final_session_that_opens_again_has_no_path_until_it_is_final_again() -> None:
    """A late touchpoint in the middle takes its place in the path."""
    task = OneTask()
    task.take(touchpoint("1", 0), touchpoint("3", 10 * MINUTE_MS))
    task.tick(2 * HOUR_MS)
    task.take(touchpoint("2", MINUTE_MS, channel="app", arrives_ms=3 * HOUR_MS, campaign=MAIL))
    assert course(standing(task)[0]) == NOTHING
    task.tick(4 * HOUR_MS)
    [session] = standing(task)
    assert session["path"] == ["web:Page Viewed", "app:Page Viewed", "web:Page Viewed"]
    assert session["last_campaign"] == MAIL


def test_a_retracted_session_says_nothing_of_what_happened() -> None:
    """It was final and had a path; what bridges it away leaves only where it went."""
    task = OneTask()
    task.take(touchpoint("1", 0), touchpoint("3", 50 * MINUTE_MS))
    task.tick(2 * HOUR_MS)
    task.take(touchpoint("2", 25 * MINUTE_MS, arrives_ms=3 * HOUR_MS))
    [gone] = [s for s in task.latest("sessions", "session_id") if s["is_retracted"]]
    assert course(gone) == NOTHING


def test_campaigns_go_with_their_touchpoints() -> None:
    """Two who become one have both in one session; who is taken out takes along what came through it."""
    task = OneTask()
    task.take(
        touchpoint("1", 0, anonymous_id="a", campaign=MAIL),
        touchpoint("2", MINUTE_MS, user_id="7", campaign=SEARCH),
    )
    task.take(touchpoint("3", -MINUTE_MS, arrives_ms=3 * MINUTE_MS, anonymous_id="a", user_id="7"))
    task.tick(2 * HOUR_MS)
    [both] = standing(task)
    assert (both["first_campaign"], both["last_campaign"]) == (MAIL, SEARCH)
    task.take(act("split", "anonymous_id:a", 3 * HOUR_MS))
    task.tick(5 * HOUR_MS)
    stays, leaves = standing(task)
    assert (stays["first_campaign"], stays["last_campaign"]) == (SEARCH, SEARCH)
    assert (leaves["first_campaign"], leaves["last_campaign"]) == (MAIL, MAIL)


def test_an_orders_currency_outlives_its_cart() -> None:
    """Where carts are forgotten before sessions, a session that is worked out anew still knows what was paid in.

    The cart goes 72 h and a second after the order that ends it, the session of that half an hour later. Seen to fail
    where the order is forgotten with the cart.
    """
    task = OneTask(Rules(is_replay=True, recovery_ms=1_000))
    task.take(touchpoint("0", 0, event="Product Added", items=[{"product_id": "p"}]))
    task.take(bought("1", 30 * MINUTE_MS + 500, currency="EUR"), touchpoint("2", 70 * MINUTE_MS))
    task.tick(72 * HOUR_MS + 32 * MINUTE_MS)
    task.take(touchpoint("3", 50 * MINUTE_MS, arrives_ms=72 * HOUR_MS + 33 * MINUTE_MS))
    session = standing(task)[-1]
    assert (session["touchpoints"], session["revenue"]) == (3, {"EUR": 10_000_000})


def test_a_machines_campaigns_have_a_bound() -> None:
    """Beyond it touchpoints land without a session, as beyond the bounds of all touchpoints and of those of carts."""
    task = OneTask(Rules(is_replay=True, most_campaigns=5))
    effects = task.take(*(touchpoint(f"m{n}", n, campaign=MAIL) for n in range(8)))
    assert effects.counts["excess"] == 3


def test_events_of_a_setting_are_told_apart() -> None:
    """By their names; they are no views."""
    task = OneTask(Rules(is_replay=True, events=("Fitting Room Booked",)))
    task.take(*(touchpoint(f"{n}", n, event="Fitting Room Booked", channel="store") for n in range(2)))
    task.tick(HOUR_MS)
    [session] = standing(task)
    assert (session["path"], session["is_engaged"]) == (["store:Fitting Room Booked"] * 2, False)


def test_codes_are_for_ever() -> None:
    """They are in journals: a name keeps its place, and one that becomes standard is known under both its codes."""
    assert (EVENTS[OTHER], EVENTS[ORDERED], EVENTS[4], EVENTS[90]) == (
        "other", "Order Completed", "page", "Survey Answered",
    )  # fmt: skip
    assert len(set(EVENTS)) == len(EVENTS) <= FIRST_FURTHER
    words = Vocabulary(("Fitting Room Booked", "Cart Viewed"))
    assert words.code_of("Fitting Room Booked", "track") == FIRST_FURTHER
    assert words.code_of("Cart Viewed", "track") == EVENTS.index("Cart Viewed")
    assert [words.name_of(code) for code in (128, 129, 255)] == [
        "Fitting Room Booked",
        "Cart Viewed",
        "other",
    ]


def test_pipeline_and_oracle_speak_of_the_same_events() -> None:
    """The oracle has its own list, so that a name lost here is noticed."""
    assert {*EVENTS} - {EVENTS[OTHER]} == oracle.EVENTS | oracle.CALLS
    assert VIEWS == oracle.VIEWS
    assert {EVENTS[code] for code in range(256) if IS_VIEW[code]} == VIEWS


@pytest.mark.parametrize(("orders", "revenue"), [(0, ()), (2, (("", 7),))])
def test_a_session_stored_before_currencies_were_is_read(
    orders: int, revenue: tuple[tuple[str, int], ...]
) -> None:
    """Nine fields: its revenue is of no currency, its views are none."""
    old = (3, 5, 10, 20, 2, b"\0", orders, 7 if orders else 0, True)
    row = msgspec.msgpack.decode(msgspec.msgpack.encode(old), type=SessionRow)
    found = session_of(row)
    assert (found.ended_ms, found.cover_ms, found.views, found.revenue) == (13, 33, 0, revenue)
    assert msgspec.structs.astuple(found.row())[:9] == old


def test_an_entry_has_not_grown() -> None:
    """What is stored of every touchpoint stays 30 bytes; the event is in the byte that said whether it was an order."""
    task = OneTask()
    task.take(touchpoint("1"))
    before = len(task.store[b"anonymous_id:a"])
    task.take(touchpoint("2", 1))
    assert len(task.store[b"anonymous_id:a"]) - before <= ENTRY_BYTES + 2


def test_a_session_is_stored_with_its_views_and_currencies() -> None:
    """What a row says is what was stored."""
    session = Session(1, 2, 3, 4, 5, b"\0\1", 2, 9, False, 3, (("", 4), ("EUR", 5)))
    row = msgspec.msgpack.decode(msgspec.msgpack.encode(session.row()), type=SessionRow)
    assert session_of(row).row() == session.row()
