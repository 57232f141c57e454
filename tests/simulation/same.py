"""What two runs of one world must have in common, however they were scheduled and partitioned. Knows no right answer.

Everything final, ids included, except the id of an action that was decided before all touchpoints had arrived: it is
that of the cart as it was known then, and who was sooner, clock or touchpoint, may depend on the schedule.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from streams.core.actions import PAYMENT_FAILED
from streams.core.step import ACTIONS, CARTS, IDENTITIES, SESSIONS
from tests.simulation.landing import landed_from, latest, profiles_today, rows_of, today

Written = Sequence[tuple[str, bytes]]
PROFILE = "profile of "
UNLIKE = frozenset({"revision", "decided_at", "historical", "identifiers"})
"""What records say of the way there: how often they were written, what was known when."""


def unlike(one: Written, other: Written, *, has_action_ids: bool) -> Iterator[str]:
    """Each final record that one run has and the other has not, or not as it is; `has_action_ids`: compare them too."""
    these, those = finals(one, has_action_ids=has_action_ids), finals(other, has_action_ids=has_action_ids)
    for name in sorted(these.keys() | those.keys()):
        here, there = these.get(name), those.get(name)
        # Who was only seen in links that do not count may be unknown.
        is_known = not name.startswith(PROFILE) or (here and there)
        if here != there and is_known:
            yield f"{name} is {here} and {there}"


def finals(written: Written, *, has_action_ids: bool) -> dict[str, dict[str, Any]]:
    """What stands in the end, by what it is and its id."""
    rows = rows_of(written)
    profiles = profiles_today(rows[IDENTITIES])
    return {
        **{f"{PROFILE}{own}": {"profile_id": profile} for own, profile in profiles.items()},
        **{
            f"touchpoint {row.message_id} of {row.profile}": row._asdict()
            for row in landed_from(written, may_repeat=False).touchpoints
        },
        **{
            f"session {row['session_id']}": said(row, profiles)
            for row in latest(rows[SESSIONS], "session_id")
            if not row["is_retracted"]
        },
        **{
            f"cart {row['episode_id']}": said(row, profiles)
            for row in latest(rows[CARTS], "episode_id")
            if row["status"] != "retracted"
        },
        **{
            f"{row['trigger']} {row['step']} for {row['opened_by']}": said(
                # The first of a cart's failed payments is acted on at once: which that is, may become known later.
                row,
                profiles,
                "" if has_action_ids and row["trigger"] != PAYMENT_FAILED else "action_id",
            )
            for row in latest(rows[ACTIONS], "action_id")
            if row["status"] != "cancelled"
        },
    }


def said(row: dict[str, Any], profiles: dict[str, str], *left_out: str) -> dict[str, Any]:
    """A row without what is only of the way there."""
    kept = {name: value for name, value in row.items() if name not in UNLIKE and name not in left_out}
    return {**kept, "profile_id": today(profiles, row)}
