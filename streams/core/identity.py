"""The identity protocol: which identifiers are one person, agreed between actors by messages.

Owns claims, unions and proposals; must not know records, topics or timers, nor who is right where two people want the
same identifier (see `contests`), nor what is sent once two roots agree (see `handover`). A person is named after the
lowest of its identifiers, and what holds it together are its best links (see `links`), so the answer does not depend
on the order in which links arrive. Few members are kept with the lowest of them, where most of their touchpoints come
in. Where many are kept does depend on it, and nobody sees it: of two roots the one of a lesser class of size hands
over, so that an identifier moves some log2(n) times at most (union by rank, Tarjan 1975). While a root has a proposal
out, whatever else would make it ask again waits in its state; only who was less when it asked may wait for another that
asks, so waits cannot form a circle.

A claim is settled by exactly one answer: `Claimed`, `Retry`, `Release`, or the `Absorb` that makes both sides one.
"""

from collections.abc import Callable

import msgspec

from streams.core import claims, left_out
from streams.core.actor import Actor, Profile, profile_id_of
from streams.core.actors import Actors
from streams.core.acts import Acts
from streams.core.belongings import CREATED, MERGED, STITCHED, Belonging
from streams.core.contests import CUT, FULL, ROOM, WAITS, Contests
from streams.core.handover import Handovers
from streams.core.identifier import Identifiers
from streams.core.limits import Limits
from streams.core.messages import (
    BUSY,
    NO_LINK,
    UNSAID,
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
    Hold,
    Link,
    Message,
    More,
    Piece,
    Propose,
    Refuse,
    Release,
    Repoint,
    Retry,
    Touch,
    Union,
    Weigh,
)
from streams.core.partings import Partings
from streams.core.profile import Profiles
from streams.core.rules import Rules
from streams.core.touchpoint import Touchpoint
from streams.core.weighing import is_nobodys, is_parted, worst_of


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
        send_later: Callable[[Message], None],
        settle: Callable[[Actor], None],
    ) -> None:
        self._actors = actors
        self._order = identifiers.order
        self._profiles = profiles
        self._limits = limits = Limits(rules)
        self._few = max(1, rules.few_members)
        self._send = send
        self._partings = Partings(actors, identifiers, profiles, send=send, settle=settle)
        self._contests = Contests(actors, profiles, self._partings, limits, rules, send=send, tie=self.tie)
        self._handovers = Handovers(
            actors,
            identifiers,
            profiles,
            self._partings,
            limits,
            rules,
            send=send,
            send_later=send_later,
            settle=settle,
        )
        self.acts = Acts(actors, profiles, self._partings, limits, send=send, settle=settle, find=self.actor)

    @property
    def belongings(self) -> list[Belonging]:
        """What this batch has decided about identifiers."""
        return self._partings.belongings

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
        through = identifiers[skipped]
        is_newest = touchpoint.occurred_ms > profile.links.newest_ms
        may_be_known = is_newest and not profile.expecting and not self._limits.moving
        if may_be_known and left_out.are_known(profile, actor.index, identifiers, through):
            return  # No better link than those there are, and none that is new.
        cause = Cause(touchpoint.message_id, touchpoint.occurred_ms, touchpoint.digest, through)
        for identifier in identifiers[skipped + 1 :]:
            self.tie(actor, identifier, cause)

    def tie(self, actor: Actor, identifier: str, cause: Cause, brings: str = "") -> None:
        """Link an identifier to a member of a root: the better link holds, or it is claimed."""
        through = actor.index.get(cause.through)
        if through is None:
            self._send(Link(cause.through, identifier, cause, brings))
            return
        profile = _profile(actor)
        if is_parted(actor, profile, identifier, cause):
            self._contests.remember(actor, profile, Bid(identifier, cause.through, 0, cause))
        elif identifier in actor.index:
            self._improve(actor, profile, identifier, cause)
            return
        elif not self._contests.is_lost(profile, identifier, cause) and self._claim(
            actor, profile, Link(actor.identifier, identifier, cause, brings)
        ):
            return
        if brings:
            self._contests.ask_outward(actor, profile)

    def _improve(self, actor: Actor, profile: Profile, identifier: str, cause: Cause) -> None:
        """Let a better link take the place of the worst between two members."""
        one, other = actor.index[cause.through], actor.index[identifier]
        links = profile.links
        if one == other:
            return
        self._actors.touch(actor)
        if profile.expecting or profile.accepted is not None:
            self._contests.wait(profile, Link(actor.identifier, identifier, cause))
            return
        weight = self._limits.weight(cause.through, identifier, cause.occurred_ms, cause.digest)
        worst, worst_weight = worst_of(self._limits, profile, links.path(one, other))
        assert worst_weight is not None, "two members without a path between them"
        if weight >= worst_weight:
            if weight > worst_weight:
                left_out.spare(profile, cause.through, identifier, cause.occurred_ms, cause.digest)
            return
        ends = profile.members[links.parents[worst]], profile.members[worst]
        left_out.spare(profile, *ends, links.times_ms[worst], links.digests[worst])
        links.cut(worst)
        inner, outer = (one, other) if links.top_of(one) == worst else (other, one)
        links.lead_from(inner)
        links.set(inner, outer, cause.occurred_ms, cause.digest)

    def _claim(self, actor: Actor, profile: Profile, link: Link) -> bool:
        """Ask an identifier to belong to a root, if there is room for it; False if there is none."""
        identifier, cause = link.identifier, link.cause
        self._actors.touch(actor)
        room = WAITS
        if not profile.proposal and identifier not in profile.reserved:
            room = self._contests.room_for(actor, profile, identifier, cause)
        if room == CUT:
            self.tie(actor, identifier, cause, link.brings)
            self._partings.resume(profile)
        elif room == WAITS:
            self._contests.wait(profile, link)
        if room != ROOM:
            return room != FULL
        profile.revision += 1
        bid = Bid(identifier, actor.identifier, profile.revision, cause, link.brings)
        claims.add(profile.reserved, bid)
        # It may turn out to be somebody else's, with whom this profile is then one.
        self._profiles.hold(profile)
        self._send(Claim(identifier, bid, actor.generation, len(actor.index), profile.name, profile.epoch))
        return True

    def handle(self, message: ForActor) -> None:
        """Any message of the protocol but a touchpoint."""
        match message:
            case Claim():
                self._on_claim(message)
            case Repoint():
                self._on_repoint(message)
            case Accept() | Refuse():
                self._on_answer(message)
            case More():
                self._handovers.on_more(message)
            case Detach():
                self._partings.on_detach(message)
            case Touch():
                raise AssertionError("a touchpoint is not the protocol's to handle")
            case _:
                self._on_root_message(message)

    def _on_root_message(self, message: ForRoot) -> None:
        """Messages for whoever is root of `to` by now: an alias passes them on."""
        actor = self._actors.find(message.to)
        if actor is None and isinstance(message, Hold):
            return
        if actor is None and isinstance(message, Link) and message.cause.rule:
            # Another that the act names has heard of it first.
            actor = self.actor(message.to, message.cause)
        assert actor is not None, "a message of the protocol for an identifier that was never seen"
        profile = actor.profile
        if profile is None:
            if self._contests.passes(actor, message):
                self._send(msgspec.structs.replace(message, to=actor.root))
            return
        if isinstance(message, Claimed | Retry | Release | Weigh):
            claimant = actor.index.get(message.bid.claimant)
            if claimant is None:
                # Who has claimed has left with its claim since, and knows by now where it is.
                self._send(msgspec.structs.replace(message, to=message.bid.claimant))
                return
            if profile.is_expected(claimant) and not isinstance(message, Weigh):
                # The claim comes unanswered with the state of who has claimed, which this has overtaken.
                self._actors.touch(actor)
                profile.waiting.append(message)
                return
        match message:
            case Link():
                self.tie(actor, message.identifier, message.cause, message.brings)
            case Claimed():
                self._on_claimed(actor, profile, message)
            case Union():
                self._on_union(actor, profile, message)
            case Propose():
                self._on_propose(actor, profile, message)
            case Hold():
                self._handovers.on_hold(actor, profile)
            case Piece():
                self._handovers.on_piece(actor, profile, message)
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
            is_lower = self._order(message.to) < self._order(message.name)
            name, epoch = (message.to, 0) if is_lower else (message.name, message.epoch)
            self._note(actor, profile_id_of(name, epoch), bid.claimant, STITCHED, bid.cause)
            self._send(Claimed(bid.claimant, bid))
            return
        if actor.mark or self.acts.refuses(actor, bid):
            self._contests.turn_down(actor, bid)
        else:
            union = Union(actor.root, bid.claimant, bid, message.size)
            if actor.profile is None:
                self._send(union)
            else:
                self._on_union(actor, actor.profile, union)

    def _on_claimed(self, actor: Actor, profile: Profile, message: Claimed) -> None:
        bid = message.bid
        self._actors.touch(actor)
        if profile.accepted is not None:
            # Its members are on their way already.
            profile.waiting.append(message)
            return
        self._contests.settle_bid(profile, bid)
        through = actor.index.get(bid.cause.through)
        if bid.identifier in actor.index:
            self.tie(actor, bid.identifier, bid.cause)
        elif through is not None and self._contests.may_have(actor, profile, bid):
            actor.add_member(bid.identifier)
            profile.links.append(through, bid.cause.occurred_ms, bid.cause.digest)
            if bid.claimant != actor.identifier:
                self._partings.repoint(actor, (bid.identifier,), bid.cause, MERGED)
            self._partings.name(actor, profile, bid.identifier, bid.cause)
        else:
            # What it was seen with has left meanwhile, or cannot have it any more: it is somebody new.
            self._partings.let_go(actor, bid)
        self._partings.resume(profile)

    def _on_union(self, actor: Actor, profile: Profile, message: Union) -> None:
        bid = message.bid
        if message.other in actor.index:
            self._send(Retry(bid.claimant, bid))
            return
        self._actors.touch(actor)
        if profile.proposal or profile.arriving or (profile.expecting and self._handovers.is_many(profile)):
            # In pieces goes only what is all here.
            profile.waiting.append(message)
            return
        if is_nobodys(actor, bid):
            self._send(Retry(bid.claimant, bid))
            return
        self._profiles.hold(profile)
        size = len(actor.index)
        if not self._is_less(size, actor.identifier, message.size, message.other):
            self._send(Union(message.other, actor.identifier, bid, size))
            return
        if bid.identifier not in actor.index and bid.cause.through not in actor.index:
            self._send(Retry(bid.claimant, bid))
            return
        self._handovers.propose(actor, profile, message.other, bid)

    def _is_less(self, size: int, root: str, other_size: int, other: str) -> bool:
        """Which of two roots hands over: the one of a lesser class, of equal ones the higher identifier."""
        mine, theirs = self._class_of(size), self._class_of(other_size)
        return mine < theirs or (mine == theirs and self._order(root) > self._order(other))

    def _class_of(self, size: int) -> int:
        """0 of few members, one more for each time that they double: two of a class are one of a greater one."""
        return ((size - 1) // self._few).bit_length()

    def _on_propose(self, actor: Actor, profile: Profile, message: Propose) -> None:
        self._actors.touch(actor)
        assert message.child not in profile.expecting, "who was accepted proposes again"
        bid = message.bid
        if profile.proposal and message.child != actor.identifier:
            if self._is_less(message.size, message.child, profile.proposed_size, actor.identifier):
                profile.waiting.append(message)
            else:
                self._send(Refuse(message.child, actor.identifier, message.proposal, BUSY, bid))
            return
        self._profiles.hold(profile)
        here, there = bid.identifier, bid.cause.through
        if here not in actor.index:
            here, there = there, here
        kind = NO_LINK
        is_link = here in actor.index and there in message.members and not is_nobodys(actor, bid)
        if is_link and message.child not in actor.index:
            kind = self._contests.broken_by(
                actor, profile, message.members, message.reserved, message.acts, message.counts
            )
            if not kind:
                self._handovers.accept(actor, profile, message)
                return
            if profile.arriving:
                profile.waiting.append(message)  # Which names are one account's shows once all are here.
                return
        self._send(Refuse(message.child, actor.identifier, message.proposal, kind, bid))

    def _on_answer(self, message: Accept | Refuse) -> None:
        """To a proposal."""
        actor = self._actors.find(message.to)
        assert actor is not None, "an answer to one that was never seen"
        profile = _profile(actor)
        assert profile.proposal == message.proposal, "an answer to another proposal"
        if isinstance(message, Accept):
            self._handovers.on_accept(actor, profile, message)
            return
        self._actors.touch(actor)
        profile.proposal = ""
        if message.kind == NO_LINK:
            self._send(Retry(message.bid.claimant, message.bid))
        elif message.kind == BUSY:
            self._send(Union(message.root, actor.identifier, message.bid, len(actor.index)))
        else:
            self._contests.open(actor, message.kind, message.bid)
        self._partings.resume(profile)

    def _on_absorb(self, actor: Actor, profile: Profile, message: Absorb) -> None:
        has_learned = self._handovers.on_absorb(actor, profile, message)
        if profile.acts:
            self._send(Heed(actor.identifier, actor.identifier, [], has_learned))
        self._contests.settle_merged(actor, profile, message.bid)
        self._partings.resume(profile)

    def _on_repoint(self, message: Repoint) -> None:
        actor = self._actors.find(message.to)
        assert actor is not None, "an identifier that was never seen is to follow its root"
        if message.generation < actor.generation or actor.profile is not None:
            return
        self._actors.touch(actor)
        came_from = profile_id_of(actor.root, 0)
        actor.root, actor.generation = message.root, message.generation
        if message.kind != UNSAID:
            profile_id = profile_id_of(message.name, message.epoch)
            self._note(actor, profile_id, message.root, message.kind, message.cause, came_from=came_from)

    def _note(
        self, actor: Actor, profile_id: str, root: str, kind: str, cause: Cause, came_from: str | None = None
    ) -> None:
        self.belongings.append(Belonging(actor, profile_id, root, kind, cause, other_profile_id=came_from))


def _profile(actor: Actor) -> Profile:
    assert actor.profile is not None, "an alias was asked for its profile"
    return actor.profile
