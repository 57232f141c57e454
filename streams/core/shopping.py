"""What becomes of a profile's carts and browses and the actions on them, as touchpoints come and time passes.

Owns which episodes and actions change, and what of them is due; must not know sessions, identity or records. What a
cart is, `carts` says, what a browse is, `browses`; when and how something is acted on, `actions`.
"""

from collections.abc import Iterable, Sequence

from streams.core import entries
from streams.core.actions import BROWSE, FAILURE, Undecided, decide, failures, gives_up, review, undecided
from streams.core.actor import Actor, Profile
from streams.core.browses import Browse, end_of, folded, follow, is_shifted_by, lasts_ms
from streams.core.carts import (
    EXPIRED,
    VIEWED,
    Episode,
    Span,
    advance,
    episode_id_of,
    holds,
    is_moved_by,
    is_open,
    touched_ms,
)
from streams.core.changed import Changed, Place
from streams.core.journal import Row
from streams.core.rules import LATE_MS, Rules
from streams.core.shapes import NEVER, NO_TIMER, Action, CartEntry


class Shopping:
    """The rules bound to where changes are noted; `now_ms` is the moment of the batch on the arrival axis."""

    __slots__ = ("_changed", "_lateness_ms", "_now_ms", "_rules")

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._lateness_ms = rules.timer_lateness_ms
        self._changed = Changed()
        self._now_ms = 0

    def begin(self, changed: Changed, now_ms: int) -> None:
        """Another batch."""
        self._changed = changed
        self._now_ms = now_ms

    def advance(self, actor: Actor, profile: Profile, at_ms: int, entry: CartEntry | None) -> None:
        """Take in a touchpoint that comes last in event-time order; its entry if it has one."""
        episodes = profile.episodes
        cart = None if entry is None or entry.kind == VIEWED else entry
        if advance(episodes, at_ms, cart, self._rules):
            for episode in episodes[-2:]:
                if episode is not episodes[-1] and episode.outcome != EXPIRED:
                    continue
                self._changed.carts[_place(episode)] = (actor, episode)
        if self._rules.browse_views:
            follow(profile.browses, at_ms, entry, episodes, self._rules)
        if profile.actions:
            self._review(actor, profile)
        self._say_failures(actor, profile)

    def waits(self, profile: Profile) -> bool:
        """Whether a touchpoint without an entry that comes last can change something."""
        episodes, browses = profile.episodes, profile.browses
        return bool((episodes and is_open(episodes[-1])) or (browses and is_open(browses[-1])))

    def is_moved_by(self, profile: Profile, at_ms: int) -> bool:
        """Whether a touchpoint then without an entry, not the last one, can."""
        rules = self._rules
        return any(is_moved_by(episode, at_ms, rules) for episode in profile.episodes) or any(
            is_shifted_by(browse, at_ms, rules) for browse in profile.browses
        )

    def rebuild(self, actor: Actor, profile: Profile, known: Sequence[Episode], in_order: list[Row]) -> None:
        """Work everything out from the whole journal again, and note what differs from the episodes known before.

        Of two that began with the same touchpoint the later one is the one that was known.
        """
        before = {_place(episode): episode for episode in known}
        if not actor.carts and not before and not profile.browses:
            return
        profile.episodes, profile.browses = folded(in_order, actor.carts, self._rules)
        for episode in profile.episodes:
            was = before.pop(_place(episode), None)
            episode.is_given_up = was is not None and was.is_given_up
            if was is None or was.row() != episode.row():
                self._changed.gone_carts.pop(_place(episode), None)
                self._changed.carts[_place(episode)] = (actor, episode)
        for place, episode in before.items():
            opened_ms, digest = place
            holder = next((episode_id_of(e) for e in profile.episodes if holds(e, opened_ms, digest)), None)
            self._changed.carts.pop(place, None)
            self._changed.gone_carts[place] = (actor, episode, holder, profile.revision)
        self._review(actor, profile)
        self._say_failures(actor, profile)

    def say(self, actor: Actor, episodes: Iterable[Episode], actions: Iterable[Action]) -> None:
        """Note these as they are, though nothing of them has changed."""
        for episode in episodes:
            self._changed.carts[_place(episode)] = (actor, episode)
        for action in actions:
            self._changed.actions[action.action_id] = (actor, action)

    def due(self, profile: Profile, clock_ms: int) -> list[Undecided]:
        """Steps of carts and browses to decide on."""
        return [waits for waits in self._undecided(profile) if waits[2] + self._lateness_ms <= clock_ms]

    def next_timer(self, profile: Profile) -> int:
        """When the timer clock next has something to do here, NO_TIMER if never."""
        if not profile.episodes and not profile.browses:
            return NO_TIMER
        due_ms = min(self._forget_cart_ms(profile), self._forget_browse_ms(profile))
        for _, _, step_ms in self._undecided(profile):
            due_ms = min(due_ms, step_ms + self._lateness_ms)
        return due_ms

    def fire(self, actor: Actor, profile: Profile, clock_ms: int) -> None:
        """Decide on all that is due once the timer clock reads `clock_ms`."""
        for span, number, _ in self.due(profile, clock_ms):
            action = decide(span, number, clock_ms, actor.carts, self._rules)
            self._take(actor, profile, span if isinstance(span, Episode) else None, action)

    def kept_until_ms(self, profile: Profile, ended_ms: int) -> int:
        """When what began by then, and is remembered, can go; NEVER if there is nothing."""
        until_ms = NEVER
        if profile.episodes and profile.episodes[0].opened_ms <= ended_ms:
            until_ms = self._forget_cart_ms(profile)
        if profile.browses and profile.browses[0].opened_ms <= ended_ms:
            until_ms = max(until_ms, self._forget_browse_ms(profile))
        return until_ms

    def forget(self, actor: Actor, profile: Profile, clock_ms: int) -> None:
        """Drop the carts and browses that no record can change any more, with their entries and actions."""
        while self._forget_browse_ms(profile) <= clock_ms:
            browse = profile.browses.pop(0)
            entries.forget_views(actor, end_of(browse, self._rules))
            _forget_actions(profile, browse)
        while self._forget_cart_ms(profile) <= clock_ms:
            episode = profile.episodes.pop(0)
            is_lasting = is_open(episode)
            end_ms = touched_ms(episode) + self._rules.recovery_ms if is_lasting else episode.ended_ms
            entries.forget_cart(actor, (end_ms, 0 if is_lasting else episode.end_digest))
            _forget_actions(profile, episode)

    def _forget_cart_ms(self, profile: Profile) -> int:
        """When no record can change the oldest episode any more; NO_TIMER if there is none."""
        if not profile.episodes:
            return NO_TIMER
        oldest = profile.episodes[0]
        return max(touched_ms(oldest), oldest.ended_ms) + self._rules.recovery_ms + LATE_MS + 1

    def _forget_browse_ms(self, profile: Profile) -> int:
        """The same of the oldest browse."""
        if not profile.browses:
            return NO_TIMER
        return lasts_ms(profile.browses[0], self._rules) + self._rules.recovery_ms + LATE_MS + 1

    def _undecided(self, profile: Profile) -> list[Undecided]:
        if not profile.episodes and not profile.browses:
            return []
        return undecided(profile.episodes, profile.browses, profile.actions, self._rules)

    def _take(self, actor: Actor, profile: Profile, episode: Episode | None, action: Action) -> None:
        profile.actions.append(action)
        if episode is not None:
            episode.is_given_up = episode.is_given_up or gives_up(action)
            self.say(actor, (episode,), ())
        self.say(actor, (), (action,))

    def _say_failures(self, actor: Actor, profile: Profile) -> None:
        """Decide on payments that have failed: at once, since silence is no part of it."""
        for episode in failures(profile.episodes, profile.actions):
            at_ms = max(self._now_ms, episode.failed_arrived_ms)
            self._take(actor, profile, episode, decide(episode, FAILURE, at_ms, actor.carts, self._rules))

    def _review(self, actor: Actor, profile: Profile) -> None:
        """Bring actions, and what they say of carts, to how everything stands now."""
        changed = review(profile.actions, profile.episodes, profile.browses, actor.carts, self._rules)
        self.say(actor, (), changed)
        due = [action for action in profile.actions if gives_up(action)]
        for episode in profile.episodes:
            is_given_up = any(holds(episode, action.anchor_ms, action.anchor_digest) for action in due)
            if is_given_up != episode.is_given_up:
                episode.is_given_up = is_given_up
                self._changed.carts[_place(episode)] = (actor, episode)


def _forget_actions(profile: Profile, span: Span) -> None:
    """Drop those that it holds."""
    is_browse = isinstance(span, Browse)
    profile.actions = [
        action
        for action in profile.actions
        if (action.step == BROWSE) != is_browse or not holds(span, action.anchor_ms, action.anchor_digest)
    ]


def _place(episode: Episode) -> Place:
    return episode.opened_ms, episode.digest
