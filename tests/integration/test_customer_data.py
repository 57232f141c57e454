"""Public data through the whole line: customers and key figures are those of the papers, or of a plain count."""

from __future__ import annotations

import csv
import gzip
import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from streams.cli.app import build
from streams.cli.embedded import Running
from streams.importer.importing import import_files
from tests.integration.line import line
from tests.integration.test_public_data import mapping_of, micros

pytestmark = [pytest.mark.slow, pytest.mark.data, pytest.mark.xdist_group("line"), pytest.mark.timeout(600)]

SharedData = Callable[[str], Path]
Row = dict[str, str]

UNTIL = date(1997, 9, 30)


@contextmanager
def imported(files: list[Path], mapping: Path, scratch: Path, *, rows: int) -> Iterator[Running]:
    """Files of so many rows in the warehouse, every row a touchpoint."""
    with line(scratch) as running:
        feeder = running.line.feeder()
        try:
            summary = import_files(files, mapping, feeder, order="event")
        finally:
            feeder.close()
        assert (summary.written, summary.rejected, summary.skipped) == (rows, 0, 0)
        running.line.wait_until_landed()
        yield running


def test_cdnow_customers_are_those_of_the_papers(shared_data: SharedData, tmp_path: Path) -> None:
    """x, t_x and T of all 2,357 customers are those of the published summary, and so are both models fitted on them."""
    folder = shared_data("cdnow")
    purchases = [row.split() for row in (folder / "CDNOW_sample.txt").read_text().splitlines() if row.strip()]
    # The importer reads one separator between columns, the file has several blanks.
    commas = tmp_path / "cdnow.csv"
    commas.write_text("".join(",".join(row) + "\n" for row in purchases))
    with imported([commas], mapping_of(folder), tmp_path, rows=len(purchases)) as running:
        assert_history_is_published(folder, running)
        assert_values_are_published(running, tmp_path / "warehouse")
        assert_repeat_is_counted(running, purchases)


def assert_history_is_published(folder: Path, running: Running) -> None:
    """Rounded as the file is; it names customers by their place in the sample."""
    with (folder / "cdnow_customers_summary_with_transactions.csv").open(newline="") as file:
        theirs = {int(row["ID"]): row for row in csv.DictReader(file)}
    assert len(theirs) == 2_357
    asked = f"""
        SELECT toUInt32(who.user_id), history.* EXCEPT (profile_id, currency)
        FROM customer_history(until = '{UNTIL}') AS history
        INNER JOIN (
            SELECT DISTINCT profile_id, identifiers['user_id'] AS user_id FROM current_touchpoints
        ) AS who ON who.profile_id = history.profile_id"""
    ours = {user: tuple(told) for user, *told in running.query(asked)}
    assert {user: (x, round(last, 2), round(age, 2)) for user, (x, last, age, _) in ours.items()} == {
        user: (int(row["x"]), float(row["t_x"]), float(row["T"])) for user, row in theirs.items()
    }
    assert {user: monetary / 1e6 for user, (*_, monetary) in ours.items()} == pytest.approx(
        {user: float(row["zbar"]) for user, row in theirs.items()}, abs=0.00501
    )


def assert_values_are_published(running: Running, warehouse: Path) -> None:
    """The command fits BG/NBD and Gamma-Gamma to the published digits, and writes a row a customer."""
    asked = ["clv", "--until", str(UNTIL), "--horizon-weeks", "39", "--warehouse", str(warehouse), "--json"]
    done = CliRunner().invoke(build(), asked)
    assert done.exit_code == 0, done.output
    [found] = json.loads(done.stdout)
    assert (found["currency"], found["customers"]) == ("USD", 2_357)
    model = found["model"]
    assert [round(model[name], 3) for name in ("r", "alpha", "a", "b")] == [0.243, 4.414, 0.793, 2.426]
    assert [round(model[name], 2) for name in ("p", "q", "v")] == [6.25, 3.74, 15.44]
    totals = (
        "SELECT count(), sum(alive), sum(expected_orders), sum(expected_value_micros) FROM customer_values"
    )
    assert running.query(totals) == [
        (
            2_357, pytest.approx(found["alive"]), pytest.approx(found["expected_orders"]),
            pytest.approx(found["expected_value_micros"]),
        )
    ]  # fmt: skip
    one = "SELECT round(expected_orders, 3) FROM customer_values WHERE frequency = 2 AND age_weeks = 272 / 7 " \
          "AND recency_weeks = 213 / 7"  # fmt: skip
    assert set(running.query(one)) == {(1.226,)}
    assert running.query("SELECT count() FROM current_customer_values") == [(2_357,)]


def assert_repeat_is_counted(running: Running, purchases: list[list[str]]) -> None:
    """Orders, revenue and who ordered again are a plain count of the file."""
    bought: Counter[str] = Counter(row[1] for row in purchases)
    [totals] = running.query("SELECT sum(orders), sum(revenue_micros), sum(first_orders) FROM kpi_orders")
    assert totals == (len(purchases), sum(micros(row[4]) for row in purchases), len(bought))
    [repeat] = running.query("SELECT sum(customers), sum(with_second_order) FROM kpi_repeat_purchase")
    assert repeat == (len(bought), sum(count > 1 for count in bought.values()))


def rows_of(path: Path) -> list[Row]:
    """Every row of a packed table."""
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_olist_orders_and_satisfaction_are_a_plain_count(shared_data: SharedData, tmp_path: Path) -> None:
    """Orders, cancellations, people who ordered again and CSAT equal what the tables say, latest reviews alone.

    Customers of the file are new with every order; `customer_unique_id` is the person.
    """
    folder = shared_data("olist_orders")
    told = list(olist_touchpoints(folder))
    columns = sorted({name for row in told for name in row})
    events = tmp_path / "olist.csv"
    with events.open("w", newline="") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(told)
    with imported([events], mapping_of(folder), tmp_path, rows=len(told)) as running:
        assert_orders_are_counted(running, told)
        assert_reviews_are_counted(running, told)


def olist_touchpoints(folder: Path) -> Iterator[Row]:
    """The tables joined: orders placed, orders cancelled, reviews answered."""
    people = {
        row["customer_id"]: row["customer_unique_id"]
        for row in rows_of(folder / "olist_customers_dataset.csv.gz")
    }
    prices: Counter[str] = Counter()
    for row in rows_of(folder / "olist_order_items_dataset.csv.gz"):
        prices[row["order_id"]] += micros(row["price"])
    buyers: dict[str, str] = {}
    for row in rows_of(folder / "olist_orders_dataset.csv.gz"):
        order_id, placed = row["order_id"], row["order_purchase_timestamp"]
        person = buyers[order_id] = people[row["customer_id"]]
        value = str(prices[order_id] / 1e6) if order_id in prices else ""
        same = {"person": person, "order_id": order_id, "at": placed}
        yield {**same, "message_id": f"placed-{order_id}", "event": "placed", "value": value}
        if row["order_status"] == "canceled":
            yield {**same, "message_id": f"cancelled-{order_id}", "event": "cancelled"}
    for row in rows_of(folder / "olist_order_reviews_dataset.csv.gz"):
        yield {
            "message_id": f"review-{row['review_id']}-{row['order_id']}", "event": "reviewed",
            "person": buyers[row["order_id"]], "order_id": row["order_id"], "at": row["review_answer_timestamp"],
            "score": row["review_score"], "response_id": f"{row['review_id']}-{row['order_id']}",
        }  # fmt: skip


def assert_orders_are_counted(running: Running, told: list[Row]) -> None:
    """Orders by month, revenue, and how many people ordered again."""
    cancelled = {row["order_id"] for row in told if row["event"] == "cancelled"}
    placed = [row for row in told if row["event"] == "placed" and row["order_id"] not in cancelled]
    months = Counter(row["at"][:7] for row in placed)
    asked = "SELECT formatDateTime(day, '%Y-%m') AS month, sum(orders) AS n FROM kpi_orders GROUP BY month HAVING n > 0"
    assert dict(running.query(asked)) == months
    revenue = sum(micros(row["value"] or "0") for row in placed)
    assert running.query("SELECT sum(revenue_micros), sum(cancelled) FROM kpi_orders") == [
        (revenue, len(cancelled))
    ]
    people = Counter(row["person"] for row in placed)
    asked = "SELECT sum(customers), sum(with_second_order) FROM kpi_repeat_purchase"
    assert running.query(asked) == [(len(people), sum(count > 1 for count in people.values()))]


def assert_reviews_are_counted(running: Running, told: list[Row]) -> None:
    """Of the reviews of an order by its person the latest counts."""
    reviews: dict[str, list[tuple[str, str, int]]] = defaultdict(list)
    for row in told:
        if row["event"] == "reviewed":
            reviews[row["order_id"]].append((row["at"], row["message_id"], int(row["score"])))
    latest = [max(each)[-1] for each in reviews.values()]
    assert len(latest) < sum(map(len, reviews.values()))
    asked = "SELECT sum(answers), sum(mean_score * answers), sum(csat * answers) FROM kpi_surveys WHERE kind = 'csat'"
    expected: tuple[Any, ...] = (len(latest), sum(latest), sum(score >= 4 for score in latest))
    assert running.query(asked) == [pytest.approx(expected)]
    asked = "SELECT count(), sum(score >= 4), sum(score) FROM surveys"
    scores = [score for each in reviews.values() for _, _, score in each]
    assert running.query(asked) == [(len(scores), sum(score >= 4 for score in scores), sum(scores))]


def test_completejourney_totals_are_a_plain_count(shared_data: SharedData, tmp_path: Path) -> None:
    """A year of receipts: orders, lines and revenue by month, by shop and by household, and who came again."""
    folder = shared_data("completejourney")
    file = folder / "transactions.parquet"
    lines: list[dict[str, Any]] = pq.read_table(
        file,
        columns=[
            "household_id", "store_id", "basket_id", "quantity", "sales_value", "transaction_timestamp",
        ],
    ).to_pylist()  # fmt: skip
    baskets = {each["basket_id"]: each for each in lines}
    paid: Counter[int] = Counter()
    for each in lines:
        # A few amounts carry the dust of somebody's binary sum.
        paid[each["basket_id"]] += round(each["sales_value"] * 1e6)
    with imported([file], mapping_of(folder), tmp_path, rows=len(baskets)) as running:
        assert_receipts_are_counted(running, baskets, paid)
        assert running.query("SELECT count(), sum(quantity) FROM order_lines") == [
            (len(lines), sum(each["quantity"] for each in lines))
        ]


def assert_receipts_are_counted(
    running: Running, baskets: dict[int, dict[str, Any]], paid: Counter[int]
) -> None:
    """Months, shops and households, to the cent; shopping again needs a second receipt."""
    months, shops, households = (Counter[str]() for _ in range(3))
    receipts: Counter[str] = Counter()
    for basket_id, of in baskets.items():
        months[f"{of['transaction_timestamp']:%Y-%m}"] += paid[basket_id]
        shops[str(of["store_id"])] += paid[basket_id]
        households[str(of["household_id"])] += paid[basket_id]
        receipts[str(of["household_id"])] += 1
    asked = (
        "SELECT formatDateTime(day, '%Y-%m') AS month, sum(revenue_micros) AS n FROM kpi_orders GROUP BY month "
        "HAVING sum(orders) > 0"
    )
    assert dict(running.query(asked)) == months
    assert running.query("SELECT sum(orders), sum(first_orders) FROM kpi_orders") == [
        (len(baskets), len(households))
    ]
    assert dict(running.query("SELECT location_id, sum(revenue_micros) FROM orders GROUP BY 1")) == shops
    asked = "SELECT identifiers['loyalty_id'], sum(revenue_micros) FROM current_touchpoints GROUP BY 1"
    assert dict(running.query(asked)) == households
    assert running.query("SELECT sum(customers), sum(with_second_order) FROM kpi_repeat_purchase") == [
        (len(households), sum(count > 1 for count in receipts.values()))
    ]
