"""Which topics there must be, and how a broker's are compared with them. No broker needed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from streams.runtime import topics
from streams.runtime.topics import Found, TopicSpec, deviations, expected, partition_counts
from streams.settings import load


def specs(**environ: str) -> dict[str, TopicSpec]:
    """What these settings (`KAFKA_PARTITIONS="6"`) ask for, by name."""
    settings = load(None, {f"THROUGHLINE_{name}": value for name, value in environ.items()})
    return {spec.name: spec for spec in expected(settings)}


def as_is(spec: TopicSpec) -> Found:
    """A topic that is as it must be; a broker reports more settings than we set."""
    return Found(spec.partitions, spec.replication_factor, {**spec.config, "preallocate": "false"})


def test_every_topic_of_the_flow_is_there_once_with_one_partition_count() -> None:
    """Task p is partition p of every topic: 15 channels, acts, inbox, changelog, 5 outputs, dead letters, all alike."""
    asked = specs(KAFKA_PARTITIONS="6")
    assert len(topics.INPUTS) == 16
    assert list(asked) == [
        *topics.INPUTS, "profiles.inbox", "profiles.changelog",
        "touchpoints.stitched", "sessions", "carts", "identities", "actions", "records.dead",
    ]  # fmt: skip
    assert {spec.partitions for spec in asked.values()} == {6}


def test_inputs_alone_carry_the_brokers_clock() -> None:
    """Timers stand on when the broker appended an input; every other topic keeps the time its writer gave."""
    stamped = {
        name for name, spec in specs().items() if spec.config["message.timestamp.type"] == "LogAppendTime"
    }
    assert stamped == set(topics.INPUTS)


def test_the_changelog_alone_is_compacted_and_time_deletes_neither_it_nor_acts() -> None:
    """State is what the changelog holds: its last record a key stays for ever; acts stay too, everything else ages."""
    asked = specs()
    compacted = {name for name, spec in asked.items() if spec.config["cleanup.policy"] != "delete"}
    assert compacted == {"profiles.changelog"}
    assert asked["profiles.changelog"].config["cleanup.policy"] == "compact"
    assert asked["profiles.changelog"].config["retention.ms"] == "-1"
    stays = {name for name, spec in asked.items() if spec.config["retention.ms"] == "-1"}
    assert stays == {"profiles.changelog", "identity.control"}
    deleted = replace(asked["identity.control"], config=asked["touchpoints.web"].config)
    (left,) = deviations([asked["identity.control"]], {"identity.control": as_is(deleted)})
    assert left.is_unsafe


@pytest.mark.parametrize(("days", "dead_days"), [("3", 30), ("90", 90)])
def test_records_are_kept_as_long_as_asked_and_dead_letters_a_month(days: str, dead_days: int) -> None:
    """`kafka.retention_days` is for every topic that ages; dead letters stay long enough to be mended and replayed."""
    asked = specs(KAFKA_RETENTION_DAYS=days)
    kept = {name: int(spec.config["retention.ms"]) // 86_400_000 for name, spec in asked.items()}
    assert kept.pop("records.dead") == dead_days
    assert kept.pop("profiles.changelog") == kept.pop("identity.control") == -1
    assert set(kept.values()) == {int(days)}


@pytest.mark.parametrize("largest", [1_024, 983_040, 5_000_000])
def test_whatever_an_input_took_fits_on_where_it_goes_next(largest: int) -> None:
    """A record of the allowed size fits an input's batch; stitched, forwarded or dead it is longer, and fits too."""
    asked = specs(KAFKA_MAX_RECORD_BYTES=str(largest))
    room = {name: int(spec.config["max.message.bytes"]) for name, spec in asked.items()}
    assert all(room[name] > largest for name in topics.INPUTS)
    assert all(
        room[name] >= room["touchpoints.web"] + 512 * 1024 for name in (*topics.OUTPUTS, "records.dead")
    )
    assert room["profiles.inbox"] >= room["touchpoints.web"] + 512 * 1024
    assert room["profiles.changelog"] == 16 * 1024 * 1024


@pytest.mark.parametrize(("replicas", "in_sync"), [(1, "1"), (2, "1"), (3, "2")])
def test_one_broker_may_fail_where_there_are_three(replicas: int, in_sync: str) -> None:
    """With three copies two must have a record before it counts; with fewer, asking for two would stop writing."""
    asked = specs(KAFKA_REPLICATION_FACTOR=str(replicas))
    assert {spec.config["min.insync.replicas"] for spec in asked.values()} == {in_sync}
    assert {spec.replication_factor for spec in asked.values()} == {replicas}


def test_the_embedded_broker_gets_the_same_topics() -> None:
    """One list: the embedded broker is started with exactly the topics a real one must have."""
    settings = load(None, {"THROUGHLINE_KAFKA_PARTITIONS": "3"})
    assert partition_counts(settings) == dict.fromkeys([spec.name for spec in expected(settings)], 3)


def test_topics_as_they_must_be_have_no_deviation() -> None:
    """What a broker has set besides is its own business."""
    asked = specs()
    assert deviations(asked.values(), {name: as_is(spec) for name, spec in asked.items()}) == []


def test_every_deviation_is_named_with_its_remedy() -> None:
    """Missing, partitions, replicas, configuration: each is one line, and only configuration can be altered."""
    asked = specs()
    found = {name: as_is(spec) for name, spec in asked.items() if name != "carts"}
    found["sessions"] = replace(found["sessions"], partitions=8)
    found["actions"] = replace(found["actions"], replication_factor=3)
    wrong = {**asked["touchpoints.web"].config, "message.timestamp.type": "CreateTime"}
    del wrong["retention.ms"]
    found["touchpoints.web"] = replace(found["touchpoints.web"], config=wrong)
    left = deviations(asked.values(), found)
    assert [(one.topic, one.what, one.can_alter) for one in left] == [
        ("touchpoints.web", "retention.ms is not set, not 604800000", True),
        ("touchpoints.web", "message.timestamp.type is CreateTime, not LogAppendTime", True),
        ("sessions", "has 8 partitions, not 4", False),
        ("carts", "is missing", False),
        ("actions", "has 3 replicas, not 1", False),
    ]
    assert all(one.remedy for one in left)
