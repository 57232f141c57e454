"""What is due: timers whose time has come, unless a merge or records not heard of might still change what they do.

Owns when something is done for a profile that no record asks for; must not know what is done (see `profile`), nor how
entries are kept (see `timers`).
"""

from collections.abc import Generator
from typing import Final

from streams.core.actor import Actor, Profile
from streams.core.actors import Actors, Change
from streams.core.profile import Profiles
from streams.core.shapes import NO_TIMER
from streams.core.timers import Timers

_SLICE: Final = 64
"""So many profiles are looked at before others get a turn."""


class Due:
    """The timers of one task's profiles."""

    __slots__ = ("_actors", "_profiles", "_timers")

    def __init__(self, actors: Actors, profiles: Profiles, timers: Timers) -> None:
        self._actors = actors
        self._profiles = profiles
        self._timers = timers

    def do(self, clock_ms: int, *, now_ms: int) -> Generator[None, None, tuple[int, dict[str, int]]]:
        """Do what is due by the timer clock, in slices; returns for how many, and until when whose timers are held."""
        held: dict[str, int] = {}
        fired = 0
        for number, (identifier, entry_ms) in enumerate(self._timers.due(clock_ms)):
            if number % _SLICE == _SLICE - 1:
                yield
            actor = self._actors.find(identifier)
            if actor is None or actor.profile is None or actor.timer_ms not in (None, entry_ms):
                continue
            actor.timer_ms = None
            due_ms = self._profiles.next_timer(actor.profile)
            if due_ms > clock_ms:
                self.plan(actor, actor.profile, clock_ms)
                continue
            found_ms = actor.profile.found_ms
            held_until_ms = self._profiles.held_until(actor.profile, clock_ms, now_ms=now_ms)
            if held_until_ms is None:
                self._actors.touch(actor)
                self._profiles.fire(actor, clock_ms)
                fired += 1
                continue
            if actor.profile.found_ms != found_ms:
                self._actors.touch(actor)
            held[identifier] = held_until_ms
            self._timers.set(actor, held_until_ms, clock_ms)
        return fired, held

    def plan(self, actor: Actor, profile: Profile, clock_ms: int) -> None:
        """Come back to a profile when something is due, if ever."""
        due_ms = self._profiles.next_timer(profile)
        if due_ms != NO_TIMER:
            self._timers.set(actor, due_ms, clock_ms)

    def changes(self) -> list[Change]:
        """What has changed of what is planned."""
        return self._timers.changes()
