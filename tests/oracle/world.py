"""The whole answer for a set of touchpoints: persons with their sessions, cart episodes and actions."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from tests.oracle.actions import Action, all_actions_of
from tests.oracle.acts import Act
from tests.oracle.carts import Episode, episodes_of
from tests.oracle.persons import Person, on_time, persons_of
from tests.oracle.rules import DEFAULT, Rules
from tests.oracle.sessions import Session, sessions_of
from tests.oracle.touchpoints import Touchpoint, is_late, usable_identifiers

__all__ = ["Answer", "Rules", "Story", "answer"]


@dataclass(frozen=True, slots=True)
class Story:
    """One person and all that follows from the person's touchpoints."""

    person: Person
    late: frozenset[str]
    sessions: tuple[Session, ...]
    episodes: tuple[Episode, ...]
    actions: tuple[Action, ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """`nobody`: message ids of touchpoints without a usable identifier; they are dead letters."""

    rules: Rules
    stories: tuple[Story, ...]
    nobody: frozenset[str]
    copies: tuple[Touchpoint, ...]
    acts: tuple[Act, ...] = ()

    @property
    def sessions(self) -> tuple[Session, ...]:
        """Of everybody."""
        return tuple(session for story in self.stories for session in story.sessions)

    @property
    def episodes(self) -> tuple[Episode, ...]:
        """Of everybody."""
        return tuple(episode for story in self.stories for episode in story.episodes)

    @property
    def actions(self) -> tuple[Action, ...]:
        """Of everybody."""
        return tuple(action for story in self.stories for action in story.actions)


def answer(touchpoints: Iterable[Touchpoint], rules: Rules = DEFAULT, acts: Iterable[Act] = ()) -> Answer:
    """What must have landed once every touchpoint and act has been processed and every timer has passed."""
    copies, done = tuple(touchpoints), tuple(acts)
    return Answer(
        rules=rules,
        stories=tuple(story_of(person, rules) for person in persons_of(copies, rules, done)),
        nobody=frozenset(t.message_id for t in copies if not usable_identifiers(t, rules)),
        copies=copies,
        acts=done,
    )


def story_of(person: Person, rules: Rules = DEFAULT) -> Story:
    """Sessions, episodes and actions of one person."""
    counted = on_time(person, rules)
    return Story(
        person=person,
        late=frozenset(t.message_id for t in person.touchpoints if is_late(t, rules)),
        sessions=sessions_of(counted, rules),
        episodes=episodes_of(counted, rules),
        actions=all_actions_of(counted, rules),
    )
