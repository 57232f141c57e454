"""How a person comes apart, what a profile is called, and whom its members follow.

Owns cuts and pointers; must not know why a link does not count (see `contests`), nor how profiles become one (see
`handover`).
"""

from collections.abc import Callable, Iterable

from streams.core import left_out, roster
from streams.core.actor import Actor, Profile
from streams.core.actors import Actors, load, whole
from streams.core.belongings import MERGED, NAMED, RELEASED, SPLIT_OFF, Belonging
from streams.core.control import SPLIT
from streams.core.decided import epoch_of
from streams.core.identifier import Identifiers
from streams.core.links import only
from streams.core.messages import UNSAID, Bid, Cause, Detach, Link, Message, Repoint, Waiting
from streams.core.profile import Profiles


class Partings:
    """The rules over the actors of one task; `belongings` is what this batch has decided about identifiers."""

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
        self.belongings: list[Belonging] = []

    def let_go(self, actor: Actor, bid: Bid) -> None:
        """What a claimed identifier was seen with has left before the claim was answered: it goes there, as it is."""
        alone = Actor(bid.identifier, bid.identifier, Profile([bid.identifier]))
        rule = "its link has gone elsewhere"
        actor.generation += 1
        self.detach(actor, alone, bid.cause, rule, actor.profile_id)
        self._send(Link(bid.cause.through, bid.identifier, bid.cause))

    def on_detach(self, message: Detach) -> None:
        """Be a root from now on."""
        actor = self._actors.find(message.to)
        assert actor is not None, "an identifier that was never seen is to be a root"
        assert actor.profile is None, "one that is a root is to be one"
        assert message.generation > actor.generation, "what one is to be is older than what it is"
        self._actors.touch(actor)
        child = load(message.to, dict(message.state))
        assert child is not None, "a detached profile came without its head"
        assert child.profile is not None
        roster.write_all(child.profile)
        actor.generation = message.generation
        actor.become_root(child)
        self._profiles.announce(actor)
        cause, owner, rule = message.cause, message.owner, message.rule
        kind = SPLIT_OFF if cause.rule == SPLIT else RELEASED
        self.belongings.append(
            Belonging(actor, actor.profile_id, message.to, kind, cause, other_profile_id=owner, rule=rule)
        )
        self.repoint(actor, [member for member in actor.index if member != message.to], cause, MERGED)

    def cut(self, actor: Actor, profile: Profile, child: int, cause: Cause, rule: str) -> None:
        """Let what hangs on a link go its own way, with the touchpoints that came through it; then `resume`."""
        links, members = profile.links, profile.members
        cut = members[links.parents[child]], members[child], links.times_ms[child], links.digests[child]
        leaving = links.below(child)
        top = min(leaving, key=lambda member: self._order(profile.members[member]))
        self._settle(actor)
        links.cut(child)
        rows = only(links, leaving, top)
        stranded = self._stranded(profile, leaving)
        alone = self._profiles.split(actor, [top, *[m for m in leaving if m != top]], rows)
        left_out.spare(profile, *cut)
        if alone.profile is not None:
            left_out.part(profile, alone.profile, alone.index)
        came_from = actor.profile_id
        if profile.name not in actor.index:
            name = min(actor.index, key=self._order)
            actor.rename(name, epoch_of(profile.acts, name))
            self.say_named(actor, cause, came_from)
        actor.generation += 1
        # Before those are told of it whom they have followed.
        self.repoint(actor, stranded, cause, NAMED)
        self.detach(actor, alone, cause, rule, came_from)

    def resume(self, profile: Profile) -> None:
        """What waited is to be looked at again, as if it came now; links first, as others are measured against them."""
        if profile.waiting and not profile.proposal:
            waiting, profile.waiting = profile.waiting, []
            for held in sorted(waiting, key=_is_no_link):
                self._send(held)

    def _stranded(self, profile: Profile, leaving: Iterable[int]) -> list[str]:
        """Members that stay, and have followed one that leaves; nobody follows through what has left any more."""
        gone = set(leaving)
        stranded = []
        for place, through in list(profile.via.items()):
            if place in gone or through in gone:
                profile.follow_root(place)
                if place not in gone:
                    stranded.append(profile.members[place])
        return stranded

    def detach(self, actor: Actor, alone: Actor, cause: Cause, rule: str, owner: str) -> None:
        """Make a root of one that has been taken out, and tell those that go with it."""
        generation = actor.generation
        self._send(Detach(alone.identifier, generation, whole(alone), cause, owner, rule))
        for member in alone.index:
            if member != alone.identifier:
                self._send(Repoint(member, alone.identifier, "", 0, generation, cause, UNSAID))

    def name(self, actor: Actor, profile: Profile, member: str, cause: Cause) -> None:
        """Call a profile after a member that has joined, if that is lower than all there were."""
        if self._order(member) < self._order(profile.name):
            came_from = actor.profile_id
            actor.rename(member, epoch_of(profile.acts, member))
            self.say_named(actor, cause, came_from)

    def say_named(self, actor: Actor, cause: Cause, came_from: str) -> None:
        """Tell what a profile is called from now on; whoever follows its root need not be told."""
        self.belongings.append(
            Belonging(actor, actor.profile_id, actor.identifier, NAMED, cause, other_profile_id=came_from)
        )

    def say_split(self, actor: Actor, cause: Cause) -> None:
        """Tell that an identifier has another id of its own, by which its person may go."""
        self.belongings.append(Belonging(actor, actor.profile_id, actor.root, NAMED, cause, rule=cause.rule))

    def repoint(self, actor: Actor, members: Iterable[str], cause: Cause, kind: str) -> None:
        """Tell members of a root to follow it."""
        profile = actor.profile
        assert profile is not None
        name, epoch, generation = profile.name, profile.epoch, actor.generation
        for member in members:
            self._send(Repoint(member, actor.identifier, name, epoch, generation, cause, kind))


def _is_no_link(held: Waiting) -> bool:
    return not isinstance(held, Link)
