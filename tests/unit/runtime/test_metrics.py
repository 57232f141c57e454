"""Figures are there under their names, as the list says, and nobody is in them."""

from __future__ import annotations

import ast
import json
import time

import pytest
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from streams.runtime.metrics import _COUNTED, METRICS, PREFIX, Metrics, Name, Outcome, Phase
from streams.runtime.progress import Progress
from tests.conftest import REPOSITORY


def filled() -> Metrics:
    """A worker that has done a little of everything."""
    metrics = Metrics(Progress(inbox="profiles.inbox"))
    metrics.restoring({1: 0.0, 2: 0.25}, 3000)
    metrics.restored(0.2, tasks=[1, 2])
    with metrics.phase(Phase.PROCESS):
        sum(range(10_000))
    counts = {"touchpoints": 3, "late": 1, "held": 2, "refused": 1, "blocked:email": 4}
    metrics.took_batch(1, {"touchpoints.web": 3, "profiles.inbox": 1}, counts)
    metrics.transaction(Outcome.COMMITTED, 0.01)
    metrics.dead_letter("unreadable")
    metrics.committed(1, 0.01)
    metrics.took_batch(2, {"touchpoints.web": 4}, {})
    metrics.lags({("touchpoints.web", 1): 17, ("profiles.inbox", 1): 2, ("touchpoints.web", 3): 5}, 1)
    metrics.clock(1, time.time() - 40)
    return metrics


def exposed(metrics: Metrics) -> dict[str, dict[str, float]]:
    """Sample name -> labels as they are written -> value."""
    found: dict[str, dict[str, float]] = {}
    for family in text_string_to_metric_families(generate_latest(metrics.registry).decode()):
        for sample in family.samples:
            labels = ",".join(f"{name}={value}" for name, value in sorted(sample.labels.items()))
            found.setdefault(sample.name, {})[labels] = sample.value
    return found


def test_the_list_has_every_name_once() -> None:
    """`METRICS` is the one list: names, kinds, labels and what they say."""
    assert [metric.name for metric in METRICS] == list(Name)
    assert all(metric.says for metric in METRICS)
    assert all(bool(metric.buckets) == (metric.kind == "histogram") for metric in METRICS)


def test_every_metric_is_exposed_as_the_list_says() -> None:
    """Name, kind and labels on the wire are those of the list; besides them only what the process costs."""
    text = generate_latest(filled().registry).decode()
    families = {family.name: family for family in text_string_to_metric_families(text)}
    ours = {name: family for name, family in families.items() if name.startswith(PREFIX)}
    assert {name: family.type for name, family in ours.items()} == {
        PREFIX + metric.name: metric.kind for metric in METRICS
    }
    for metric in METRICS:
        for sample in families[PREFIX + metric.name].samples:
            assert set(sample.labels) - {"le"} == set(metric.labels), sample
    assert {name.split("_")[0] for name in families if name not in ours} == {"process"}


def test_what_was_told_is_what_is_shown() -> None:
    """Counts under the names of what they count; what has none, by kind; gauges by task."""
    found = exposed(filled())
    told = {
        "records_total": {"topic=touchpoints.web": 7.0, "topic=profiles.inbox": 1.0},
        "touchpoints_total": {"": 3.0},
        "touchpoints_late_total": {"": 1.0},
        "timers_held_total": {"": 2.0},
        "identifiers_blocked_total": {"type=email": 4.0},
        "counts_total": {"kind=refused": 1.0},
        "dead_letters_total": {"reason=unreadable": 1.0},
        "transactions_total": {"outcome=committed": 1.0, "outcome=aborted": 0.0, "outcome=fenced": 0.0},
        "restored_records_total": {"": 3000.0},
        "lag_records": {"partition=1": 19.0, "partition=2": 4.0},
        "in_hand_records": {"partition=1": 0.0, "partition=2": 4.0},
        "restore_share": {},
        "tasks": {"": 2.0},
        "ready": {"": 1.0},
        "live": {"": 1.0},
    }
    assert {name: found.get(PREFIX + name, {}) for name in told} == told
    assert found[PREFIX + "clock_delay_seconds"]["partition=1"] == pytest.approx(40, abs=20)
    assert found[PREFIX + "step_seconds_count"]["step=process"] == 1.0


def test_a_task_that_went_away_is_not_told_of_any_more() -> None:
    """Two workers must not both have a lag for one partition; while restoring, its share is there."""
    metrics = filled()
    metrics.let_go()
    metrics.restoring({1: 0.5})
    found = exposed(metrics)
    assert found[PREFIX + "restore_share"] == {"partition=1": 0.5}
    assert found[PREFIX + "ready"] == {"": 0.0}
    metrics.restored(0.1, tasks=[1])
    assert exposed(metrics)[PREFIX + "lag_records"] == {"partition=1": 0.0}


def test_a_replayed_clock_has_no_delay() -> None:
    """Ticks of an import say nothing of now; nor does a clock that has not begun."""
    replayed, fresh = Metrics(is_live=False), Metrics()
    for metrics, epoch_s in ((replayed, 1_700_000_000.0), (fresh, -4.6e15)):
        metrics.restored(0.0, tasks=[0])
        metrics.clock(0, epoch_s)
        assert exposed(metrics).get(PREFIX + "clock_delay_seconds", {}) == {}
    assert exposed(replayed)[PREFIX + "timer_clock_seconds"] == {"partition=0": 1_700_000_000.0}
    assert exposed(fresh).get(PREFIX + "timer_clock_seconds", {}) == {}


def test_what_has_a_metric_of_its_own_is_counted_by_the_core() -> None:
    """A count that the core renames would silently move to `counts`: its names are looked up in its source."""
    source = (REPOSITORY / "streams" / "core" / "step.py").read_text()
    counted = {
        node.args[0].value
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "_count"
        and isinstance(node.args[0], ast.Constant)
    }
    assert set(_COUNTED) <= counted


def test_the_bench_line_has_seconds_by_phase_and_totals() -> None:
    """One line of JSON: CPU in all, since the first record and by phase, and what was counted."""
    line = json.loads(filled().bench_line())
    assert {f"{phase}_s" for phase in Phase} | {"cpu_s", "cpu_since_first_s"} <= line.keys()
    assert line["process_s"] > 0.0
    assert (line["records"], line["batches"], line["commits"], line["touchpoints"]) == (8, 2, 1, 3)
