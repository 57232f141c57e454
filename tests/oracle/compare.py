"""How far what landed is from the answer. Compares groups of message ids, never the ids a run has chosen."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TypeVar

from tests.oracle.actions import PAYMENT, Action, expected_as_of, has_failed
from tests.oracle.acts import Act
from tests.oracle.landed import Emission, Landed, LandedAction, LandedCart, LandedSession, Query, read_landed
from tests.oracle.persons import persons_of
from tests.oracle.sessions import Session
from tests.oracle.touchpoints import Touchpoint, arrived_ms, usable_identifiers
from tests.oracle.world import Answer, answer

__all__ = ["Answer", "Differences", "Landed", "Query", "answer", "differences", "read_landed"]

LINES_A_KIND = 20
Key = TypeVar("Key", bound=Hashable)
ActionKey = tuple[str, str, int]


@dataclass(slots=True)
class Differences:
    """Counts by kind, each with its first `lines` in words; all zero is what a run must end with."""

    missing: int = 0
    duplicate: int = 0
    wrong: int = 0
    false_actions: int = 0
    missed_actions: int = 0
    unjustified_cancellations: int = 0
    lines: list[str] = field(default_factory=list)

    def __bool__(self) -> bool:
        """Whether there is any."""
        return any(self.counts().values())

    def counts(self) -> dict[str, int]:
        """Kind to count, in the order of a summary."""
        return {
            "missing": self.missing,
            "duplicate": self.duplicate,
            "wrong": self.wrong,
            "false_actions": self.false_actions,
            "missed_actions": self.missed_actions,
            "unjustified_cancellations": self.unjustified_cancellations,
        }

    def note(self, kind: str, line: str) -> None:
        """Count one more of a kind; the first few are told in words."""
        count = getattr(self, kind) + 1
        setattr(self, kind, count)
        if count <= LINES_A_KIND:
            self.lines.append(f"{kind}: {line}")

    def __str__(self) -> str:
        """One line of counts, then the lines."""
        counts = " ".join(f"{kind}={count}" for kind, count in self.counts().items())
        return "\n".join([counts, *self.lines])


def differences(expected: Answer, landed: Landed) -> Differences:
    """Every difference between the answer and what landed, both complete."""
    found = Differences()
    _compare_presence(found, expected, landed)
    _compare_persons(found, expected, landed)
    _compare_sessions(found, expected, landed)
    if landed.carts is not None:
        _compare_carts(found, expected, landed)
    _compare_actions(found, expected, landed)
    _judge_emissions(found, expected, landed)
    return found


def _compare_presence(found: Differences, expected: Answer, landed: Landed) -> None:
    """Each message once for each person it belongs to, late ones marked, nobody's not at all."""
    due = Counter(t.message_id for story in expected.stories for t in story.person.touchpoints)
    late = {message_id for story in expected.stories for message_id in story.late}
    seen = Counter(row.message_id for row in landed.touchpoints)
    for message_id in sorted(due.keys() | seen.keys()):
        for _ in range(due[message_id] - seen[message_id]):
            found.note("missing", f"touchpoint {message_id}")
        if message_id not in due:
            found.note("wrong", f"touchpoint {message_id} landed and belongs to nobody")
        elif seen[message_id] > due[message_id]:
            found.note("duplicate", f"touchpoint {message_id} landed {seen[message_id]} times")
    for row in landed.touchpoints:
        if row.message_id in due and row.is_late != (row.message_id in late):
            found.note("wrong", f"touchpoint {row.message_id} has is_late={row.is_late}")


def _compare_persons(found: Differences, expected: Answer, landed: Landed) -> None:
    """The messages of a person are one profile's, and a profile's are one person's."""
    present = {row.message_id for row in landed.touchpoints}
    right = [_group(t.message_id for t in story.person.touchpoints) & present for story in expected.stories]
    actual = _members_by((row.profile, row.message_id) for row in landed.touchpoints)
    for group in _unmatched(right, actual.values()):
        profiles = sorted(profile for profile, members in actual.items() if members & group)
        found.note("wrong", f"person of {_some(group)} has the profiles {profiles}")


def _compare_sessions(found: Differences, expected: Answer, landed: Landed) -> None:
    """Members first, then bounds and what else is said of a session."""
    present = {row.message_id for row in landed.touchpoints}
    right = {_group(session.members) & present: session for session in expected.sessions}
    actual = _members_by(
        ((row.profile, row.session), row.message_id) for row in landed.touchpoints if row.session
    )
    for group in _unmatched(right, actual.values()):
        ids = sorted(f"{key[1]}:{_some(members)}" for key, members in actual.items() if members & group)
        found.note("wrong", f"session of {_some(group)} landed as {ids}")
    rows: dict[tuple[str, str], LandedSession] = {}
    for row in landed.sessions:
        if (row.profile, row.session) in rows:
            found.note("duplicate", f"session {row.session}")
        rows[row.profile, row.session] = row
    for key in sorted(rows.keys() - actual.keys()):
        found.note("wrong", f"session {key[1]} stands and has no touchpoint of its profile")
    for key, members in actual.items():
        if key not in rows:
            found.note("missing", f"record of session {key[1]} of {_some(members)}")
        elif members in right and said_of(rows[key]) != expected_of(right[members], rows[key].is_final):
            found.note("wrong", f"session of {_some(members)}: {rows[key]} for {right[members]}")


def said_of(row: LandedSession) -> tuple[Hashable, ...]:
    """What a record says of its session."""
    return (
        *(row.started_ms, row.ended_ms, row.touchpoints, row.channels, row.orders, row.revenue_micros),
        *(row.revenue, row.is_bounce, row.is_engaged),
        *(row.path, row.is_path_cut, row.events, row.first_campaign, row.last_campaign),
    )


def expected_of(session: Session, is_final: bool) -> tuple[Hashable, ...]:
    """The same of the right one: what happened in it, only once it is final."""
    course = (
        *(session.path, session.is_path_cut, session.events),
        *(session.first_campaign, session.last_campaign),
    )
    return (
        session.started_ms,
        session.ended_ms,
        len(session.members),
        session.channels,
        session.orders,
        session.revenue_micros,
        session.revenue,
        session.is_bounce,
        session.is_engaged,
        *(course if is_final else ((), False, (), None, None)),
    )


def _compare_carts(found: Differences, expected: Answer, landed: Landed) -> None:
    """Each episode of a person once: when it opened, how it stands, what settled it."""
    profiles = _profile_by_story(expected, landed)
    right = Counter(
        LandedCart(profiles.get(id(story), "nobody"), e.opened_ms, e.status, e.ended_by)
        for story in expected.stories
        for e in story.episodes
    )
    actual = Counter(landed.carts or ())
    for episode, count in sorted((right - actual).items(), key=str):
        found.note("wrong", f"cart episode {episode} is not there ({count})")
    for episode, count in sorted((actual - right).items(), key=str):
        found.note("wrong", f"cart episode {episode} should not be there ({count})")


def _compare_actions(found: Differences, expected: Answer, landed: Landed) -> None:
    """Final statuses: what abandoned episodes are due for is due or recovered, all else that was emitted cancelled."""
    profiles = _profile_by_story(expected, landed)
    right = {action.key: (action, story) for story in expected.stories for action in story.actions}
    standing, cancelled = _by_key(found, landed.actions)
    for key in sorted(right.keys() - standing.keys()):
        kind = "unjustified_cancellations" if key in cancelled else "missed_actions"
        found.note(kind, f"cart opened by {key[0]}: {right[key][0]}")
    for key, row in sorted(standing.items()):
        if key in right:
            action, story = right[key]
            _compare_action(found, action, row, profile=profiles.get(id(story)))
        else:
            found.note("false_actions", f"cart opened by {key[0]} calls for no {key[1]}: {row}")


def _by_key(
    found: Differences, actions: Iterable[LandedAction]
) -> tuple[dict[ActionKey, LandedAction], set[ActionKey]]:
    """Actions that stand, by the opener of their cart, trigger and step, and those of which one is cancelled."""
    standing: dict[ActionKey, LandedAction] = {}
    cancelled: set[ActionKey] = set()
    seen: set[str] = set()
    for row in actions:
        if row.action in seen or (row.status != "cancelled" and row.key in standing):
            found.note("duplicate", f"action {row.action} for the cart opened by {row.opened_by}")
        seen.add(row.action)
        if row.status == "cancelled":
            cancelled.add(row.key)
        else:
            standing[row.key] = row
    return standing, cancelled


def _compare_action(found: Differences, action: Action, row: LandedAction, *, profile: str | None) -> None:
    said = row.status, row.due_ms, row.value_micros, row.currency or "", row.recovered_micros or 0
    right = (
        action.status,
        action.due_ms,
        action.value_micros,
        action.currency or "",
        action.recovered_micros or 0,
    )
    if said != right:
        found.note("wrong", f"action {row} for {action}")
    elif profile is not None and row.profile != profile:
        found.note("wrong", f"action for {action.opened_by} is of profile {row.profile}, not {profile}")


def _judge_emissions(found: Differences, expected: Answer, landed: Landed) -> None:
    """An action that was wrong when it was decided is false, even if it was cancelled later."""
    copies = CopiesByMessage(expected)
    for emission in sorted(set(landed.emissions)):
        if not _was_right(expected, copies, emission):
            opener, clock_ms = emission.opened_by, emission.decided_ms
            said = f"cart opened by {opener} called for no {emission.trigger} as known at {clock_ms}"
            found.note("false_actions", said)


def _was_right(expected: Answer, copies: CopiesByMessage, emission: Emission) -> bool:
    """Whether it was right by what was known when it was decided.

    That is all that had arrived by then, and of what came after it as much as had been read: a task may be ahead of
    the clock, in touchpoints and in acts.
    """
    opened_by, clock_ms, rules = emission.opened_by, emission.decided_ms, expected.rules
    if emission.trigger == PAYMENT:
        return has_failed(expected.copies, emission.caused_by, clock_ms, rules)
    # Who acts have parted may have been one person then.
    known = expected.copies if expected.acts else copies.of(opened_by)
    return any(
        action.key == (opened_by, emission.trigger, emission.step)
        for until_ms in _moments(clock_ms, (arrived_ms(t, rules) for t in known))
        for acts in _read_so_far(clock_ms, expected.acts)
        for action in expected_as_of(known, clock_ms, rules, acts, read_until_ms=until_ms)
    )


def _read_so_far(clock_ms: int, acts: Sequence[Act]) -> list[list[Act]]:
    """All that had arrived by that clock, with none, one, two … of what came next, of one moment too."""
    in_order = sorted(acts, key=lambda act: act.arrival_ms)
    arrived = sum(act.arrival_ms <= clock_ms for act in acts)
    return [in_order[:number] for number in range(arrived, len(acts) + 1)]


def _moments(clock_ms: int, arrivals_ms: Iterable[int]) -> list[int]:
    """That clock, and each arrival after it."""
    return [clock_ms, *sorted({at_ms for at_ms in arrivals_ms if at_ms > clock_ms})]


@dataclass
class CopiesByMessage:
    """Every copy of every touchpoint that is linked to a message in the end, be it by links that do not count.

    They may have counted when something was decided.
    """

    expected: Answer

    @cached_property
    def _roots(self) -> Mapping[str, str]:
        persons = persons_of(self.expected.copies, replace(self.expected.rules, limits={}))
        return {identifier: person.root for person in persons for identifier in person.identifiers}

    @cached_property
    def _by_root(self) -> Mapping[str, list[Touchpoint]]:
        held = defaultdict(list)
        for touchpoint in self.expected.copies:
            for identifier in usable_identifiers(touchpoint, self.expected.rules)[:1]:
                held[self._roots[identifier]].append(touchpoint)
        return held

    @cached_property
    def _root_of_message(self) -> Mapping[str, str]:
        return {t.message_id: root for root, copies in self._by_root.items() for t in copies}

    def of(self, message_id: str) -> list[Touchpoint]:
        """Of nobody: nothing."""
        return self._by_root.get(self._root_of_message.get(message_id, ""), [])


def _members_by(keyed: Iterable[tuple[Key, str]]) -> dict[Key, frozenset[str]]:
    groups: dict[Key, set[str]] = defaultdict(set)
    for key, message_id in keyed:
        groups[key].add(message_id)
    return {key: frozenset(members) for key, members in groups.items()}


def _profile_by_story(expected: Answer, landed: Landed) -> dict[int, str]:
    """The profile a story's touchpoints have landed under (any of them: persons are compared elsewhere)."""
    profile_of = {row.message_id: row.profile for row in landed.touchpoints}
    return {
        id(story): profile_of[t.message_id]
        for story in expected.stories
        for t in story.person.touchpoints
        if t.message_id in profile_of
    }


def _unmatched(right: Iterable[frozenset[str]], actual: Iterable[frozenset[str]]) -> list[frozenset[str]]:
    """Groups that should be there exactly and are not, and landed ones that have no part in any right one."""
    wanted, there = {group for group in right if group}, set(actual)
    covered = frozenset[str]().union(*wanted)
    strays = {group for group in there if not group & covered}
    return sorted((wanted - there) | strays, key=sorted)


def _group(message_ids: Iterable[str]) -> frozenset[str]:
    return frozenset(message_ids)


def _some(group: Iterable[str]) -> str:
    names = sorted(group)
    return "{" + " ".join(names[:6]) + (" …}" if len(names) > 6 else "}")
