"""What a set of acts says, whatever order they are known in."""

from __future__ import annotations

from itertools import permutations

import pytest

from streams.core.decided import accounts, epoch_of, is_blocked, is_kept, joined, parting, taken_back
from streams.core.limits import Limits
from streams.core.messages import Act
from streams.core.rules import Rules

LIMITS = Limits(Rules())


def act(kind: str, who: str, at_ms: int, *, into: str = "", number: int = 0) -> Act:
    """An act about identifiers, parted by spaces."""
    return Act(f"{kind} {who} {at_ms}", kind, tuple(who.split()), into, at_ms, at_ms, -1 - number, "ann", "")


SPLIT = act("split", "email:e device_id:d", 5)
BLOCK, ALLOW = act("block", "phone:p", 5), act("allow", "phone:p", 9)


@pytest.mark.parametrize(
    ("one", "other", "at_ms", "by"),
    [
        ("email:e", "user_id:1", 4, SPLIT),
        ("user_id:1", "device_id:d", 4, SPLIT),
        ("email:e", "device_id:d", 4, None),
        ("user_id:1", "user_id:2", 4, None),
        ("email:e", "user_id:1", 5, None),
        ("phone:p", "user_id:1", 4, BLOCK),
        ("user_id:1", "phone:p", 5, BLOCK),
        ("user_id:1", "phone:p", 8, BLOCK),
        ("user_id:1", "phone:p", 9, None),
    ],
)
def test_what_parts_two(one: str, other: str, at_ms: int, by: Act | None) -> None:
    """A split or block after the link, or a block that holds; not a split that both are named in, nor an allow."""
    for order in permutations([SPLIT, BLOCK, ALLOW]):
        assert parting(joined([], order), one, other, at_ms, (one, other)) == by


def test_a_block_of_somebody_unknown_may_have_been_taken_back() -> None:
    """Whether it holds is not said of an identifier whose acts may be elsewhere; that it came later is."""
    assert parting([BLOCK], "user_id:1", "phone:p", 6, ("user_id:1",)) is None
    assert parting([BLOCK], "user_id:1", "phone:p", 4, ("user_id:1",)) == BLOCK


def test_of_two_acts_at_once_the_same_holds_everywhere() -> None:
    """The digest decides."""
    both = [act("block", "phone:p", 5, number=1), act("allow", "phone:p", 5, number=2)]
    assert is_blocked(joined([], both), "phone:p", 5)
    assert is_blocked(joined([], reversed(both)), "phone:p", 5)


def test_an_act_is_kept_once() -> None:
    """And nothing is made anew where nothing is."""
    acts = joined([], [SPLIT, SPLIT])
    assert acts == [SPLIT]
    assert joined(acts, [SPLIT]) is acts


def test_names_of_one_account_have_one_name() -> None:
    """Of a type that a person has at most one of; until a split or block takes that back."""
    acts = [
        act("merge", "user_id:b email:e", 1, into="user_id:a"),
        act("alias", "user_id:c", 2, into="user_id:b"),
        act("merge", "email:f", 2, into="email:e"),
        act("merge", "user_id:y", 3, into="user_id:x"),
    ]
    one = dict.fromkeys(("user_id:a", "user_id:b", "user_id:c"), "user_id:a")
    two = dict.fromkeys(("user_id:x", "user_id:y"), "user_id:x")
    for order in permutations(acts):
        assert accounts(joined([], order), LIMITS) == one | two
    taken_back = joined(acts, [act("split", "user_id:c", 4)])
    assert accounts(taken_back, LIMITS) == dict.fromkeys(("user_id:a", "user_id:b"), "user_id:a") | two


def test_what_only_links_is_not_kept() -> None:
    """The link is; names of one account are needed for counting them."""
    kept = [
        act("split", "email:e", 1),
        act("allow", "email:e", 1),
        act("merge", "user_id:b", 1, into="user_id:a"),
    ]
    assert [is_kept(each, LIMITS) for each in kept] == [True, True, True]
    assert not is_kept(act("alias", "anonymous_id:c", 1, into="user_id:a"), LIMITS)
    assert not is_kept(act("merge", "email:f", 1, into="email:e"), LIMITS)


def test_an_epoch_is_how_often_one_was_split_off() -> None:
    """Whatever else was decided."""
    acts = [SPLIT, BLOCK, act("split", "email:e", 7)]
    assert [epoch_of(acts, name) for name in ("email:e", "device_id:d", "phone:p")] == [2, 1, 0]


@pytest.mark.parametrize("first", [0, 1])
def test_names_hear_of_what_takes_back_that_they_are_one(first: int) -> None:
    """Whichever of the two acts is known first; not of one that was done before, nor if they are named in it."""
    acts = [act("alias", "user_id:2 user_id:3", 5, into="user_id:1"), act("split", "user_id:1 user_id:3", 7)]
    news = acts[1 - first]
    assert taken_back(joined([acts[first]], [news]), news, "user_id:1", LIMITS) == [("user_id:2", acts[1])]
    earlier = act("split", "user_id:1", 4)
    assert taken_back(joined([acts[0]], [earlier]), earlier, "user_id:1", LIMITS) == []
    assert taken_back(joined([acts[0]], [acts[1]]), acts[1], "user_id:2", LIMITS) == []
