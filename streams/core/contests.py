"""Who is right where two people, who cannot be one, want the same identifier.

A limit of one (`user_id`) says that two known people stay two. The links between them then form a path from one to
the other, and the worst link of it, by event time, is the one that does not count: wherever it lies, the person is cut
there, and what hangs on the other side becomes somebody else's. That is Kruskal's algorithm under a constraint that
keeps the matroid's exchange rule, so the answer depends on the links alone and on no order. At other limits (five
e-mails) whoever comes when there is no room is refused.

Who has cut for a link claims by it, and keeps room for who comes with it: others who would get in meanwhile would be
cut again, for ever. A better link needs no such room, so of several that are under way the best is settled first.

Owns contests and identifiers that are nobody's; must not know how profiles become one (see `identity`) or two (see
`partings`).
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import msgspec

from streams.core import claims, left_out
from streams.core.actor import Actor, Profile, profile_id_of
from streams.core.actors import Actors
from streams.core.belongings import REFUSED, SHARED, Belonging
from streams.core.decided import accounts, joined, last_said
from streams.core.limits import Limits, Weight, added, counts_of, kind_of, only_one
from streams.core.messages import (
    Act,
    Bid,
    Cause,
    Contest,
    Disown,
    ForRoot,
    Link,
    Message,
    Release,
    Retry,
    Waive,
    Weigh,
)
from streams.core.partings import Partings
from streams.core.profile import Profiles
from streams.core.rules import Rules
from streams.core.shapes import NO_TIMER
from streams.core.weighing import is_parted, nearest

ROOM: Final = "room"
WAITS: Final = "waits"
FULL: Final = "full"
CUT: Final = "cut"
PARTED: Final = "parted"
"""Instead of a type: it is no limit that stands against a link, but an act."""
TURNED: Final = "turned"
"""Instead of a type: nothing stands against the link, the other side claims by it."""
_MOST_RIVALS: Final = 64


class Contests:
    """The rules over the actors of one task; `tie` links an identifier to a root as `Identity` does."""

    def __init__(
        self,
        actors: Actors,
        profiles: Profiles,
        partings: Partings,
        limits: Limits,
        rules: Rules,
        *,
        send: Callable[[Message], None],
        tie: Callable[[Actor, str, Cause, str], None],
    ) -> None:
        self._actors = actors
        self._profiles = profiles
        self._limits = limits
        self._shared_profiles = rules.shared_profiles
        self._shared_within_ms = rules.shared_within_ms
        self._partings = partings
        self._send = send
        self._tie = tie

    # -- before a claim

    def is_lost(self, profile: Profile, identifier: str, cause: Cause) -> bool:
        """True if this link, or a better one of the same two, was refused lately, or the identifier is nobody's."""
        return bool(profile.lost) and left_out.is_refused(profile, identifier, cause, self._limits)

    def room_for(self, actor: Actor, profile: Profile, identifier: str, cause: Cause) -> str:
        """Whether a root may claim one more: ROOM, WAITS, FULL, or CUT if the worst of its links was in the way."""
        kind = self.broken_by(actor, profile, (identifier,))
        if not kind:
            return ROOM
        link = self._weight(identifier, cause)
        if self._limits.is_unique(kind):
            if only_one(actor.index, kind) is None or profile.expecting:
                return WAITS
            worst, weight = nearest(self._limits, actor, kind, actor.index[cause.through])
            if weight is not None and weight > link:
                self._partings.cut(actor, profile, worst, cause, self._limits.rule(kind))
                return CUT
        left_out.refuse(profile, identifier, cause, link)
        self._refused(actor, identifier, kind, cause)
        return FULL

    def may_have(self, actor: Actor, profile: Profile, bid: Bid) -> bool:
        """Whether a root may have what it has claimed: the link may be parted by now, or the room be gone."""
        is_gone = is_parted(actor, profile, bid.identifier, bid.cause)
        return not is_gone and not self.broken_by(actor, profile, (bid.identifier,))

    def broken_by(
        self,
        actor: Actor,
        profile: Profile,
        members: Sequence[str],
        reserved: Sequence[Bid] = (),
        acts: Sequence[Act] = (),
        counts: Mapping[str, int] | None = None,
    ) -> str:
        """The type of which a root would have too many with these members, "" if of none, what is to come counted in.

        That is what is claimed here and what they have `reserved`. `acts` are those that they know of; `counts` are of
        still more members, by type.
        """
        known = joined(profile.acts, acts)
        claimed = claims.keeping_room(claims.bids_of(profile.reserved), known) if profile.reserved else []
        reserved = claims.keeping_room(reserved, known)
        held = {bid.identifier for bid in claimed if bid.identifier not in actor.index}
        more = {*members, *[bid.identifier for bid in reserved]}
        if known:
            # What is claimed had room as far as this root knew: if it comes now, it must have some by all acts.
            same = accounts(known, self._limits)
            names = {same.get(name, name) for name in actor.index}
            names.update(same.get(name, name) for name in held if name not in more)
            fresh = {same.get(name, name) for name in more} - names
            mine: Mapping[str, int] = counts_of(names)
        else:
            fresh = {name for name in more if name not in actor.index and name not in held}
            mine = added(actor.counts(), counts_of(held)) if held else actor.counts()
        for arriving in profile.arriving.values():
            mine = added(mine, arriving.counts)
        theirs: Mapping[str, int] = counts_of(fresh)
        if claimed:
            mine = added(mine, claims.brought(claimed, actor.index, members))
        if reserved:
            theirs = added(theirs, claims.brought(reserved, actor.index, members))
        return self._limits.broken_by(mine, added(theirs, counts) if counts else theirs)

    # -- what is said to roots, and answered

    def on_root_message(self, actor: Actor, profile: Profile, message: ForRoot) -> None:
        """Messages about contests, at the root of who is meant."""
        self._actors.touch(actor)
        self._profiles.hold(profile)
        match message:
            case Weigh():
                self._on_weigh(actor, profile, message)
            case Contest():
                self._on_contest(actor, profile, message)
            case Release():
                self._on_release(actor, profile, message)
            case Retry():
                self.settle_bid(profile, message.bid)
                left_out.ask_again(profile, message.bid)
                self._tie(actor, message.bid.identifier, message.bid.cause, message.bid.brings)
                self._partings.resume(profile)
            case Disown():
                self._on_disown(actor, profile, message)
            case Waive():
                self.ask_outward(actor, profile)
            case _:
                raise AssertionError(f"not about a contest: {message}")

    def passes(self, actor: Actor, message: ForRoot) -> bool:
        """Whether an alias passes a message on to its root: a contest about itself it counts, and may end."""
        return not isinstance(message, Contest) or self._is_somebodys(actor, message.bid)

    def _is_somebodys(self, actor: Actor, bid: Bid) -> bool:
        """Whether an identifier still identifies after another contest about it; if it does not, nobody gets it."""
        if actor.identifier != bid.identifier:
            return True
        self._actors.touch(actor)
        if not actor.mark:
            self._count_rival(actor, bid)
        if actor.mark:
            self.turn_down(actor, bid)
        return not actor.mark

    def open(self, actor: Actor, kind: str, bid: Bid) -> None:
        """Two profiles cannot be one because of a kind of identifier: find out who keeps what the bid is about."""
        if self._limits.is_unique(kind):
            self._send(Weigh(bid.claimant, kind, bid))
        else:
            self._refused(actor, bid.identifier, kind, bid.cause)
            rule = self._limits.rule(kind)
            self._send(Release(bid.claimant, bid, actor.identifier, rule, False, kind, None))

    def _on_weigh(self, actor: Actor, profile: Profile, message: Weigh) -> None:
        bid = message.bid
        if profile.proposal or profile.expecting:
            profile.waiting.append(message)
            return
        if bid.cause.through not in actor.index:
            self._send(Retry(bid.claimant, bid))
            return
        if only_one(actor.index, message.kind) is None:
            self._ask_again(profile, message)
            return
        _, weight = nearest(self._limits, actor, message.kind, actor.index[bid.cause.through])
        self._send(Contest(bid.identifier, message.kind, bid, weight))

    def _on_contest(self, actor: Actor, profile: Profile, message: Contest) -> None:
        bid = message.bid
        if not self._is_somebodys(actor, bid):
            return
        if profile.proposal or profile.expecting:
            profile.waiting.append(message)
            return
        if bid.identifier not in actor.index:
            # It has gone since the message was sent, and knows by now where it is.
            self._send(msgspec.structs.replace(message, to=bid.identifier))
            return
        if bid.claimant in actor.index:
            self._send(Retry(bid.claimant, bid))
            return
        if only_one(actor.index, message.kind) is None:
            self._ask_again(profile, message)
            return
        worst, mine = nearest(self._limits, actor, message.kind, actor.index[bid.identifier])
        link = self._weight(bid.identifier, bid.cause)
        theirs = message.theirs
        rule = self._limits.rule(message.kind)
        if mine is not None and mine > link and (theirs is None or mine > theirs):
            self._partings.cut(actor, profile, worst, bid.cause, rule)
            self._send(Release(bid.claimant, bid, actor.identifier, rule, False, TURNED, None))
            cause = msgspec.structs.replace(bid.cause, through=bid.identifier)
            self._tie(actor, bid.cause.through, cause, message.kind)
            self._partings.resume(profile)
            return
        is_cut = theirs is not None and theirs > link
        if not is_cut:
            left_out.keep_refused(profile, bid)
            self._refused(actor, bid.identifier, message.kind, bid.cause)
            self.ask_outward(actor, profile)
        beat = link if mine is None or mine < link else mine
        self._send(Release(bid.claimant, bid, actor.identifier, rule, is_cut, message.kind, beat))

    def _ask_again(self, profile: Profile, message: Weigh | Contest) -> None:
        """There is nothing of the kind any more that stands against a bid, unless a better claim brings one: its answer
        decides. A worse one has to make room. Only who is worse waits, so waits cannot form a circle."""
        link = self._weight(message.bid.identifier, message.bid.cause)
        for bid in claims.keeping_room(claims.bids_of(profile.reserved), profile.acts):
            is_rival = message.kind in (bid.brings, kind_of(bid.identifier))
            if is_rival and self._weight(bid.identifier, bid.cause) < link:
                profile.waiting.append(message)
                return
        claims.keep_no_room(profile.reserved, message.kind)
        self._send(Retry(message.bid.claimant, message.bid))

    def _on_release(self, actor: Actor, profile: Profile, message: Release) -> None:
        bid = message.bid
        if message.is_cut and (profile.proposal or profile.expecting):
            profile.waiting.append(message)
            return
        self.settle_bid(profile, bid)
        if message.is_cut:
            brings = message.kind
            through = actor.index.get(bid.cause.through)
            if through is not None and only_one(actor.index, message.kind) is not None:
                worst, weight = nearest(self._limits, actor, message.kind, through)
                if weight is not None and message.beat is not None and weight > message.beat:
                    self._partings.cut(actor, profile, worst, bid.cause, message.rule)
                else:
                    brings = ""
            self._tie(actor, bid.identifier, bid.cause, brings)
        elif bid.cause.through not in actor.index and message.kind != TURNED:
            # What stood against it may have been on the other side.
            self._send(Link(bid.cause.through, bid.identifier, bid.cause))
        elif message.kind != TURNED:
            if message.kind in ("", PARTED):
                self.remember(actor, profile, bid)
            if message.kind != PARTED:
                weight = self._weight(bid.identifier, bid.cause)
                left_out.refuse(profile, bid.identifier, bid.cause, weight, is_nobodys=not message.kind)
        if not message.is_cut and message.kind != TURNED:
            # Something may have been cut here to make room for it.
            self.ask_outward(actor, profile)
        self._partings.resume(profile)

    # -- bids

    def settle_bid(self, profile: Profile, bid: Bid) -> None:
        """The claim has its answer."""
        claims.remove(profile.reserved, bid)

    def settle_merged(self, actor: Actor, profile: Profile, bid: Bid) -> None:
        """The claim has made two profiles one. What was cut for it is asked again: who stood against may have left
        before they were one."""
        for claimed in claims.bids_of(profile.reserved):
            # Their best link holds them together at once, since others may be measured against it.
            if claimed.identifier in actor.index and claimed.cause.through in actor.index:
                self._tie(actor, claimed.identifier, claimed.cause, "")
        claimant = actor.index.get(bid.claimant)
        if claimant is None:
            # Who has claimed has left with its claim, and what it was linked by is here: that is its answer too.
            self._send(Retry(bid.claimant, bid))
        elif profile.is_expected(claimant):
            # It comes unanswered with the state of who has claimed.
            profile.waiting.append(Retry(actor.identifier, bid))
        else:
            self.settle_bid(profile, bid)
        self.ask_outward(actor, profile)

    def ask_outward(self, actor: Actor, profile: Profile) -> None:
        """Links with others that were cut may count again."""
        if profile.spare:
            self._actors.touch(actor)
            for link in left_out.take_outward(profile, actor.index):
                self._send(link)

    def wait(self, profile: Profile, link: Link) -> None:
        """Keep a link until it can be looked at."""
        left_out.wait(profile, link, self._limits)

    def remember(self, actor: Actor, profile: Profile, bid: Bid) -> None:
        """Keep a link by an act that others part: nobody will show it again, and by one that is unread it may count."""
        if bid.cause.digest < 0:
            self._actors.touch(actor)
            left_out.keep_refused(profile, bid)

    def turn_down(self, actor: Actor, bid: Bid) -> None:
        """Nobody can have an identifier that is nobody's, or by a link that an act has parted."""
        if actor.mark and len(actor.rivals) < _MOST_RIVALS:
            # Whom to tell if it is somebody's again.
            actor.rivals.append((bid.cause.occurred_ms, bid.claimant))
            self._actors.touch(actor)
        kind = "" if actor.mark else PARTED
        self._send(Release(bid.claimant, bid, actor.identifier, actor.mark or PARTED, False, kind, None))
        if kind == PARTED:
            self._send(Waive(actor.identifier))

    def _on_disown(self, actor: Actor, profile: Profile, message: Disown) -> None:
        """Links through an identifier that is nobody's link nobody."""
        if profile.proposal or profile.expecting:
            profile.waiting.append(message)
            return
        at = actor.index.get(message.identifier)
        if at is None:
            self._send(msgspec.structs.replace(message, to=message.identifier))
            return
        for child in [i for i, parent in enumerate(profile.links.parents) if parent == at]:
            self._partings.cut(actor, profile, child, message.cause, message.rule)
        if at > 0:
            self._partings.cut(actor, profile, at, message.cause, message.rule)
        # Links that were left out or refused because of better ones, which no longer count, may be the best now.
        for link in left_out.take_spare(profile):
            if message.identifier not in (link.to, link.identifier):
                self._send(link)
        for retry in left_out.take_refused(profile):
            self._send(retry)
        self._partings.resume(profile)

    def _count_rival(self, actor: Actor, bid: Bid) -> None:
        """An identifier that many people claim, who cannot be one, says of nobody who it is."""
        rivals = actor.rivals
        if not self._shared_profiles or any(claimant == bid.claimant for _, claimant in rivals):
            return
        if last_said(actor.acts, actor.identifier, NO_TIMER) is not None:
            # Somebody has decided whether it identifies.
            return
        rivals.append((bid.cause.occurred_ms, bid.claimant))
        rivals.sort()
        many = self._shared_profiles
        for i in range(len(rivals) - many + 1):
            if rivals[i + many - 1][0] - rivals[i][0] <= self._shared_within_ms:
                hours = self._shared_within_ms // 3_600_000
                actor.mark = f"shared: {many} profiles in {hours} h"
                actor.rivals = []
                self._mark(actor, bid.cause)
                return
        if len(rivals) > _MOST_RIVALS:
            del rivals[0]

    def _mark(self, actor: Actor, cause: Cause) -> None:
        self._partings.belongings.append(
            Belonging(actor, profile_id_of(actor.root, 0), actor.root, SHARED, cause, rule=actor.mark)
        )
        self._send(Disown(actor.root, actor.identifier, cause, actor.mark))

    # -- what is remembered, and told

    def _weight(self, identifier: str, cause: Cause) -> Weight:
        return self._limits.weight(cause.through, identifier, cause.occurred_ms, cause.digest)

    def _refused(self, actor: Actor, identifier: str, kind: str, cause: Cause) -> None:
        name, rule = actor.identifier, self._limits.rule(kind)
        said = Belonging(actor, actor.profile_id, name, REFUSED, cause, identifier=identifier, rule=rule)
        self._partings.belongings.append(said)
