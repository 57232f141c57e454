"""`throughline report`: figures that can be counted by hand, and the command as it is typed."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from pydantic import TypeAdapter
from typer.testing import CliRunner, Result

from sinks.report.gathering import parameters_of, report_of
from sinks.report.model import (
    Actions,
    Asked,
    Carts,
    ChannelCredit,
    Conversion,
    DayOrders,
    Edge,
    Link,
    ModelRun,
    Orders,
    Report,
)
from sinks.report.rows import Asking
from sinks.report.trade import trade
from streams.cli.app import build
from streams.cli.errors import ExitCode
from tests.integration.shop import Shop, at_ms
from tests.unit.report.build import EMPTY
from tests.unit.sinks.samples import AT_MS, framed

pytestmark = pytest.mark.xdist_group("report")

EURO = 1_000_000
DAY = at_ms("2024-03-01")
ONE_DAY = 86_400_000
NOW = datetime(2024, 5, 1, tzinfo=UTC)
MARCH = Asked(since=date(2024, 3, 1), until=date(2024, 3, 31))


def asked(shop: Shop, what: Asked) -> Report:
    """The report of the shop."""
    return report_of(shop.warehouse, what, computed_at=NOW)


def report(shop: Shop, *words: str, **settings: str) -> Result:
    """Run the command on the shop's warehouse."""
    at = shop.warehouse
    there = {"url": at.url, "user": at.user, "password": at.password, "database": at.database, **settings}
    env = {f"THROUGHLINE_CLICKHOUSE_{name.upper()}": value for name, value in there.items()}
    return CliRunner().invoke(build(), ["report", *words], env=env)


def test_a_warehouse_of_nothing_has_a_report_of_nothing(shop: Shop) -> None:
    """No row, no rate, no day anywhere, and every definition.

    Seen to fail with the steps of a funnel that nobody entered.
    """
    found = asked(shop, Asked())
    assert replace(found, definitions=EMPTY.definitions) == replace(EMPTY, computed_at=NOW)
    assert set(found.definitions) == set(EMPTY.definitions)
    assert all(found.definitions.values())


def trade_of_march(shop: Shop) -> None:
    """March: three orders in EUR, one of them cancelled, one in CHF; one in April; a cart that was recovered."""
    shop.tell("web", "Product Viewed", "ann", DAY - ONE_DAY)
    shop.order("ann", DAY, euros=10, order_id="o1")
    shop.order("bob", DAY + ONE_DAY, euros=20, channel="pos", order_id="o2")
    shop.order("bob", DAY + 2 * ONE_DAY, euros=99, order_id="o3")
    shop.tell("orders", "Order Cancelled", "bob", DAY + 3 * ONE_DAY, order_id="o3")
    shop.tell("orders", "Order Refunded", "ann", DAY + 3 * ONE_DAY, order_id="o1", refund_micros=4 * EURO)
    shop.order("cid", DAY + 31 * ONE_DAY - 1, euros=7, order_id="o4", currency="CHF")
    shop.order("ann", DAY + 31 * ONE_DAY, euros=50, order_id="o5")
    for number, (status, when) in enumerate(
        (("purchased", DAY), ("abandoned", DAY), ("abandoned", DAY - ONE_DAY))
    ):
        opened = {"profile_id": "ann", "opened_at": when + number, "value_micros": EURO}
        shop.land("carts", framed("carts", episode_id=f"e{number}", status=status, **opened))
    saved = {"profile_id": "ann", "opened_at": DAY, "status": "recovered", "recovered_micros": 9 * EURO}
    shop.land("actions", framed("actions", action_id="a0", due_at=DAY + 1, currency="EUR", **saved))


def test_figures_are_those_of_the_period_and_of_each_currency(shop: Shop) -> None:
    """Both days of a period belong to it, to the millisecond; another currency's amounts stand beside, and are left out
    where one is asked for.

    Seen to fail with a period that ends where its last day begins, and with the currency passed over.
    """
    trade_of_march(shop)
    found = trade(Asking(shop.client, parameters_of(MARCH, None)))
    euro = Orders("EUR", 2, 1, 2, 2, 30 * EURO, 4 * EURO, 26 * EURO, 15.0 * EURO)
    franc = Orders("CHF", 1, 0, 1, 1, 7 * EURO, 0, 7 * EURO, 7.0 * EURO)
    days = (
        DayOrders(date(2024, 3, 1), "EUR", 1, 10 * EURO),
        DayOrders(date(2024, 3, 2), "EUR", 1, 20 * EURO),
        DayOrders(date(2024, 3, 31), "CHF", 1, 7 * EURO),
    )
    assert found["orders"] == (euro, franc)
    assert found["orders_by_day"] == days
    assert found["carts"] == (Carts("EUR", 2, 0, 1, 0, 2, 1, 1.0, 0.5, EURO, 9 * EURO),)
    assert found["actions"] == (Actions("abandoned_cart", "recovered", 1),)
    only = trade(Asking(shop.client, parameters_of(replace(MARCH, currency="EUR"), None)))
    assert (only["orders"], only["orders_by_day"], only["carts"]) == ((euro,), days[:2], found["carts"])


def test_customers_sessions_and_voices(shop: Shop) -> None:
    """Who comes back, through which channels, what they answer, how their sessions go; and the models of the last run
    of `throughline attribution`, whatever the period.

    Seen to fail with months weighing the same whatever their answers.
    """
    names = ["computed_at", "model", "channel", "currency", "conversions", "revenue_micros", "lookback_days"]
    for model, at in (("shapley", datetime(2024, 4, 1, tzinfo=UTC)), ("markov", NOW)):
        shop.client.insert(
            "attribution_models", [[at, model, "email", "", 2.5, EURO, 90]], column_names=names
        )
    for who, channels in {"ann": ("web", "pos"), "bob": ("web", "web"), "cid": ("web",)}.items():
        for number, channel in enumerate(channels):
            shop.order(who, DAY + number * 40 * ONE_DAY, channel=channel)
    shop.tell("web", "Page Viewed", "dan", DAY + 95 * ONE_DAY)
    for number, (score, days) in enumerate(((10, 0), (9, 0), (0, 0), (10, 40))):
        kind = {"survey_kind": "nps", "survey_id": "s", "question_id": "q", "response_id": f"r{number}"}
        shop.tell("survey", "Survey Answered", f"p{number}", DAY + days * ONE_DAY, score=score, **kind)
    for number, hours in enumerate((2, 4)):
        told = {"ticket_id": f"t{number}"}
        shop.tell("support", "Ticket Opened", "ann", DAY, **told)
        shop.tell("support", "Ticket Solved", "ann", DAY + hours * 3_600_000, **told)
    shop.session(
        "s1", 0, 9, is_final=True, orders=1, path=["web:page", "pos:Order Completed"], channels=["web", "pos"]
    )
    shop.session("s2", 20, 29, is_final=True, path=["web:page"], channels=["web"])
    found = asked(shop, Asked())
    shop.client.command("TRUNCATE TABLE attribution_models")
    assert found.model_run == ModelRun(NOW, 90, (ChannelCredit("markov", "email", None, 2.5, EURO),))
    whole = found.repeat[0]
    assert (whole.customers, whole.with_second_order, whole.repeated_30_days, whole.repeated_90_days) == (
        3,
        2,
        0,
        2,
    )
    assert whole.repeat_rate_90_days == 2 / 3
    groups = [
        (each.customer_group, each.customers, each.orders, each.repeat_rate) for each in found.customer_groups
    ]
    assert groups == [("omnichannel", 1, 2, 1.0), ("single-channel", 2, 3, 0.5)]
    [nps] = found.surveys
    assert nps.answers == 4
    assert [nps.nps, nps.mean_score] == pytest.approx([50.0, 29 / 4])
    assert (found.tickets[0].solved, found.tickets[0].mean_resolution_h) == (2, 3.0)
    assert [(each.customers, each.active) for each in found.cohorts] == [(3, (3, 2))]
    assert found.conversion == (
        Conversion("all", 2, 1, 0.5), Conversion("web", 2, 1, 0.5), Conversion("pos", 1, 1, 1.0),
    )  # fmt: skip
    assert found.paths.edges == (
        Edge(0, "(start)", "web:page", 2, 1), Edge(1, "web:page", "(end)", 1, 0),
        Edge(1, "web:page", "pos:Order Completed", 1, 1), Edge(2, "pos:Order Completed", "(end)", 1, 1),
    )  # fmt: skip
    assert found.channel_changes == (Link("web", "pos", 1, 1),)
    assert (found.before_first_order.persons, found.before_first_order.median_touchpoints) == (3, 0.0)


def test_a_page_and_a_document_are_handed_out(shop: Shop, tmp_path: Path) -> None:
    """The file is whole and alone in its directory, standard output has nothing but the document, of the currency that
    was asked for whatever its case, and a name that is markup stays text in both.

    Seen to fail with what was written said on standard output.
    """
    name = "<script>alert(1)</script>"
    campaign = {"source": name, "medium": name, "name": name, "term": None, "content": None}
    shop.tell("web", "Page Viewed", "ann", DAY, campaign=campaign)
    shop.order("ann", DAY + 1, euros=10, campaign=campaign)
    shop.order("bob", DAY + 1, euros=99, currency="CHF")
    target = tmp_path / "march.html"
    target.write_text("before")
    done = report(shop, "--html", str(target), "--json", "--top", "3", "--currency", "eur")
    assert done.exit_code == 0, done.output
    assert done.stderr == f"written: {target}\n"
    told = TypeAdapter(Report).validate_json(done.stdout)
    assert (told.asked, told.span.currencies) == (Asked(currency="EUR"), ("CHF", "EUR"))
    assert [each.revenue_micros for each in told.orders] == [10 * EURO]
    amounts = (told.orders_by_channel, told.customer_groups, told.channel_sets, told.ropo, told.segments)
    assert {each.currency for rows in (*amounts, told.attribution) for each in rows} == {"EUR"}
    assert told.journeys.with_order == 1
    assert {each.channel for each in told.attribution} == {name}
    text = target.read_text()
    assert text.startswith("<!doctype html>")
    assert "<script" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize(
    ("words", "said", "code"),
    [
        (("--from", "2024-03-02", "--to", "2024-03-01"), "the period ends before it begins", ExitCode.USAGE),
        (("--html", "/no/such/directory/r.html"), "there is no directory /no/such/directory", ExitCode.USAGE),
        (("--currency", "usd"), "nothing is in usd; there is EUR", ExitCode.USAGE),
    ],
)
def test_what_cannot_be_is_a_clear_line(
    shop: Shop, words: tuple[str, ...], said: str, code: ExitCode
) -> None:
    """One line that says what is wrong, and its exit code."""
    shop.order("ann", AT_MS)
    done = report(shop, *words)
    assert (done.exit_code, done.stderr.count("\n")) == (code, 1)
    assert done.stderr.startswith(f"throughline: {said}")


def test_a_warehouse_that_cannot_answer_says_what_to_do(shop: Shop, tmp_path: Path) -> None:
    """Nobody there, a database that was never made, a directory without a warehouse: exit code 3."""
    nobody = report(shop, url="http://127.0.0.1:1")
    bare = report(shop, database="elsewhere")
    none = report(shop, "--warehouse", str(tmp_path))
    assert [each.exit_code for each in (nobody, bare, none)] == [ExitCode.UNAVAILABLE] * 3
    assert "throughline warehouse migrate" in bare.stderr
    assert none.stderr == f"throughline: there is no warehouse in {tmp_path}\n"
