"""The state: one actor an identifier, an alias of its root or the root that holds the profile, stored in parts.

Owns the parts' layout and the cache over the store; must not know what the state means or when it is committed.
Keys: the identifier for the head, identifier + NUL + "c" for cart entries, + "j" and a number for journal parts, + "s"
and a number for older sessions.
"""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, Final, Protocol

import msgspec
from mypy_extensions import mypyc_attr

from streams.core.carts import Episode
from streams.core.journal import Journal
from streams.core.limits import Weight, counts_of, kind_of
from streams.core.links import Links, links_of
from streams.core.messages import Act, Bid, Waiting
from streams.core.rules import Rules
from streams.core.sessions import Session, content_uuid
from streams.core.shapes import NEVER, Action, Alias, CartEntry, Contested, Root, SessionRow
from streams.core.shelf import Shelf
from streams.core.shelf import read as read_sessions

CACHED_ACTORS: Final = 4_000
CACHED_IDS: Final = 5_000
_NAMESPACE: Final = b"throughline/profile"

Change = tuple[bytes, bytes | None]


class Store(Protocol):
    """Committed state by key. The core reads it; only the runtime writes it, after a commit."""

    def get(self, key: bytes) -> bytes | None: ...

    def keys_with(self, prefix: bytes) -> Iterable[bytes]: ...


@mypyc_attr(acyclic=True)
class Profile:
    """What a root holds; times in epoch ms. `revision` rises with every change and outlives merges.

    `arrived_ms` is when the newest of its touchpoints arrived, `merged_ms` when it last had to do with a merge: until
    the timer clock has passed both, not everything is known that was in Kafka by then. `found_ms` is the wall clock
    when a cart was first found due: what had arrived by then is heard of before anything is decided.
    `members` keep their places, so one that has left leaves "" behind. `reserved` are claims without an answer yet, by
    identifier; `lost` what is not to be claimed again, and the weight of the link that was refused; `refused` whose
    claims were refused here; `spare` links (two members, epoch ms, digest) left out of the tree; `expecting` whose
    state is on its way here; `acts` name members, or did when the profile heard of them.
    """

    __slots__ = (
        "actions", "acts", "arrived_ms", "episodes", "expecting", "found_ms", "last_digest", "last_ms", "late", "links",
        "lost", "members", "merged_ms", "proposal", "refused", "reserved", "revision", "sessions", "shelf", "spare",
        "waiting",
    )  # fmt: skip

    def __init__(self, members: list[str]) -> None:
        self.members = members
        self.links = Links()
        self.reserved: dict[str, Bid] = {}
        self.lost: dict[str, Weight] = {}
        self.refused: list[Bid] = []
        self.spare: list[tuple[str, str, int, int]] = []
        self.expecting: list[str] = []
        self.acts: list[Act] = []
        self.revision = 0
        self.last_ms = NEVER
        self.last_digest = 0
        self.sessions: list[Session] = []
        self.shelf = Shelf()
        self.episodes: list[Episode] = []
        self.actions: list[Action] = []
        self.late: dict[int, int] = {}
        self.proposal = ""
        self.waiting: list[Waiting] = []
        self.merged_ms = NEVER
        self.arrived_ms = NEVER
        self.found_ms = NEVER


@mypyc_attr(acyclic=True)
class Actor:
    """An actor in memory: an alias of `root`, or, with a profile, a root itself.

    A root has its journal and its cart entries, in event-time order, beside the profile; while it is unsettled, these
    are ahead of its sessions and carts. `timer_ms` is its entry among the timers, None if that is not known.
    `generation` numbers the pointers of its profile, `epoch` how often an operator made it a root of its own; `mark`
    says why it identifies nobody, `rivals` who has claimed it in vain (when the touchpoint occurred, claimant), `acts`
    are those that name it.
    """

    __slots__ = (
        "_counts",
        "_last_revision",
        "_profile_id",
        "acts",
        "carts",
        "epoch",
        "generation",
        "handed_over",
        "has_new_carts",
        "identifier",
        "index",
        "is_unsettled",
        "journal",
        "key",
        "mark",
        "profile",
        "rivals",
        "root",
        "timer_ms",
    )  # fmt: skip

    def __init__(self, identifier: str, root: str, profile: Profile | None) -> None:
        self.identifier = identifier
        self.key = identifier.encode()
        self.profile = profile
        self.root = root
        self.journal = Journal()
        self.carts: list[CartEntry] = []
        self.has_new_carts = False
        self.is_unsettled = False
        self.handed_over: Shelf | None = None
        self.timer_ms: int | None = None
        self._profile_id = ""
        self._last_revision = 0
        self._counts: dict[str, int] | None = None
        self.generation = 0
        self.epoch = 0
        self.mark = ""
        self.rivals: list[tuple[int, str]] = []
        self.acts: list[Act] = []
        self.index: dict[str, int] = {}
        if profile is not None:
            self.index = {member: i for i, member in enumerate(profile.members) if member}

    @property
    def profile_id(self) -> str:
        """The id this identifier's own profile has, or would have."""
        if not self._profile_id:
            self._profile_id = profile_id_of(self.identifier, self.epoch)
        return self._profile_id

    def rename(self, epoch: int) -> None:
        """Have another profile id."""
        self.epoch, self._profile_id = epoch, ""

    @property
    def revision(self) -> int:
        """The profile's revision, of an alias the one it was handed over with."""
        return self._last_revision if self.profile is None else self.profile.revision

    def has_too_many(self, rules: Rules) -> bool:
        """True if more is remembered than a person does in 72 h: a machine, whose further touchpoints pass by."""
        return self.journal.size() >= rules.most_touchpoints or len(self.carts) >= rules.most_cart_entries

    def add_member(self, identifier: str) -> int:
        """The index of a member of a root, added if it is new."""
        at = self.index.get(identifier)
        if at is None:
            assert self.profile is not None
            at = self.index[identifier] = len(self.profile.members)
            self.profile.members.append(identifier)
            if self._counts is not None:
                kind = kind_of(identifier)
                self._counts[kind] = self._counts.get(kind, 0) + 1
        return at

    def drop_member(self, at: int) -> None:
        """One that leaves; its place stays empty."""
        assert self.profile is not None
        del self.index[self.profile.members[at]]
        self.profile.members[at] = ""
        self._counts = None

    def counts(self) -> dict[str, int]:
        """How many members a root has of each type."""
        if self._counts is None:
            self._counts = counts_of(self.index)
        return self._counts

    def become_alias(self, root: str) -> None:
        """Hand everything over: only the pointer stays."""
        self._last_revision = self.revision
        assert self.profile is not None
        # Its entry comes up and goes while it is an alias: were it a root again, it would wait for it in vain.
        self.timer_ms = None
        self.profile.sessions = []
        self.handed_over, self.profile, self.root = self.profile.shelf, None, root
        self.journal.clear()
        self.has_new_carts = self.has_new_carts or bool(self.carts)
        self.carts, self.index, self._counts = [], {}, None

    def become_root(self, other: "Actor") -> None:
        """Take over a profile that was made for this identifier."""
        assert other.profile is not None
        self.root, self.profile = self.identifier, other.profile
        self.profile.revision = max(self.profile.revision, self._last_revision)
        self.index, self.carts, self._counts = other.index, other.carts, None
        self.journal.extend(other.journal, list(range(len(other.profile.members))))
        self.has_new_carts = self.has_new_carts or bool(self.carts)


@lru_cache(maxsize=CACHED_IDS)
def profile_id_of(root: str, epoch: int) -> str:
    """The profile id of a root: a version 5 UUID of the identifier and of how often it was made a root anew."""
    return content_uuid(_NAMESPACE, f"{root}\0{epoch}".encode() if epoch else root.encode())


_encode: Final = msgspec.msgpack.Encoder().encode
_decode_head: Final[Any] = msgspec.msgpack.Decoder(Alias | Root).decode
_decode_carts: Final[Any] = msgspec.msgpack.Decoder(list[CartEntry]).decode


def write_parts(actor: Actor, changes: list[Change]) -> None:
    """Append the changed parts of an actor as changelog records, None where a part is gone; they are then written."""
    key, profile, journal = actor.key, actor.profile, actor.journal
    if actor.handed_over is not None:
        actor.handed_over.write([], key, changes)
        actor.handed_over = None
    if profile is None:
        alias = Alias(actor.root, actor.generation, actor.epoch, actor.mark, actor.rivals, actor.acts)
        changes.append((key, _encode(alias)))
    else:
        assert profile.members[0] == actor.identifier, "the first member of a profile is its root"
        head = profile.shelf.write(profile.sessions, key, changes)
        changes.append((key, _encode(_stored(actor, profile, head, journal))))
    if journal.dirty:
        for number in sorted(journal.dirty):
            at = number - journal.first
            held = journal.parts[at] if 0 <= at < len(journal.parts) else None
            changes.append((_journal_key(key, number), held))
        journal.dirty.clear()
    if actor.has_new_carts:
        changes.append((key + b"\0c", _encode(actor.carts) if actor.carts else None))
        actor.has_new_carts = False


def _stored(actor: Actor, profile: Profile, sessions: list[SessionRow], journal: Journal) -> Root:
    return Root(
        profile.members[1:], profile.revision, _or_none(profile.last_ms), profile.last_digest,
        sessions, [episode.row() for episode in profile.episodes], profile.actions, profile.late,
        profile.proposal, profile.waiting,
        _or_none(profile.merged_ms), _or_none(profile.arrived_ms), _or_none(profile.found_ms),
        journal.first, len(journal.parts), journal.tail, _or_none(journal.floor_ms), profile.shelf.forgotten,
        profile.shelf.parts(), profile.links.rows(), actor.generation, _contested(actor, profile),
    )  # fmt: skip


def _contested(actor: Actor, profile: Profile) -> Contested | None:
    has_any = (
        actor.epoch or actor.mark or actor.rivals or profile.reserved or profile.lost or profile.expecting
        or profile.refused or profile.spare or actor.acts or profile.acts
    )  # fmt: skip
    if not has_any:
        return None
    return Contested(
        actor.epoch, actor.mark, actor.rivals, list(profile.reserved.values()), profile.lost, profile.expecting,
        profile.refused, profile.spare, actor.acts, profile.acts,
    )  # fmt: skip


def _or_none(at_ms: int) -> int | None:
    return None if at_ms == NEVER else at_ms


def _or_never(at_ms: int | None) -> int:
    return NEVER if at_ms is None else at_ms


def whole(actor: Actor) -> list[tuple[bytes, bytes]]:
    """Every part of a root, to travel to another task."""
    actor.journal.dirty.update(range(actor.journal.first, actor.journal.first + len(actor.journal.parts)))
    actor.has_new_carts = True
    if actor.profile is not None:
        actor.profile.shelf.forget_what_is_stored()
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
    profile = _profile(identifier, head)
    profile.shelf, profile.sessions = read_sessions(
        key, head.sessions_forgotten, head.sessions_parts, head.sessions, parts.get
    )
    actor = Actor(identifier, identifier, profile)
    actor.generation = head.generation
    if head.contested is not None:
        _contest(actor, profile, head.contested)
    numbers = range(head.journal_first, head.journal_first + head.journal_parts)
    found = [parts.get(_journal_key(key, number)) for number in numbers]
    held = [part for part in found if part is not None]
    assert len(held) == head.journal_parts, f"{identifier[:12]}…: journal parts are missing"
    actor.journal = Journal(head.journal_first, held, head.journal_tail, _or_never(head.journal_floor_ms))
    carts = parts.get(key + b"\0c")
    actor.carts = _decode_carts(carts) if carts else []
    return actor


def _contest(actor: Actor, profile: Profile, stored: Contested) -> None:
    actor.epoch, actor.mark, actor.rivals = stored.epoch, stored.mark, stored.rivals
    profile.reserved = {bid.identifier: bid for bid in stored.reserved}
    profile.lost, profile.expecting, profile.refused = stored.lost, stored.expecting, stored.refused
    profile.spare = stored.spare
    actor.acts, profile.acts = stored.acts, stored.known_acts


def _profile(identifier: str, head: Root) -> Profile:
    profile = Profile([identifier, *head.others])
    profile.links = links_of(head.links, len(profile.members))
    profile.revision = head.revision
    profile.last_ms, profile.last_digest = _or_never(head.last_ms), head.last_digest
    profile.episodes = [Episode(*row) for row in head.episodes]
    profile.actions = head.actions
    profile.late, profile.proposal, profile.waiting = head.late, head.proposal, head.waiting
    profile.merged_ms, profile.arrived_ms = _or_never(head.merged_ms), _or_never(head.arrived_ms)
    profile.found_ms = _or_never(head.found_ms)
    return profile


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
                del self._cache[identifier]

    def undo(self) -> None:
        """Forget what this batch did: the changed actors are read again from the committed state."""
        for identifier in self._dirty:
            self._cache.pop(identifier, None)
        self._dirty.clear()


def _journal_key(key: bytes, number: int) -> bytes:
    return b"%s\0j%d" % (key, number)
