"""Each model is what it says it is: held against its definition, computed the long way, on random journeys."""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import permutations

import pytest

from sinks.attribution.markov import markov
from sinks.attribution.paths import Credit, Path, totals
from sinks.attribution.sets import counterfactual, shapley
from sinks.clickhouse.attributing import MODELS, paths_by_currency

CHANNELS = ("direct", "email", "paid_search", "push", "sms")
WORLDS = range(20)


def some_paths(seed: int, world: int) -> list[Path]:
    """Journeys of up to six steps through up to five channels, repeats and all."""
    rnd = random.Random(f"{seed}:attribution:{world}")
    channels = CHANNELS[: rnd.randint(1, len(CHANNELS))]
    drawn = {tuple(rnd.choices(channels, k=rnd.randint(1, 6))) for _ in range(rnd.randint(1, 25))}
    paths = []
    for each in sorted(drawn):
        journeys = rnd.randint(1, 9)
        conversions = rnd.randint(0, journeys)
        paths.append(Path(each, journeys, conversions, conversions * rnd.randint(1, 10**8)))
    return paths


def expected_of_a_walk(paths: Sequence[Path], removed: str | None, *, of_revenue: bool) -> float:
    """Orders, or revenue, of a journey that walks from channel to channel as these did and ends in `removed`.

    All the probability there is, moved on step by step until next to none is under way.
    """
    left: dict[str, float] = {}
    moves: dict[str, dict[str, float]] = {}
    brings: dict[str, float] = {}
    for path in paths:
        steps = ["", *path.channels]
        for before, after in zip(steps, [*steps[1:], None], strict=True):
            left[before] = left.get(before, 0) + path.journeys
            if after is not None:
                onward = moves.setdefault(before, {})
                onward[after] = onward.get(after, 0) + path.journeys
        last = path.channels[-1]
        brings[last] = brings.get(last, 0) + (path.revenue if of_revenue else path.conversions)
    under_way, brought = {"": 1.0}, 0.0
    while sum(under_way.values()) > 1e-15:
        arriving: dict[str, float] = {}
        for channel, chance in under_way.items():
            brought += chance * brings.get(channel, 0) / left[channel]
            for onward_to, count in moves.get(channel, {}).items():
                if onward_to != removed:
                    arriving[onward_to] = arriving.get(onward_to, 0) + chance * count / left[channel]
        under_way = arriving
    return brought


@pytest.mark.parametrize(("known", "world"), [*((None, world) for world in WORLDS), (41_113_262, 13)])
def test_markov_credits_what_a_walk_loses(seed: int, known: int | None, world: int) -> None:
    """One inverse of the chain gives what walking it gives, once with each channel removed.

    To twelve digits of the whole: in the known one a channel brings nothing, and a walk loses 9e-8 of 4e8 to
    rounding without it. Seen to fail with the division by a channel's own entry in the fundamental matrix left out.
    """
    paths = some_paths(seed if known is None else known, world)
    found, total = markov(paths), totals(paths)
    for of_revenue, whole in ((False, total.conversions), (True, total.revenue)):
        base = expected_of_a_walk(paths, None, of_revenue=of_revenue)
        lost = {each: base - expected_of_a_walk(paths, each, of_revenue=of_revenue) for each in found}
        scale = whole / sum(lost.values()) if base else 0.0
        credited = {
            each: credit.revenue if of_revenue else credit.conversions for each, credit in found.items()
        }
        assert credited == pytest.approx(
            {each: loss * scale for each, loss in lost.items()}, rel=1e-9, abs=1e-12 * max(1.0, whole)
        )


@pytest.mark.parametrize("world", WORLDS)
def test_shapley_is_the_mean_over_all_orders_of_joining(seed: int, world: int) -> None:
    """By the definition: what a channel adds to those before it, over every order in which channels can join.

    Seen to fail with the parts counted by touch instead of by distinct channel.
    """
    paths = some_paths(seed, world)
    players = sorted({channel for path in paths for channel in path.channels})

    def worth(coalition: frozenset[str]) -> float:
        return sum(path.conversions for path in paths if coalition.issuperset(path.channels))

    values = dict.fromkeys(players, 0.0)
    joinings = list(permutations(players))
    for joining in joinings:
        for index, channel in enumerate(joining):
            added = worth(frozenset(joining[: index + 1])) - worth(frozenset(joining[:index]))
            values[channel] += added / len(joinings)
    assert {each: credit.conversions for each, credit in shapley(paths).items()} == pytest.approx(values)


@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize("model", MODELS)
def test_every_model_credits_every_order_once(seed: int, world: int, model: str) -> None:
    """Credits add up to all orders and to all revenue, and none is below zero.

    Seen to fail with orders that no counterfactual gains anything on left to nobody.
    """
    paths = some_paths(seed, world)
    credits = MODELS[model](paths).values()
    total = totals(paths)
    assert sum(credit.conversions for credit in credits) == pytest.approx(total.conversions)
    assert sum(credit.revenue for credit in credits) == pytest.approx(total.revenue)
    assert min(credit.conversions for credit in credits) >= -1e-9


def test_counterfactual_by_hand() -> None:
    """a > b converts in 1 of 2, a alone in 1 of 4, b alone never: b adds 1/4 to a, a adds 1/2 to b.

    Seen to fail with the gains of the two exchanged.
    """
    paths = [Path(("a", "a", "b"), 2, 1, 30), Path(("a",), 4, 1, 10), Path(("b",), 5, 0, 0)]
    found = counterfactual(paths)
    assert (found["a"].conversions, found["b"].conversions) == pytest.approx((1 + 2 / 3, 1 / 3))
    assert (found["a"].revenue, found["b"].revenue) == pytest.approx((10 + 20, 10))


def test_a_channel_that_never_converts_is_credited_with_nothing() -> None:
    """It is named all the same, by every model.

    Seen to fail with only the channels of converted journeys named.
    """
    paths = [Path(("a",), 2, 1, 5), Path(("b",), 3, 0, 0)]
    for model in MODELS.values():
        assert model(paths) == {"a": Credit(1, 5), "b": Credit(0, 0)}


def test_orders_of_a_currency_are_what_its_journeys_convert_to() -> None:
    """All journeys count in each currency, orders and revenue in their own.

    Seen to fail with the journeys of the other currency's orders left out.
    """
    rows = [(["a"], True, "EUR", 2, 50), (["a"], True, "USD", 1, 7), (["a", "b"], False, "", 4, 0)]
    assert paths_by_currency(rows) == {
        "EUR": [Path(("a",), 3, 2, 50), Path(("a", "b"), 4, 0, 0)],
        "USD": [Path(("a",), 3, 1, 7), Path(("a", "b"), 4, 0, 0)],
    }
    assert paths_by_currency([(["a"], False, "", 1, 0)]) == {}
