"""Models against outside answers, over the whole of the files."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Callable
from pathlib import Path as FilePath

import pytest

from sinks.attribution.markov import markov
from sinks.attribution.paths import Path, totals
from sinks.attribution.sets import counterfactual

pytestmark = pytest.mark.data

SharedData = Callable[[str], FilePath]


def rows_of(path: FilePath) -> list[dict[str, str]]:
    """Every row of a CSV file, gzipped or not."""
    if path.suffix == ".gz":
        with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def counted_paths(folder: FilePath) -> list[Path]:
    """The file's paths, with those that did not convert counted in."""
    return [
        Path(
            tuple(row["path"].split(" > ")),
            int(row["total_conversions"]) + int(row["total_null"]),
            int(row["total_conversions"]),
            float(row["total_conversion_value"]),
        )
        for row in rows_of(folder / "paths.csv.gz")
    ]


def test_markov_is_that_of_channelattribution(shared_data: SharedData) -> None:
    """12,597 conversions of 56,509 journeys: within 1.5 % for channels credited with more than 100 of them.

    The reference is a simulation of the same chain, so it differs by chance. Seen to fail with the journeys that did
    not convert left out: alpha, beta and zeta are 2 to 3 % off.
    """
    folder = shared_data("channelattribution_pathdata")
    paths = counted_paths(folder)
    total, found = totals(paths), markov(paths)
    assert (total.conversions, sum(path.journeys for path in paths)) == (12_597, 56_509)
    reference = {
        row["channel_name"]: float(row["total_conversions"])
        for row in rows_of(folder / "reference" / "markov_order1.csv")
    }
    assert set(found) == set(reference)
    large = {channel: credit for channel, credit in reference.items() if credit > 100}
    assert len(large) == 9
    assert {channel: found[channel].conversions for channel in large} == pytest.approx(large, rel=0.015)


def test_counterfactual_is_that_of_fractribution(shared_data: SharedData) -> None:
    """Snowplow's package calls it shapley; its conversions and revenue by channel are ours.

    Seen to fail with journeys that did not convert left out.
    """
    expected = shared_data("snowplow_fractribution") / "expected"
    paths = [
        Path(
            tuple(row["transformed_path"].split(" > ")),
            int(row["conversions"]) + int(row["non_conversions"]),
            int(row["conversions"]),
            float(row["revenue"] or 0),
        )
        for row in rows_of(expected / "snowplow_fractribution_path_summary_expected.csv")
    ]
    theirs = {
        row["CHANNEL"]: (float(row["CONVERSIONS"]), float(row["REVENUE"]))
        for row in rows_of(expected / "snowplow_fractribution_channel_attribution_expected.csv")
        if row["ATTRIBUTION_TYPE"] == "shapley"
    }
    found = counterfactual(paths)
    assert {channel: credit.conversions for channel, credit in found.items()} == pytest.approx(
        {channel: conversions for channel, (conversions, _) in theirs.items()}, abs=1e-9
    )
    assert {channel: credit.revenue for channel, credit in found.items()} == pytest.approx(
        {channel: revenue for channel, (_, revenue) in theirs.items()}, abs=1e-6
    )
