"""What a root does with its profile: take in a touchpoint, absorb another profile, do what has come due, forget.

Owns the order of these effects on one actor; must not know tasks, messages or records. Whatever changed is noted in a
`Changed`, so that a batch says each session, cart and action once, as it stands at the end.
"""

from collections.abc import Iterable, Sequence

from streams.core import claims, entries
from streams.core.actor import Actor, Profile
from streams.core.carts import Episode, is_open
from streams.core.changed import Changed
from streams.core.courses import course_of
from streams.core.decided import epoch_of, joined
from streams.core.journal import Row
from streams.core.links import LinkRow, links_of
from streams.core.rules import LATE_MS, Rules
from streams.core.sessions import Session, extend, insert, reconcile, session_id_of, sessions_of
from streams.core.shapes import NEVER
from streams.core.shopping import Shopping
from streams.core.touchpoint import Touchpoint
from streams.core.vocabulary import ORDERED, Vocabulary


class Profiles:
    """The rules bound to where changes are noted."""

    __slots__ = ("_gaps_ms", "_rules", "_shopping", "_vocabulary", "changed", "now_ms", "unsettled")

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._gaps_ms = rules.gap_of()
        self._shopping = Shopping(rules)
        self._vocabulary = Vocabulary(rules.events)
        self.changed = Changed()
        self.now_ms = 0
        """The moment of the batch on the arrival axis, epoch ms."""
        self.unsettled: list[Actor] = []

    def begin(self, now_ms: int) -> None:
        """Nothing has changed in this batch yet."""
        self.changed, self.now_ms = Changed(), now_ms
        self.unsettled.clear()
        self._shopping.begin(self.changed, now_ms)

    def pass_by(self, profile: Profile, touchpoint: Touchpoint) -> None:
        """Note that a touchpoint came which changes no session and no cart: late, or of somebody who has too many."""
        profile.revision += 1
        profile.arrived_ms = max(profile.arrived_ms, touchpoint.arrival_ms)
        if touchpoint.is_late:
            profile.late[touchpoint.digest] = touchpoint.arrival_ms

    def take(self, actor: Actor, profile: Profile, touchpoint: Touchpoint, member: int) -> Session | None:
        """Enter a touchpoint that is neither a duplicate nor late; its session, None if the actor is unsettled."""
        digest, channel, kind, cart = touchpoint.digest, touchpoint.channel, touchpoint.event, touchpoint.cart
        at_ms, arrival_ms = touchpoint.occurred_ms, touchpoint.arrival_ms
        profile.revision += 1
        if arrival_ms > profile.arrived_ms:
            profile.arrived_ms = arrival_ms
        if arrival_ms - at_ms > self._gaps_ms[channel]:
            # The journal forgets it before a copy of it is too late.
            profile.late[digest] = arrival_ms
        revenue, currency = 0, ""
        if cart is not None:
            actor.has_new_carts = True
            actor.carts.append(cart)
            if kind == ORDERED:
                revenue, currency = cart.revenue_micros or 0, entries.currency_of(cart)
        if touchpoint.campaign is not None:
            entries.keep_campaign(actor, touchpoint.campaign)
        actor.journal.append(at_ms, digest, member, channel, kind, revenue)
        is_last = at_ms > profile.last_ms or (at_ms == profile.last_ms and digest > profile.last_digest)
        if is_last:
            profile.last_ms, profile.last_digest = at_ms, digest
        if actor.is_unsettled:
            return None
        if is_last:
            gap_ms = self._gaps_ms[channel]
            session = extend(profile.sessions, at_ms, digest, channel, kind, revenue, currency, gap_ms)
            self.changed.sessions[session_id_of(session)] = (actor, session)
            if cart is not None or self._shopping.waits(profile):
                self._shopping.advance(actor, profile, at_ms, cart)
            return session
        # Before the last one: most change one session and no cart, the others need the whole journal.
        gap_ms = self._gaps_ms[channel]
        earlier = insert(profile.sessions, at_ms, digest, channel, kind, revenue, currency, gap_ms)
        if earlier is not None:
            self.changed.gone_sessions.pop(session_id_of(earlier), None)
            self.changed.sessions[session_id_of(earlier)] = (actor, earlier)
        if earlier is None or cart is not None or self._shopping.is_moved_by(profile, at_ms):
            actor.is_unsettled = True
            self.unsettled.append(actor)
        return earlier

    def settle(self, actor: Actor) -> None:
        """Work out from the whole journal what an unsettled actor's sessions and carts are."""
        actor.is_unsettled = False
        profile = _profile(actor)
        actor.carts.sort(key=entries.place_of)
        self._rebuild(actor, profile.sessions, profile.episodes)

    def absorb(self, actor: Actor, other: Actor, places: Sequence[int]) -> None:
        """Take over another profile, whose members have these places now.

        The answer is the same in whatever order profiles are absorbed.
        """
        mine, theirs = _profile(actor), _profile(other)
        mine.revision = max(mine.revision, theirs.revision) + 1
        mine.merged_ms = max(mine.merged_ms, theirs.merged_ms, self.now_ms)
        mine.arrived_ms = max(mine.arrived_ms, theirs.arrived_ms)
        mine.found_ms = max(mine.found_ms, theirs.found_ms)
        actor.journal.extend(other.journal, places)
        entries.take_over(actor, other)
        mine.late |= theirs.late
        mine.lost = theirs.lost | mine.lost
        mine.waiting += theirs.waiting
        mine.expecting += theirs.expecting
        mine.refused += theirs.refused
        mine.spare = list(dict.fromkeys((*mine.spare, *theirs.spare)))
        mine.acts = joined(mine.acts, theirs.acts)
        # Those counted when the other proposed may have been answered since.
        if mine.reserved:
            claims.take(mine.reserved, {mine.members[at] for at in places})
        for bid in claims.bids_of(theirs.reserved):
            claims.add(mine.reserved, bid)
        known = {action.action_id for action in mine.actions}
        mine.actions += [action for action in theirs.actions if action.action_id not in known]
        last = max((mine.last_ms, mine.last_digest), (theirs.last_ms, theirs.last_digest))
        mine.last_ms, mine.last_digest = last
        for session in theirs.sessions:
            session.owner = b""
        sessions = {(s.started_ms, s.digest): s for s in (*theirs.sessions, *mine.sessions)}
        self._rebuild(actor, sessions.values(), (*theirs.episodes, *mine.episodes))
        self._shopping.say(actor, [episode for episode in mine.episodes if is_open(episode)], ())

    def split(self, actor: Actor, leaving: list[int], links: list[LinkRow]) -> Actor:
        """Take members off a settled profile, with the touchpoints that came through them: a profile of the first one.

        Nothing is noted of what leaves: whoever takes it over announces it. All that stays is told anew, since it may
        have been told under the name of one that leaves.
        """
        profile = _profile(actor)
        names = [profile.members[at] for at in leaving]
        alone = Actor(names[0], names[0], Profile(names))
        theirs = _profile(alone)
        theirs.links = links_of(links, len(names))
        theirs.reserved = claims.take(profile.reserved, names)
        theirs.acts, theirs.epoch = profile.acts, epoch_of(profile.acts, theirs.name)
        rows = actor.journal.take_out({at: place for place, at in enumerate(leaving)})
        for row in rows:
            alone.journal.append(*row)
        digests = {row[1] for row in rows}
        entries.part(actor, alone, digests)
        theirs.actions = [action for action in profile.actions if action.anchor_digest in digests]
        profile.actions = [action for action in profile.actions if action.anchor_digest not in digests]
        for action in theirs.actions:
            self.changed.actions.pop(action.action_id, None)
        for at in leaving:
            actor.drop_member(at)
            profile.links.cut(at)
        profile.revision += 1
        theirs.revision = profile.revision
        theirs.arrived_ms, theirs.found_ms = profile.arrived_ms, profile.found_ms
        # Through whom a late one came is not kept: a copy of it is known to either side.
        theirs.late = dict(profile.late)
        self.hold(profile)
        self.hold(theirs)
        for one in (actor, alone):
            of = _profile(one)
            of.last_ms, of.last_digest = max(((r[0], r[1]) for r in one.journal.rows()), default=(NEVER, 0))
        self._rebuild(actor, profile.sessions, profile.episodes)
        self.say_all(actor)
        return alone

    def announce(self, actor: Actor) -> None:
        """Work out and note all that a profile is which was split off."""
        profile = _profile(actor)
        profile.revision += 1
        self.hold(profile)
        self._rebuild(actor, profile.sessions, profile.episodes)
        self.say_all(actor)

    def say_all(self, actor: Actor) -> None:
        """Note all that a settled profile is, since the id it was told under may be somebody else's now."""
        profile = _profile(actor)
        profile.revision += 1
        for session in profile.sessions:
            session.owner = b""
        self._say_sessions(actor, profile.sessions)
        self._shopping.say(actor, profile.episodes, profile.actions)

    def hold(self, profile: Profile) -> None:
        """Note that a merge of the profile is under way."""
        profile.merged_ms = max(profile.merged_ms, self.now_ms)

    def held_until(self, profile: Profile, clock_ms: int, *, now_ms: int) -> int | None:
        """When timers that are due may fire, at the earliest; None if nothing stands against it."""
        # What waits for others, or for an answer of somebody who waits, may take more rounds than clocks do.
        is_under_way = profile.proposal or profile.expecting or profile.reserved or profile.waiting
        if is_under_way or clock_ms <= profile.merged_ms:
            return max(clock_ms, profile.merged_ms) + 1
        if clock_ms < profile.arrived_ms:
            return profile.arrived_ms
        if self._rules.is_replay or not self._shopping.due(profile, clock_ms):
            return None
        if profile.found_ms == NEVER:
            profile.found_ms = now_ms
        return profile.found_ms if clock_ms < profile.found_ms else None

    def next_timer(self, profile: Profile) -> int:
        """When the timer clock next has something to do here, NO_TIMER if never."""
        due_ms = self._shopping.next_timer(profile)
        for session in profile.sessions:
            if not session.is_final and session.cover_ms < due_ms:
                due_ms = session.cover_ms + 1
        if profile.sessions:
            due_ms = min(due_ms, self._forget_session_ms(profile))
        if profile.late:
            due_ms = min(due_ms, min(profile.late.values()) + LATE_MS + 1)
        return due_ms

    def fire(self, actor: Actor, clock_ms: int) -> None:
        """Do all that is due once the timer clock reads `clock_ms`."""
        profile = _profile(actor)
        profile.revision += 1
        # Strict: at clock == cover a touchpoint that arrived on time can still join.
        closed = [s for s in profile.sessions if not s.is_final and s.cover_ms < clock_ms]
        for session in closed:
            session.is_final = True
        self._say_sessions(actor, closed)
        profile.found_ms = NEVER
        self._shopping.fire(actor, profile, clock_ms)
        self._forget(actor, clock_ms)

    def _say_sessions(self, actor: Actor, sessions: Sequence[Session]) -> None:
        """Note sessions, and the course of those that are final."""
        in_order: list[Row] | None = None
        for session in sessions:
            session_id = session_id_of(session)
            self.changed.sessions[session_id] = (actor, session)
            if session.is_final:
                if in_order is None:
                    in_order = actor.journal.in_order()
                self.changed.courses[session_id] = course_of(
                    session, in_order, actor.campaigns, self._vocabulary
                )

    def _rebuild(self, actor: Actor, sessions: Iterable[Session], episodes: Sequence[Episode]) -> None:
        """Work out sessions and carts from the whole journal again and note what differs from before."""
        profile = _profile(actor)
        in_order = actor.journal.in_order()
        found = sessions_of(in_order, self._gaps_ms, entries.currencies_of(actor.carts))
        now, changed, gone = reconcile(list(sessions), found)
        profile.sessions = now
        for session in changed:
            self.changed.gone_sessions.pop(session_id_of(session), None)
            self.changed.sessions[session_id_of(session)] = (actor, session)
        for session, into in gone:
            self.changed.sessions.pop(session_id_of(session), None)
            self.changed.gone_sessions[session_id_of(session)] = (actor, session, into, profile.revision)
        self._shopping.rebuild(actor, profile, episodes, in_order)

    def _forget_session_ms(self, profile: Profile) -> int:
        """When the oldest session can go: not before the oldest cart or browse that began in it."""
        session = profile.sessions[0]
        return max(session.cover_ms + LATE_MS + 1, self._shopping.kept_until_ms(profile, session.ended_ms))

    def _forget(self, actor: Actor, clock_ms: int) -> None:
        """Drop what no record can change any more: one that is not late cannot reach back so far."""
        profile = _profile(actor)
        profile.late = {digest: at for digest, at in profile.late.items() if at + LATE_MS >= clock_ms}
        self._shopping.forget(actor, profile, clock_ms)
        cutoff_ms = None
        while profile.sessions and self._forget_session_ms(profile) <= clock_ms:
            cutoff_ms = profile.sessions.pop(0).ended_ms + 1
            profile.shelf.forgotten += 1
        if cutoff_ms is not None:
            actor.journal.drop_before(cutoff_ms)
            entries.forget_before(actor, cutoff_ms)


def _profile(actor: Actor) -> Profile:
    assert actor.profile is not None, "only a root holds a profile"
    return actor.profile
