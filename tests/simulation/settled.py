"""What the committed state must be like once everything is read: nothing is under way, and everybody knows whose it is.

Says in words what is not so. Reads state, and nothing that was written; who belongs together it is told.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set

from streams.core.actor import Actor, Profile
from streams.core.actors import Store, load
from streams.core.identifier import murmur2

HOPS = 2
"""So many pointers lead from any identifier to its root at most."""
Actors = Mapping[str, Actor]


def actors_of(stores: Iterable[Store]) -> dict[str, Actor]:
    """Every actor by its identifier, from the stores of all tasks."""
    found = {}
    for store in stores:
        for key in store.keys_with(b""):
            actor = None if b"\0" in key else load(key.decode(), store)
            if actor is not None:
                found[actor.identifier] = actor
    return found


def out_of_place(stores: Sequence[Store]) -> Iterator[str]:
    """Identifiers with state in another task than the one they belong to."""
    for partition, store in enumerate(stores):
        for key in store.keys_with(b""):
            if b"\0" not in key and murmur2(key) % len(stores) != partition:
                yield f"{key.decode()} has state in task {partition} of {len(stores)}"


def unfinished(actors: Actors) -> Iterator[str]:
    """What roots have asked or put off and would wait for without end."""
    for actor in actors.values():
        if actor.profile is not None:
            for what in _under_way(actor.profile):
                yield f"{actor.identifier} {what}"


def _under_way(profile: Profile) -> Iterator[str]:
    if profile.proposal:
        yield f"has asked to be absorbed and has no answer: {profile.proposal}"
    if profile.waiting:
        yield f"lets wait {profile.waiting}"
    if profile.accepted is not None:
        yield f"sends its members to {profile.accepted.root}"
    if profile.arriving:
        yield f"takes in members of {sorted(profile.arriving)}"
    if profile.expecting:
        yield f"expects the state of {profile.expecting}"
    if profile.reserved:
        yield f"has no answer to its claims for {sorted(profile.reserved)}"


def astray(actors: Actors) -> Iterator[str]:
    """Identifiers whose root does not know them, or is not found within HOPS, and members that follow another root."""
    for actor in actors.values():
        root = root_of(actor, actors)
        if root is None:
            yield f"{actor.identifier} follows {actor.root} and finds no root within {HOPS} hops"
        elif actor.identifier not in root.index:
            yield f"{actor.identifier} follows {root.identifier}, which does not know it"
        if actor.profile is not None:
            for member in actor.index:
                if member not in actors or root_of(actors[member], actors) is not actor:
                    yield f"{actor.identifier} has the member {member}, which does not follow it"


def root_of(actor: Actor, actors: Actors) -> Actor | None:
    """Who holds the profile of an identifier, None if its pointers do not lead there within HOPS."""
    found: Actor | None = actor
    for _ in range(HOPS):
        if found is not None and found.profile is None:
            found = actors.get(found.root)
    return found if found is not None and found.profile is not None else None


def over_limits(actors: Actors, limits: Mapping[str, int], accounts: Mapping[str, str]) -> Iterator[str]:
    """Profiles with more identifiers of a type than one may have; names of one account are one."""
    for actor in actors.values():
        names = {accounts.get(member, member) for member in actor.index}
        counts = Counter(name.partition(":")[0] for name in names)
        for type_, most in limits.items():
            if counts[type_] > most:
                yield f"{actor.identifier} has {counts[type_]} of type {type_}, more than {most}"


def torn(actors: Actors, components: Iterable[Set[str]]) -> Iterator[str]:
    """People who are not one profile; who was only seen in links that do not count may be unknown."""
    profiles = {frozenset(actor.index) for actor in actors.values() if actor.profile is not None}
    for component in components:
        if component not in profiles and component & actors.keys():
            held = sorted(sorted(members) for members in profiles if members & component)
            yield f"{sorted(component)} are one person, but the profiles are {held}"
