"""Which topics an installation has beyond those of its workers. No broker needed."""

from __future__ import annotations

from sinks.clickhouse.landing import TARGETS
from streams.launch.topics import DELIVERIES, expected, partition_counts
from streams.runtime import topics as of_workers
from streams.settings import load

SETTINGS = load(None, {"THROUGHLINE_KAFKA_PARTITIONS": "3"})


def test_an_installation_has_the_workers_topics_and_that_of_deliveries() -> None:
    """One topic more, set up as an output is; workers do not ask for it, so that they start without."""
    more = {spec.name: spec for spec in expected(SETTINGS)}
    asked = {spec.name: spec for spec in of_workers.expected(SETTINGS)}
    assert list(more) == [*asked, DELIVERIES]
    assert more[DELIVERIES].config == more["actions"].config
    assert partition_counts(SETTINGS) == dict.fromkeys(more, 3)


def test_whatever_the_sink_reads_is_made() -> None:
    """Every topic that is landed is one that `topics create` makes."""
    assert TARGETS.keys() <= {spec.name for spec in expected(SETTINGS)}
