"""What a warehouse holds against what a simulation knows to be true.

Ids are not compared but groups: two touchpoints must share a profile, or a session, exactly where the truth puts
them together. Knows the views of the warehouse by name; must not know how anything got into them.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from streams.simulator.comparison import Comparison, Difference
from streams.simulator.truth import Episode, Session
from streams.simulator.verdict import Truth

Query = Callable[[str], list[tuple[Any, ...]]]
"""Runs one statement of ClickHouse SQL and returns its rows."""

_ROWS_A_QUERY = 500_000
_NOWHERE = -1

_TOUCHPOINTS = "SELECT message_id, profile_id, ifNull(session_id, '') FROM current_touchpoints"
_PROFILES = "SELECT profile_id, arrayStringConcat(arraySort(identifiers), '\n') FROM profiles"
_SESSIONS = (
    "SELECT session_id, is_final, profile_id, toUnixTimestamp64Milli(started_at), "
    "toUnixTimestamp64Milli(ended_at), touchpoints, arrayStringConcat(channels, ' '), orders, revenue_micros "
    "FROM current_sessions"
)
_ACTIONS = (
    "SELECT action_id, opened_by, profile_id, status, toUnixTimestamp64Milli(due_at), "
    "arrayStringConcat(arraySort(arrayMap(i -> concat(i.product_id, '=', toString(i.quantity)), items)), ' '), "
    "value_micros, recovered_micros "
    "FROM current_actions "
    "WHERE trigger IN ('abandoned_cart', 'abandoned_checkout') AND step = 1 AND status != 'cancelled'"
)


def compare(truth: Truth, query: Query) -> Comparison:
    """Read the views of the warehouse and hold them against the truth. Raises what `query` raises."""
    places = _Places(truth)
    comparison = Comparison(
        touchpoints=len(places.person),
        sessions=len(places.sessions),
        actions=sum(1 for profile in truth.profiles for episode in profile.episodes if episode.abandonment),
    )
    _read_touchpoints(places, query, comparison)
    profiles = _Grouping(places.person, places.found_profile)
    sessions = _Grouping(places.session, places.found_session)
    _judge_touchpoints(places, profiles, sessions, comparison=comparison)
    texts = list(places.profile_ids)
    profile_of = {person: texts[found] for person, found in profiles.found_for.items()}
    _judge_profiles(truth, query, profile_of=profile_of, comparison=comparison)
    _judge_sessions(places, sessions, query, profile_of=profile_of, comparison=comparison)
    _judge_actions(truth, query, profile_of=profile_of, comparison=comparison)
    return comparison


class _Places:
    """Where each touchpoint belongs, and where it was found, by ordinals instead of texts: a million fit."""

    def __init__(self, truth: Truth) -> None:
        self.ordinals: dict[str, int] = {}
        self.person = array("l")
        self.session = array("l")
        self.sessions: list[tuple[int, Session]] = []
        for person, profile in enumerate(truth.profiles):
            for session in profile.sessions:
                self._expect(session.touchpoints, person, session=len(self.sessions))
                self.sessions.append((person, session))
            self._expect(profile.late, person, session=_NOWHERE)
        self.found_profile = array("l", [_NOWHERE]) * len(self.person)
        self.found_session = array("l", [_NOWHERE]) * len(self.person)
        self.is_found = bytearray(len(self.person))
        self.profile_ids: dict[str, int] = {}
        self.session_ids: dict[str, int] = {}

    def _expect(self, message_ids: Sequence[str], person: int, *, session: int) -> None:
        for message_id in message_ids:
            self.ordinals[message_id] = len(self.person)
            self.person.append(person)
            self.session.append(session)

    def find(self, ordinal: int, profile_id: str, *, session_id: str) -> None:
        """A touchpoint turned up there."""
        self.is_found[ordinal] = 1
        self.found_profile[ordinal] = self.profile_ids.setdefault(profile_id, len(self.profile_ids))
        if session_id:
            self.found_session[ordinal] = self.session_ids.setdefault(session_id, len(self.session_ids))


class _Grouping:
    """Which found group stands for which true group: each the one that most of the other's touchpoints are in.

    Nothing is misplaced exactly where both sides group alike, and one stray touchpoint counts as one. Late
    touchpoints belong to no session.
    """

    def __init__(self, expected: array[int], found: array[int]) -> None:
        self._expected, self._found = expected, found
        pairs = Counter(zip(expected, found, strict=True)).items()
        self.found_for: dict[int, int] = {}
        self._expected_for: dict[int, int] = {}
        for (belongs, was_found), _ in sorted(pairs, key=lambda pair: (-pair[1], pair[0])):
            if belongs != _NOWHERE and was_found != _NOWHERE:
                self.found_for.setdefault(belongs, was_found)
                self._expected_for.setdefault(was_found, belongs)

    def is_right(self, ordinal: int) -> bool:
        """Found where it belongs."""
        belongs, was_found = self._expected[ordinal], self._found[ordinal]
        if belongs == _NOWHERE or was_found == _NOWHERE:
            return belongs == was_found
        return self.found_for[belongs] == was_found and self._expected_for[was_found] == belongs


def _read_touchpoints(places: _Places, query: Query, comparison: Comparison) -> None:
    for message_id, profile_id, session_id in _touchpoint_rows(query, expected=len(places.person)):
        ordinal = places.ordinals.get(message_id)
        if ordinal is None:
            comparison.note(Difference.UNKNOWN_TOUCHPOINT, message_id)
        elif places.is_found[ordinal]:
            comparison.note(Difference.DUPLICATE_TOUCHPOINT, message_id)
        else:
            places.find(ordinal, profile_id, session_id=session_id)


def _touchpoint_rows(query: Query, *, expected: int) -> Iterator[tuple[Any, ...]]:
    """In slices, so that a large warehouse never lies in memory at once."""
    slices = 1 + expected // _ROWS_A_QUERY
    for number in range(slices):
        yield from query(f"{_TOUCHPOINTS} WHERE cityHash64(message_id) % {slices} = {number}")


def _judge_touchpoints(
    places: _Places, profiles: _Grouping, sessions: _Grouping, *, comparison: Comparison
) -> None:
    for message_id, ordinal in places.ordinals.items():
        if not places.is_found[ordinal]:
            comparison.note(Difference.MISSING_TOUCHPOINT, message_id)
            continue
        if not profiles.is_right(ordinal):
            comparison.note(Difference.WRONG_PROFILE, message_id)
        if not sessions.is_right(ordinal):
            comparison.note(Difference.WRONG_SESSION, message_id)


def _judge_profiles(
    truth: Truth, query: Query, *, profile_of: dict[int, str], comparison: Comparison
) -> None:
    rows = _rows_by_id(query(_PROFILES), Difference.DUPLICATE_PROFILE, comparison)
    for person, profile in enumerate(truth.profiles):
        profile_id = profile_of.get(person, "no id")
        row = rows.pop(profile_id, None)
        if row is None:
            comparison.note(Difference.MISSING_PROFILE, f"{profile_id}: {' '.join(profile.identifiers)}")
        elif row != ("\n".join(profile.identifiers),):
            expected = " ".join(profile.identifiers)
            told = " ".join(row[0].split("\n"))
            comparison.note(Difference.WRONG_IDENTIFIERS, f"{profile_id}: {told}, not {expected}")
    for profile_id in rows:
        comparison.note(Difference.UNKNOWN_PROFILE, profile_id)


def _rows_by_id(
    rows: list[tuple[Any, ...]], repeated: Difference, comparison: Comparison
) -> dict[str, tuple[Any, ...]]:
    by_id: dict[str, tuple[Any, ...]] = {}
    for id_, *told in rows:
        if id_ in by_id:
            comparison.note(repeated, id_)
        by_id[id_] = tuple(told)
    return by_id


def _judge_sessions(
    places: _Places, sessions: _Grouping, query: Query, *, profile_of: dict[int, str], comparison: Comparison
) -> None:
    rows = _rows_by_id(query(_SESSIONS), Difference.DUPLICATE_SESSION, comparison)
    texts = list(places.session_ids)
    for number, (person, session) in enumerate(places.sessions):
        found = sessions.found_for.get(number)
        session_id = "no id" if found is None else texts[found]
        expected = (profile_of.get(person), *_told(session))
        row = rows.pop(session_id, None)
        if row is None:
            comparison.note(Difference.MISSING_SESSION, f"{session_id}: {expected}")
            continue
        is_final, *told = row
        if tuple(told) != expected:
            comparison.note(Difference.WRONG_SESSION_CONTENT, f"{session_id}: {tuple(told)}, not {expected}")
        if not is_final:
            comparison.note(Difference.OPEN_SESSION, session_id)
    for session_id in rows:
        comparison.note(Difference.UNKNOWN_SESSION, session_id)


def _told(session: Session) -> tuple[Any, ...]:
    """What a row of the warehouse says of it, after the profile."""
    return (
        session.started_ms,
        session.ended_ms,
        len(session.touchpoints),
        " ".join(session.channels),
        session.orders,
        session.revenue_micros,
    )


def _judge_actions(truth: Truth, query: Query, *, profile_of: dict[int, str], comparison: Comparison) -> None:
    """An action belongs to the abandoned episode that the touchpoint which opened it lies in."""
    episodes = [
        (person, episode)
        for person, profile in enumerate(truth.profiles)
        for episode in profile.episodes
        if episode.abandonment
    ]
    episode_of = {
        message_id: number
        for number, (_, episode) in enumerate(episodes)
        for message_id in episode.touchpoints
    }
    met: set[int] = set()
    for action_id, opened_by, *told in query(_ACTIONS):
        number = episode_of.get(opened_by)
        if number is None:
            comparison.note(Difference.FALSE_ACTION, f"{action_id}: opened by {opened_by}, {tuple(told)}")
        elif number in met:
            comparison.note(Difference.DUPLICATE_ACTION, f"{action_id}: opened by {opened_by}")
        else:
            met.add(number)
            person, episode = episodes[number]
            expected = (profile_of.get(person), *_due(episode))
            if tuple(told) != expected:
                comparison.note(Difference.WRONG_ACTION, f"{action_id}: {tuple(told)}, not {expected}")
    for number, (_, episode) in enumerate(episodes):
        if number not in met:
            comparison.note(Difference.MISSED_ACTION, f"opened by {episode.opened_by}: {_due(episode)}")


def _due(episode: Episode) -> tuple[Any, ...]:
    """What a row of the warehouse says of its action, after the profile."""
    abandonment = episode.abandonment
    assert abandonment is not None
    items = sorted(f"{product_id}={quantity}" for product_id, quantity in abandonment.items.items())
    return (
        abandonment.status,
        abandonment.due_ms,
        " ".join(items),
        abandonment.value_micros,
        abandonment.recovered_micros,
    )
