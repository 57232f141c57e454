"""One world through one cluster, to the end, against the oracle. Everything follows from the seed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from random import Random

from streams.core.rules import MOVE, Rules
from tests.oracle.acts import JOINING, Act, accounts, valid_acts
from tests.oracle.compare import Differences, answer, differences
from tests.oracle.persons import components, on_time, persons_of, placed_of
from tests.oracle.rules import Rules as OracleRules
from tests.oracle.tangles import tangle
from tests.oracle.touchpoints import Touchpoint, arrived_ms, is_late, occurred_ms, usable_identifiers
from tests.oracle.worlds import Tick, World, shuffled, world
from tests.simulation.cluster import Cluster, Commits, Faults
from tests.simulation.feed import Feed
from tests.simulation.landing import landed_from
from tests.simulation.log import Log
from tests.simulation.settled import actors_of, astray, out_of_place, over_limits, torn, unfinished

PARTITIONS = (1, 2, 3, 4, 8)


@dataclass(frozen=True, slots=True)
class Setting:
    """How a world is played; `eagerness` is how much sooner records are fed than processed."""

    partitions: int
    eagerness: float
    strays: float
    faults: Faults
    few_members: int
    piece_members: int


def world_of(seed: int, *, is_tangle: bool = False) -> World:
    """The world of a seed, as it is or in another order of arrival; or its tangle."""
    if is_tangle:
        return tangle(seed)
    original = world(seed)
    style = Random(f"order {seed}").choice(["as it is", "as it is", "moved", "kept"])
    if style == "as it is":
        return original
    return shuffled(original, seed, keep_times=style == "kept")


def setting_of(seed: int, commits: Commits = Commits.ATOMIC) -> Setting:
    """How the world of a seed is played."""
    return _setting(Random(f"setting {seed}"), PARTITIONS, commits)


def other_setting_of(seed: int) -> Setting:
    """How it is played once more: not with as many partitions."""
    first = setting_of(seed).partitions
    others = [partitions for partitions in PARTITIONS if partitions != first]
    return _setting(Random(f"other setting {seed}"), others, Commits.ATOMIC)


def _setting(rng: Random, partitions: Sequence[int], commits: Commits) -> Setting:
    return Setting(
        partitions=rng.choice(partitions),
        eagerness=rng.choice([0.02, 0.2, 0.8, 1.0]),
        strays=rng.choice([0.0, 0.0, 0.2]),
        faults=Faults(crash=rng.choice([0.0, 0.05, 0.2]), rebuild=rng.choice([0.0, 0.02]), commits=commits),
        few_members=rng.choice([0, 0, 1, 3, 16]),
        piece_members=rng.choice([1, 1, 2, 4, 1_000]),
    )


def play(played: World, setting: Setting, *, seed: int) -> Differences:
    """Play it to the end and judge it. Raises what a broken invariant raises."""
    return judged(played, run(played, setting, seed=seed))


def run(played: World, setting: Setting, *, seed: int) -> Cluster:
    """Feed, drain, tick to the end."""
    rng = Random(f"schedule {seed}")
    log = Log()
    feed = Feed(log, setting.partitions, strays=setting.strays, seed=seed)
    rules = replace(
        core_rules(played.rules), few_members=setting.few_members, piece_members=setting.piece_members
    )
    cluster = Cluster(log, setting.partitions, rules, rng=rng, faults=setting.faults)
    waiting = list(reversed(list(played.records())))
    while waiting:
        if rng.random() < setting.eagerness or not cluster.turn():
            record = waiting.pop()
            feed.put(record)
            if isinstance(record, Act) and record.kind not in JOINING:
                # What is seen after an act that parts people is read after it: see `streams.core.acts`.
                cluster.settle()
    cluster.settle()
    for clock_ms in played.final_ticks_ms():
        feed.put(Tick(clock_ms))
        cluster.settle()
    return cluster


def judged(played: World, cluster: Cluster) -> Differences:
    """Everything written against the oracle, then the state that is left."""
    landed = landed_from(cluster.written, may_repeat=cluster.may_repeat)
    found = differences(answer(played.touchpoints, played.rules, played.acts), landed)
    acts = valid_acts(played.acts, played.rules)
    people = components(placed_of(played.touchpoints, played.rules, acts), played.rules, acts)
    for line in (*unsettled(played, cluster), *torn(actors_of(cluster.stores), people)):
        found.note("wrong", line)
    return found


def unsettled(played: World, cluster: Cluster) -> Iterator[str]:
    """What is not as it must be once nobody has anything to read or to say, dead letters without a reason included."""
    rules = played.rules
    nobodys = sum(not usable_identifiers(t, rules) for t in played.touchpoints)
    none = sum(not valid_acts((act,), rules) for act in played.acts)
    if len(cluster.dead) != nobodys + none:
        yield f"{len(cluster.dead)} dead letters for {nobodys} touchpoints of nobody, {none} acts: {cluster.dead}"
    actors = actors_of(cluster.stores)
    yield from out_of_place(cluster.stores)
    yield from unfinished(actors)
    yield from astray(actors)
    yield from over_limits(actors, rules.limits, accounts(valid_acts(played.acts, rules), rules))


def lost_or_repeated(played: World, cluster: Cluster) -> Iterator[str]:
    """Messages that have not landed once and for one person, whoever that is."""
    landed = landed_from(cluster.written, may_repeat=cluster.may_repeat).touchpoints
    seen = Counter(row.message_id for row in landed)
    for message_id in sorted(
        {t.message_id for t in played.touchpoints if usable_identifiers(t, played.rules)}
    ):
        if seen[message_id] != 1:
            yield f"touchpoint {message_id} has landed {seen[message_id]} times"


def is_beyond_comparison(played: World) -> bool:
    """Whether the rules cannot judge a world: see both."""
    return has_belated_link(played) or has_message_of_two(played)


def has_message_of_two(played: World) -> bool:
    """Whether copies of a message are two people's: of one whose clock was ahead, before and after an act that parts.

    Both have it then, and what is compared is told apart by its messages.
    """
    if not played.acts:
        return False
    persons = persons_of(played.touchpoints, played.rules, played.acts)
    return max(Counter(t.message_id for p in persons for t in p.touchpoints).values(), default=0) > 1


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
        events=rules.events,
        abandon_after_ms=rules.abandon_after_ms,
        recovery_ms=rules.recovery_ms,
        reminders_ms=rules.reminders_ms,
        leftovers="keep" if rules.keeps_leftovers else "drop",
        browse_views=rules.browse_views,
        timer_lateness_ms=rules.timer_lateness_ms,
        max_action_age_ms=rules.historical_after_ms,
        is_replay=rules.is_replay,
    )
