"""Random small worlds through all tasks of a topology: what is written equals what the oracle says.

THROUGHLINE_SEEDS sets how many worlds (default 240), THROUGHLINE_FIRST_SEED where they begin. Tangles are a quarter of
that: they show in two thousand what shops show in a hundred thousand.
"""

from __future__ import annotations

import os
from dataclasses import replace

import pytest

from tests.oracle.carts import Cart, cart_after
from tests.oracle.persons import on_time, persons_of
from tests.oracle.rules import MINUTE_MS
from tests.oracle.touchpoints import Touchpoint
from tests.oracle.worlds import START_MS, World
from tests.simulation.cluster import Commits, Faults
from tests.simulation.play import Setting, is_beyond_comparison, play, world_of
from tests.simulation.seeds import AGAIN, outcome_of
from tests.unit.oracle.build import added, ordered, touchpoint

COUNT = int(os.environ.get("THROUGHLINE_SEEDS", "240"))
FIRST = int(os.environ.get("THROUGHLINE_FIRST_SEED", "0"))
BLOCK = 20
TANGLES = max(COUNT // 4, BLOCK)


@pytest.mark.parametrize("first", range(FIRST, FIRST + COUNT, BLOCK))
def test_worlds_come_out_right(first: int) -> None:
    """No schedule, batch size, partition count or crash changes an answer or fires falsely.

    Be commits atomic, or batches repeated.
    """
    outcomes = [outcome_of(seed) for seed in range(first, min(first + BLOCK, FIRST + COUNT))]
    wrong = "\n\n".join(str(outcome) for outcome in outcomes if outcome.is_wrong)
    assert not wrong, wrong


@pytest.mark.parametrize("first", range(FIRST, FIRST + TANGLES, BLOCK))
def test_tangles_come_out_right(first: int) -> None:
    """Nor does anything change who is whose, where accounts and acts leave nobody alone."""
    outcomes = [
        outcome_of(seed, is_tangle=True) for seed in range(first, min(first + BLOCK, FIRST + TANGLES))
    ]
    wrong = "\n\n".join(str(outcome) for outcome in outcomes if outcome.is_wrong)
    assert not wrong, wrong


ONCE = {
    34: "an identifier that joined between proposal and hand-over followed a root that had gone on itself",
    11: "an identifier that was a root again waited for a timer that had gone while it was an alias",
    262: "a link that was no better than those there were had been forgotten when an act parted the better ones",
    469: "what came of an act was decided on before the clock had passed the act",
    779: "a link that an act had parted while its claim was under way came with the profile that it brought",
    2_916: "an identifier claimed by a root that was split off meanwhile followed it under its former id",
    2_987: "a claim was answered after its link had been parted",
    4_923: "of two links that waited the better one was kept, which an act had parted",
    500_036: "a profile that had grown between proposal and hand-over went in pieces that nobody expected",
    500_602: "who was one person when an action was decided, was judged by who is one in the end",
    600_023: "what somebody had claimed stayed behind when it was taken out",
    600_176: "a profile went in pieces while the state of another was on its way to it",
    1_000_432: "a split linked an identifier that was blocked for a moment, and was not asked again",
    2_003_663: "what stood against a claim had been parted from whom it was about, and it was not made again",
    5_003_512: "a link that a contest had cut was remembered on one side, and an act parted the other from its account",
    6_017_752: "a link that had been cut for another stayed cut, though the account it stood against left meanwhile",
    8_006_043: "a spare link across a cut was known to one side, and what stood against it left the other",
    4_023_401: "a late touchpoint was not known any more to whom it had come through, once they were split off",
    4_030_153: "a link by an act came to an identifier before the act itself, and nobody had seen it before",
    3_029_932: "a spare link that an act had parted kept out a later one of the same two, which counted",
    3_031_766: "a claim was made again at once, for ever, while an account that stood against it was only claimed",
    3_032_700: "the same, where it was the claimant that had claimed an account",
    1_003_791: "an action that left with its person was told once more, as cancelled, by whom it left",
    10_054_631: "a touchpoint that came 72 h late was forgotten before its copy came, and landed twice",
    1_008_312: "an earlier failed payment was acted on at a moment before it had arrived",
    10_166_484: "carts were decided on while a claim of their owner waited for others, longer than the clocks' rounds",
    9_012_741: "an identifier followed whom its claim was passed on to, and gave itself to two",
    21_055_150: "the answer to a claim overtook the state that the claim was in, which came back unanswered",
    25_007_741: "a link was refused by who knew no act, and not asked again once it was one with who knew it",
    23_191_896: "the judge took an action for false that was right between two acts of one moment",
    30_180_173: "who was on its way to a root that had gone on followed the next one at once, ahead of its own state",
}
REPEATED_ONCE = {
    7_006_438: "a claim that was sent again was answered again, and its answer made a root anew, without its state",
    9_015_128: "the same as 9012741",
    21_055_457: "a person was cut for a link that an act had parted, and stayed cut",
    22_079_237: "a merge that was read before the allow that lets it count was let go",
    22_043_279: "the judge took an action for false that was right by what had been read ahead of the clock",
    24_002_089: "two became one by a claim after who had claimed was split off, and it stayed unanswered",
}

TANGLES_ONCE = {
    1_138: "who had claimed an account as a name of its own let it in, though who brought it knew that it was not",
    2_577: "of two links by acts the one that an act parted was kept, and the other forgotten",
    8_110: "a link was cut for one that an act had parted meanwhile, and stayed cut",
    8_116: "two names stayed one account, as who had made them one was split off and they did not hear of it",
    21_601: "one name of an account was cut off another for a third, instead of being refused to it",
    2_261: "of three accounts two took turns for ever, while the third one's claim was under way",
    49_964: "of two links between the same two the worse was kept in case that others have to go",
    50_851: "a link was refused for an account that it had left meanwhile, and not asked again",
    16_192: "who left a person together were refused to each other, as one was still with its account",
    48_944: "an account was refused its own name, since it claimed another that an act had parted from it",
    113_504: "where one was cut for a link that an act had parted, on the other side nobody asked for it again",
    303_913: "what was claimed came when the room for it had gone to a better link, and was one too many",
    317_262: "a link counted as refused since a better one had been, which an act had parted since",
    318_393: "two accounts and two cards took turns for ever, each cut for a claim that the other side took over",
    535_889: "a name of an account was refused to it while another one was arriving in pieces, counted by type alone",
    43_192: "two were one by the worse of their links, and cut for a third who was better than that",
}


@pytest.mark.parametrize(
    ("seed", "commits"),
    [*((seed, Commits.ATOMIC) for seed in ONCE), *((seed, Commits.REPEATED) for seed in REPEATED_ONCE)],
)
def test_worlds_that_came_out_wrong_once(seed: int, commits: Commits) -> None:
    """Why, is said beside each; the worlds of a seed may have changed since."""
    outcome = outcome_of(seed, commits)
    assert not outcome.is_wrong, outcome


@pytest.mark.parametrize("seed", TANGLES_ONCE)
def test_tangles_that_came_out_wrong_once(seed: int) -> None:
    """As above."""
    outcome = outcome_of(seed, is_tangle=True)
    assert not outcome.is_wrong, outcome


@pytest.mark.parametrize("seed", range(0, 100, 20))
def test_an_unread_purchase_stops_a_cart_that_is_found_late(seed: int) -> None:
    """A cart uploaded two hours late is due at once; the purchase that lies unread elsewhere must be read first.

    Both are in Kafka when the cart is found due, so acting before the clock has passed that moment is false.
    """
    for schedule in range(seed, seed + 20):
        found = play(late_cart(schedule), late_cart_setting(schedule), seed=schedule)
        assert not found, f"schedule {schedule}: {found}"


def test_few_worlds_are_not_compared() -> None:
    """A link that arrives when a past is older than 72 h is out of the rules' reach; nearly no world has one."""
    assert sum(is_beyond_comparison(world_of(seed)) for seed in range(100)) <= 10


def test_some_worlds_are_played_again_and_decide_nothing_early() -> None:
    """Those are compared to the last id, of actions too."""
    again = [world_of(seed) for seed in range(0, 100, AGAIN)]
    assert sum(not played.ticks_ms and any_cart(played) for played in again) >= 5


def test_many_worlds_keep_what_an_order_leaves() -> None:
    """Orders that have bought a part of a cart, from another cart or none."""
    shops = [world_of(seed) for seed in range(100)]
    assert sum(leaves_something(played) for played in shops if played.rules.keeps_leftovers) >= 5


def leaves_something(played: World) -> bool:
    """Whether a cart of anybody's goes on after an order."""
    for person in persons_of(played.touchpoints, played.rules, played.acts):
        cart: Cart = ()
        for point in on_time(person, played.rules):
            before, cart = cart, cart_after(cart, point, None, played.rules)
            if point.event == "Order Completed" and point.items and () != cart != before:
                return True
    return False


def any_cart(played: World) -> bool:
    """Whether anybody put anything into one."""
    return any(point.event == "Product Added" for point in played.touchpoints)


def late_cart(name: int) -> World:
    """A known customer's cart of 0:00 and purchase of 0:10, both arriving at 2:00, ticks before and after."""
    points = [
        touchpoint("link", -60, who=f"user_id:{name} loyalty_id:{name}"),
        ordered("order", 10, who=f"loyalty_id:{name}", arrives_min=120),
        replace(
            added("add", 0, who=f"user_id:{name}"), received_ms=120 * MINUTE_MS, arrival_ms=120 * MINUTE_MS
        ),
    ]
    ticks_ms = tuple(START_MS + minute * MINUTE_MS for minute in (-30, 90, 119, 150))
    return World(name, tuple(map(later, points)), ticks_ms)


def late_cart_setting(schedule: int) -> Setting:
    """Records are fed slowly, so that tasks are ahead of each other."""
    eagerness = 0.01 if schedule % 2 else 0.05
    return Setting(
        partitions=2 + schedule % 3,
        eagerness=eagerness,
        strays=0.0,
        faults=Faults(),
        few_members=16,
        piece_members=1_000,
    )


def later(point: Touchpoint) -> Touchpoint:
    """Some decades later, so that nothing happens in 1970."""
    return replace(
        point,
        occurred_ms=point.occurred_ms + START_MS,
        received_ms=point.received_ms + START_MS,
        arrival_ms=point.arrival_ms + START_MS,
    )
