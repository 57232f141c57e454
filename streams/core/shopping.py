"""What becomes of a profile's carts and the actions on them, as touchpoints come and time passes.

Owns which episodes and actions change, and what of them is due; must not know sessions, identity or records. What a
cart is, `carts` says; when and how something is acted on, `actions`.
"""

from collections.abc import Iterable, Sequence

from streams.core import entries
from streams.core.actions import FAILURE, decide, failures, gives_up, review, undecided
from streams.core.actor import Actor, Profile
from streams.core.carts import (
    EXPIRED,
    Episode,
    advance,
    episode_id_of,
    episodes_of,
    holds,
    is_open,
    touched_ms,
)
from streams.core.changed import Changed, Place
from streams.core.journal import Row
from streams.core.rules import LATE_MS, Rules
from streams.core.shapes import NO_TIMER, Action, CartEntry, StepRow


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

    def advance(self, actor: Actor, profile: Profile, at_ms: int, cart: CartEntry | None) -> None:
        """Take in a touchpoint that comes last in event-time order; `cart` if it is about the cart."""
        episodes = profile.episodes
        if advance(episodes, at_ms, cart, self._rules):
            for episode in episodes[-2:]:
                if episode is not episodes[-1] and episode.outcome != EXPIRED:
                    continue
                self._changed.carts[_place(episode)] = (actor, episode)
        if profile.actions:
            self._review(actor, profile)
        self._say_failures(actor, profile)

    def rebuild(self, actor: Actor, profile: Profile, known: Sequence[Episode], in_order: list[Row]) -> None:
        """Work everything out from the whole journal again, and note what differs from the episodes known before.

        Of two that began with the same touchpoint the later one is the one that was known.
        """
        before = {_place(episode): episode for episode in known}
        if not actor.carts and not before:
            return
        profile.episodes = episodes_of(in_order, actor.carts, self._rules)
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

    def due(self, profile: Profile, clock_ms: int) -> list[tuple[Episode, int, StepRow]]:
        """Steps of carts to decide on."""
        if not profile.episodes:
            return []
        waiting = undecided(profile.episodes, profile.actions, self._rules)
        return [waits for waits in waiting if waits[2][0] + self._lateness_ms <= clock_ms]

    def next_timer(self, profile: Profile) -> int:
        """When the timer clock next has something to do here, NO_TIMER if never."""
        if not profile.episodes:
            return NO_TIMER
        due_ms = self.forget_ms(profile)
        for _, _, step in undecided(profile.episodes, profile.actions, self._rules):
            due_ms = min(due_ms, step[0] + self._lateness_ms)
        return due_ms

    def fire(self, actor: Actor, profile: Profile, clock_ms: int) -> None:
        """Decide on all that is due once the timer clock reads `clock_ms`."""
        for episode, number, step in self.due(profile, clock_ms):
            self._decide(actor, profile, episode, decide(episode, number, step, clock_ms, self._rules))

    def forget_ms(self, profile: Profile) -> int:
        """When no record can change the oldest episode any more; NO_TIMER if there is none."""
        if not profile.episodes:
            return NO_TIMER
        oldest = profile.episodes[0]
        return max(touched_ms(oldest), oldest.ended_ms) + self._rules.recovery_ms + LATE_MS + 1

    def forget(self, actor: Actor, profile: Profile, clock_ms: int) -> None:
        """Drop the episodes that no record can change any more, with their entries and actions."""
        while self.forget_ms(profile) <= clock_ms:
            episode = profile.episodes.pop(0)
            entries.forget_cart(actor, None if is_open(episode) else (episode.ended_ms, episode.end_digest))
            profile.actions = [
                action
                for action in profile.actions
                if not holds(episode, action.anchor_ms, action.anchor_digest)
            ]

    def _decide(self, actor: Actor, profile: Profile, episode: Episode, action: Action) -> None:
        profile.actions.append(action)
        episode.is_given_up = episode.is_given_up or gives_up(action)
        self.say(actor, (episode,), (action,))

    def _say_failures(self, actor: Actor, profile: Profile) -> None:
        """Decide on payments that have failed: at once, since silence is no part of it."""
        for episode, failed in failures(profile.episodes, profile.actions):
            at_ms = max(self._now_ms, episode.failed_arrived_ms)
            self._decide(actor, profile, episode, decide(episode, FAILURE, failed, at_ms, self._rules))

    def _review(self, actor: Actor, profile: Profile) -> None:
        """Bring actions, and what they say of carts, to how everything stands now."""
        self.say(actor, (), review(profile.actions, profile.episodes, self._rules))
        due = [action for action in profile.actions if gives_up(action)]
        for episode in profile.episodes:
            is_given_up = any(holds(episode, action.anchor_ms, action.anchor_digest) for action in due)
            if is_given_up != episode.is_given_up:
                episode.is_given_up = is_given_up
                self._changed.carts[_place(episode)] = (actor, episode)


def _place(episode: Episode) -> Place:
    return episode.opened_ms, episode.digest
