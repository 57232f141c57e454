"""Whole imports into a feed: order, counts, rejects."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from streams.core.rules import Rules
from streams.importer.importing import Order, import_files, touchpoints
from streams.importer.mapping import MappingError
from streams.importer.reading import Unreadable
from streams.importer.rejects import Rejects, TooManyRejects
from tests.unit.importer.build import COLUMNS, SHOP, Sent, csv_text, mapping, write_file

DAY_MS, START_MS = 86_400_000, 1_704_067_200_000
ROWS = [
    ("2024-01-03", "buy", "ann"),
    ("2024-01-01", "view", "bob"),
    ("never", "view", "bob"),
    ("2024-01-02", "view", "ann"),
]


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    return [
        write_file(tmp_path / "a.csv", csv_text(ROWS)),
        write_file(tmp_path / "b.csv.gz", csv_text([("2024-01-02", "cart", "bob")])),
    ]


def test_files_merge_in_event_order(files: list[Path]) -> None:
    """Several files become one stream in the order of time, ties in the order of the files, keyed by identity."""
    feed = Sent()
    summary = import_files(files, mapping(), feed)
    assert feed.records == [
        ("web", b"user_id:bob", START_MS),
        ("web", b"user_id:ann", START_MS + DAY_MS),
        ("web", b"user_id:bob", START_MS + DAY_MS),
        ("web", b"user_id:ann", START_MS + 2 * DAY_MS),
    ]
    assert (summary.read, summary.written, summary.rejected, summary.skipped) == (5, 4, 1, 0)
    assert (summary.first_ms, summary.last_ms) == (START_MS, START_MS + 2 * DAY_MS)
    assert summary.by_event == {"Product Viewed": 2, "Order Completed": 1, "Product Added": 1}
    assert (feed.finished_ms, feed.tick_ms) == (START_MS + 2 * DAY_MS, 60_000)


def test_keys_are_identifiers_as_the_tasks_write_them(tmp_path: Path) -> None:
    """A row lands where its person lives, and one that the rules block is rejected."""
    base = SHOP.replace('identifiers = { user_id = "user" }', 'identifiers = { phone = "user" }')
    rows = [("2024-01-01", "view", who) for who in ("030 123456", "+49 30 123456", "0176 0")]
    feed = Sent()
    rules = Rules(default_region="DE", blocked=("phone:0176 0",))
    path = write_file(tmp_path / "rows.csv", csv_text(rows))
    summary = import_files([path], mapping(base=base), feed, rules=rules)
    assert {key for _, key, _ in feed.records} == {b"phone:+4930123456"}
    assert summary.rejected_by_reason == {"no_identifier": 1}


def test_file_order_keeps_the_file(files: list[Path]) -> None:
    """In the file's order no tick comes before the end, which is the latest time of all."""
    feed = Sent()
    import_files(files, mapping(), feed, order="file")
    days = [(arrival_ms - START_MS) // DAY_MS for _, _, arrival_ms in feed.records]
    assert days == [2, 0, 1, 1]
    assert (feed.finished_ms, feed.tick_ms) == (START_MS + 2 * DAY_MS, None)


def test_arrival_order_keeps_lateness(tmp_path: Path) -> None:
    """In the order of arrival a late upload comes late."""
    rows = [("2024-01-01", "view", "ann", "2024-01-09"), ("2024-01-02", "view", "ann", "2024-01-02")]
    path = write_file(tmp_path / "a.csv", csv_text(rows, columns=(*COLUMNS, "got")))
    feed = Sent()
    late = mapping(base=SHOP.replace('column = "at"', 'column = "at"\nreceived = "got"'))
    import_files([path], late, feed, order="arrival")
    assert [arrival_ms - START_MS for _, _, arrival_ms in feed.records] == [DAY_MS, 8 * DAY_MS]
    assert [one["occurred_at"] for one in feed.touchpoints] == [START_MS + DAY_MS, START_MS]


@pytest.mark.parametrize("order", ["event", "arrival", "file"])
def test_touchpoints_are_what_is_written(files: list[Path], order: Order) -> None:
    """What `touchpoints` gives is what an import writes, in the same order, less the defaults."""
    feed = Sent()
    import_files(files, mapping(), feed, order=order)
    given = list(touchpoints(files, mapping(), order))
    assert [
        {name: written[name] for name in one} for one, written in zip(given, feed.touchpoints, strict=True)
    ] == given


def test_rejects_are_kept_whole(files: list[Path], tmp_path: Path) -> None:
    """The rejects file holds file, line, reason and the row as it was; the summary counts and shows them."""
    path = tmp_path / "rejects.jsonl"
    summary = import_files(files, mapping(), Sent(), rejects=path)
    (line,) = path.read_text().splitlines()
    found = json.loads(line)
    assert found.pop("detail")
    assert found == {
        "file": str(files[0]),
        "line": 4,
        "reason": "time",
        "row": dict(zip(COLUMNS, ROWS[2], strict=True)),
    }
    assert summary.rejected_by_reason == {"time": 1}
    assert summary.first_rejects[0].startswith(f"{files[0]}, line 4: time")


def test_too_many_rejects_stop_the_import(files: list[Path]) -> None:
    """Beyond the limit nothing is written: the mapping is wrong rather than the rows."""
    feed = Sent()
    with pytest.raises(TooManyRejects, match="line 4"):
        import_files(files, mapping(), feed, rejects=Rejects(limit=0))
    assert feed.records == []


def test_limit(files: list[Path]) -> None:
    """The limit counts rows over all files."""
    summary = import_files(files, mapping(), Sent(), limit=2)
    assert (summary.read, summary.written) == (2, 2)


def test_an_oversized_touchpoint_is_rejected(tmp_path: Path) -> None:
    """What Kafka would refuse is a reject, not a failed import."""
    rows = [("2024-01-01", "view", "ann", "x" * 100_000)] * 2
    path = write_file(tmp_path / "a.csv", csv_text(rows, columns=(*COLUMNS, "long")))
    wide = "[properties]\n" + "\n".join(f"p{number} = 'long'" for number in range(10))
    summary = import_files([path], mapping(wide), Sent())
    assert (summary.written, summary.rejected_by_reason) == (0, {"too_large": 2})


def test_nothing_to_write_closes_nothing(tmp_path: Path) -> None:
    """An empty file writes neither touchpoints nor ticks."""
    feed = Sent()
    summary = import_files([write_file(tmp_path / "a.csv", csv_text([]))], mapping(), feed)
    assert (summary.read, summary.first_ms, feed.finished_ms) == (0, None, None)


def test_faults_are_found_before_anything_is_written(files: list[Path], tmp_path: Path) -> None:
    """A missing column in the last file, or a cut file, leaves Kafka untouched."""
    other = write_file(tmp_path / "other.csv", "at,what\n2024-01-01,view\n")
    cut = tmp_path / "cut.csv.gz"
    cut.write_bytes(write_file(tmp_path / "whole.csv.gz", csv_text(ROWS * 500)).read_bytes()[:-6])
    for bad, error in ((other, MappingError), (cut, Unreadable)):
        feed = Sent()
        with pytest.raises(error, match=bad.name):
            import_files([*files, bad], mapping(), feed)
        assert feed.records == []


def test_progress_reaches_its_ends(files: list[Path]) -> None:
    """Progress of reading ends at the size of all files."""
    heard: list[tuple[str, int, int]] = []
    import_files(files, mapping(), Sent(), progress=lambda *said: heard.append(said))
    total = sum(path.stat().st_size for path in files)
    assert ("reading", total, total) in heard
    assert all(0 <= done <= whole for _, done, whole in heard)
