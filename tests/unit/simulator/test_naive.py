"""What the usual tool mails: one channel, one key, its own clock; and which mails nobody needed."""

from __future__ import annotations

import pytest

from streams.simulator.naive import Mails, mails_of
from streams.simulator.recorder import Entry
from streams.simulator.truth import Rules, judge
from tests.unit.simulator.build import added, bought, entry

ANN = "user_id:ann anonymous_id:laptop"
PHONE = "anonymous_id:phone"


def naive(*entries: Entry) -> Mails:
    """Of these records, in the order in which they arrive."""
    in_order = sorted(entries, key=lambda each: each.arrival_ms)
    return mails_of(in_order, judge(in_order, Rules()).profiles, Rules())


@pytest.mark.parametrize(
    ("why", "records", "expected"),
    [
        ("nothing in the cart", [entry("a", 0)], Mails(0, 0)),
        ("left", [added("a", 0)], Mails(1, 0)),
        ("bought in the channel in time", [added("a", 0), bought("b", 20)], Mails(1, 1)),
        (
            "bought where the tool sees it",
            [added("a", 0), entry("b", 20, event="Order Completed", revenue_micros=7)],
            Mails(0, 0),
        ),
        ("bought at a till after the mail", [added("a", 0), bought("b", 45)], Mails(1, 0)),
        (
            "bought at a till that uploads later",
            [added("a", 0), bought("b", 20, arrives_min=300)],
            Mails(1, 1),
        ),
        (
            "back within the half hour, then gone",
            [added("a", 0), entry("b", 29), bought("c", 50)],
            Mails(1, 1),
        ),
        (
            "filled twice",
            [
                added("a", 0),
                entry("b", 60, event="Order Completed", revenue_micros=7),
                added("c", 61),
            ],
            Mails(2, 0),
        ),
        ("one mail a cart", [added("a", 0), entry("b", 60), added("c", 120)], Mails(1, 0)),
        (
            "two keys of one person are two carts to the tool",
            [added("a", 0, who=ANN), added("b", 1, who="anonymous_id:laptop"), bought("c", 5, who=ANN)],
            Mails(2, 2),
        ),
        ("somebody else's purchase", [added("a", 0), bought("b", 5, who="user_id:2")], Mails(1, 0)),
    ],
)
def test_mails_of_the_usual_tool(why: str, records: list[Entry], expected: Mails) -> None:
    """Needless are those whose cart was bought or emptied, in whatever channel, before they went out."""
    assert naive(*records) == expected, why


def test_a_copy_changes_nothing() -> None:
    """The tool counts a message once: else the copy would look like somebody coming back."""
    first = added("a", 0)
    copy = Entry(first.arrival_ms + 60_000 * 25, first.touchpoint, first.face, first.key, True)
    assert naive(first, copy, bought("b", 40)) == Mails(1, 0)
