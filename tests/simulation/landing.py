"""What the tasks have written, read as the warehouse's views read it: the latest revision of each id, today's profile.

Must not know the answer, nor mend anything: a record that is there twice stays twice, unless a crash may repeat it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from schemas.codec import decode
from streams.core.step import ACTIONS, CARTS, IDENTITIES, SESSIONS, STITCHED
from tests.oracle.landed import (
    Emission,
    Landed,
    LandedAction,
    LandedCart,
    LandedSession,
    LandedTouchpoint,
)
from tests.oracle.touchpoints import campaign_from

Rows = list[dict[str, Any]]
PLACING = frozenset({"created", "stitched", "merged", "named", "released", "split"})
"""Kinds of `identities` that say where an identifier belongs; the others move nothing."""
HOPS = 2
"""From an identifier to where its profile is kept."""


def landed_from(written: Iterable[tuple[str, bytes]], *, may_repeat: bool) -> Landed:
    """`may_repeat`: commits were not atomic, so the same touchpoint may have been written more than once."""
    rows = rows_of(written)
    owners = owners_today(rows[IDENTITIES])
    profiles = profiles_today(rows[IDENTITIES])
    sessions = [_session(s, profiles) for s in latest(rows[SESSIONS], "session_id") if not s["is_retracted"]]
    return Landed(
        touchpoints=_touchpoints(rows[STITCHED], owners, sessions, may_repeat=may_repeat),
        sessions=sessions,
        carts=[_cart(c, profiles) for c in latest(rows[CARTS], "episode_id") if c["status"] != "retracted"],
        actions=[_action(a, profiles) for a in latest(rows[ACTIONS], "action_id")],
        emissions=_emissions(rows[ACTIONS]),
    )


def owners_today(identities: Rows) -> dict[str, str]:
    """Identifier to profile: the last record of an identifier holds, and that of whom it follows."""
    last = {row["identifier"]: row for row in identities if row["kind"] in PLACING}
    owners = {}
    for identifier, row in last.items():
        for _ in range(HOPS):
            row = last.get(row["root"], row)
        owners[identifier] = row["profile_id"]
    return owners


def rows_of(written: Iterable[tuple[str, bytes]]) -> dict[str, Rows]:
    """Every record by its topic, as written."""
    rows: dict[str, Rows] = {topic: [] for topic in (STITCHED, SESSIONS, CARTS, IDENTITIES, ACTIONS)}
    for topic, value in written:
        rows[topic].append(decode(value)[1])
    return rows


def profiles_today(identities: Rows) -> dict[str, str]:
    """Every id that a profile had, or would have had, from one of its identifiers to today's."""
    owners = owners_today(identities)
    return {row["own_profile_id"]: owners[row["identifier"]] for row in identities if row["kind"] in PLACING}


def today(profiles: dict[str, str], row: dict[str, Any]) -> str:
    """Today's profile of a row; without an identity it stays what it was, which no comparison will forgive."""
    profile: str = row["profile_id"]
    return profiles.get(profile, profile)


def latest(rows: Rows, name: str) -> Rows:
    """The highest revision of each id; of equal ones the one written last."""
    found: dict[str, dict[str, Any]] = {}
    for row in rows:
        known = found.get(row[name])
        if known is None or row["revision"] >= known["revision"]:
            found[row[name]] = row
    return list(found.values())


def _touchpoints(
    stitched: Rows, owners: dict[str, str], sessions: list[LandedSession], *, may_repeat: bool
) -> list[LandedTouchpoint]:
    """Whose each one is, its identifier says; of which session, its time, since those of a person are apart."""
    by_profile: dict[str, list[LandedSession]] = defaultdict(list)
    for session in sessions:
        by_profile[session.profile].append(session)
    landed = []
    for row in stitched:
        profile = owners[row["identified_by"]]
        at_ms = min(row["occurred_at"], row["received_at"], row["stitched_at"])
        found = [s.session for s in by_profile[profile] if s.started_ms <= at_ms <= s.ended_ms]
        session_id = found[0] if found and not row["is_late"] else None
        landed.append(LandedTouchpoint(row["message_id"], profile, session_id, row["is_late"]))
    if not may_repeat:
        return landed
    return list({(row.message_id, row.profile): row for row in landed}.values())


def _session(row: dict[str, Any], profiles: dict[str, str]) -> LandedSession:
    return LandedSession(
        session=row["session_id"],
        profile=today(profiles, row),
        started_ms=row["started_at"],
        ended_ms=row["ended_at"],
        touchpoints=row["touchpoints"],
        channels=tuple(row["channels"]),
        orders=row["orders"],
        revenue_micros=row["revenue_micros"],
        is_final=row["is_final"],
        revenue=tuple(sorted(row["revenue"].items())),
        is_bounce=row["is_bounce"],
        is_engaged=row["is_engaged"],
        path=tuple(row["path"]),
        is_path_cut=row["is_path_cut"],
        events=tuple(sorted(row["events"].items())),
        first_campaign=campaign_from(row["first_campaign"]),
        last_campaign=campaign_from(row["last_campaign"]),
    )


def _cart(row: dict[str, Any], profiles: dict[str, str]) -> LandedCart:
    profile = today(profiles, row)
    return LandedCart(profile, row["opened_at"], row["status"], row["settled_by"])


def _action(row: dict[str, Any], profiles: dict[str, str]) -> LandedAction:
    return LandedAction(
        action=row["action_id"],
        opened_by=row["opened_by"],
        profile=today(profiles, row),
        status=row["status"],
        due_ms=row["due_at"],
        value_micros=row["value_micros"],
        recovered_micros=row["recovered_micros"],
        step=row["step"],
        trigger=row["trigger"],
        currency=row["currency"],
    )


def _emissions(rows: Rows) -> list[Emission]:
    """The first standing revision of each decision."""
    first: dict[tuple[str, int], dict[str, Any]] = {}
    for row in rows:
        if row["status"] != "cancelled":
            key = row["action_id"], row["decided_at"]
            if key not in first or row["revision"] < first[key]["revision"]:
                first[key] = row
    return [
        Emission(row["opened_by"], row["decided_at"], row["step"], row["trigger"], row["caused_by"][-1])
        for row in first.values()
    ]
