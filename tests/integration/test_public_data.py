"""Public data through the whole line: what lands is what a direct count of the file says, and what the oracle says."""

from __future__ import annotations

import csv
import gzip
import tomllib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from streams.cli.embedded import Running
from streams.importer.importing import Order, Summary, import_files, touchpoints
from tests.conftest import REPOSITORY
from tests.integration.line import line
from tests.oracle.compare import answer, differences, read_landed
from tests.oracle.touchpoints import from_record

pytestmark = [pytest.mark.data, pytest.mark.xdist_group("line"), pytest.mark.timeout(240)]

SharedData = Callable[[str], Path]
Row = dict[str, str]

SHOP_EVENTS = {"view": "Product Viewed", "cart": "Product Added", "purchase": "Order Completed"}
TAOBAO_EVENTS = {
    "pv": "Product Viewed", "cart": "Product Added", "fav": "Product Added to Wishlist", "buy": "Order Completed",
}  # fmt: skip

#: Fits `make test`; the whole file is for `make test-all`.
PREFIX_ROWS = 10_000


@dataclass(frozen=True, slots=True)
class Imported:
    """A file that went through a running line."""

    running: Running
    summary: Summary


@contextmanager
def imported(
    folder: Path,
    scratch: Path,
    *,
    pattern: str = "*.csv.gz",
    order: Order = "event",
    limit: int | None = None,
) -> Iterator[Imported]:
    """The files of a folder, read by its mapping and landed: equal to what the oracle says of the same touchpoints."""
    files, mapping = sorted(folder.glob(pattern)), mapping_of(folder)
    with line(scratch) as running:
        feeder = running.line.feeder()
        try:
            summary = import_files(files, mapping, feeder, order=order, limit=limit)
        finally:
            feeder.close()
        running.line.wait_until_landed()
        told = (
            from_record(each, each["received_at"]) for each in touchpoints(files, mapping, order, limit=limit)
        )
        found = differences(answer(told), read_landed(running.query))
        assert not found, str(found)
        peak = peak_memory(running.line.workers[0].pid)
        yield Imported(running, summary)
    cost = running.line.workers[0].cost
    assert cost is not None
    print(f"{folder.name}: {summary.written:,} touchpoints, worker used {cost.cpu_s:.1f} s of CPU and {peak}")


def peak_memory(pid: int) -> str:
    """The most a running process has held, in words: what is counted at its end starts with what its parent held."""
    status = Path(f"/proc/{pid}/status")
    if not status.exists():
        return "who knows how much memory"
    [kib] = [line.split()[1] for line in status.read_text().splitlines() if line.startswith("VmHWM")]
    return f"at most {int(kib) / 1024:.0f} MiB"


def mapping_of(folder: Path) -> Path:
    """Where the mapping of a public data set lies."""
    return REPOSITORY / "tests" / "data" / "mappings" / f"{folder.name}.toml"


def rows_of(folder: Path) -> Iterator[Row]:
    """Every row of a folder, read with nothing of ours."""
    for path in sorted(folder.glob("*.csv.gz")):
        with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
            yield from csv.DictReader(file)


def micros(amount: str) -> int:
    """Money as whole micros, exactly."""
    exact = Decimal(amount) * 1_000_000
    assert exact == int(exact)
    return int(exact)


def epoch_ms(timestamp: str) -> int:
    """`2024-03-20 19:38:38` of UTC."""
    return int(datetime.fromisoformat(timestamp).replace(tzinfo=UTC).timestamp()) * 1_000


def landed_by_event(running: Running) -> dict[str, int]:
    """Event to touchpoints, each of a person once."""
    return dict(running.query("SELECT event, count() FROM current_touchpoints GROUP BY event"))


def assert_nobody_shares(running: Running, rows: Sequence[Row]) -> None:
    """A session, like a profile, is of one user, and every user of the file has a profile."""
    shared = running.query(
        "SELECT session_id FROM current_touchpoints GROUP BY session_id HAVING uniqExact(identifiers['user_id']) != 1"
    )
    assert shared == []
    profiles = running.query("SELECT identifiers['user_id'] AS user, uniqExact(profile_id), any(profile_id) "
                             "FROM current_touchpoints GROUP BY user")  # fmt: skip
    assert {user for user, _, _ in profiles} == {row["user_id"] for row in rows}
    assert {count for _, count, _ in profiles} == {1}
    assert len({profile for _, _, profile in profiles}) == len(profiles)


@pytest.mark.slow
def test_rees46_lands_every_row_once(shared_data: SharedData, tmp_path: Path) -> None:
    """Views, carts, purchases, their worth and their revenue are those of the file; no session spans two users."""
    folder = shared_data("rees46_multi")
    rows = list(rows_of(folder))
    counts = Counter(SHOP_EVENTS[row["event_type"]] for row in rows)
    worth: Counter[str] = Counter()
    for row in rows:
        worth[SHOP_EVENTS[row["event_type"]]] += micros(row["price"])
    with imported(folder, tmp_path) as line:
        assert (line.summary.written, line.summary.rejected, line.summary.skipped) == (len(rows), 0, 0)
        assert line.running.query("SELECT count(), uniqExact(message_id) FROM touchpoints") == [
            (len(rows), len(rows))
        ]
        assert landed_by_event(line.running) == counts
        money = line.running.query(
            "SELECT event, sum(ifNull(revenue_micros, 0)), "
            "sum(arraySum(item -> item.price_micros * item.quantity, items)) FROM current_touchpoints GROUP BY event"
        )
        assert {event: revenue for event, revenue, _ in money} == {
            event: worth[event] if event == "Order Completed" else 0 for event in counts
        }
        assert {event: value for event, _, value in money} == worth
        assert_nobody_shares(line.running, rows)
        [(orders, revenue)] = line.running.query(
            "SELECT sum(orders), sum(revenue_micros) FROM current_sessions"
        )
        assert (orders, revenue) == (counts["Order Completed"], worth["Order Completed"])


@pytest.mark.parametrize("order", ["event", pytest.param("file", marks=pytest.mark.slow)])
def test_retentioneering_sessions_are_those_of_the_file(
    shared_data: SharedData, tmp_path: Path, order: Order
) -> None:
    """1,839 sessions: the same members and the same bounds as the file's own, rows that repeat counted once.

    Its rows stand up to 174 days out of order; `test_arrival_orders.py` has them in others.
    """
    folder = shared_data("retentioneering_ecom")
    names = event_names(folder)
    distinct = {tuple(row.items()): row for row in rows_of(folder)}.values()
    theirs = grouped((row["session_id"], visit_of(row, names)) for row in distinct)
    assert len(theirs) == 1_839
    # Visits tell rows apart: no member can hide behind another.
    assert sum(map(len, theirs.values())) == len(distinct)
    with imported(folder, tmp_path, order=order) as line:
        query = line.running.query
        members = query(
            "SELECT session_id, properties['session_id'], identifiers['user_id'], "
            "toUnixTimestamp64Milli(occurred_at), event FROM current_touchpoints"
        )
        assert len(members) == len(distinct)
        ours = grouped((session_id, visit) for session_id, _, *visit in members)
        same = dict({(session_id, their_id) for session_id, their_id, *_ in members})
        assert len(same) == len(set(same.values())) == len(theirs)
        assert {same[session_id]: visits for session_id, visits in ours.items()} == theirs
        bounds = query(
            "SELECT session_id, toUnixTimestamp64Milli(started_at), toUnixTimestamp64Milli(ended_at), touchpoints, "
            "is_final FROM current_sessions"
        )
        assert {same[session_id]: tuple(said) for session_id, *said in bounds} == {
            session_id: (*bounds_of(visits), len(visits), True) for session_id, visits in theirs.items()
        }
        assert len(bounds) == len(theirs)


def event_names(folder: Path) -> dict[str, str]:
    """Their event to ours, as the mapping says."""
    mapping = tomllib.loads(mapping_of(folder).read_text("utf-8"))
    names: dict[str, str | dict[str, str]] = mapping["event"]["names"]
    return {theirs: ours if isinstance(ours, str) else ours["event"] for theirs, ours in names.items()}


def visit_of(row: Row, names: dict[str, str]) -> tuple[Any, ...]:
    """A row of the file as the warehouse should tell it."""
    return row["user_id"], epoch_ms(row["timestamp"]), names[row["event"]]


def grouped(keyed: Iterable[tuple[str, Iterable[Any]]]) -> dict[str, set[tuple[Any, ...]]]:
    """The members of each group."""
    groups: dict[str, set[tuple[Any, ...]]] = defaultdict(set)
    for key, member in keyed:
        groups[key].add(tuple(member))
    return dict(groups)


def bounds_of(visits: set[tuple[Any, ...]]) -> tuple[int, int]:
    """First and last moment."""
    moments = [at_ms for _, at_ms, _ in visits]
    return min(moments), max(moments)


@pytest.mark.parametrize("limit", [PREFIX_ROWS, pytest.param(None, marks=pytest.mark.slow)])
def test_taobao_lands_every_behaviour(shared_data: SharedData, tmp_path: Path, limit: int | None) -> None:
    """Views, carts, favourites and purchases are those of the file, for each of its many users."""
    folder = shared_data("taobao_userbehavior")
    rows = list(islice(rows_of(folder), limit))
    with imported(folder, tmp_path, limit=limit) as line:
        assert (line.summary.written, line.summary.rejected, line.summary.skipped) == (len(rows), 0, 0)
        landed = line.running.query(
            "SELECT identifiers['user_id'], event, count() FROM current_touchpoints GROUP BY 1, 2"
        )
        assert {(user, event): count for user, event, count in landed} == Counter(
            (row["user_id"], TAOBAO_EVENTS[row["behavior"]]) for row in rows
        )
        assert_nobody_shares(line.running, rows)
