"""How each identifier of a person came, from the records of `identities`. Pure.

The person is a tree: it starts at the root, and an identifier stands under the one through which it came. Records
may be there twice, in part, or contradict each other: whatever they are, every identifier stands in the tree once.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Final

PLACING: Final = frozenset({"created", "stitched", "merged", "named", "released", "split"})
"""Kinds that say where an identifier belongs; the others move nothing."""

_JOINING: Final = frozenset({"created", "stitched", "merged"})
_LEAVING: Final = frozenset({"released", "split"})


@dataclass(frozen=True, slots=True)
class Record:
    """A row of `identities`; times in epoch ms."""

    identifier: str
    profile_id: str
    own_profile_id: str
    root: str
    kind: str
    caused_by: str
    decided_ms: int
    linked_to: str | None = None
    other_profile_id: str | None = None
    rule: str = ""
    decided_by: str | None = None
    reason: str | None = None
    linked_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Touchpoint:
    """What is known of a touchpoint that caused a record."""

    message_id: str
    type: str
    event: str
    channel: str
    occurred_ms: int


@dataclass(frozen=True, slots=True)
class Seen:
    """How many touchpoints a person has, and the event times of the first and the last."""

    touchpoints: int
    first_ms: int | None
    last_ms: int | None


@dataclass(frozen=True, slots=True)
class Member:
    """An identifier, the one it stands under (None: the root), and the record of how it came.

    `merged_profile_id` is the profile that came in with it, where it came by a merge.
    """

    identifier: str
    parent: str | None
    came: Record | None
    merged_profile_id: str | None = None


@dataclass(frozen=True, slots=True)
class Person:
    """A person of today; a parent stands before its children, nearest to the root first.

    `decisions` are what did not join or left, oldest first. Without members, nobody: no record places anything here.
    """

    profile_id: str | None
    root: str | None
    members: tuple[Member, ...]
    decisions: tuple[Record, ...]


def person_of(profile: str | None, records: Iterable[Record]) -> Person:
    """The person of a profile; `records` are those about it, each identifier's in the order they were written."""
    histories: dict[str, list[Record]] = defaultdict(list)
    # A batch that was replayed has said the same again.
    told = list(dict.fromkeys(records))
    for record in told:
        histories[record.identifier].append(record)
    places = {
        identifier: history
        for identifier, whole in histories.items()
        if (history := [record for record in whole if record.kind in PLACING])
    }
    last = {identifier: history[-1] for identifier, history in places.items()}
    placed = {
        identifier: history
        for identifier, history in places.items()
        if _home(identifier, last).profile_id == profile
    }
    root = next((_home(identifier, last).root for identifier in placed), None)
    members = [_member(identifier, history, placed, root) for identifier, history in placed.items()]
    if root is not None and root not in placed:
        members.append(Member(root, None, None))
    ours = {record.own_profile_id for history in placed.values() for record in history} | {profile}
    decisions = [
        record
        for record in told
        if record.kind not in _JOINING
        and (profile is None or record.identifier in placed or record.other_profile_id in ours)
    ]
    decisions.sort(key=lambda record: (record.decided_ms, record.identifier))
    return Person(profile, root, _in_order(members, root), tuple(decisions))


def _home(identifier: str, last: Mapping[str, Record]) -> Record:
    """The last record of whom an identifier follows, in two steps at most."""
    record = last[identifier]
    for _ in range(2):
        record = last.get(record.root, record)
    return record


def _member(
    identifier: str, history: list[Record], placed: Mapping[str, list[Record]], root: str | None
) -> Member:
    """How it came this time, by the first link that still holds; what was before it last left is past.

    Where no record names a link, as in the first release, it stands under the root it then had.
    """
    left = max((at for at, record in enumerate(history) if record.kind in _LEAVING), default=0)
    first = history[left]
    if identifier == root:
        return Member(identifier, None, first)
    stay = list(enumerate(history))[left:]
    for at, record in stay:
        if record.linked_to in placed and record.linked_to != identifier:
            return Member(identifier, record.linked_to, record, _came_in(history, at))
    for at, record in stay:
        if record.root != identifier:
            parent = record.root if record.root in placed else root
            return Member(identifier, parent, record, _came_in(history, at))
    return Member(identifier, root, first)


def _came_in(history: list[Record], at: int) -> str | None:
    """The profile that a merge brought in; records of the first release do not name it."""
    record = history[at]
    if record.kind != "merged":
        return None
    before = history[at - 1].profile_id if at else record.own_profile_id
    return record.other_profile_id or before


def _in_order(members: Iterable[Member], root: str | None) -> tuple[Member, ...]:
    """The members by their distance from the root; links that lead in a circle are cut at its first member."""
    waiting = {member.identifier: member for member in sorted(members, key=_came_first)}
    children: dict[str, list[str]] = defaultdict(list)
    for member in waiting.values():
        if member.parent is not None:
            children[member.parent].append(member.identifier)
    ordered: list[Member] = []

    def take(member: Member) -> None:
        """The member and all below it."""
        level = [member]
        del waiting[member.identifier]
        while level:
            ordered.extend(level)
            below = (child for above in level for child in children[above.identifier])
            level = [waiting.pop(child) for child in below if child in waiting]

    if root is not None:
        take(waiting[root])
    while waiting:
        first = min(_circle(next(iter(waiting.values())), waiting), key=_came_first)
        take(Member(first.identifier, root, first.came, first.merged_profile_id))
    return tuple(ordered)


def _circle(member: Member, waiting: Mapping[str, Member]) -> list[Member]:
    """The circle that the way up from a member ends in."""
    passed: dict[str, int] = {}
    way: list[Member] = []
    while member.identifier not in passed:
        passed[member.identifier] = len(way)
        way.append(member)
        member = waiting[member.parent or ""]
    return way[passed[member.identifier] :]


def _came_first(member: Member) -> tuple[int, str]:
    return (member.came.decided_ms if member.came else 0), member.identifier


def document(
    asked: str,
    identifier: str | None,
    person: Person,
    *,
    seen: Seen,
    touchpoints: Mapping[str, Touchpoint],
) -> dict[str, Any]:
    """A person for programs; times in ISO 8601, UTC. `identifiers` are flat, each with its `parent`."""
    return {
        "value": asked,
        "identifier": identifier,
        "profile_id": person.profile_id,
        "root": person.root,
        "touchpoints": seen.touchpoints,
        "first_seen_at": iso(seen.first_ms),
        "last_seen_at": iso(seen.last_ms),
        "identifiers": [
            {
                "identifier": member.identifier,
                "parent": member.parent,
                "merged_profile_id": member.merged_profile_id,
                "came": member.came and _told(member.came, touchpoints),
            }
            for member in person.members
        ],
        "decisions": [_told(record, touchpoints) for record in person.decisions],
    }


def _told(record: Record, touchpoints: Mapping[str, Touchpoint]) -> dict[str, Any]:
    fields = asdict(record)
    fields["decided_at"], fields["linked_at"] = iso(fields.pop("decided_ms")), iso(fields.pop("linked_ms"))
    touchpoint = touchpoints.get(record.caused_by)
    cause = None
    if touchpoint is not None:
        cause = asdict(touchpoint)
        cause["occurred_at"] = iso(cause.pop("occurred_ms"))
    return {**fields, "touchpoint": cause}


def iso(at_ms: int | None) -> str | None:
    """An epoch-ms as ISO 8601 in UTC, to the millisecond."""
    if at_ms is None:
        return None
    moment = datetime.fromtimestamp(at_ms // 1000, UTC).replace(microsecond=at_ms % 1000 * 1000)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
