"""The state as it is stored: the parts of each actor, and a cache over the store.

Owns the parts' layout and the cache; must not know what the state means or when it is committed. Keys: the identifier
for the head, identifier + NUL + "c" for cart entries, + "a" for campaigns, + "j" and a number for journal parts, + "s"
and a number for older sessions, + "m" and a number for members of a profile of many.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final, Protocol

import msgspec

from streams.core import roster
from streams.core.actor import Actor, Profile
from streams.core.browses import Browse
from streams.core.carts import Episode, paid_of, reminded_of
from streams.core.claims import bids_of, claims_of
from streams.core.journal import Journal
from streams.core.shapes import NEVER, Alias, CampaignEntry, CartEntry, Contested, Root, SessionRow
from streams.core.shelf import read as read_sessions

CACHED_ACTORS: Final = 3_000
MANY_MEMBERS: Final = 1_000

Change = tuple[bytes, bytes | None]


class Store(Protocol):
    """Committed state by key. The core reads it; only the runtime writes it, after a commit."""

    def get(self, key: bytes) -> bytes | None: ...

    def keys_with(self, prefix: bytes) -> Iterable[bytes]: ...


_encode: Final = msgspec.msgpack.Encoder().encode
_decode_head: Final[Any] = msgspec.msgpack.Decoder(Alias | Root).decode
_decode_carts: Final[Any] = msgspec.msgpack.Decoder(list[CartEntry]).decode
_decode_campaigns: Final[Any] = msgspec.msgpack.Decoder(list[CampaignEntry]).decode


def write_parts(actor: Actor, changes: list[Change]) -> None:
    """Append the changed parts of an actor as changelog records, None where a part is gone; they are then written."""
    key, profile, journal = actor.key, actor.profile, actor.journal
    if actor.handed_over is not None:
        actor.handed_over.write([], key, changes)
        actor.handed_over = None
        roster.remove(actor.parts_left, key, changes)
    if profile is None:
        alias = Alias(actor.root, actor.generation, actor.epoch, actor.mark, actor.rivals, actor.acts)
        changes.append((key, _encode(alias)))
    else:
        assert profile.members[0] == actor.identifier, "the first member of a profile is its root"
        head = profile.shelf.write(profile.sessions, key, changes)
        roster.write(profile, key, changes)
        changes.append((key, _encode(_stored(actor, profile, head, journal))))
    if journal.dirty:
        for number in sorted(journal.dirty):
            at = number - journal.first
            held = journal.parts[at] if 0 <= at < len(journal.parts) else None
            changes.append((_journal_key(key, number), held))
        journal.dirty = None
    if actor.has_new_carts:
        changes.append((key + b"\0c", _encode(actor.carts) if actor.carts else None))
        actor.has_new_carts = False
    if actor.has_new_campaigns:
        changes.append((key + b"\0a", _encode(actor.campaigns) if actor.campaigns else None))
        actor.has_new_campaigns = False


def _stored(actor: Actor, profile: Profile, sessions: list[SessionRow], journal: Journal) -> Root:
    others, links, via = roster.rest_of(profile)
    return Root(
        others, profile.revision, _or_none(profile.last_ms), profile.last_digest,
        sessions, [episode.row() for episode in profile.episodes], profile.actions, profile.late,
        profile.proposal, profile.waiting,
        _or_none(profile.merged_ms), _or_none(profile.arrived_ms), _or_none(profile.found_ms),
        journal.first, len(journal.parts), journal.tail, _or_none(journal.floor_ms), profile.shelf.forgotten,
        profile.shelf.parts(), links, actor.generation, _contested(actor, profile, via),
        "" if profile.name == actor.identifier else profile.name, profile.proposed_size,
        roster.parts_of(len(profile.members)), reminded_of(profile.episodes), paid_of(profile.episodes),
        [browse.row() for browse in profile.browses],
    )  # fmt: skip


def _contested(actor: Actor, profile: Profile, via: dict[int, int]) -> Contested | None:
    has_any = (
        actor.epoch or actor.mark or actor.rivals or profile.reserved or profile.lost or profile.expecting
        or profile.refused or profile.spare or actor.acts or profile.acts or via
        or profile.accepted or profile.arriving or profile.epoch
    )  # fmt: skip
    if not has_any:
        return None
    return Contested(
        actor.epoch, actor.mark, actor.rivals, bids_of(profile.reserved), profile.lost, profile.expecting,
        profile.refused, profile.spare, actor.acts, profile.acts, via, profile.accepted, profile.arriving,
        profile.epoch,
    )  # fmt: skip


def _or_none(at_ms: int) -> int | None:
    return None if at_ms == NEVER else at_ms


def _or_never(at_ms: int | None) -> int:
    return NEVER if at_ms is None else at_ms


def whole(actor: Actor, *, has_members: bool = True) -> list[tuple[bytes, bytes]]:
    """Every part of a root, to travel to another task; without those of members, if these have gone ahead."""
    actor.journal.mark_all()
    actor.has_new_carts = actor.has_new_campaigns = True
    if actor.profile is not None:
        actor.profile.shelf.forget_what_is_stored()
        if has_members:
            roster.write_all(actor.profile)
        else:
            actor.profile.links.dirty = None
    parts: list[Change] = []
    write_parts(actor, parts)
    return [(key, value) for key, value in parts if value is not None]


def load(identifier: str, parts: Mapping[bytes, bytes] | Store) -> Actor | None:
    """The actor of an identifier from stored or sent parts, None if there is none."""
    key = identifier.encode()
    value = parts.get(key)
    if value is None:
        return None
    head: Alias | Root = _decode_head(value)
    if isinstance(head, Alias):
        alias = Actor(identifier, head.root, None)
        alias.generation, alias.epoch, alias.mark = head.generation, head.epoch, head.mark
        alias.rivals, alias.acts = head.rivals, head.acts
        return alias
    via = {} if head.contested is None else head.contested.via
    profile = roster.read(identifier, head, via, parts.get)
    _fill(profile, head)
    profile.shelf, profile.sessions = read_sessions(
        key, head.sessions_forgotten, head.sessions_parts, head.sessions, parts.get
    )
    actor = Actor(identifier, identifier, profile)
    actor.generation = head.generation
    if head.contested is not None:
        _contest(actor, profile, head.contested)
    numbers = range(head.journal_first, head.journal_first + head.journal_parts)
    found = [parts.get(_journal_key(key, number)) for number in numbers]
    held = tuple([part for part in found if part is not None])
    assert len(held) == head.journal_parts, f"{identifier[:12]}…: journal parts are missing"
    actor.journal = Journal(head.journal_first, held, head.journal_tail, _or_never(head.journal_floor_ms))
    carts = parts.get(key + b"\0c")
    actor.carts = _decode_carts(carts) if carts else []
    campaigns = parts.get(key + b"\0a")
    actor.campaigns = _decode_campaigns(campaigns) if campaigns else []
    return actor


def _contest(actor: Actor, profile: Profile, stored: Contested) -> None:
    actor.epoch, actor.mark, actor.rivals = stored.epoch, stored.mark, stored.rivals
    profile.reserved = claims_of(stored.reserved)
    profile.lost, profile.expecting, profile.refused = stored.lost, stored.expecting, stored.refused
    profile.spare, profile.epoch = stored.spare, stored.name_epoch
    actor.acts, profile.acts = stored.acts, stored.known_acts
    profile.accepted, profile.arriving = stored.accepted, stored.arriving


def _fill(profile: Profile, head: Root) -> None:
    profile.revision = head.revision
    profile.last_ms, profile.last_digest = _or_never(head.last_ms), head.last_digest
    profile.episodes = [Episode(*row) for row in head.episodes]
    for episode, (quiet_ms, later) in zip(profile.episodes, head.reminded, strict=False):
        episode.quiet_ms, episode.later = quiet_ms, later
    for episode, (paying_ms, failed, digest, arrived_ms, currency, currencies) in zip(
        profile.episodes, head.paid, strict=False
    ):
        episode.paying_ms, episode.currencies = paying_ms, currencies
        episode.failed, episode.failed_digest = failed, digest
        episode.failed_arrived_ms, episode.failed_currency = arrived_ms, currency
    profile.browses = [Browse(*browse) for browse in head.browses]
    profile.actions = head.actions
    profile.late, profile.proposal, profile.waiting = head.late, head.proposal, head.waiting
    profile.proposed_size = head.proposed_size
    profile.name = head.name or profile.name
    profile.merged_ms, profile.arrived_ms = _or_never(head.merged_ms), _or_never(head.arrived_ms)
    profile.found_ms = _or_never(head.found_ms)


class Actors:
    """The actors of one task: a bounded cache over the store, and which of them this batch has changed."""

    __slots__ = ("_cache", "_dirty", "_store")

    def __init__(self, store: Store) -> None:
        self._store = store
        self._cache: dict[str, Actor] = {}
        self._dirty: dict[str, Actor] = {}

    def find(self, identifier: str) -> Actor | None:
        """The actor, or None if the identifier was never seen."""
        actor = self._cache.get(identifier)
        if actor is None:
            actor = load(identifier, self._store)
            if actor is not None:
                self._cache[identifier] = actor
        return actor

    def create_root(self, identifier: str) -> Actor:
        """A new actor, root of a profile of its own; the identifier must not have one."""
        return self._add(Actor(identifier, identifier, Profile([identifier])))

    def create_alias(self, identifier: str, root: str) -> Actor:
        """A new actor, an alias; the identifier must not have one."""
        return self._add(Actor(identifier, root, None))

    def _add(self, actor: Actor) -> Actor:
        self._cache[actor.identifier] = self._dirty[actor.identifier] = actor
        return actor

    def touch(self, actor: Actor) -> None:
        """Note that this batch changes the actor."""
        self._dirty[actor.identifier] = actor

    def dirty(self) -> Iterable[Actor]:
        """The actors that this batch has changed."""
        return self._dirty.values()

    def changes(self) -> list[Change]:
        """The changed parts of all changed actors; the batch is then done, and the cache trimmed."""
        changes: list[Change] = []
        for actor in self._dirty.values():
            write_parts(actor, changes)
        self._dirty.clear()
        return changes

    def trim(self) -> None:
        """Forget the actors cached longest, once their changes are in the store."""
        surplus = len(self._cache) - CACHED_ACTORS
        if surplus > 0:
            for identifier in list(self._cache)[:surplus]:
                actor = self._cache.pop(identifier)
                if len(actor.index) > MANY_MEMBERS:
                    # Too much to read it again and again.
                    self._cache[identifier] = actor

    def undo(self) -> None:
        """Forget what this batch did: the changed actors are read again from the committed state."""
        for identifier in self._dirty:
            self._cache.pop(identifier, None)
        self._dirty.clear()


def _journal_key(key: bytes, number: int) -> bytes:
    return b"%s\0j%d" % (key, number)
