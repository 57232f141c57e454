"""The identity protocol: which identifiers are one person, agreed between actors by messages.

Owns claims, unions and the hand-over of a whole profile to a lower root; must not know records, topics or timers.
The root of a person is the lowest of its identifiers, so the answer does not depend on the order in which links arrive.
Every transition is safe to repeat: members and roots only grow and only go down, a proposal is accepted once.
While a root has a proposal out, whatever else would make it ask again waits in its state; waits go strictly downwards
in rank, so they cannot deadlock.
"""

from collections.abc import Callable, Iterable
from typing import Final

import msgspec

from streams.core.actor import Actor, Actors, Profile, load, whole
from streams.core.identifier import Identifiers
from streams.core.messages import (
    Absorb,
    Accept,
    Claim,
    ForActor,
    Link,
    Message,
    Propose,
    Repoint,
    Touch,
    Union,
)
from streams.core.profile import Profiles

CREATED: Final = "created"
STITCHED: Final = "stitched"
MERGED: Final = "merged"


class Belonging:
    """What `identities` says of an identifier: its new root, or why it keeps the one it has. Times in epoch ms."""

    __slots__ = (
        "cause", "decided_by", "identifier", "kind", "linked_ms", "linked_to", "other_profile_id", "own_profile_id",
        "reason", "root", "rule",
    )  # fmt: skip

    def __init__(
        self,
        identifier: str,
        own_profile_id: str,
        root: str,
        kind: str,
        cause: str,
        *,
        linked_to: str | None = None,
        linked_ms: int | None = None,
        other_profile_id: str | None = None,
        rule: str = "",
        decided_by: str | None = None,
        reason: str | None = None,
    ) -> None:
        self.identifier = identifier
        self.own_profile_id = own_profile_id
        self.root = root
        self.kind = kind
        self.cause = cause
        self.linked_to = linked_to
        self.linked_ms = linked_ms
        self.other_profile_id = other_profile_id
        self.rule = rule
        self.decided_by = decided_by
        self.reason = reason


class Identity:
    """The protocol over the actors of one task; `send` delivers to any actor, in order for each receiving task.

    `settle` works out what an actor has taken in during this batch, before its state changes hands.
    """

    def __init__(
        self,
        actors: Actors,
        identifiers: Identifiers,
        profiles: Profiles,
        *,
        send: Callable[[Message], None],
        settle: Callable[[Actor], None],
    ) -> None:
        self._actors = actors
        self._order = identifiers.order
        self._profiles = profiles
        self._send = send
        self._settle = settle
        self.now_ms = 0
        self.belongings: list[Belonging] = []

    def actor(self, identifier: str, cause: str) -> Actor:
        """The actor of an identifier, a new root if it was never seen."""
        actor = self._actors.find(identifier)
        if actor is None:
            actor = self._actors.create_root(identifier)
            self._note(actor, identifier, CREATED, cause)
        return actor

    def link(self, actor: Actor, identifiers: Iterable[str], cause: str) -> None:
        """Claim for a root what a touchpoint of it shows; `identifiers` are lowest first."""
        index = actor.index
        for identifier in identifiers:
            if identifier not in index:
                break
        else:
            return
        new = [identifier for identifier in identifiers if identifier not in index]
        self._actors.touch(actor)
        profile = _profile(actor)
        if profile.proposal:
            profile.waiting.append(Link(actor.identifier, tuple(new), cause))
            return
        for identifier in new:
            self.claim(actor, identifier, cause)

    def claim(self, actor: Actor, identifier: str, cause: str) -> None:
        """Make an identifier a member of a root and tell it so."""
        self._actors.touch(actor)
        actor.add_member(identifier)
        # It may turn out to be somebody else's, with whom this profile is then one.
        self._profiles.hold(_profile(actor), self.now_ms)
        self._send(Claim(identifier, actor.identifier, cause))

    def handle(self, message: ForActor) -> None:
        """Any message of the protocol but a touchpoint."""
        match message:
            case Claim():
                self._on_claim(message)
            case Repoint():
                self._on_repoint(message)
            case Accept():
                self._on_accept(message)
            case Touch():
                raise AssertionError("a touchpoint is not the protocol's to handle")
            case _:
                self._on_root_message(message)

    def _on_root_message(self, message: Link | Union | Propose | Absorb) -> None:
        """Messages for whoever is root of `to` by now: an alias passes them on."""
        actor = self.actor(message.to, message.cause)
        if actor.profile is None:
            self._send(msgspec.structs.replace(message, to=actor.root))
            return
        match message:
            case Link():
                self.link(actor, message.identifiers, message.cause)
            case Union():
                self._on_union(actor, message)
            case Propose():
                self._on_propose(actor, message)
            case Absorb():
                self._on_absorb(actor, message)

    def _on_claim(self, message: Claim) -> None:
        actor = self._actors.find(message.to)
        if actor is None:
            actor = self._actors.create_alias(message.to, message.root)
            self._note(actor, message.root, STITCHED, message.cause)
            return
        if actor.root != message.root:
            self._send(Union(actor.root, message.root, message.cause))

    def _on_union(self, actor: Actor, message: Union) -> None:
        if message.to == message.other:
            return
        self._actors.touch(actor)
        profile = _profile(actor)
        if profile.proposal:
            profile.waiting.append(message)
            return
        self._profiles.hold(profile, self.now_ms)
        if self._order(message.to) < self._order(message.other):
            self._send(Union(message.other, message.to, message.cause))
            return
        profile.revision += 1
        profile.proposal = f"{profile.revision} {message.other}"
        self._send(Propose(message.other, actor.identifier, profile.members, profile.proposal, message.cause))

    def _on_propose(self, actor: Actor, message: Propose) -> None:
        if message.child != actor.identifier:
            self._actors.touch(actor)
            profile = _profile(actor)
            if profile.proposal:
                profile.waiting.append(message)
                return
            self._profiles.hold(profile, self.now_ms)
            for member in message.members:
                actor.add_member(member)
        self._send(Accept(message.child, actor.identifier, message.proposal, message.cause))

    def _on_accept(self, message: Accept) -> None:
        """Hand over. An answer to anything but the proposal that is out is the echo of a batch that was replayed."""
        actor = self._actors.find(message.to)
        profile = actor.profile if actor is not None else None
        if actor is None or profile is None or profile.proposal != message.proposal:
            return
        self._actors.touch(actor)
        waiting, profile.waiting, profile.proposal = profile.waiting, [], ""
        if message.root != actor.identifier:
            self._settle(actor)
            self._send(Absorb(message.root, actor.identifier, whole(actor), message.cause))
            for member in profile.members:
                if member != actor.identifier:
                    self._send(Repoint(member, message.root, message.cause))
            actor.become_alias(message.root)
            self._note(actor, message.root, MERGED, message.cause)
        for held in waiting:
            self._send(msgspec.structs.replace(held, to=message.root))

    def _on_absorb(self, actor: Actor, message: Absorb) -> None:
        self._actors.touch(actor)
        child = load(message.child, dict(message.state))
        assert child is not None, "an absorbed profile came without its head"
        self._settle(actor)
        reserved = set(actor.index)
        self._profiles.absorb(actor, child, self.now_ms)
        for member in _profile(child).members:
            if member not in reserved:
                self._send(Repoint(member, actor.identifier, message.cause))

    def _on_repoint(self, message: Repoint) -> None:
        actor = self._actors.find(message.to)
        if actor is None:
            actor = self._actors.create_alias(message.to, message.root)
        elif actor.profile is None and self._order(message.root) < self._order(actor.root):
            self._actors.touch(actor)
            actor.root = message.root
        else:
            return
        self._note(actor, message.root, MERGED, message.cause)

    def _note(
        self,
        actor: Actor,
        root: str,
        kind: str,
        cause: str,
        *,
        linked_to: str | None = None,
        linked_ms: int | None = None,
        other_profile_id: str | None = None,
        rule: str = "",
        decided_by: str | None = None,
        reason: str | None = None,
    ) -> None:
        self.belongings.append(
            Belonging(
                actor.identifier,
                actor.profile_id,
                root,
                kind,
                cause,
                linked_to=linked_to,
                linked_ms=linked_ms,
                other_profile_id=other_profile_id,
                rule=rule,
                decided_by=decided_by,
                reason=reason,
            )
        )


def _profile(actor: Actor) -> Profile:
    assert actor.profile is not None, "an alias was asked for its profile"
    return actor.profile
