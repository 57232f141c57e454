"""Browses of one person in the core are those of the oracle: when each is due, what was looked at, what recovers it."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.core.browses import Browse, folded, is_shifted_by, step_of
from streams.core.carts import PURCHASED, is_moved_by
from streams.core.rules import Rules
from streams.core.shapes import CartEntry
from tests.oracle import browses as oracle
from tests.oracle.rules import HOUR_MS, MINUTE_MS
from tests.oracle.rules import Rules as OracleRules
from tests.oracle.touchpoints import Item, Touchpoint, position
from tests.properties.days import days, remembered

EVENTS = (
    *("Page Viewed",) * 3,
    *("Product Viewed",) * 6,
    *("Product Added", "Product Removed", "Cart Updated", "Order Completed", "Payment Failed"),
)

some_rules = st.builds(
    OracleRules,
    browse_views=st.sampled_from([1, 2, 3]),
    recovery_ms=st.sampled_from([HOUR_MS, 3 * HOUR_MS]),
    keeps_leftovers=st.booleans(),
)


@given(days(EVENTS), some_rules)
@settings(max_examples=250)
def test_browses_are_the_oracles(day: list[Touchpoint], rules: OracleRules) -> None:
    """Seen to fail with each of these left out: the silence itself, the cart, the window after a view, its order."""
    expected = [
        (b.opened_by, b.due_ms, b.caused_by, b.items, b.order.occurred_ms if b.order else None)
        for b in oracle.browses_of(day, rules)
        if b.due_ms is not None
    ]
    assert [said for said in map(_said, *_browses(day, _core(rules))) if said is not None] == expected


@given(days(EVENTS), some_rules, st.data())
@settings(max_examples=250)
def test_what_does_not_shift_a_browse_changes_nothing(
    day: list[Touchpoint], rules: OracleRules, data: st.DataObject
) -> None:
    """A touchpoint that views nothing, and comes late: if it shifts no browse and no cart, no browse is otherwise.

    Seen to fail where it is only asked about browses: a cart expires later then, and what was viewed is none.
    """
    core = _core(rules)
    at_ms = data.draw(st.integers(0, 20)) * 15 * MINUTE_MS
    late = Touchpoint("late", "Page Viewed", at_ms, at_ms, at_ms, {"user_id": "1"})
    before = _browses(day, core)
    is_moved = any(is_moved_by(episode, at_ms, core) for episode in folded(*remembered(day), core)[0])
    is_shifted = any(is_shifted_by(browse, at_ms, core) for browse in before[0])
    if position(late) < position(day[-1]) and not is_moved and not is_shifted:
        after = _browses(sorted([*day, late], key=position), core)
        assert list(map(_said, *after)) == list(map(_said, *before))


RULES = OracleRules(browse_views=2, recovery_ms=HOUR_MS)


def at(minute: int, event: str = "Product Viewed", *products: str) -> Touchpoint:
    """A touchpoint of the person."""
    at_ms = minute * MINUTE_MS
    items = tuple(Item(product, 1, 5) for product in products)
    return Touchpoint(f"m{minute}", event, at_ms, at_ms, at_ms, {"user_id": "1"}, items=items)


@pytest.mark.parametrize(
    ("day", "due_min"),
    [
        ([at(0)], []),
        ([at(0), at(1)], [31]),
        ([at(0), at(1), at(31)], [61]),
        ([at(0), at(1), at(20, "Page Viewed")], [50]),
        ([at(0), at(40)], [70]),
        ([at(0), at(60)], [90]),
        ([at(0), at(61)], []),
        ([at(0), at(1), at(31, "Product Added", "x")], []),
        ([at(0), at(1), at(32, "Product Added", "x")], [31]),
        ([at(0), at(1), at(31, "Order Completed")], []),
        ([at(0, "Product Added", "x"), at(1), at(2)], []),
        ([at(0, "Product Added", "x"), at(1, "Order Completed"), at(2), at(3)], [33]),
        ([at(0), at(1), at(80), at(91)], [31]),
        ([at(0), at(1), at(92), at(93)], [31, 123]),
    ],
)
def test_when_a_browse_is_due(day: list[Touchpoint], due_min: list[int]) -> None:
    """Half an hour after its owner was seen last, with two views within an hour of each other and nothing in the cart;
    not again before an hour has passed."""
    due = [b.due_ms // MINUTE_MS for b in oracle.browses_of(day, RULES) if b.due_ms is not None]
    assert due == due_min
    said = map(_said, *_browses(day, _core(RULES)))
    assert [of[1] // MINUTE_MS for of in said if of is not None] == due_min


def test_what_was_looked_at() -> None:
    """Each product once, the one that was viewed last at the end, at most twenty."""
    day = [at(minute, "Product Viewed", f"p{minute % 25:02}") for minute in range(27)]
    [browse] = oracle.browses_of(day, RULES)
    products = [f"p{number:02}" for number in (*range(7, 25), 0, 1)]
    assert [item.product_id for item in browse.items] == products
    [found], [entries], [core] = _browses(day, _core(RULES))
    step = step_of(found, entries, core)
    assert step is not None
    assert [item.product_id for item in step[1]] == products


def _core(rules: OracleRules) -> Rules:
    return Rules(
        browse_views=rules.browse_views,
        recovery_ms=rules.recovery_ms,
        leftovers="keep" if rules.keeps_leftovers else "drop",
    )


def _browses(
    day: Sequence[Touchpoint], rules: Rules
) -> tuple[list[Browse], list[list[CartEntry]], list[Rules]]:
    """Browses, and for each of them the entries and rules that it is read with."""
    rows, entries = remembered(day)
    found = folded(rows, entries, rules)[1]
    return found, [entries] * len(found), [rules] * len(found)


def _said(
    browse: Browse, entries: Sequence[CartEntry], rules: Rules
) -> tuple[str, int, str, tuple[Item, ...], int | None] | None:
    step = step_of(browse, entries, rules)
    if step is None:
        return None
    due_ms, held, caused_by = step
    items = tuple(Item(item.product_id, item.quantity, item.price_micros) for item in held)
    return (
        browse.opened_by,
        due_ms,
        caused_by,
        items,
        browse.ended_ms if browse.outcome == PURCHASED else None,
    )
