"""The mappings of the public data sets, against counts made without the importer."""

from __future__ import annotations

import csv
import gzip
from collections import Counter
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from streams.importer.importing import Summary, import_files, touchpoints
from streams.importer.mapping import load
from streams.importer.rejects import Reject
from tests.conftest import REPOSITORY
from tests.unit.importer.build import Sent

pytestmark = pytest.mark.data

MAPPINGS = REPOSITORY / "tests" / "data" / "mappings"
SharedData = Callable[[str], Path]
MINUTE_MS = 60_000


def rows(files: list[Path]) -> Iterator[dict[str, str]]:
    for file in files:
        with gzip.open(file, "rt", newline="", encoding="utf-8") as text:
            yield from csv.DictReader(text)


def files_of(folder: Path, pattern: str = "*.csv.gz") -> list[Path]:
    found = sorted(folder.glob(pattern))
    assert found
    return found


def imported(files: list[Path], name: str, *, limit: int | None = None) -> tuple[Summary, Sent]:
    """An import with its keys and times, and its first touchpoints as dicts, since decoding takes so much longer."""
    mapping = MAPPINGS / f"{name}.toml"
    feed = Sent(is_decoding=False)
    summary = import_files(files, mapping, feed)
    feed.touchpoints = list(touchpoints(files, mapping, limit=limit))
    return summary, feed


def revenue_micros(touchpoint: dict[str, Any]) -> int:
    return touchpoint.get("revenue_micros") or 0


def refuse(reject: Reject) -> None:
    pytest.fail(str(reject))


def micros(text: str) -> int:
    return int(Decimal(text) * 1_000_000)


def test_every_mapping_is_valid() -> None:
    """Every mapping in the repository can be read, wherever its data is."""
    assert {path.stem for path in MAPPINGS.glob("*.toml")} >= {
        "completejourney", "rees46_cosmetics", "rees46_multi", "retentioneering_ecom",
        "snowplow_ecommerce", "taobao_userbehavior",
    }  # fmt: skip
    for path in MAPPINGS.glob("*.toml"):
        load(path)


@pytest.mark.parametrize("name", ["rees46_multi", "rees46_cosmetics"])
def test_rees46(shared_data: SharedData, name: str) -> None:
    """Every row is a touchpoint of its own; events, users and revenue are those of the files."""
    files = files_of(shared_data(name))
    summary, feed = imported(files, name)
    direct = list(rows(files))
    ours = {"view": "Product Viewed", "cart": "Product Added", "remove_from_cart": "Product Removed"}
    events = Counter(ours.get(row["event_type"], "Order Completed") for row in direct)
    assert (summary.read, summary.written, summary.rejected) == (len(direct), len(direct), 0)
    assert summary.by_event == events
    assert Counter(key for _, key, _ in feed.records) == Counter(
        b"user_id:" + row["user_id"].encode() for row in direct
    )
    assert sum(map(revenue_micros, feed.touchpoints)) == sum(
        micros(row["price"]) for row in direct if row["event_type"] == "purchase"
    )
    equal = len({tuple(row.values()) for row in direct})
    ids = len({touchpoint["message_id"] for touchpoint in feed.touchpoints})
    assert equal < len(direct)
    assert ids == (len(direct) if name == "rees46_multi" else equal)


def test_retentioneering(shared_data: SharedData) -> None:
    """Equal rows share an id; without them, runs of a user within 30 minutes are exactly the file's sessions."""
    files = files_of(shared_data("retentioneering_ecom"))
    summary, feed = imported(files, "retentioneering_ecom")
    direct = list(rows(files))
    assert (summary.read, summary.written, summary.rejected) == (len(direct), len(direct), 0)
    assert sorted(summary.by_event.values()) == sorted(Counter(row["event"] for row in direct).values())
    arrivals = [arrival_ms for _, _, arrival_ms in feed.records]
    assert arrivals == sorted(arrivals)
    by_id = {touchpoint["message_id"]: touchpoint for touchpoint in feed.touchpoints}
    assert len(by_id) == len({tuple(row.values()) for row in direct})
    sessions: dict[str, list[tuple[int, str]]] = {}
    for one in by_id.values():
        visit = (one["occurred_at"], one["properties"]["session_id"])  # type: ignore[index]
        sessions.setdefault(str(one["identifiers"]), []).append(visit)  # type: ignore[arg-type]
    runs = [
        theirs
        for visits in sessions.values()
        for (at_ms, theirs), before in zip(visits, [None, *visits], strict=False)
        if before is None or at_ms - before[0] > 30 * MINUTE_MS
    ]
    assert len(runs) == len(set(runs)) == len({row["session_id"] for row in direct})


def test_taobao(shared_data: SharedData) -> None:
    """Rows, events and users are those of the file; what it does not price has no revenue."""
    files = files_of(shared_data("taobao_userbehavior"))
    summary, feed = imported(files, "taobao_userbehavior", limit=1_000)
    direct = list(rows(files))
    ours = {
        "pv": "Product Viewed",
        "cart": "Product Added",
        "fav": "Product Added to Wishlist",
        "buy": "Order Completed",
    }
    assert (summary.written, summary.rejected) == (len(direct), 0)
    assert summary.by_event == Counter(ours[row["behavior"]] for row in direct)
    assert len({key for _, key, _ in feed.records}) == len({row["user_id"] for row in direct})
    assert not any("revenue_micros" in touchpoint for touchpoint in feed.touchpoints)


@pytest.mark.parametrize("limit", [100_000, pytest.param(None, marks=pytest.mark.slow)])
def test_completejourney(shared_data: SharedData, limit: int | None) -> None:
    """Every basket is one order with all its lines, worth what was paid."""
    file = shared_data("completejourney") / "transactions.parquet"
    direct = pq.read_table(file, columns=["household_id", "basket_id", "sales_value"]).slice(length=limit)
    baskets = Counter(direct["basket_id"].to_pylist())
    orders = list(touchpoints([file], MAPPINGS / "completejourney.toml", "file", refuse, limit=limit))
    assert {int(order["order_id"]): len(order["items"]) for order in orders} == baskets
    assert len(orders) == len(baskets) == len({order["message_id"] for order in orders})
    assert sum(map(revenue_micros, orders)) == sum(
        micros(str(value)) for value in direct["sales_value"].to_pylist()
    )
    assert {order["identifiers"]["loyalty_id"] for order in orders} == {
        str(household) for household in set(direct["household_id"].to_pylist())
    }
