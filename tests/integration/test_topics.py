"""A worker does not start on topics that it could not be right on, and says for each what to do."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient

from streams.launch.parts import Part
from streams.runtime import topics
from streams.runtime.topics import UnfitTopics, alter, connect, refuse_unfit
from streams.settings import PREFIX, Settings, load
from tests.integration.brokers import EmbeddedBrokers, RealKafka
from tests.integration.real_line import PARTITIONS, RealLine, delete, installation

COUNTS = topics.partition_counts(load(None, {}))


def told(bootstrap: str, **settings: str) -> dict[str, str]:
    """Environment of a part on this broker."""
    return {
        f"{PREFIX}{key}": value for key, value in {"KAFKA_BOOTSTRAP_SERVERS": bootstrap, **settings}.items()
    }


def refused(settings: Settings) -> list[str]:
    """The lines a worker with these settings is refused with, the first one left out."""
    with pytest.raises(UnfitTopics) as refusal:
        refuse_unfit(settings)
    return [line.strip() for line in str(refusal.value).splitlines()[1:]]


def test_a_worker_on_other_partition_counts_ends_at_once_with_what_to_do(
    embedded_broker: EmbeddedBrokers, tmp_path: Path
) -> None:
    """Exit code 2 before it joins the group, a line for every topic; seen to fail without the question at start.

    Outputs and changelog as well, which no consumer subscribes to.
    """
    broker = embedded_broker(topics={**COUNTS, "sessions": 2})
    settings = load(None, told(broker.bootstrap))
    [line] = refused(settings)
    assert line.startswith(
        "sessions has 2 partitions, not 4: set kafka.partitions = 2 if all topics have so many"
    )
    assert "kafka-topics --delete --topic sessions, then throughline topics create" in line
    worker = Part(
        "worker",
        ["worker"],
        environment={**os.environ, **told(broker.bootstrap, KAFKA_PARTITIONS="3")},
        log=tmp_path / "worker.log",
    )
    while worker.is_running():
        time.sleep(0.05)
    assert worker.exit_code == 2
    assert "profiles.changelog has 4 partitions, not 3" in (tmp_path / "worker.log").read_text()


def test_a_missing_topic_is_refused_and_right_ones_are_not(embedded_broker: EmbeddedBrokers) -> None:
    """An embedded broker would make up what is not there; what is right is let through, without a word."""
    broker = embedded_broker(topics={name: 4 for name in COUNTS if name != "carts"})
    assert refused(load(None, told(broker.bootstrap))) == ["carts is missing: throughline topics create"]
    refuse_unfit(load(None, told(embedded_broker(4).bootstrap)))


def test_nobody_there_is_said(embedded_broker: EmbeddedBrokers, monkeypatch: pytest.MonkeyPatch) -> None:
    """A broker that does not answer is not waited for without end."""
    broker = embedded_broker(1)
    broker.down()
    monkeypatch.setattr(topics, "_FIRST_ANSWER_S", 0.5)
    with pytest.raises(topics.BrokerUnavailable, match="no Kafka answers"):
        refuse_unfit(load(None, told(broker.bootstrap)))


@pytest.fixture
def line(real_kafka: RealKafka, tmp_path: Path) -> Iterator[RealLine]:
    """An installation on a real Kafka."""
    with installation(real_kafka, tmp_path) as found:
        yield found


@pytest.mark.kafka
def test_what_would_cost_state_or_truth_is_refused_and_the_rest_is_told(
    line: RealLine, caplog: pytest.LogCaptureFixture
) -> None:
    """A changelog that time deletes, inputs with their producers' clock: refused. Less room: a warning.

    In replay ticks move the clocks, and inputs may carry any time.
    """
    settings, replay = line.settings, load(None, {**line.environment, "THROUGHLINE_WORKER_CLOCK": "replay"})
    admin = connect(line.bootstrap)
    specs = {spec.name: spec for spec in topics.expected(settings)}

    def set_wrong(name: str, **config: str) -> None:
        alter(
            admin,
            [replace(specs[name], config={key.replace("_", "."): value for key, value in config.items()})],
        )

    refuse_unfit(settings)
    set_wrong("profiles.changelog", cleanup_policy="delete")
    set_wrong("touchpoints.web", message_timestamp_type="CreateTime")
    set_wrong("sessions", max_message_bytes="1000000")
    changelog = "profiles.changelog cleanup.policy is delete, not compact: throughline topics create --alter"
    assert refused(settings) == [
        "touchpoints.web message.timestamp.type is CreateTime, not LogAppendTime: throughline topics create --alter",
        changelog,
    ]
    assert refused(replay) == [changelog]
    alter(admin, [specs["profiles.changelog"]])
    refuse_unfit(replay)
    [warning] = caplog.messages
    assert warning.startswith(
        "1 settings of topics are not as they must be, the first: sessions max.message.bytes"
    )
    alter(admin, specs.values())
    refuse_unfit(settings)
    assert len(caplog.messages) == 1


@pytest.mark.kafka
def test_a_topic_that_somebody_made_with_other_partitions_is_refused(line: RealLine) -> None:
    """The broker's own default count, as when a producer made the topic: nothing is done to it, people are told."""
    admin = AdminClient({"bootstrap.servers": line.bootstrap})
    delete(admin, ["touchpoints.pos"])
    wrong = {spec.name: spec for spec in topics.expected(line.settings)}["touchpoints.pos"]
    topics.create(admin, [replace(wrong, partitions=PARTITIONS + 3)])
    [said] = refused(line.settings)
    assert said.startswith(f"touchpoints.pos has {PARTITIONS + 3} partitions, not {PARTITIONS}: ")
