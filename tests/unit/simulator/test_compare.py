"""The comparison finds what is wrong with a warehouse, and nothing where nothing is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from streams.simulator import compare as comparing
from streams.simulator.compare import compare
from streams.simulator.comparison import Comparison, Difference
from streams.simulator.emit import Simulation
from streams.simulator.naive import Mails
from streams.simulator.options import Options
from streams.simulator.truth import Rules, judge
from streams.simulator.verdict import Truth
from tests.unit.simulator.build import Warehouse, added, bought, entry, landed


def small_truth() -> Truth:
    """Two people; the first has two sessions, an abandoned cart and one that was bought in time."""
    truth = Truth()
    ann, bob = "user_id:ann", "user_id:bob"
    records = [
        added("a1", 0, who=ann),
        entry("a2", 5, who=ann),
        entry("a3", 300, event="Order Completed", who=ann, channel="app", revenue_micros=9),
        added("a4", 301, who=ann),
        bought("a5", 302, who=ann),
        entry("a6", -80 * 60, who=ann, arrives_min=0),
        added("b1", 0, who=bob),
        entry("b2", 1, who=bob),
    ]
    truth.add(judge(records, Rules()), Mails())
    return truth


def compared(spoil: Callable[[Warehouse], object]) -> Comparison:
    """The small truth against a warehouse that was right until it was spoiled."""
    truth = small_truth()
    warehouse = landed(truth)
    spoil(warehouse)
    return compare(truth, warehouse.query)


def row_of(rows: list[list[object]], first: str) -> list[object]:
    """The row with that first column."""
    return next(row for row in rows if row[0] == first)


def test_a_right_warehouse_has_no_difference() -> None:
    """And says how much was compared."""
    comparison = compared(lambda warehouse: None)
    assert comparison.is_equal
    assert comparison.to_json()["compared"] == {"touchpoints": 8, "sessions": 3, "actions": 2}
    assert comparison.summary() == (
        "8 touchpoints, 3 sessions, 2 actions compared: "
        "missing 0, duplicate 0, wrong 0, false actions 0, missed actions 0"
    )


def lose_touchpoint(warehouse: Warehouse) -> None:
    warehouse.current_touchpoints.remove(row_of(warehouse.current_touchpoints, "a2"))


def repeat_touchpoint(warehouse: Warehouse) -> None:
    warehouse.current_touchpoints.append(row_of(warehouse.current_touchpoints, "a2"))


def invent_touchpoint(warehouse: Warehouse) -> None:
    warehouse.current_touchpoints.append(["x1", "p0", "s-a1"])


def give_to_another_person(warehouse: Warehouse) -> None:
    row_of(warehouse.current_touchpoints, "a2")[1] = "p1"


def put_into_another_session(warehouse: Warehouse) -> None:
    row_of(warehouse.current_touchpoints, "a2")[2] = "s-a3"


def give_late_one_a_session(warehouse: Warehouse) -> None:
    row_of(warehouse.current_touchpoints, "a6")[2] = "s-a1"


def take_session_away(warehouse: Warehouse) -> None:
    row_of(warehouse.current_touchpoints, "a2")[2] = ""


def lose_profile(warehouse: Warehouse) -> None:
    del warehouse.profiles[0]


def repeat_profile(warehouse: Warehouse) -> None:
    warehouse.profiles.append(warehouse.profiles[0])


def invent_profile(warehouse: Warehouse) -> None:
    warehouse.profiles.append(["p-x", "user_id:nobody"])


def mistake_identifiers(warehouse: Warehouse) -> None:
    warehouse.profiles[0][1] += "\nuser_id:zoe"


def lose_session(warehouse: Warehouse) -> None:
    warehouse.current_sessions.remove(row_of(warehouse.current_sessions, "s-a3"))


def repeat_session(warehouse: Warehouse) -> None:
    warehouse.current_sessions.append(row_of(warehouse.current_sessions, "s-a3"))


def invent_session(warehouse: Warehouse) -> None:
    warehouse.current_sessions.append(["s-x", True, "p0", 0, 0, 1, "web", 0, 0])


def leave_session_open(warehouse: Warehouse) -> None:
    row_of(warehouse.current_sessions, "s-a3")[1] = False


def lose_action(warehouse: Warehouse) -> None:
    del warehouse.current_actions[0]


def act_without_reason(warehouse: Warehouse) -> None:
    warehouse.current_actions.append(["a-x", "a4", "p0", "due", 0, "hat=1", 5, None])


def act_twice(warehouse: Warehouse) -> None:
    warehouse.current_actions.append(["a-x", "a2", *warehouse.current_actions[0][2:]])


@pytest.mark.parametrize(
    ("spoil", "difference"),
    [
        (lose_touchpoint, Difference.MISSING_TOUCHPOINT),
        (repeat_touchpoint, Difference.DUPLICATE_TOUCHPOINT),
        (invent_touchpoint, Difference.UNKNOWN_TOUCHPOINT),
        (give_to_another_person, Difference.WRONG_PROFILE),
        (put_into_another_session, Difference.WRONG_SESSION),
        (give_late_one_a_session, Difference.WRONG_SESSION),
        (take_session_away, Difference.WRONG_SESSION),
        (lose_profile, Difference.MISSING_PROFILE),
        (repeat_profile, Difference.DUPLICATE_PROFILE),
        (invent_profile, Difference.UNKNOWN_PROFILE),
        (mistake_identifiers, Difference.WRONG_IDENTIFIERS),
        (lose_session, Difference.MISSING_SESSION),
        (repeat_session, Difference.DUPLICATE_SESSION),
        (invent_session, Difference.UNKNOWN_SESSION),
        (leave_session_open, Difference.OPEN_SESSION),
        (lose_action, Difference.MISSED_ACTION),
        (act_without_reason, Difference.FALSE_ACTION),
        (act_twice, Difference.DUPLICATE_ACTION),
    ],
)
def test_each_planted_error_is_found_and_nothing_else(
    spoil: Callable[[Warehouse], None], difference: Difference
) -> None:
    """Once, under its own name, with an example."""
    comparison = compared(spoil)
    assert comparison.found == {difference: 1}
    assert len(comparison.examples[difference]) == 1
    assert str(difference) in comparison.summary()


@pytest.mark.parametrize("column", range(2, 9))
def test_every_column_of_a_session_counts(column: int) -> None:
    """Person, bounds, touchpoints, channels, orders, revenue."""

    def spoil(warehouse: Warehouse) -> None:
        row_of(warehouse.current_sessions, "s-a3")[column] = "other"

    assert compared(spoil).found == {Difference.WRONG_SESSION_CONTENT: 1}


@pytest.mark.parametrize("column", range(2, 8))
def test_every_column_of_an_action_counts(column: int) -> None:
    """Person, status, due time, items, value, what was recovered."""

    def spoil(warehouse: Warehouse) -> None:
        warehouse.current_actions[0][column] = "other"

    assert compared(spoil).found == {Difference.WRONG_ACTION: 1}


def test_the_headlines_add_up() -> None:
    """Missing, duplicate, wrong, false and missed say it all between them."""

    def spoil(warehouse: Warehouse) -> None:
        lose_touchpoint(warehouse)
        invent_touchpoint(warehouse)
        repeat_session(warehouse)
        leave_session_open(warehouse)
        act_without_reason(warehouse)
        lose_action(warehouse)

    told = compared(spoil).to_json()
    headlines = ("missing", "duplicate", "wrong", "false_actions", "missed_actions")
    assert [told[name] for name in headlines] == [1, 1, 2, 1, 1]
    assert not told["equal"]


def test_people_merged_by_mistake_are_wrong() -> None:
    """The touchpoints of the smaller person count."""

    def spoil(warehouse: Warehouse) -> None:
        for row in warehouse.current_touchpoints:
            row[1] = "p0"

    assert compared(spoil).found[Difference.WRONG_PROFILE] == 2


def test_ids_do_not_matter() -> None:
    """Only what they group does."""

    def rename(warehouse: Warehouse) -> None:
        for row in warehouse.current_touchpoints:
            row[1], row[2] = f"other-{row[1]}", row[2] and f"other-{row[2]}"
        for row in warehouse.current_sessions:
            row[0], row[2] = f"other-{row[0]}", f"other-{row[2]}"
        for row in warehouse.current_actions:
            row[0], row[2] = f"other-{row[0]}", f"other-{row[2]}"
        for row in warehouse.profiles:
            row[0] = f"other-{row[0]}"

    assert compared(rename).is_equal


def test_the_opener_may_be_any_touchpoint_of_the_episode() -> None:
    """A late record can open an episode earlier than the pipeline knew when it acted."""

    def spoil(warehouse: Warehouse) -> None:
        warehouse.current_actions[0][1] = "a2"

    assert compared(spoil).is_equal


def test_a_large_warehouse_is_read_in_slices(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A whole day, landed rightly, differs nowhere; its truth is the same after a way through a file."""
    simulation = Simulation(Options(people=150, seed=9, shared_devices=5))
    for _ in simulation.entries():
        pass
    simulation.truth().write(tmp_path / "truth.jsonl")
    truth = Truth.read(tmp_path / "truth.jsonl")
    assert truth == simulation.truth()
    warehouse = landed(truth)
    asked: list[str] = []

    def query(sql: str) -> list[tuple[object, ...]]:
        asked.append(sql)
        return warehouse.query(sql)

    monkeypatch.setattr(comparing, "_ROWS_A_QUERY", 1_000)
    assert compare(truth, query).is_equal
    assert sum("cityHash64" in sql for sql in asked) == 1 + truth.counts().touchpoints // 1_000
