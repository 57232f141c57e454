"""Journeys and attribution as the views tell them, from touchpoints landed as the sink lands them."""

from __future__ import annotations

import json
import random
from collections import defaultdict
from collections.abc import Iterator

import pytest
from typer.testing import CliRunner, Result

from sinks.clickhouse.embedded import EmbeddedWarehouse
from streams.cli.app import build
from tests.integration.marketed import MarketedWorld, campaign, marketed_world

pytestmark = pytest.mark.xdist_group("attribution")

HOUR = 60
DAY = 24 * HOUR
MODELS = ("first", "last", "last_non_direct", "linear", "position", "time_decay")


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[MarketedWorld, EmbeddedWarehouse]]:
    with marketed_world(tmp_path_factory.mktemp("warehouse")) as there:
        yield there


@pytest.fixture
def world(there: tuple[MarketedWorld, EmbeddedWarehouse]) -> Iterator[MarketedWorld]:
    yield there[0]
    there[0].clear()


@pytest.fixture
def opened(there: tuple[MarketedWorld, EmbeddedWarehouse]) -> EmbeddedWarehouse:
    return there[1]


def credits(
    world: MarketedWorld, model: str, *, lookback_days: int = 30, half_life_days: float = 7
) -> dict[str, float]:
    """Channel to orders credited by view attribution."""
    asked = f"attribution(lookback_days = {lookback_days}, half_life_days = {half_life_days})"
    return dict(world.ask(f"SELECT channel, conversions FROM {asked} WHERE model = '{model}'"))


JOURNEYS = "SELECT is_converted, order_message_id, channels FROM journeys(lookback_days = 30) ORDER BY ALL"


def test_journey_is_what_came_before_an_order(world: MarketedWorld) -> None:
    """From lookback to the order, its own touchpoint included, nobody else's; what follows the last one is open.

    Seen to fail with a lookback a thousand times as long, with what came after an order in its journey, and with open
    journeys that begin before the last order.
    """
    world.came("m0", -1, "print")
    world.came("m1", 0, "email")
    world.came("m2", 1 * DAY, "sms")
    world.ordered("o1", 30 * DAY, campaign=campaign("affiliate"))
    world.ordered("o2", 30 * DAY + 1)
    world.came("m3", 31 * DAY, "push")
    world.came("m4", 59 * DAY, "email")
    world.came("n0", -30 * DAY, "sms", profile_id="looks around")
    world.came("n1", 5, "print", profile_id="looks around")
    world.ordered("p1", 5, profile_id="walks in")
    assert world.ask(JOURNEYS) == [
        (False, "", ["print"]),
        (False, "", ["push", "email"]),
        (True, "o1", ["email", "sms", "affiliate"]),
        (True, "o2", ["sms", "affiliate"]),
        (True, "p1", ["direct"]),
    ]


def test_an_order_counts_once(world: MarketedWorld) -> None:
    """Records with the same order_id are one order, as the view `orders` has it: at the first, its parts together.

    Seen to fail with a journey for each record.
    """
    world.came("m1", 0, "email")
    world.came("m2", 65, "sms")
    world.ordered("o1", 60, order_id="4711")
    world.ordered("o2", 70, order_id="4711", revenue_micros=5_000_000)
    world.ordered("o2", 70, order_id="4711", revenue_micros=5_000_000)
    asked = "SELECT profile_id, order_message_id, channels, revenue_micros FROM journeys(lookback_days = 30) "
    assert world.ask(asked + "WHERE is_converted ORDER BY ALL") == [
        ("p1", "o1", ["email"], 15_000_000),
    ]


def test_journeys_follow_a_merge(world: MarketedWorld) -> None:
    """What two people did is one journey once they are one person, without anything being computed again."""
    world.came("m1", 0, "email", profile_id="a")
    world.ordered("o1", 60, profile_id="b")
    assert [row[2] for row in world.ask(JOURNEYS)] == [["email"], ["direct"]]
    world.belongs("user_id:1", "a", own="a")
    world.belongs("email:x", "a", own="b")
    assert world.ask(JOURNEYS) == [(True, "o1", ["email"])]


def test_models_by_hand(world: MarketedWorld) -> None:
    """Four touchpoints, the last one direct, a day apart; one day is the half-life.

    Seen to fail with weights that double with age instead of halving, and with 50/0/50 for position.
    """
    for index, medium in enumerate(("email", "sms", "email", "direct")):
        world.came(f"m{index}", index * DAY, medium)
    world.ordered("o1", 3 * DAY + 1)
    assert {model: credits(world, model, half_life_days=1) for model in MODELS} == {
        "first": {"email": 1},
        "last": {"direct": 1},
        "last_non_direct": {"email": 1},
        "linear": {"email": 0.5, "sms": 0.25, "direct": 0.25},
        "position": {"email": pytest.approx(0.5), "sms": pytest.approx(0.1), "direct": pytest.approx(0.4)},
        "time_decay": {
            "email": pytest.approx(5 / 15), "sms": pytest.approx(2 / 15), "direct": pytest.approx(8 / 15),
        },
    }  # fmt: skip


def test_credits_tell_the_campaign(world: MarketedWorld) -> None:
    """So that what a channel is credited with can be told apart by its campaigns; a channel without one has none.

    Seen to fail with campaigns in reverse order.
    """
    world.viewed("m1", campaign=campaign("email", name="spring"))
    world.viewed("m2", DAY, campaign=campaign("sms", name="sale"))
    world.came("m3", 2 * DAY, "print")
    world.ordered("o1", 3 * DAY)
    asked = "SELECT channel, campaign, message_id FROM attribution_credits(lookback_days = 30, half_life_days = 7)"
    assert world.ask(f"{asked} WHERE model = 'linear' ORDER BY position") == [
        ("email", "spring", "m1"), ("sms", "sale", "m2"), ("print", "", "m3"),
    ]  # fmt: skip


def test_only_direct_is_credited_where_there_is_nothing_else(world: MarketedWorld) -> None:
    """Last non-direct falls back on direct; two touchpoints share by position in halves; decay never divides by 0.

    Seen to fail with the fallback left out, and with a half-life of nothing taken as it is.
    """
    world.came("m1", 0, "direct")
    world.came("m2", 2 * DAY, "direct")
    world.ordered("o1", 3 * DAY)
    at = "(lookback_days = 30, half_life_days = 0)"
    asked = f"SELECT model, groupArray((position, credit)) FROM attribution_credits{at}"
    assert dict(world.ask(asked + " GROUP BY model")) == {
        "first": [(1, 1.0)],
        "last": [(2, 1.0)],
        "last_non_direct": [(2, 1.0)],
        "linear": [(1, 0.5), (2, 0.5)],
        "position": [(1, 0.5), (2, 0.5)],
        "time_decay": [(2, 1.0)],
    }


def land_town(world: MarketedWorld, seed: int, *, persons: int) -> None:
    """People who come by five channels and order now and then, in two currencies or for nothing known."""
    rnd = random.Random(f"{seed}:town")
    for person in range(persons):
        for index in range(rnd.randint(1, 9)):
            at, message_id, whose = rnd.randint(0, 60 * DAY), f"{person}-{index}", f"p{person}"
            if rnd.random() < 0.3:
                money = rnd.choice(
                    [("EUR", rnd.randint(0, 10**9)), ("USD", rnd.randint(0, 10**9)), (None, None)]
                )
                world.ordered(message_id, at, currency=money[0], revenue_micros=money[1], profile_id=whose)
            else:
                world.came(
                    message_id,
                    at,
                    rnd.choice(["email", "sms", "push", "print", "direct"]),
                    profile_id=whose,
                )


def test_each_model_credits_each_order_once(world: MarketedWorld, seed: int) -> None:
    """In a random town: credits of an order add up to 1, all of them to what profiles say was bought.

    Seen to fail with a middle share of 0.2 for each touchpoint between.
    """
    land_town(world, seed, persons=60)
    at = "(lookback_days = 14, half_life_days = 3.5)"
    sums = world.ask(
        f"SELECT model, order_message_id, sum(credit) FROM attribution_credits{at} GROUP BY ALL ORDER BY ALL"
    )
    [(orders, revenue)] = world.ask("SELECT sum(orders), sum(revenue_micros) FROM profiles")
    assert orders > 30
    assert len(sums) == orders * len(MODELS)
    assert [total for *_, total in sums] == pytest.approx([1.0] * len(sums))
    totals = world.ask(
        f"SELECT model, sum(conversions), sum(attribution.revenue_micros) FROM attribution{at} AS attribution "
        "GROUP BY model ORDER BY model"
    )
    assert totals == [(model, pytest.approx(orders), pytest.approx(revenue, abs=20)) for model in MODELS]


def run_job(world: MarketedWorld, opened: EmbeddedWarehouse, *words: str) -> Result:
    world.flush()
    environment = {"THROUGHLINE_CLICKHOUSE_URL": opened.url}
    return CliRunner().invoke(build(), ["attribution", *words], env=environment)


def test_job_writes_what_it_shows(world: MarketedWorld, opened: EmbeddedWarehouse, seed: int) -> None:
    """Its rows are the latest run of the table; each model's orders and revenue are all there are, by currency.

    Seen to fail with all runs shown, and with revenue written twice as high.
    """
    land_town(world, seed, persons=40)
    first = run_job(world, opened, "--lookback-days", "3", "--json")
    assert (first.exit_code, first.stderr) == (0, "")
    shown = json.loads(run_job(world, opened, "--lookback-days", "14", "--json").stdout)
    columns = "model, channel, currency, conversions, revenue_micros, lookback_days"
    kept = world.ask(f"SELECT {columns} FROM current_attribution_models ORDER BY ALL")
    assert kept == sorted(tuple(row[name] for name in columns.split(", ")) for row in shown)
    assert {row[-1] for row in kept} == {14}
    assert world.ask("SELECT uniqExact(computed_at) FROM attribution_models") == [(2,)]
    expected = world.ask(
        "SELECT currency, count(), ifNull(sum(journey.revenue_micros), 0) "
        "FROM journeys(lookback_days = 14) AS journey WHERE is_converted GROUP BY currency"
    )
    sums: dict[tuple[str, str], list[float]] = defaultdict(lambda: [0.0, 0.0])
    for model, _, currency, conversions, revenue, _ in kept:
        sums[model, currency][0] += conversions
        sums[model, currency][1] += revenue
    assert dict(sums) == {
        (model, currency): [pytest.approx(orders), pytest.approx(revenue, abs=20)]
        for model in ("markov", "shapley", "counterfactual")
        for currency, orders, revenue in expected
    }


def test_job_shows_a_table_to_people(world: MarketedWorld, opened: EmbeddedWarehouse) -> None:
    """One line for each model and channel, money in whole units of the currency."""
    world.came("m1", 0, "email")
    world.ordered("o1", 60)
    lines = run_job(world, opened).stdout.splitlines()
    assert [line.split() for line in lines] == [
        ["model", "channel", "orders", "revenue", "currency"],
        ["counterfactual", "email", "1.00", "10.00", "EUR"],
        ["markov", "email", "1.00", "10.00", "EUR"],
        ["shapley", "email", "1.00", "10.00", "EUR"],
    ]


def test_job_without_orders_or_warehouse_says_so(world: MarketedWorld, opened: EmbeddedWarehouse) -> None:
    """Nothing is written where nobody ordered; exit codes are those of the other commands."""
    world.came("m1", 0, "email")
    empty = run_job(world, opened)
    assert (empty.exit_code, empty.stderr) == (
        1, "throughline: no order has landed: there is nothing to credit, and nothing was written\n",
    )  # fmt: skip
    assert world.ask("SELECT count() FROM attribution_models") == [(0,)]
    environment = {"THROUGHLINE_CLICKHOUSE_URL": "http://127.0.0.1:9"}
    assert CliRunner().invoke(build(), ["attribution"], env=environment).exit_code == 3
    elsewhere = {
        **environment,
        "THROUGHLINE_CLICKHOUSE_URL": opened.url,
        "THROUGHLINE_CLICKHOUSE_DATABASE": "new",
    }
    missing = CliRunner().invoke(build(), ["attribution"], env=elsewhere)
    assert (missing.exit_code, missing.stderr) == (
        3, "throughline: the warehouse lacks tables, columns or views; throughline warehouse migrate makes them\n",
    )  # fmt: skip


def test_journey_map_has_every_step(world: MarketedWorld) -> None:
    """From (start) over each channel to (order) or (none), counted; repeats are steps too.

    Seen to fail with the ends of open and converted journeys taken for the same.
    """
    for person in ("a", "b"):
        world.came(f"{person}1", 0, "email", profile_id=person)
        world.came(f"{person}2", DAY, "sms", profile_id=person)
    world.ordered("o1", 2 * DAY, profile_id="a")
    asked = "SELECT step, from_channel, to_channel, journeys, converted, persons FROM journey_map(lookback_days = 9)"
    assert world.ask(asked + " ORDER BY ALL") == [
        (0, "(start)", "email", 2, 1, 2),
        (1, "email", "sms", 2, 1, 2),
        (2, "sms", "(none)", 1, 0, 1),
        (2, "sms", "(order)", 1, 1, 1),
    ]


def test_what_came_before_an_event_for_the_first_time(world: MarketedWorld) -> None:
    """Touchpoints, channels and days before it, and how the person came; who never did it has no row.

    Seen to fail with the last time instead of the first.
    """
    world.came("m1", 0, "email")
    world.viewed("m2", at=HOUR)
    world.viewed("m3", at=DAY, event="Signed Up")
    world.came("m4", 2 * DAY, "sms")
    world.viewed("m5", at=3 * DAY, event="Signed Up")
    world.ordered("o1", 3 * DAY)
    world.came("n1", 0, "email", profile_id="never signs up")
    columns = "profile_id, message_id, days, touchpoints, channels, marketing_channels"
    asked = f"SELECT {columns} FROM before_first(event = '{{}}')"
    assert world.ask(asked.format("Signed Up")) == [("p1", "m3", 1.0, 2, ["web"], ["email"])]
    assert world.ask(asked.format("Order Completed")) == [("p1", "o1", 3.0, 5, ["web"], ["email", "sms"])]
