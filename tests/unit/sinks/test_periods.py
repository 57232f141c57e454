"""The variant of a view asks the same of some days."""

from __future__ import annotations

import re

from sinks.clickhouse.migrating import views
from sinks.clickhouse.periods import SUFFIX, has_period, of_a_period, with_hint

MADE = dict(views())
VIEW = """-- Of a period too.
CREATE OR REPLACE VIEW visits AS
SELECT visits.day, count() AS orders
FROM touchpoints_once AS visits
LEFT ANY JOIN orders(days = {days:UInt8}) AS said ON said.day = visits.day
LEFT JOIN others ON true
WHERE true /* period: AND event_at >= {begin} AND event_at < {end} */
COMMENT 'Visits from orders.';
"""


def test_what_is_read_is_read_of_the_period() -> None:
    """Touchpoints and views that have a variant, wherever they are read; names of anything else stay as they are."""
    made = of_a_period("visits", VIEW, ["visits", "orders"])
    assert "CREATE OR REPLACE VIEW visits_between AS\nSELECT visits.day, count() AS orders\n" in made
    assert "FROM touchpoints_between(since = {since:Date}, until = {until:Date}) AS visits\n" in made
    assert (
        "JOIN orders_between(days = {days:UInt8}, since = {since:Date}, until = {until:Date}) AS said" in made
    )
    assert "LEFT JOIN others ON true\n" in made
    assert "WHERE true AND event_at >= toDateTime64({since:Date}, 3, 'UTC') AND event_at < " in made
    assert re.search(r"both included; a day among ten million .+\. Visits from orders\.';\n$", made)
    assert "period" not in made.lower().partition("comment")[0]


def test_a_view_of_all_time_names_its_variant() -> None:
    """In its comment, where analysts look; else it stays as it is."""
    assert has_period(VIEW)
    assert with_hint("visits", VIEW).startswith(VIEW.removesuffix("';\n"))
    assert re.search(
        r"visits_between\(since, until\) has the same sooner: a day .+\.';\n$", with_hint("visits", VIEW)
    )


def test_no_variant_reads_all_touchpoints() -> None:
    """Nor a view of which there is a variant: it would take as long as of all time."""
    variants = {
        name: sql for name, sql in MADE.items() if name.removesuffix(SUFFIX) in MADE and name.endswith(SUFFIX)
    }
    assert len(variants) > 20
    for name, sql in variants.items():
        read = set(re.findall(r"\b(?:FROM|JOIN) (\w+)", sql.partition("\nCOMMENT")[0]))
        slow = {"touchpoints_once", "contact_touchpoints", *(each.removesuffix(SUFFIX) for each in variants)}
        assert not read & slow, (name, read & slow)
