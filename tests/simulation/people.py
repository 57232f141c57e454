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
from tests.simulation.landing import landed_from
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

    `shared` are identifiers that were found to be nobody's; a message that shows more than those is its next one's.
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
    waiting = list(reversed(_touchpoints(seen)))
    fed = list(reversed(waiting))
    eagerness = rng.choice([0.02, 0.3, 1.0])
    while waiting:
        if rng.random() < eagerness or not cluster.is_busy():
            feed.put(waiting.pop())
        else:
            cluster.turn()
    cluster.settle()
    assert not cluster.dead, [dead.detail for dead in cluster.dead]
    found = _read(fed, cluster.written, rules)
    _check_messages(found, cluster.written)
    return found


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
    identities = [decode(value)[1] for topic, value in written if topic == IDENTITIES]
    profiles = {row["identifier"]: row["profile_id"] for row in identities if row["kind"] != "refused"}
    shared = frozenset(row["identifier"] for row in identities if row["kind"] == "shared")
    oracle_rules = OracleRules(ranks=rules.ranks)
    messages = {}
    for touchpoint in fed:
        usable = usable_identifiers(touchpoint, oracle_rules)
        through = next((one for one in usable if one not in shared), usable[-1])
        messages[touchpoint.message_id] = profiles[through]
    return People(profiles, messages, identities, shared)


def _check_messages(found: People, written: Sequence[tuple[str, bytes]]) -> None:
    """Each message was stitched once, and the sessions of each profile have as many as were on time."""
    stitched = [decode(value)[1] for topic, value in written if topic == STITCHED]
    assert Counter(row["message_id"] for row in stitched) == Counter(found.messages.keys())
    on_time = Counter(found.messages[row["message_id"]] for row in stitched if not row["is_late"])
    counted: Counter[str] = Counter()
    for session in landed_from(written, may_repeat=False).sessions:
        counted[session.profile] += session.touchpoints
    assert counted == on_time, "sessions count messages of somebody else"
