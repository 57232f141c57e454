"""What is done about acts of operators and systems: an act reaches every identifier it names, and their roots.

Owns that way and its effects; what a set of acts means is in `decided`, how people are joined and come apart in
`identity` and `contests`. Every identifier keeps the acts that name it, or that take back what made it one name of an
account, and a profile those of its members, so an act that is heard of again changes nothing, and touchpoints and acts
may come in any order (one that does no more than link is not kept: the link is, and if the act comes twice it is told
twice):

- A link by an act is better than any that a touchpoint shows, and may be refused for a limit like any other.
- A link that an act has parted does not count, whenever it arrives. What was left out or refused for it is asked again,
  as far as it is remembered (see `left_out`), and so is a link by an act that another act parts: by one that is still
  to be read it may count.
- An identifier that was split off has another epoch, and so a profile id that nobody had before.

What depends on arrival: where a link that no longer counts was seen again after the act, but before the act was read,
it counts when it is seen once more, since of two links the better one is remembered. And a touchpoint that came
through an identifier stays with it if only later a block becomes known that was done before the touchpoint occurred.
"""

from collections.abc import Callable
from typing import Final

import msgspec

from streams.core import left_out
from streams.core.actor import Actor, Profile
from streams.core.actors import Actors
from streams.core.arrivals import Arrival
from streams.core.belongings import ALLOWED, BLOCKED, LINKED, SPLIT_OFF, Belonging
from streams.core.control import ALIAS, ALLOW, BLOCK, MERGE, SPLIT
from streams.core.decided import (
    accounts,
    cause_of,
    epoch_of,
    is_about,
    is_blocked,
    is_kept,
    joined,
    last_said,
    linked_by,
    parting,
    taken_back,
)
from streams.core.limits import Limits
from streams.core.messages import Act, Bid, Cause, Decree, ForActs, Heed, Link, Message, Reopen
from streams.core.partings import Partings
from streams.core.profile import Profiles
from streams.core.shapes import NO_TIMER
from streams.core.weighing import surplus

_TAKEN: Final = {MERGE: LINKED, ALIAS: LINKED, BLOCK: BLOCKED, ALLOW: ALLOWED}
"""What is said of an act when it is taken; of a split, that the identifiers have left."""


def pass_on(actor: Actor, arrival: Arrival) -> bool:
    """Let a touchpoint be its next identifier's, if there is one and this one identified nobody when it occurred.

    That is as acts say, or else as was found out. False if it stays.
    """
    is_nobodys = bool(actor.mark)
    if last_said(actor.acts, actor.identifier, NO_TIMER) is not None:
        is_nobodys = is_blocked(actor.acts, actor.identifier, arrival.touchpoint.occurred_ms)
    if not is_nobodys or arrival.skipped + 1 == len(arrival.touchpoint.identifiers):
        return False
    arrival.skipped += 1
    return True


class Acts:
    """The rules over the actors of one task; `find` gives an identifier's, a new one if need be."""

    def __init__(
        self,
        actors: Actors,
        profiles: Profiles,
        partings: Partings,
        limits: Limits,
        *,
        send: Callable[[Message], None],
        settle: Callable[[Actor], None],
        find: Callable[[str, Cause], Actor],
    ) -> None:
        self._actors = actors
        self._profiles = profiles
        self._partings = partings
        self._limits = limits
        self._send = send
        self._settle = settle
        self._find = find

    def receive(self, act: Act) -> None:
        """Tell every identifier that an act names."""
        for name in (*act.identifiers, act.into) if act.into else act.identifiers:
            self._send(Decree(name, act))

    def refuses(self, actor: Actor, bid: Bid) -> bool:
        """True if the link of a bid does not count, as far as the identifier knows that it is about."""
        name, cause = actor.identifier, bid.cause
        return parting(actor.acts, name, cause.through, cause.occurred_ms, (name,)) is not None

    def handle(self, message: ForActs) -> None:
        """Any message about acts; what is for a root is passed on by an alias."""
        if isinstance(message, Decree):
            self._on_decree(message)
            return
        actor = self._actors.find(message.to)
        assert actor is not None, "an act is about an identifier that was never seen"
        if actor.profile is None:
            self._send(msgspec.structs.replace(message, to=actor.root))
        elif isinstance(message, Heed):
            self._on_heed(actor, actor.profile, message)
        else:
            self._reopen(actor, actor.profile, message.identifier)

    def _reopen(self, actor: Actor, profile: Profile, identifier: str) -> None:
        """It may be claimed again, and is where an act has asked for it."""
        asked = left_out.take_refused(profile, identifier)
        if profile.lost.pop(identifier, None) is not None or asked:
            self._actors.touch(actor)
        for retry in asked:
            self._send(retry)

    # -- the identifiers named

    def _on_decree(self, message: Decree) -> None:
        act = message.act
        actor = self._find(message.to, cause_of(act, message.to))
        acts = joined(actor.acts, (act,))
        if acts is actor.acts:
            return
        if is_kept(act, self._limits):
            self._actors.touch(actor)
            actor.acts = acts
        if is_about(act, actor.identifier):
            if act.kind in (BLOCK, ALLOW):
                self._mark(actor)
            elif act.kind == SPLIT:
                actor.epoch = epoch_of(acts, actor.identifier)
                self._partings.say_split(actor, cause_of(act, actor.identifier))
            for name, untold in taken_back(acts, act, actor.identifier, self._limits):
                self._send(Decree(name, untold))
        self._send(Heed(actor.root, actor.identifier, [act]))
        one, others = linked_by(act)
        if one == actor.identifier:
            for other in others:
                self._send(Link(actor.root, other, cause_of(act, one)))

    def _mark(self, actor: Actor) -> None:
        """Of block and allow the later holds, also against that an identifier was found to be shared."""
        said = last_said(actor.acts, actor.identifier, NO_TIMER)
        assert said is not None, "neither blocked nor allowed"
        # Of one that is marked they are whom it has turned down.
        rivals = actor.rivals if actor.mark else []
        if said.kind == BLOCK:
            actor.mark, actor.rivals = BLOCK, rivals
            return
        actor.mark, actor.rivals = "", []
        for _, claimant in rivals:
            self._send(Reopen(claimant, actor.identifier))

    # -- their roots

    def _on_heed(self, actor: Actor, profile: Profile, message: Heed) -> None:
        if message.identifier not in actor.index:
            # It has left, or is about to come: it knows where it is.
            self._send(msgspec.structs.replace(message, to=message.identifier))
            return
        self._actors.touch(actor)
        self._profiles.hold(profile)
        if profile.proposal or profile.expecting:
            profile.waiting.append(message)
            return
        acts = joined(profile.acts, [act for act in message.acts if is_kept(act, self._limits)])
        is_new = message.has_learned or acts is not profile.acts
        profile.acts = acts
        for act in message.acts:
            # Until the clock has passed it, not everything is known that was in Kafka by then.
            profile.arrived_ms = max(profile.arrived_ms, act.arrived_ms)
            self._say(actor, message.identifier, act)
        is_parted = bool(profile.acts) and self._part(actor, profile)
        self._rename(actor, profile)
        if is_new or is_parted:
            self._ask_again(actor, profile)
        if is_parted:
            self._partings.resume(profile)

    def _say(self, actor: Actor, identifier: str, act: Act) -> None:
        """That an act about a member was taken; what comes of it is said where it happens."""
        kind = _TAKEN.get(act.kind)
        if kind is not None and identifier in act.identifiers and identifier != act.into:
            cause, name = cause_of(act, act.into or identifier), actor.identifier
            self._partings.belongings.append(
                Belonging(actor, actor.profile_id, name, kind, cause, identifier=identifier, rule=act.kind)
            )

    def _part(self, actor: Actor, profile: Profile) -> bool:
        """Cut the links that do not count any more, the lowest first, so that no part has one; True if one had.

        Nor do those count by which a person has two accounts, where an act has taken back what made them one.
        """
        links, members = profile.links, profile.members
        found: dict[int, Act] = {}
        for child, parent in enumerate(links.parents):
            if parent >= 0:
                both = members[parent], members[child]
                act = parting(profile.acts, both[0], both[1], links.times_ms[child], both)
                if act is not None:
                    found[child] = act
        for child in surplus(self._limits, profile, accounts(profile.acts, self._limits), found):
            found[child] = profile.acts[-1]
        for child in links.lowest_first(found):
            act, through = found[child], members[links.parents[child]]
            self._partings.cut(actor, profile, child, cause_of(act, through), act.kind)
        return bool(found)

    def _rename(self, actor: Actor, profile: Profile) -> None:
        """A profile whose name was split off goes on under an id that nobody had."""
        epoch = epoch_of(profile.acts, profile.name)
        if epoch == profile.epoch:
            return
        self._settle(actor)
        name = profile.name
        act = next(act for act in reversed(profile.acts) if act.kind == SPLIT and name in act.identifiers)
        cause, former, root, rule = cause_of(act, name), actor.profile_id, actor.identifier, act.kind
        actor.rename(name, epoch)
        said = Belonging(actor, actor.profile_id, root, SPLIT_OFF, cause, other_profile_id=former, rule=rule)
        self._partings.belongings.append(said)
        self._profiles.say_all(actor)

    def _ask_again(self, actor: Actor, profile: Profile) -> None:
        """Links that were left out or refused because of others may count now, those by acts as well."""
        for linking in profile.acts:
            one, others = linked_by(linking)
            for other in others:
                self._send(Link(one, other, cause_of(linking, one)))
        by_digest = {act.digest: act for act in profile.acts}
        for link in (*left_out.take_spare(profile), *left_out.take_lost(profile, self._limits)):
            act = by_digest.get(link.cause.digest)
            if act is not None:
                link.cause = cause_of(act, link.to)
            self._send(link)
        for retry in left_out.take_refused(profile):
            self._send(retry)
