"""Who is one person after somebody has decided about identifiers. Times in minutes, as in `build`."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import replace

from tests.oracle.acts import Act
from tests.oracle.persons import Person, persons_of
from tests.oracle.rules import DEFAULT, MINUTE_MS, Rules
from tests.oracle.touchpoints import Touchpoint
from tests.unit.oracle.build import touchpoint

TABLET = [
    touchpoint("dad", 1, who="user_id:dad device_id:tablet"),
    touchpoint("mail", 2, who="user_id:dad email:d"),
    touchpoint("alone", 3, who="device_id:tablet"),
    touchpoint("news", 4, who="email:d device_id:tablet"),
]


def act(
    kind: str, who: str, at_min: float, *, into: str | None = None, arrives_min: float | None = None
) -> Act:
    """`who` is one or more `type:value`, parted by spaces; it arrives when it is done unless said."""
    acted_ms = round(at_min * MINUTE_MS)
    arrival_ms = acted_ms if arrives_min is None else round(arrives_min * MINUTE_MS)
    return Act(f"{kind} {who} {at_min}", kind, tuple(who.split()), acted_ms, arrival_ms, into)


def people(points: Sequence[Touchpoint], acts: Iterable[Act], rules: Rules = DEFAULT) -> tuple[Person, ...]:
    """The persons, whatever the order touchpoints and acts are given in."""
    given, done = list(points), list(acts)
    found = persons_of(given, rules, done)
    for _ in range(10):
        random.shuffle(given)
        random.shuffle(done)
        assert {p.identifiers: p.touchpoints for p in persons_of(given, rules, done)} == {
            p.identifiers: p.touchpoints for p in found
        }
    return found


def groups(points: Sequence[Touchpoint], *acts: Act, rules: Rules = DEFAULT) -> set[frozenset[str]]:
    """The identifiers of each person."""
    return {person.identifiers for person in people(points, acts, rules)}


def persons(*members: str) -> set[frozenset[str]]:
    """One person each, with the identifiers in it, parted by spaces."""
    return {frozenset(each.split()) for each in members}


def test_a_merge_makes_two_accounts_one_person() -> None:
    """Two accounts are never one by what is seen; by an act they are, and count as one from then on."""
    seen = [
        touchpoint("m1", 1, who="user_id:old email:e"),
        touchpoint("m2", 2, who="user_id:new device_id:d"),
        touchpoint("m3", 3, who="user_id:third device_id:d"),
    ]
    for kind in ("merge", "alias"):
        joined = act(kind, "user_id:old", 9, into="user_id: new ")
        assert groups(seen, joined) == persons("user_id:new user_id:old email:e device_id:d", "user_id:third")


def test_other_limits_hold() -> None:
    """Both have a loyalty card: the later link of a card does not count, unless an act makes the cards one as well."""
    seen = [
        touchpoint("m1", 1, who="user_id:1 loyalty_id:1"),
        touchpoint("m2", 2, who="user_id:2 loyalty_id:2"),
        touchpoint("m3", 3, who="loyalty_id:2"),
    ]
    users = act("merge", "user_id:2", 9, into="user_id:1")
    assert groups(seen, users) == persons("user_id:1 user_id:2 loyalty_id:1", "loyalty_id:2")
    cards = act("merge", "loyalty_id:2", 10, into="loyalty_id:1")
    assert groups(seen, users, cards) == persons("user_id:1 user_id:2 loyalty_id:1 loyalty_id:2")


def test_an_act_is_better_than_what_was_seen_first() -> None:
    """An address that an act gives to an account is not the one's who had it before."""
    seen = [touchpoint("m1", 1, who="user_id:1 email:e"), touchpoint("m2", 2, who="user_id:2")]
    assert groups(seen, act("merge", "email:e", 9, into="user_id:2")) == persons(
        "user_id:1", "user_id:2 email:e"
    )


def test_a_split_takes_identifiers_off_with_what_came_through_them() -> None:
    """What was seen before does not link any more; what else the others were seen with still does."""
    found = people(TABLET, [act("split", "device_id:tablet", 9)])
    assert {p.identifiers: [t.message_id for t in p.touchpoints] for p in found} == {
        frozenset({"user_id:dad", "email:d"}): ["dad", "mail", "news"],
        frozenset({"device_id:tablet"}): ["alone"],
    }
    assert groups(TABLET, act("split", "user_id:dad", 9)) == persons(
        "user_id:dad", "email:d device_id:tablet"
    )


def test_those_split_off_together_are_one_person() -> None:
    """Even if they were seen only with somebody who stays."""
    assert groups(TABLET[:3], act("split", "device_id:tablet email:d", 9)) == persons(
        "user_id:dad", "email:d device_id:tablet"
    )


def test_what_is_seen_together_after_a_split_links_anew() -> None:
    """A split is no wall; that a touchpoint from before arrives late changes nothing."""
    late = touchpoint("late", 4, who="user_id:dad device_id:tablet", arrives_min=99)
    split = act("split", "device_id:tablet", 9)
    assert groups([*TABLET, late], split) == persons("user_id:dad email:d", "device_id:tablet")
    again = touchpoint("again", 9, who="user_id:dad device_id:tablet")
    assert groups([*TABLET, again], split) == persons("user_id:dad email:d device_id:tablet")


def test_a_split_undoes_an_earlier_merge_and_not_a_later_one() -> None:
    """Accounts that were merged and split again are two once more."""
    seen = [touchpoint("m1", 1, who="user_id:1"), touchpoint("m2", 2, who="user_id:2")]
    device = [
        touchpoint("m3", 10, who="user_id:1 device_id:d"),
        touchpoint("m4", 11, who="user_id:2 device_id:d"),
    ]
    merge, split = act("merge", "user_id:2", 5, into="user_id:1"), act("split", "user_id:2", 6)
    assert groups([*seen, *device], merge, split) == persons("user_id:1 device_id:d", "user_id:2")
    again = act("merge", "user_id:1", 7, into="user_id:2")
    assert groups(seen, merge, split, again) == persons("user_id:1 user_id:2")


def test_a_blocked_identifier_identifies_nobody() -> None:
    """It lets go of whom it linked; from then on a touchpoint is that of its next identifier."""
    seen = [
        touchpoint("m1", 1, who="user_id:1 phone:p"),
        touchpoint("m2", 2, who="phone:p device_id:d"),
        touchpoint("m3", 20, who="phone:p device_id:d"),
        touchpoint("m4", 21, who="phone:p"),
    ]
    found = people(seen, [act("block", "phone:p", 9)])
    assert {p.identifiers: [t.message_id for t in p.touchpoints] for p in found} == {
        frozenset({"user_id:1"}): ["m1"],
        frozenset({"phone:p"}): ["m2", "m4"],
        frozenset({"device_id:d"}): ["m3"],
    }


def test_of_block_and_allow_the_later_holds() -> None:
    """After an allow it links anew; what it had let go of stays where it is."""
    seen = [
        touchpoint("m1", 1, who="user_id:1 phone:p"),
        touchpoint("m2", 10, who="user_id:2 phone:p"),
        touchpoint("m3", 30, who="user_id:3 phone:p"),
    ]
    block, allow = act("block", "phone:p", 9), act("allow", "phone:p", 20)
    assert groups(seen, block, allow) == persons("user_id:1", "user_id:2", "user_id:3 phone:p")
    assert groups(seen, act("allow", "phone:p", 8)) == persons("user_id:1 phone:p", "user_id:2", "user_id:3")
    blocked = persons("user_id:1", "user_id:2", "user_id:3")
    assert groups(seen, block, allow, act("block", "phone:p", 40)) == blocked | persons()


def test_what_is_no_act_changes_nothing() -> None:
    """An identifier that is none, or a merge into itself; an act that comes twice counts once, when it first came."""
    wrong = [
        act("block", "device_id:null user_id:dad", 9),
        act("block", "colour:red", 9),
        act("merge", "user_id:dad", 9, into="user_id: dad"),
    ]
    assert groups(TABLET, *wrong) == persons("user_id:dad email:d device_id:tablet")
    split = act("split", "device_id:tablet", 9, arrives_min=8)
    late = replace(split, arrival_ms=99 * MINUTE_MS)
    again = touchpoint("again", 8.5, who="user_id:dad device_id:tablet")
    assert groups([*TABLET, again], split, late) == persons("user_id:dad email:d device_id:tablet")
