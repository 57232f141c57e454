"""Laws of people who become one and come apart again: the state depends on who they are, not on how it came about."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.core.actions import CANCELLED
from streams.core.actor import Actor, Profile
from streams.core.actors import load, whole
from streams.core.carts import ADDED, COMMERCE_OF, ORDERED, REMOVED, UPDATED
from streams.core.courses import course_of
from streams.core.profile import Profiles
from streams.core.rules import HOUR_MS, Rules
from streams.core.shapes import NEVER, Action, CampaignEntry, CartEntry, Item
from streams.core.touchpoint import Touchpoint
from streams.core.vocabulary import EVENTS, Vocabulary
from tests.unit.core.records import MINUTE_MS, START_MS

RULES = Rules()
NAMES = ("user_id:1", "user_id:2", "user_id:3")
CLOCKS_MS = tuple(START_MS + hours * HOUR_MS for hours in (0, 1, 5, 80, 160))
"""What has come due by then: nothing, some sessions, all of them and carts, what may be forgotten, and everything."""

Act = tuple[int, int, int, int | None, int]
"""Of a touchpoint: minutes, which of its person's identifiers, channel, what it does to the cart, which product."""

Life = tuple[list[Act], int, list[Act], bool]
"""Of a person: what it does, what the timer clock then reads, what it does later, and whether a touchpoint is late."""

acts: st.SearchStrategy[list[Act]] = st.lists(
    st.tuples(
        st.integers(-6, 24).map(lambda step: 10 * step), st.integers(0, 1), st.integers(0, 1),
        st.sampled_from((None, None, ADDED, ADDED, REMOVED, UPDATED, ORDERED)), st.integers(0, 1),
    ),
    max_size=6,
)  # fmt: skip
lives: st.SearchStrategy[Life] = st.tuples(acts, st.sampled_from(CLOCKS_MS), acts, st.booleans())


def touchpoint(
    number: int, at_ms: int, act: Act, *, arrival_ms: int = 0, is_late: bool = False
) -> Touchpoint:
    """The touchpoint of an act, with a digest whose order says nothing of when it occurred."""
    _, _, channel, kind, product = act
    digest, cart = number * 0x9E3779B97F4A7C15 % 2**61, None
    if kind is not None:
        items = () if kind == ORDERED else (Item(f"p{product}", "", "", 1, 10_000_000),)
        currency = ("EUR", None)[number % 2]
        cart = CartEntry(at_ms, digest, f"m{number}", kind, None, items, 7 * number, currency, at_ms)
    said = (f"source {number}", None, None, None, None)
    campaign = CampaignEntry(at_ms, digest, said) if number % 3 == 0 else None
    return Touchpoint(
        f"m{number}", digest, channel, _EVENTS[kind], at_ms, arrival_ms or at_ms, is_late, False, (), cart,
        campaign, b"",
    )  # fmt: skip


_EVENTS = {None: EVENTS.index("page")} | {
    kind: EVENTS.index(name) for name, kind in COMMERCE_OF.items()
}  # fmt: skip


class People:
    """People under the rules of a profile; their touchpoints are numbered through."""

    def __init__(self) -> None:
        self.profiles = Profiles(RULES)
        self._numbers = iter(range(1, 1_000))

    def person(self, name: str, life: Life) -> Actor:
        """Of two identifiers; what is due by the clock has been done when it goes on."""
        early, clock_ms, later, has_late = life
        actor = Actor(name, name, Profile([name, name.replace("user_id", "anonymous_id")]))
        self._take(actor, early, START_MS)
        profile = _profile(actor)
        if self.profiles.next_timer(profile) <= clock_ms:
            self.profiles.fire(actor, clock_ms)
        self._take(actor, later, clock_ms)
        if has_late:
            late = touchpoint(
                next(self._numbers), START_MS, (0, 0, 0, None, 0), arrival_ms=clock_ms, is_late=True
            )
            self.profiles.pass_by(profile, late)
        # A cart that is due by then is found, and waits.
        self.profiles.held_until(profile, clock_ms + 6 * HOUR_MS, now_ms=clock_ms + len(later))
        return actor

    def _take(self, actor: Actor, acts: list[Act], from_ms: int) -> None:
        """In the order of acts, whatever that is in time."""
        for act in acts:
            taken = touchpoint(next(self._numbers), from_ms + act[0] * MINUTE_MS, act)
            self.profiles.take(actor, _profile(actor), taken, act[1])
        self.profiles.settle(actor)

    def merged(self, actor: Actor, other: Actor) -> Actor:
        """What the first is once it has taken over the other; both stay as they were."""
        into = _sent(actor)
        sent = _sent(other)
        places = [into.add_member(member) for member in _profile(sent).members]
        self.profiles.absorb(into, sent, places)
        return into

    def state(self, actor: Actor) -> dict[str, Any]:
        """All that is known of a person, by names instead of places."""
        profile = _profile(actor)
        return self.deeds(actor) | {
            "members": set(profile.members),
            "final": [session.is_final for session in profile.sessions],
            "late": profile.late,
            "last": (profile.last_ms, profile.last_digest),
            "moments": (profile.arrived_ms, profile.found_ms),
            "timer": self.profiles.next_timer(profile),
        }

    def deeds(self, actor: Actor) -> dict[str, Any]:
        """What follows from what a person has done."""
        profile = _profile(actor)
        rows = actor.journal.rows()
        courses = [
            course_of(session, sorted(rows), actor.campaigns, Vocabulary()) for session in profile.sessions
        ]
        return {
            "journal": sorted((at, digest, profile.members[m], *rest) for at, digest, m, *rest in rows),
            "found": all(row[1] in actor.journal for row in rows),
            "sessions": [msgspec.structs.replace(s.row(), is_final=False) for s in profile.sessions],
            "courses": [(c.path, c.events, c.first_campaign, c.last_campaign) for c in courses],
            "cart entries": actor.carts,
            "campaigns": actor.campaigns,
            "carts": [episode.row() for episode in profile.episodes],
            "actions": {action.action_id: _standing(action) for action in profile.actions},
        }


@given(st.tuples(lives, lives, lives), st.permutations(range(3)))
@settings(max_examples=150)
def test_merges_commute_and_associate(three: tuple[Life, Life, Life], order: list[int]) -> None:
    """Three people become the same one, whoever takes over whom and in whatever order."""
    people = People()
    drawn = [people.person(name, life) for name, life in zip(NAMES, three, strict=True)]
    one, two, other = drawn
    expected = people.state(people.merged(people.merged(one, two), other))
    one, two, other = [drawn[number] for number in order]
    assert people.state(people.merged(people.merged(one, two), other)) == expected
    assert people.state(people.merged(one, people.merged(two, other))) == expected


@given(lives, lives)
@settings(max_examples=150)
def test_a_split_gives_back_what_each_had(staying: Life, leaving: Life) -> None:
    """Who leaves after a merge has the sessions, carts and actions of somebody who was never merged; who stays, too."""
    people = People()
    stays, leaves = people.person(NAMES[0], staying), people.person(NAMES[1], leaving)
    before = people.deeds(stays), people.deeds(leaves)
    both = people.merged(stays, leaves)
    _link(both)
    places = [both.index[member] for member in _profile(leaves).members]
    alone = people.profiles.split(both, places, [(0, NEVER, 0)])
    people.profiles.announce(alone)
    assert (people.deeds(both), people.deeds(alone)) == before


def _standing(action: Action) -> tuple[Any, ...]:
    """What is said of an action; one that is cancelled says of its cart what it said last, so that is left out."""
    if action.status == CANCELLED:
        return action.anchor_ms, action.anchor_digest, action.decided_ms, action.is_historical, action.status
    return msgspec.structs.astuple(action)


def _link(actor: Actor) -> None:
    """Hang all members on the first, as the protocol does on a merge, only better."""
    profile = _profile(actor)
    for _ in profile.members[len(profile.links.parents) :]:
        profile.links.append(0, NEVER, 0)


def _sent(actor: Actor) -> Actor:
    """The actor as it arrives in another task."""
    found = load(actor.identifier, dict(whole(actor)))
    assert found is not None
    return found


def _profile(actor: Actor) -> Profile:
    assert actor.profile is not None
    return actor.profile
