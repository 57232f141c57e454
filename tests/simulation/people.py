"""Who the tasks take for one person: what was seen, in the order it arrives, through a whole topology.

Knows no right answer. What it reads is what consumers read: the last record of an identifier says whose it is, unless
it says only whose it is not.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

from schemas.codec import decode
from streams.core.rules import Rules
from streams.core.step import IDENTITIES, STITCHED
from tests.oracle.rules import SECOND_MS
from tests.oracle.rules import Rules as OracleRules
from tests.oracle.touchpoints import Touchpoint, usable_identifiers
from tests.simulation.cluster import Cluster, Faults
from tests.simulation.feed import Feed
from tests.simulation.landing import landed_from, owners_today
from tests.simulation.log import Log

PARTITIONS = (1, 3, 8)
"""How many tasks every answer is tried with."""
STRAYS = 0.2
"""The share of messages that come on another partition than that of their key."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A touchpoint as far as it says who it was; `identifiers` is type to value."""

    message_id: str
    occurred_ms: int
    identifiers: Mapping[str, str]
    channel: str = "web"


@dataclass(frozen=True, slots=True)
class People:
    """Profile ids by identifier (`type:value`) and by message id; `identities` are all records, as written.

    `shared` are identifiers that were found to be nobody's. A message is whose its first identifier is that is not; one
    from before that was found out may stay nobody's.
    """

    profiles: Mapping[str, str]
    messages: Mapping[str, str]
    identities: Sequence[Mapping[str, Any]] = field(repr=False)
    shared: frozenset[str] = frozenset()

    def groups(self) -> set[frozenset[str]]:
        """The identifiers of each person."""
        members = defaultdict(set)
        for identifier, profile in self.profiles.items():
            members[profile].add(identifier)
        return set(map(frozenset, members.values()))


def people(seen: Sequence[Seen], rules: Rules, *, partitions: int, seed: int = 0) -> People:
    """Feed what was seen in the given order, a second apart and all after the last of it occurred; drain; read.

    Raises AssertionError where a message is lost, repeated or counted in a session of somebody else.
    """
    rng = Random(f"people {seed}")
    rules = replace(rules, is_replay=True)
    log = Log()
    feed = Feed(log, partitions, strays=STRAYS, seed=seed, ranks=rules.ranks)
    cluster = Cluster(log, partitions, rules, rng=rng, faults=Faults())
    fed = _touchpoints(seen)
    waiting = fed[::-1]
    eagerness = rng.choice([0.02, 0.3, 1.0])
    while waiting:
        if rng.random() < eagerness or not cluster.turn():
            feed.put(waiting.pop())
    cluster.settle()
    assert not cluster.dead, [dead.detail for dead in cluster.dead]
    return _read(fed, cluster.written, rules)


def arrivals(seen: Sequence[Seen], *, shuffles: int) -> Iterator[list[Seen]]:
    """Orders of arrival: as given, backwards, and some others that follow from their number."""
    yield list(seen)
    yield list(reversed(seen))
    for number in range(shuffles):
        yield Random(f"arrival {number}").sample(list(seen), k=len(seen))


def _touchpoints(seen: Sequence[Seen]) -> list[Touchpoint]:
    last_ms = max(one.occurred_ms for one in seen)
    return [
        Touchpoint(
            message_id=one.message_id,
            event="Page Viewed",
            occurred_ms=one.occurred_ms,
            received_ms=last_ms + place * SECOND_MS,
            arrival_ms=last_ms + place * SECOND_MS,
            identifiers=one.identifiers,
            channel=one.channel,
        )
        for place, one in enumerate(seen)
    ]


def _read(fed: Sequence[Touchpoint], written: Sequence[tuple[str, bytes]], rules: Rules) -> People:
    """Raises AssertionError where a message was stitched not once, or is in a session of somebody else."""
    identities = [decode(value)[1] for topic, value in written if topic == IDENTITIES]
    profiles = owners_today(identities)
    shared = frozenset(row["identifier"] for row in identities if row["kind"] == "shared")
    shown = {point.message_id: _through(point, shared, rules) for point in fed}
    possible = {message: {profiles[one] for one in through} for message, through in shown.items()}
    _check_messages(possible, written)
    messages = {message: profiles[through[-1]] for message, through in shown.items()}
    return People(profiles, messages, identities, shared)


def _through(touchpoint: Touchpoint, shared: frozenset[str], rules: Rules) -> tuple[str, ...]:
    """What the message may have come through: the first identifier that is somebody's, or one before it until then."""
    usable = usable_identifiers(touchpoint, OracleRules(ranks=rules.ranks))
    for place, identifier in enumerate(usable):
        if identifier not in shared:
            return usable[: place + 1]
    return usable


def _check_messages(possible: Mapping[str, set[str]], written: Sequence[tuple[str, bytes]]) -> None:
    """Each message was stitched once, and sessions count those of their profile that were on time."""
    stitched = [decode(value)[1] for topic, value in written if topic == STITCHED]
    assert Counter(row["message_id"] for row in stitched) == Counter(possible.keys())
    on_time = [possible[row["message_id"]] for row in stitched if not row["is_late"]]
    least = Counter(profile for profiles in on_time if len(profiles) == 1 for profile in profiles)
    most = Counter(profile for profiles in on_time for profile in profiles)
    counted: Counter[str] = Counter()
    for session in landed_from(written, may_repeat=False).sessions:
        counted[session.profile] += session.touchpoints
    assert counted.total() == len(on_time)
    assert least <= counted <= most, "sessions count messages of somebody else"
