"""`throughline clv`: values of every customer of every currency it can learn from, and one clear line where not."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from streams.cli.app import build
from streams.cli.errors import ExitCode
from tests.integration.shop import Shop, at_ms

pytestmark = pytest.mark.xdist_group("clv")

DAY = at_ms("2024-01-01")
HOUR = 3_600_000
EURO = 1_000_000


def clv(shop: Shop, *more: str, **settings: str) -> Result:
    """Run the command on the shop's warehouse."""
    at = shop.warehouse
    asked = {"url": at.url, "user": at.user, "password": at.password, "database": at.database, **settings}
    env = {f"THROUGHLINE_CLICKHOUSE_{name.upper()}": value for name, value in asked.items()}
    return CliRunner().invoke(build(), ["clv", "--until", "2024-12-31", *more], env=env)


def sell(shop: Shop, customers: int, *, currency: str, seed: int) -> None:
    """Orders of a year: some customers come back, some do not."""
    draw = random.Random(seed)
    values = []
    for number in range(customers):
        rate, when = draw.gammavariate(1.5, 1 / 900), DAY + draw.randrange(60 * 24) * HOUR
        while when < DAY + 360 * 24 * HOUR:
            told: dict[str, Any] = {
                "currency": currency,
                "revenue_micros": round(draw.gammavariate(5, 9) * EURO),
            }
            values.append(shop.touchpoint("web", "Order Completed", f"p{number}", when, **told))
            when += round((24 + draw.expovariate(rate)) * HOUR)
            if draw.random() < 0.15:
                break
    shop.land("touchpoints.stitched", *values)


def test_every_currency_that_can_be_learnt_from_is_valued(shop: Shop, seed: int) -> None:
    """A row a customer, under one moment; a currency with too few who came back is named and left out."""
    print(f"seed {seed}")
    sell(shop, 150, currency="EUR", seed=seed)
    sell(shop, 3, currency="CHF", seed=seed)
    done = clv(shop, "--json", "--horizon-weeks", "10")
    assert done.exit_code == 0, done.output
    [found] = json.loads(done.stdout)
    assert done.stderr.startswith("left out: CHF: ")
    assert (found["currency"], found["customers"]) == ("EUR", 150)
    assert 0 < found["alive"] < 150
    asked = """
        SELECT count(), uniqExact(computed_at), any(horizon_weeks), toString(any(until)), any(model['r']),
               min(alive) > 0, max(alive) <= 1, min(expected_orders) > 0,
               max(abs(expected_orders * expected_order_micros - expected_value_micros)) < 1
        FROM customer_values WHERE currency = 'EUR'"""
    assert shop.ask(asked) == [(150, 1, 10, "2024-12-31", found["model"]["r"], True, True, True, True)]
    assert shop.ask("SELECT DISTINCT currency FROM customer_values") == [("EUR",)]


def test_the_last_run_is_what_is_read(shop: Shop, seed: int) -> None:
    """Runs add to each other; people read how many customers, orders and how much money are to come."""
    print(f"seed {seed}")
    sell(shop, 60, currency="EUR", seed=seed)
    for weeks in ("10", "20"):
        done = clv(shop, "--horizon-weeks", weeks)
        assert done.exit_code == 0, done.output
    assert done.stdout.startswith("EUR: 60 customers, ")
    assert shop.ask("SELECT count(), any(horizon_weeks), max(was_people) FROM current_customer_values") == [
        (60, 20, 1)
    ]
    assert shop.ask("SELECT count() FROM customer_values") == [(120,)]


def test_where_there_is_nothing_to_learn_it_says_so(shop: Shop) -> None:
    """Nothing is written, and the exit code tells a script."""
    empty = clv(shop)
    assert (empty.stderr, empty.exit_code) == (
        "throughline: nobody had ordered by 2024-12-31\n",
        ExitCode.FAILED,
    )
    shop.order("ann", DAY)
    few = clv(shop)
    assert few.stderr.startswith("throughline: EUR: 0 customers came back")
    assert few.exit_code == ExitCode.FAILED
    assert shop.ask("SELECT count() FROM customer_values") == [(0,)]


@pytest.mark.parametrize(
    ("settings", "code"),
    [({"url": "http://127.0.0.1:1"}, ExitCode.UNAVAILABLE), ({"database": "default"}, ExitCode.FAILED)],
)
def test_a_warehouse_that_cannot_answer_is_a_clear_line(
    shop: Shop, settings: dict[str, str], code: ExitCode
) -> None:
    """Nobody there, or a database without the views."""
    done = clv(shop, **settings)
    assert done.exit_code == code
    assert done.stderr.count("\n") == 1


def test_a_directory_without_a_warehouse_is_said_to_have_none(tmp_path: Path) -> None:
    """As `query` says it."""
    done = CliRunner().invoke(build(), ["clv", "--until", "2024-12-31", "--warehouse", str(tmp_path)])
    assert (done.stderr, done.exit_code) == (f"throughline: there is no warehouse in {tmp_path}\n", 3)
