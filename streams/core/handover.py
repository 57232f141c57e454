"""How a whole profile goes from one root to another once both agree: at once, or, if it is one of many, in pieces.

A profile of many sends its members ahead, a piece at a time and each asked for, so that no batch has much to do for it;
until the last has arrived it stays a root and takes in touchpoints, while all that would change its members waits. Then
it hands over the rest, which has bounds of its own, as any other does.

Owns what is sent and taken over; must not know why two profiles become one (see `identity`).
"""

from collections.abc import Callable, Sequence

import msgspec

from streams.core import claims, roster
from streams.core.actor import Actor, Profile, profile_id_of
from streams.core.actors import Actors, load, whole
from streams.core.belongings import MERGED, Belonging
from streams.core.identifier import Identifiers
from streams.core.limits import Limits, counts_of, kind_of
from streams.core.links import PENDING
from streams.core.messages import (
    FOLLOWS_ROOT,
    Absorb,
    Accept,
    Bid,
    Cause,
    Disown,
    Heed,
    Hold,
    Link,
    Message,
    More,
    Piece,
    Propose,
    Repoint,
)
from streams.core.partings import Partings
from streams.core.profile import Profiles
from streams.core.rules import Rules
from streams.core.shapes import NEVER, Arriving


class Handovers:
    """The hand-over between the actors of one task; `send_later` delivers in another batch, even within the task."""

    def __init__(
        self,
        actors: Actors,
        identifiers: Identifiers,
        profiles: Profiles,
        partings: Partings,
        limits: Limits,
        rules: Rules,
        *,
        send: Callable[[Message], None],
        send_later: Callable[[Message], None],
        settle: Callable[[Actor], None],
    ) -> None:
        self._actors = actors
        self._order = identifiers.order
        self._profiles = profiles
        self._partings = partings
        self._limits = limits
        self._few = rules.few_members
        self._piece = rules.piece_members
        self._send = send
        self._send_later = send_later
        self._settle = settle

    def is_many(self, profile: Profile) -> bool:
        """Whether it goes in pieces."""
        return len(profile.members) > self._piece

    def propose(self, actor: Actor, profile: Profile, root: str, bid: Bid) -> None:
        """Ask a root to absorb this one."""
        profile.revision += 1
        size = len(actor.index)
        profile.proposal, profile.proposed_size = f"{profile.revision} {root}", size
        members, counts = list(actor.index), {}
        if self.is_many(profile):
            end = bid.identifier if bid.identifier in actor.index else bid.cause.through
            is_unique = self._limits.is_unique
            members = [name for name in actor.index if name == end or is_unique(kind_of(name))]
            listed = counts_of(members)
            counts = {kind: number - listed.get(kind, 0) for kind, number in actor.counts().items()}
        self._send(
            Propose(
                root,
                actor.identifier,
                size,
                members,
                claims.bids_of(profile.reserved),
                profile.proposal,
                actor.generation,
                bid,
                profile.acts,
                counts,
            )
        )

    def accept(self, actor: Actor, profile: Profile, message: Propose) -> None:
        """Take a proposal, and count what is to come as if it were here."""
        if message.counts:
            counts = dict(message.counts)
            for kind, number in counts_of(message.members).items():
                counts[kind] = counts.get(kind, 0) + number
            profile.arriving[message.child] = Arriving(-1, 0, 0, counts)
        else:
            for member in message.members:
                if member not in actor.index:
                    actor.add_member(member)
                    profile.links.append(PENDING, message.bid.cause.occurred_ms, 0)
        for bid in message.reserved:
            claims.add(profile.reserved, bid)
        profile.expecting.append(message.child)
        actor.generation = max(actor.generation, message.generation + 1)
        self._send(
            Accept(
                message.child,
                actor.identifier,
                profile.name,
                profile.epoch,
                message.proposal,
                message.bid,
                bool(message.counts),
            )
        )

    def on_accept(self, actor: Actor, profile: Profile, message: Accept) -> None:
        """Hand over, or begin to."""
        self._actors.touch(actor)
        if not message.in_pieces:
            self._hand_over(actor, profile, message)
        else:
            profile.accepted = message
            self._send_piece(actor, profile, message.root, 0)

    def on_more(self, message: More) -> None:
        """Send the next members, or, after the last, all the rest."""
        actor = self._actors.find(message.to)
        profile = actor.profile if actor is not None else None
        assert actor is not None, "one that was never seen is asked for its members"
        assert profile is not None, "one that is no root is asked for its members"
        assert profile.accepted is not None, "one that was not accepted is asked for its members"
        self._actors.touch(actor)
        if message.first < len(profile.members):
            self._send_piece(actor, profile, profile.accepted.root, message.first)
        else:
            self._hand_over(actor, profile, profile.accepted)

    def on_piece(self, actor: Actor, profile: Profile, message: Piece) -> None:
        """Members of a child, whose links lead to each other alone until the child itself is here."""
        arriving = profile.arriving.get(message.child)
        assert arriving is not None, "a piece of one that nobody has accepted"
        assert arriving.arrived == message.first, "a piece has come out of turn"
        self._actors.touch(actor)
        if arriving.base < 0:
            arriving.base, arriving.members = len(profile.members), message.members
            profile.members += [""] * message.members
            profile.links.expect(message.members)
        base, place = arriving.base, arriving.base + message.first
        for member, parent, at_ms, digest, through in message.rows:
            if member:
                actor.put_member(place, member)
                if parent >= 0:
                    profile.links.set(place, base + parent, at_ms, digest)
                if through != FOLLOWS_ROOT:
                    profile.follow(place, base + through)
                profile.links.mark(place)
            place += 1
        for kind, number in counts_of(row[0] for row in message.rows if row[0]).items():
            arriving.counts[kind] = max(0, arriving.counts.get(kind, 0) - number)
        arriving.arrived += len(message.rows)
        self._send(More(message.child, arriving.arrived))
        self.hold(profile)

    def hold(self, profile: Profile) -> None:
        """Stop the timers of a profile that may change, and of all that would be one with it if it could be now.

        Said again with every piece: no clock gets past two of them.
        """
        self._profiles.hold(profile)
        for held in profile.waiting:
            if isinstance(held, Link):
                self._send(Hold(held.identifier))
            elif not isinstance(held, Disown | Heed):
                self._send(Hold(held.bid.identifier))
                self._send(Hold(held.bid.claimant))

    def on_hold(self, actor: Actor, profile: Profile) -> None:
        """Once a moment, since two may wait for each other."""
        if profile.merged_ms < self._profiles.now_ms:
            self._actors.touch(actor)
            self.hold(profile)

    def on_absorb(self, actor: Actor, profile: Profile, message: Absorb) -> bool:
        """Take over a child; True if one of the two knew acts that the other did not."""
        assert message.child in profile.expecting, "the state of one that nobody has accepted"
        self._actors.touch(actor)
        profile.expecting.remove(message.child)
        child = load(message.child, dict(message.state))
        assert child is not None, "an absorbed profile came without its head"
        theirs = _profile(child)
        self._settle(actor)
        bid = message.bid
        actor.generation = max(actor.generation, message.generation)
        arriving = profile.arriving.pop(message.child, None)
        if arriving is not None:
            places: Sequence[int] = range(arriving.base, arriving.base + arriving.members)
            untold: list[str] = []
            end, here = self._ends(bid, actor.index.get(bid.identifier, -1) in places)
            profile.links.lead_from(actor.index[end])
            profile.links.set(actor.index[end], actor.index[here], bid.cause.occurred_ms, bid.cause.digest)
        else:
            # What joined after the proposal is not known to whoever was root since.
            untold = [member for member in child.index if member not in actor.index]
            is_direct = len(child.index) <= self._few
            if message.root != actor.identifier:
                untold, is_direct = list(child.index), True
            end, here = self._ends(bid, bid.identifier in child.index)
            places = _graft(actor, profile, child, end, here, bid.cause)
            if not is_direct:
                _follow_as_before(actor, profile, child, theirs, untold)
        mine = profile.acts
        self._profiles.absorb(actor, child, places)
        self._partings.name(actor, profile, theirs.name, bid.cause)
        self._partings.repoint(actor, untold, bid.cause, MERGED)
        return not len(mine) == len(theirs.acts) == len(profile.acts)

    def _ends(self, bid: Bid, is_theirs: bool) -> tuple[str, str]:
        """The two identifiers of the link that makes two profiles one, the child's first."""
        one, other = bid.identifier, bid.cause.through
        return (one, other) if is_theirs else (other, one)

    def _send_piece(self, actor: Actor, profile: Profile, root: str, first: int) -> None:
        members = len(profile.members)
        rows = roster.rows_of(profile, first, min(first + self._piece, members))
        hubs = set(profile.via.values())
        told = []
        for place, (member, parent, at_ms, digest, through) in enumerate(rows, first):
            # As they will, once this one is no root any more and has told those that others follow.
            if through == FOLLOWS_ROOT and place > 0 and place not in hubs:
                through = 0
            told.append((member, parent, at_ms, digest, through))
        self._send_later(Piece(root, actor.identifier, members, first, told))
        self.hold(profile)

    def _hand_over(self, actor: Actor, profile: Profile, message: Accept) -> None:
        waiting, profile.waiting = profile.waiting, []
        has_members = profile.accepted is None
        profile.proposal, profile.accepted = "", None
        self._settle(actor)
        generation = actor.generation + 1
        root, bid = message.root, message.bid
        cause = bid.cause
        name, epoch = profile.name, profile.epoch
        if self._order(message.name) < self._order(name):
            name, epoch = message.name, message.epoch
        state = whole(actor, has_members=has_members)
        self._send(Absorb(root, root, actor.identifier, generation, state, bid))
        for member in self._followers(actor, profile, in_pieces=not has_members):
            self._send(Repoint(member, root, name, epoch, generation, cause, MERGED))
        came_from = actor.profile_id
        actor.become_alias(root)
        actor.generation = generation
        self._partings.belongings.append(
            Belonging(actor, profile_id_of(name, epoch), root, MERGED, cause, other_profile_id=came_from)
        )
        for held in waiting:
            self._send(msgspec.structs.replace(held, to=root))

    def _followers(self, actor: Actor, profile: Profile, *, in_pieces: bool) -> list[str]:
        """Whom a root has to tell that it hands over: all members, or of many those only that others follow.

        As many follow each of these, telling them costs little; and nobody is more than two steps from its root. Who is
        still on the way here goes on following this one, behind its own state, and is told where that arrives: told
        now, it would be there before its state, and what both have seen would count twice.
        """
        if len(actor.index) <= self._few and not in_pieces:
            places = [at for member, at in actor.index.items() if member != actor.identifier]
        else:
            places = sorted(set(profile.via.values()))
        return [profile.members[at] for at in places if not profile.is_expected(at)]


def _graft(actor: Actor, profile: Profile, child: Actor, end: str, here: str, cause: Cause) -> list[int]:
    """Hang the child's tree of links on ours, by the link that made the two one; where its members are now."""
    theirs = _profile(child)
    links = theirs.links
    links.lead_from(child.index[end])
    places = [-1] * len(theirs.members)
    for member, at in child.index.items():
        place = places[at] = actor.add_member(member)
        if place == len(profile.links.parents):
            profile.links.append(PENDING, NEVER, 0)
        profile.follow_root(place)
    for member, at in child.index.items():
        if member == end:
            profile.links.set(places[at], actor.index[here], cause.occurred_ms, cause.digest)
        elif links.parents[at] >= 0:
            profile.links.set(places[at], places[links.parents[at]], links.times_ms[at], links.digests[at])
    return places


def _follow_as_before(
    actor: Actor, profile: Profile, child: Actor, theirs: Profile, told: Sequence[str]
) -> None:
    """Members of a child that was not small follow it, or whom they have followed."""
    hubs = set(theirs.via.values())
    for member, at in child.index.items():
        if member != child.identifier and at not in hubs and member not in told:
            through = theirs.members[theirs.via.get(at, 0)]
            profile.follow(actor.index[member], actor.index[through])


def _profile(actor: Actor) -> Profile:
    assert actor.profile is not None, "an alias was asked for its profile"
    return actor.profile
