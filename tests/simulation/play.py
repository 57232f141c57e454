"""One world through one cluster, to the end, against the oracle. Everything follows from the seed."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from streams.core.rules import MOVE, Rules
from tests.oracle.acts import JOINING, Act
from tests.oracle.compare import Differences, answer, differences
from tests.oracle.persons import on_time, persons_of
from tests.oracle.rules import Rules as OracleRules
from tests.oracle.touchpoints import Touchpoint, arrived_ms, is_late, occurred_ms, usable_identifiers
from tests.oracle.worlds import Tick, World, shuffled, world
from tests.simulation.cluster import Cluster, Commits, Faults
from tests.simulation.feed import Feed
from tests.simulation.landing import landed_from
from tests.simulation.log import Log


@dataclass(frozen=True, slots=True)
class Setting:
    """How a world is played; `eagerness` is how much sooner records are fed than processed."""

    partitions: int
    eagerness: float
    strays: float
    faults: Faults


def world_of(seed: int) -> World:
    """The world of a seed, as it is or in another order of arrival."""
    original = world(seed)
    style = Random(f"order {seed}").choice(["as it is", "as it is", "moved", "kept"])
    if style == "as it is":
        return original
    return shuffled(original, seed, keep_times=style == "kept")


def setting_of(seed: int, commits: Commits = Commits.ATOMIC) -> Setting:
    """How the world of a seed is played."""
    rng = Random(f"setting {seed}")
    return Setting(
        partitions=rng.choice([1, 2, 3, 4, 8]),
        eagerness=rng.choice([0.02, 0.2, 0.8, 1.0]),
        strays=rng.choice([0.0, 0.0, 0.2]),
        faults=Faults(crash=rng.choice([0.0, 0.05, 0.2]), rebuild=rng.choice([0.0, 0.02]), commits=commits),
    )


def play(played: World, setting: Setting, *, seed: int) -> Differences:
    """Feed, drain, tick to the end, compare. Raises what a broken invariant raises."""
    rng = Random(f"schedule {seed}")
    log = Log()
    feed = Feed(log, setting.partitions, strays=setting.strays, seed=seed)
    rules = core_rules(played.rules)
    cluster = Cluster(log, setting.partitions, rules, rng=rng, faults=setting.faults)
    waiting = list(reversed(list(played.records())))
    while waiting:
        if rng.random() < setting.eagerness or not cluster.is_busy():
            record = waiting.pop()
            feed.put(record)
            if isinstance(record, Act) and record.kind not in JOINING:
                # What is seen after an act that parts people is read after it: see `streams.core.acts`.
                cluster.settle()
        else:
            cluster.turn()
    cluster.settle()
    for clock_ms in played.final_ticks_ms():
        feed.put(Tick(clock_ms))
        cluster.settle()
    landed = landed_from(cluster.written, may_repeat=setting.faults.commits != Commits.ATOMIC)
    return differences(answer(played.touchpoints, played.rules, played.acts), landed)


def has_belated_link(played: World) -> bool:
    """Whether people with a past turn out to be one when some of it is older than a profile remembers (72 h).

    Or one who is parted by an act is. The rules know no such limit and would rewrite that past; the pipeline has let go
    of it.
    """
    rules = played.rules
    parted_ms = max((act.arrival_ms for act in played.acts if act.kind not in JOINING), default=0)
    on_time_ms = [occurred_ms(t, rules) for t in played.touchpoints if not is_late(t, rules)]
    if min(on_time_ms, default=parted_ms) + rules.late_after_ms < parted_ms:
        return True
    last_ms = max((arrived_ms(t, rules) for t in played.touchpoints), default=0)
    for person in persons_of(played.touchpoints, rules, played.acts):
        copies = [
            t for t in played.touchpoints if person.identifiers.intersection(usable_identifiers(t, rules))
        ]
        for touchpoint in on_time(person, rules):
            until_ms = occurred_ms(touchpoint, rules) + rules.late_after_ms
            if until_ms < last_ms and _people_by(until_ms, copies, played) > 1:
                return True
    return False


def _people_by(clock_ms: int, copies: list[Touchpoint], played: World) -> int:
    rules, acts = played.rules, [act for act in played.acts if act.arrival_ms <= clock_ms]
    known = persons_of((t for t in copies if arrived_ms(t, rules) <= clock_ms), rules, acts)
    return sum(1 for person in known if on_time(person, rules))


def core_rules(rules: OracleRules) -> Rules:
    """The same numbers for the core."""
    return Rules(
        ranks=rules.ranks,
        limits=rules.limits,
        on_conflict=dict.fromkeys(rules.moving, MOVE),
        shared_profiles=0,
        default_region=rules.default_region,
        drop_plus_tags=rules.drop_plus_tags,
        blocked=rules.blocked,
        gap_ms=rules.gap_ms,
        gaps_ms=rules.gaps_ms,
        abandon_after_ms=rules.abandon_after_ms,
        recovery_ms=rules.recovery_ms,
        timer_lateness_ms=rules.timer_lateness_ms,
        max_action_age_ms=rules.historical_after_ms,
        is_replay=rules.is_replay,
    )
