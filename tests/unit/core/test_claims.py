"""Claims without an answer: each has its own, also where two profiles that claim the same identifier become one."""

from __future__ import annotations

from streams.core import claims
from streams.core.messages import Bid, Cause

CAUSE = Cause("m", 0, 0, "email:e")
MINE, THEIRS = Bid("user_id:u", "email:e", 3, CAUSE), Bid("user_id:u", "phone:p", 3, CAUSE)


def test_an_answer_settles_its_own_claim_alone() -> None:
    """The other is still out, and its answer still to come."""
    held = claims.claims_of([MINE, THEIRS])
    claims.remove(held, MINE)
    assert claims.bids_of(held) == [THEIRS]
    claims.remove(held, MINE)
    claims.remove(held, THEIRS)
    assert held == {}


def test_a_copy_is_no_claim_more() -> None:
    """A proposal brings those of the child, and its state brings them again."""
    held = claims.claims_of([MINE, MINE, THEIRS])
    claims.add(held, THEIRS)
    assert claims.bids_of(held) == [MINE, THEIRS]


def test_claims_leave_with_who_has_made_them() -> None:
    """The answer goes to the claimant, wherever that is by then."""
    held = claims.claims_of([MINE, THEIRS])
    taken = claims.take(held, {"phone:p"})
    assert (claims.bids_of(taken), claims.bids_of(held)) == ([THEIRS], [MINE])
