"""Figures are there under their names, and nobody is in them."""

from __future__ import annotations

import json

from prometheus_client import generate_latest

from streams.runtime.metrics import Metrics, Name, Phase


def filled() -> Metrics:
    """A worker that has done a little of everything."""
    metrics = Metrics()
    with metrics.phase(Phase.PROCESS):
        sum(range(10_000))
    metrics.took_batch({"touchpoints.web": 3, "profiles.inbox": 1}, {"touchpoints": 3, "late": 1})
    metrics.dead_letter("unreadable")
    metrics.committed(0.01)
    metrics.restored(0.2, tasks=4)
    metrics.lag(1, 17)
    metrics.clock(1, 1_700_000_000.0)
    return metrics


def test_every_named_metric_is_exposed() -> None:
    """Each name is on the wire, with the labels of what was counted."""
    text = generate_latest(filled().registry).decode()
    assert [name for name in Name if f"throughline_{name}" not in text] == []
    for line in (
        'throughline_records_total{topic="touchpoints.web"} 3.0',
        'throughline_counts_total{kind="late"} 1.0',
        'throughline_dead_letters_total{reason="unreadable"} 1.0',
        'throughline_lag_records{partition="1"} 17.0',
        'throughline_timer_clock_seconds{partition="1"} 1.7e+09',
        "throughline_tasks 4.0",
    ):
        assert line in text


def test_the_bench_line_has_seconds_by_phase_and_totals() -> None:
    """One line of JSON: CPU in all, since the first record and by phase, and what was counted."""
    line = json.loads(filled().bench_line())
    assert {f"{phase}_s" for phase in Phase} | {"cpu_s", "cpu_since_first_s"} <= line.keys()
    assert line["process_s"] > 0.0
    assert (line["records"], line["batches"], line["commits"], line["touchpoints"]) == (4, 1, 1, 3)
