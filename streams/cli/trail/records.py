"""What the warehouse holds of one person's identifiers: records, touchpoints, when they were seen.

Knows tables and views by name, and values as typed; must not decide how an identifier came.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from streams.cli.trail.person import Record, Seen, Touchpoint

Ask = Callable[[str, Mapping[str, str]], list[dict[str, Any]]]
"""(SQL, its parameters) to rows, each by column name; 64-bit integers as numbers."""

MOST_MATCHES: Final = 20

_EXACT: Final = (
    "SELECT DISTINCT identifier FROM identities WHERE identifier IN ({value:String}, {normal:String})"
)
_BARE: Final = f"""
SELECT DISTINCT identifier FROM identities
WHERE substring(identifier, position(identifier, ':') + 1) = {{value:String}} OR identifier = {{email:String}}
ORDER BY identifier LIMIT {MOST_MATCHES}"""
_IS_PROFILE: Final = """
SELECT 1 FROM identities WHERE profile_id = {value:String} OR own_profile_id = {value:String} LIMIT 1"""
_PROFILE: Final = "SELECT profile_id FROM current_identities WHERE identifier = {identifier:String}"
_PROFILE_TODAY: Final = """
SELECT profile_id FROM current_identities
WHERE identifier IN (SELECT identifier FROM identities WHERE own_profile_id = {profile:String})"""
# Whoever was ever part of the profile; who is today is for the records to say.
_EVER: Final = """
SELECT identifier FROM identities WHERE profile_id = {profile:String}
UNION DISTINCT SELECT identifier FROM current_identities WHERE profile_id = {profile:String}"""
_ABOUT_PROFILE: Final = f"""
identifier IN ({_EVER}) OR other_profile_id = {{profile:String}}
OR other_profile_id IN (SELECT own_profile_id FROM identities WHERE identifier IN ({_EVER}))"""
_ABOUT_IDENTIFIER: Final = "identifier = {identifier:String}"
_RECORDS: Final = """
SELECT identifier, profile_id, own_profile_id, root, kind, caused_by,
       toUnixTimestamp64Milli(decided_at) AS decided_ms, linked_to, other_profile_id, rule, decided_by, reason,
       toUnixTimestamp64Milli(linked_at) AS linked_ms
FROM identities WHERE {about} ORDER BY _partition, _offset"""
_TOUCHPOINTS: Final = """
SELECT message_id, any(type) AS type, any(event) AS event, any(channel) AS channel,
       toUnixTimestamp64Milli(min(occurred_at)) AS occurred_ms
FROM touchpoints WHERE message_id IN (SELECT caused_by FROM identities WHERE {about}) GROUP BY message_id"""
_SEEN: Final = f"""
SELECT uniqExact(message_id) AS touchpoints, toUnixTimestamp64Milli(minOrNull(event_at)) AS first_ms,
       toUnixTimestamp64Milli(maxOrNull(event_at)) AS last_ms
FROM touchpoints WHERE profile_id IN
(
    SELECT own_profile_id FROM identities WHERE identifier IN
    (
        SELECT identifier FROM current_identities
        WHERE identifier IN ({_EVER}) AND profile_id = {{profile:String}}
    )
)"""


def identifiers_of(ask: Ask, value: str, *, normal: str, email: str) -> list[str]:
    """The identifiers a person may mean by `value`: itself or `normal`, else of any type, or the `email`."""
    found = ask(_EXACT, {"value": value, "normal": normal})
    if not found:
        found = ask(_BARE, {"value": value, "email": email})
    return [row["identifier"] for row in found]


def profile_of(ask: Ask, identifier: str) -> str | None:
    """Today's profile of an identifier; None if no record places it."""
    found = ask(_PROFILE, {"identifier": identifier})
    return _today(ask, found[0]["profile_id"]) if found else None


def profile_from_id(ask: Ask, value: str) -> str | None:
    """Today's profile of whoever has or had this profile_id; None if nobody has."""
    return _today(ask, value) if ask(_IS_PROFILE, {"value": value}) else None


def _today(ask: Ask, profile: str) -> str:
    """Followed for as long as it leads on: the records of a merge may not all have landed."""
    passed: set[str] = set()
    while profile not in passed:
        passed.add(profile)
        found = ask(_PROFILE_TODAY, {"profile": profile})
        if found:
            profile = found[0]["profile_id"]
    return profile


def records_of(ask: Ask, profile: str | None, identifier: str | None) -> list[Record]:
    """Every record about a profile, or of an identifier that belongs to none; each identifier's in their order."""
    about, given = _about(profile, identifier)
    return [Record(**row) for row in ask(_RECORDS.replace("{about}", about), given)]


def touchpoints_of(ask: Ask, profile: str | None, identifier: str | None) -> dict[str, Touchpoint]:
    """The touchpoints that caused those records, as far as they have landed, by message_id."""
    about, given = _about(profile, identifier)
    rows = ask(_TOUCHPOINTS.replace("{about}", about), given)
    return {row["message_id"]: Touchpoint(**row) for row in rows}


def seen_of(ask: Ask, profile: str | None) -> Seen:
    """When and how often a person was seen, over all that has become of them."""
    if profile is None:
        return Seen(0, None, None)
    return Seen(**ask(_SEEN, {"profile": profile})[0])


def _about(profile: str | None, identifier: str | None) -> tuple[str, dict[str, str]]:
    if profile is None:
        return _ABOUT_IDENTIFIER, {"identifier": identifier or ""}
    return _ABOUT_PROFILE, {"profile": profile}
