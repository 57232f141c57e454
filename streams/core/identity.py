"""The identity protocol: which identifiers are one person, agreed between actors by messages.

Owns claims, unions and the hand-over of a whole profile to a lower root; must not know records, topics or timers, nor
who is right where two people want the same identifier (see `contests`). The root of a person is the lowest of its
identifiers, and what holds it together are its best links (see `links`), so the answer does not depend on the order in
which links arrive. While a root has a proposal out, whatever else would make it ask again waits in its state; waits go
strictly downwards in rank, so they cannot deadlock.

A claim is settled by exactly one answer: `Claimed`, `Retry`, `Release`, or the `Absorb` that makes both sides one.
"""

from collections.abc import Callable

import msgspec

from streams.core import left_out
from streams.core.actor import Actor, Actors, Profile, load, profile_id_of, whole
from streams.core.acts import Acts
from streams.core.belongings import CREATED, MERGED, STITCHED, Belonging
from streams.core.contests import Contests, is_nobodys
from streams.core.identifier import Identifiers
from streams.core.limits import Limits
from streams.core.links import PENDING
from streams.core.messages import (
    NO_LINK,
    Absorb,
    Accept,
    Bid,
    Cause,
    Claim,
    Claimed,
    Detach,
    ForActor,
    ForRoot,
    Heed,
    Link,
    Message,
    Propose,
    Refuse,
    Repoint,
    Retry,
    Touch,
    Union,
)
from streams.core.profile import Profiles
from streams.core.rules import Rules
from streams.core.shapes import NEVER
from streams.core.touchpoint import Touchpoint


class Identity:
    """The protocol over the actors of one task; `send` delivers to any actor, in order for each receiving task.

    `settle` works out what an actor has taken in during this batch, before its state changes hands.
    """

    def __init__(
        self,
        actors: Actors,
        identifiers: Identifiers,
        profiles: Profiles,
        rules: Rules,
        *,
        send: Callable[[Message], None],
        settle: Callable[[Actor], None],
    ) -> None:
        self._actors = actors
        self._order = identifiers.order
        self._profiles = profiles
        self._limits = limits = Limits(rules)
        self._send = send
        self._settle = settle
        self._contests = Contests(
            actors, identifiers, profiles, self._limits, rules, send=send, settle=settle, tie=self.tie
        )
        self.acts = Acts(actors, profiles, self._contests, limits, send=send, settle=settle, find=self.actor)

    @property
    def belongings(self) -> list[Belonging]:
        """What this batch has decided about identifiers."""
        return self._contests.belongings

    def actor(self, identifier: str, cause: Cause) -> Actor:
        """The actor of an identifier, a new root if it was never seen."""
        actor = self._actors.find(identifier)
        if actor is None:
            actor = self._actors.create_root(identifier)
            self._note(actor, actor.profile_id, identifier, CREATED, cause)
        return actor

    def link(self, actor: Actor, profile: Profile, touchpoint: Touchpoint, skipped: int) -> None:
        """Take in what a touchpoint of a root shows: its identifiers but the `skipped` first are one person's."""
        identifiers = touchpoint.identifiers
        index = actor.index
        is_newest = touchpoint.occurred_ms > profile.links.newest_ms
        if is_newest and not profile.expecting and not self._limits.moving:
            # No better link than those there are, and none that is new.
            at = index.get(identifiers[skipped])
            for identifier in identifiers[skipped + 1 :]:
                if at is None or not left_out.is_known(profile, at, index.get(identifier)):
                    break
            else:
                return
        through = identifiers[skipped]
        cause = Cause(touchpoint.message_id, touchpoint.occurred_ms, touchpoint.digest, through)
        for identifier in identifiers[skipped + 1 :]:
            self.tie(actor, identifier, cause)

    def tie(self, actor: Actor, identifier: str, cause: Cause) -> None:
        """Link an identifier to a member of a root: the better link holds, or it is claimed."""
        through = actor.index.get(cause.through)
        if through is None:
            self._send(Link(cause.through, identifier, cause))
            return
        profile = _profile(actor)
        if self.acts.are_parted(actor, profile, identifier, cause):
            return
        if identifier in actor.index:
            self._improve(actor, profile, identifier, cause)
        elif not self._contests.is_lost(profile, identifier, cause):
            self._claim(actor, profile, identifier, cause)

    def _improve(self, actor: Actor, profile: Profile, identifier: str, cause: Cause) -> None:
        """Let a better link take the place of the worst between two members."""
        one, other = actor.index[cause.through], actor.index[identifier]
        links = profile.links
        if one == other:
            return
        self._actors.touch(actor)
        if profile.expecting:
            self._contests.wait(profile, Link(actor.identifier, identifier, cause))
            return
        weight = self._limits.weight(cause.through, identifier, cause.occurred_ms, cause.digest)
        worst, worst_weight = self._contests.worst(profile, links.path(one, other))
        assert worst_weight is not None, "two members without a path between them"
        if weight >= worst_weight:
            if weight > worst_weight:
                left_out.spare(profile, cause.through, identifier, cause.occurred_ms, cause.digest)
            return
        above, below = profile.members[links.parents[worst]], profile.members[worst]
        left_out.spare(profile, above, below, links.times_ms[worst], links.digests[worst])
        links.cut(worst)
        inner, outer = (one, other) if links.top_of(one) == worst else (other, one)
        links.lead_from(inner)
        links.set(inner, outer, cause.occurred_ms, cause.digest)

    def _claim(self, actor: Actor, profile: Profile, identifier: str, cause: Cause) -> None:
        """Ask an identifier to belong to a root, if there is room for it."""
        self._actors.touch(actor)
        if profile.proposal or identifier in profile.reserved:
            self._contests.wait(profile, Link(actor.identifier, identifier, cause))
            return
        if not self._contests.has_room(actor, profile, identifier, cause):
            return
        profile.revision += 1
        bid = Bid(identifier, actor.identifier, profile.revision, cause)
        profile.reserved[identifier] = bid
        # It may turn out to be somebody else's, with whom this profile is then one.
        self._profiles.hold(profile)
        self._send(Claim(identifier, bid, actor.generation, actor.epoch))

    def handle(self, message: ForActor) -> None:
        """Any message of the protocol but a touchpoint."""
        match message:
            case Claim():
                self._on_claim(message)
            case Repoint():
                self._on_repoint(message)
            case Accept():
                self._on_accept(message)
            case Refuse():
                self._on_refuse(message)
            case Detach():
                self._contests.on_detach(message)
            case Touch():
                raise AssertionError("a touchpoint is not the protocol's to handle")
            case _:
                self._on_root_message(message)

    def _on_root_message(self, message: ForRoot) -> None:
        """Messages for whoever is root of `to` by now: an alias passes them on."""
        actor = self._actors.find(message.to)
        assert actor is not None, "a message of the protocol for an identifier that was never seen"
        profile = actor.profile
        if profile is None:
            if self._contests.passes(actor, message):
                self._send(msgspec.structs.replace(message, to=actor.root))
            return
        match message:
            case Link():
                self.tie(actor, message.identifier, message.cause)
            case Claimed():
                self._on_claimed(actor, profile, message.bid)
            case Union():
                self._on_union(actor, profile, message)
            case Propose():
                self._on_propose(actor, profile, message)
            case Absorb():
                self._on_absorb(actor, profile, message)
            case _:
                self._contests.on_root_message(actor, profile, message)

    def _on_claim(self, message: Claim) -> None:
        bid = message.bid
        actor = self._actors.find(message.to)
        if actor is None:
            actor = self._actors.create_alias(message.to, bid.claimant)
            actor.generation = message.generation
            self._note(actor, profile_id_of(bid.claimant, message.epoch), bid.claimant, STITCHED, bid.cause)
            self._send(Claimed(bid.claimant, bid))
        elif actor.mark or self.acts.refuses(actor, bid):
            self._contests.turn_down(actor, bid)
        elif actor.root == bid.claimant and actor.profile is None:
            self._send(Claimed(bid.claimant, bid))
        else:
            self._send(Union(actor.root, bid.claimant, bid))

    def _on_claimed(self, actor: Actor, profile: Profile, bid: Bid) -> None:
        self._actors.touch(actor)
        self._contests.settle_bid(profile, bid)
        through = actor.index.get(bid.cause.through)
        if bid.identifier in actor.index:
            self.tie(actor, bid.identifier, bid.cause)
        elif through is not None and not self.acts.are_parted(actor, profile, bid.identifier, bid.cause):
            actor.add_member(bid.identifier)
            profile.links.append(through, bid.cause.occurred_ms, bid.cause.digest)
            if bid.claimant != actor.identifier or actor.epoch:
                # It follows somebody who is part of us, or knows us under a former id.
                root = actor.identifier
                self._send(Repoint(bid.identifier, root, actor.epoch, actor.generation, bid.cause))
        else:
            # What it was seen with has left meanwhile, or is parted from it: it is somebody new.
            self._contests.let_go(actor, bid)
        self._contests.resume(profile)

    def _on_union(self, actor: Actor, profile: Profile, message: Union) -> None:
        bid = message.bid
        if message.other in actor.index:
            self._send(Retry(bid.claimant, bid))
            return
        self._actors.touch(actor)
        if profile.proposal:
            profile.waiting.append(message)
            return
        if is_nobodys(actor, bid):
            self._send(Retry(bid.claimant, bid))
            return
        self._profiles.hold(profile)
        if self._order(message.to) < self._order(message.other):
            self._send(Union(message.other, message.to, bid))
            return
        if bid.identifier not in actor.index and bid.cause.through not in actor.index:
            self._send(Retry(bid.claimant, bid))
            return
        profile.revision += 1
        profile.proposal = f"{profile.revision} {message.other}"
        to, asking, members, reserved = (
            message.other,
            profile.proposal,
            [*actor.index],
            [*profile.reserved.values()],
        )
        generation, acts = actor.generation, profile.acts
        self._send(Propose(to, actor.identifier, members, reserved, asking, generation, bid, acts))

    def _on_propose(self, actor: Actor, profile: Profile, message: Propose) -> None:
        self._actors.touch(actor)
        if profile.proposal and message.child != actor.identifier:
            profile.waiting.append(message)
            return
        self._profiles.hold(profile)
        bid = message.bid
        here, there = bid.identifier, bid.cause.through
        if here not in actor.index:
            here, there = there, here
        kind = NO_LINK
        is_link = here in actor.index and there in message.members and not is_nobodys(actor, bid)
        if is_link and message.child not in actor.index:
            more = [*message.members, *[held.identifier for held in message.reserved]]
            kind = self._contests.broken_by(actor, profile, more, message.acts)
            if not kind:
                self._reserve(actor, profile, message)
                self._send(Accept(message.child, actor.identifier, actor.epoch, message.proposal, bid))
                return
        self._send(Refuse(message.child, message.proposal, kind, bid))

    def _reserve(self, actor: Actor, profile: Profile, message: Propose) -> None:
        """Count what is to come as if it were here."""
        for member in message.members:
            if member not in actor.index:
                actor.add_member(member)
                profile.links.append(PENDING, message.bid.cause.occurred_ms, 0)
        for bid in message.reserved:
            profile.reserved.setdefault(bid.identifier, bid)
        profile.expecting.append(message.child)
        actor.generation = max(actor.generation, message.generation + 1)

    def _proposer(self, to: str, proposal: str) -> Actor | None:
        """Who asked; None for the echo of a batch that was replayed: an answer to anything but what was asked last."""
        actor = self._actors.find(to)
        profile = actor.profile if actor is not None else None
        if actor is None or profile is None or profile.proposal != proposal:
            return None
        self._actors.touch(actor)
        profile.proposal = ""
        return actor

    def _on_accept(self, message: Accept) -> None:
        """Hand over."""
        actor = self._proposer(message.to, message.proposal)
        if actor is None:
            return
        profile = _profile(actor)
        waiting, profile.waiting = profile.waiting, []
        self._settle(actor)
        generation = actor.generation + 1
        cause = message.bid.cause
        self._send(Absorb(message.root, actor.identifier, generation, whole(actor), message.bid))
        for member in actor.index:
            if member != actor.identifier:
                self._send(Repoint(member, message.root, message.epoch, generation, cause))
        actor.become_alias(message.root)
        actor.generation = generation
        to = profile_id_of(message.root, message.epoch)
        self._note(actor, to, message.root, MERGED, cause, came_from=actor.profile_id)
        for held in waiting:
            self._send(msgspec.structs.replace(held, to=message.root))

    def _on_refuse(self, message: Refuse) -> None:
        actor = self._proposer(message.to, message.proposal)
        if actor is None:
            return
        profile = _profile(actor)
        if message.kind == NO_LINK:
            self._send(Retry(message.bid.claimant, message.bid))
        else:
            self._contests.open(actor, message.kind, message.bid)
        self._contests.resume(profile)

    def _on_absorb(self, actor: Actor, profile: Profile, message: Absorb) -> None:
        if message.child not in profile.expecting:
            # The echo of a batch that was replayed.
            return
        self._actors.touch(actor)
        profile.expecting.remove(message.child)
        child = load(message.child, dict(message.state))
        assert child is not None, "an absorbed profile came without its head"
        self._settle(actor)
        bid = message.bid
        end, here = bid.identifier, bid.cause.through
        if end not in child.index:
            end, here = here, end
        actor.generation = max(actor.generation, message.generation)
        for member in child.index:
            if member not in actor.index:
                # It joined after the proposal, so whoever was root since has not told it.
                self._send(Repoint(member, actor.identifier, actor.epoch, actor.generation, bid.cause))
        self._graft(actor, profile, child, end, here, bid.cause)
        self._profiles.absorb(actor, child)
        if profile.acts:
            self._send(Heed(actor.identifier, actor.identifier, []))
        self._contests.settle_bid(profile, bid)
        self._contests.resume(profile)

    def _graft(self, actor: Actor, profile: Profile, child: Actor, end: str, here: str, cause: Cause) -> None:
        """Hang the child's tree of links on ours, by the link that made the two one."""
        theirs = _profile(child).links
        theirs.lead_from(child.index[end])
        for member in child.index:
            if actor.add_member(member) == len(profile.links.parents):
                profile.links.append(PENDING, NEVER, 0)
        for member, at in child.index.items():
            place, parent = actor.index[member], theirs.parents[at]
            if member == end:
                profile.links.set(place, actor.index[here], cause.occurred_ms, cause.digest)
            elif parent >= 0:
                above = actor.index[_profile(child).members[parent]]
                profile.links.set(place, above, theirs.times_ms[at], theirs.digests[at])

    def _on_repoint(self, message: Repoint) -> None:
        actor = self._actors.find(message.to)
        assert actor is not None, "an identifier that was never seen is to follow its root"
        if message.generation < actor.generation or actor.profile is not None:
            return
        self._actors.touch(actor)
        came_from = profile_id_of(actor.root, 0)
        actor.root, actor.generation = message.root, message.generation
        if message.epoch >= 0:
            to, root = profile_id_of(message.root, message.epoch), message.root
            self._note(actor, to, root, MERGED, message.cause, came_from=came_from)

    def _note(
        self, actor: Actor, profile_id: str, root: str, kind: str, cause: Cause, came_from: str | None = None
    ) -> None:
        self.belongings.append(Belonging(actor, profile_id, root, kind, cause, other_profile_id=came_from))


def _profile(actor: Actor) -> Profile:
    assert actor.profile is not None, "an alias was asked for its profile"
    return actor.profile
