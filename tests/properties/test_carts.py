"""Carts of one person in the core are those of the oracle: when each is due, the first time and again, and its end."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.core.browses import folded
from streams.core.carts import Episode, is_moved_by, steps_of
from streams.core.rules import Rules
from streams.core.shapes import Item as CoreItem
from tests.oracle import carts as oracle
from tests.oracle.rules import HOUR_MS, MINUTE_MS
from tests.oracle.rules import Rules as OracleRules
from tests.oracle.touchpoints import Item, Touchpoint, position
from tests.properties.days import days, remembered

EVENTS = (
    *("Page Viewed",) * 5,
    *("Product Added", "Product Added", "Product Removed", "Cart Updated", "Order Completed"),
)

Due = list[tuple[int, dict[str, int]]]
"""When an episode is due, and what lies in the cart then."""

some_rules = st.builds(
    OracleRules,
    reminders_ms=st.sampled_from([(), (45 * MINUTE_MS,), (45 * MINUTE_MS, HOUR_MS)]),
    recovery_ms=st.sampled_from([HOUR_MS, 3 * HOUR_MS]),
    keeps_leftovers=st.booleans(),
)


@given(days(EVENTS), some_rules)
@settings(max_examples=250)
def test_carts_are_the_oracles(day: list[Touchpoint], rules: OracleRules) -> None:
    """Seen to fail with each of these left out: the owner's last sign of life, the cart's expiry, its own orders."""
    expected = [
        (e.opened_by, e.status, e.ended_by, [(a.due_ms, _held(a.items)) for a in e.abandonments])
        for e in oracle.episodes_of(day, rules)
    ]
    core = _core(rules)
    found = [(e.opened_by, _status(e), e.ended_by, _due(e, core)) for e in _episodes(day, core)]
    assert found == expected


@given(days(EVENTS), some_rules, st.data())
@settings(max_examples=250)
def test_what_does_not_move_a_cart_changes_nothing(
    day: list[Touchpoint], rules: OracleRules, data: st.DataObject
) -> None:
    """A touchpoint that is not about the cart, and comes late: if it moves no episode, none is otherwise with it.

    Seen to fail where only the first time that a cart is due is looked at.
    """
    core = _core(rules)
    at_ms = data.draw(st.integers(0, 20)) * 15 * MINUTE_MS
    late = Touchpoint("late", "Page Viewed", at_ms, at_ms, at_ms, {"user_id": "1"})
    before = _episodes(day, core)
    if position(late) < position(day[-1]) and not any(is_moved_by(e, at_ms, core) for e in before):
        after = _episodes(sorted([*day, late], key=position), core)
        assert [_due(e, core) for e in after] == [_due(e, core) for e in before]


REMINDING = OracleRules(reminders_ms=(45 * MINUTE_MS,), recovery_ms=HOUR_MS)


def at(minute: int, event: str = "Page Viewed", *products: str) -> Touchpoint:
    """A touchpoint of the person."""
    at_ms = minute * MINUTE_MS
    items = tuple(Item(product) for product in products)
    return Touchpoint(f"m{minute}", event, at_ms, at_ms, at_ms, {"user_id": "1"}, items=items)


@pytest.mark.parametrize(
    ("day", "due_min"),
    [
        ([at(0, "Product Added", "x")], [30, 45]),
        ([at(0, "Product Added", "x"), at(40)], [30, 70]),
        ([at(0, "Product Added", "x"), at(40), at(60)], [30, 90]),
        ([at(0, "Product Added", "x"), at(40), at(61)], [30]),
        ([at(0, "Product Added", "x"), at(40), at(61, "Product Added", "y")], [30, 91]),
        ([at(0, "Product Added", "x"), at(45, "Order Completed", "x")], [30]),
        ([at(0, "Product Added", "x"), at(46, "Order Completed", "x")], [30, 45]),
    ],
)
def test_when_a_cart_is_due_again(day: list[Touchpoint], due_min: list[int]) -> None:
    """At 45 minutes or once its owner is silent again, not if it was bought by then, nor once it has expired, 60
    minutes after it was due or touched."""
    [episode] = oracle.episodes_of(day, REMINDING)
    assert [a.due_ms // MINUTE_MS for a in episode.abandonments] == due_min
    core = _core(REMINDING)
    [found] = _episodes(day, core)
    assert [due_ms // MINUTE_MS for due_ms, _ in _due(found, core)] == due_min


def _core(rules: OracleRules) -> Rules:
    return Rules(
        reminders_ms=rules.reminders_ms,
        recovery_ms=rules.recovery_ms,
        leftovers="keep" if rules.keeps_leftovers else "drop",
    )


def _episodes(day: Sequence[Touchpoint], rules: Rules) -> list[Episode]:
    return folded(*remembered(day), rules)[0]


def _status(episode: Episode) -> str:
    if episode.ended_by is not None:
        return episode.outcome
    return "abandoned"


def _due(episode: Episode, rules: Rules) -> Due:
    return [(due_ms, _held(items)) for due_ms, items, _ in steps_of(episode, rules)]


def _held(items: Sequence[Item] | Sequence[CoreItem]) -> dict[str, int]:
    return {item.product_id: item.quantity for item in items}
