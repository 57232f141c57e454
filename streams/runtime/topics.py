"""The topics of an installation: which there are, how each must be set up, and what differs on a broker.

Role: one list for the real broker (`throughline topics`) and for the embedded one (names and partitions). Must not
know what is written into a topic, nor who reads it.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from schemas.catalog import CHANNELS

if TYPE_CHECKING:
    from confluent_kafka.admin import AdminClient

    from streams.settings import Settings

__all__ = [
    "CHANGELOG",
    "DEAD_LETTERS",
    "INBOX",
    "INPUTS",
    "OUTPUTS",
    "BrokerUnavailable",
    "Deviation",
    "Found",
    "TopicSpec",
    "alter",
    "create",
    "deviations",
    "expected",
    "found_on",
    "partition_counts",
]

INPUTS = tuple(f"touchpoints.{channel}" for channel in CHANNELS)
INBOX = "profiles.inbox"
CHANGELOG = "profiles.changelog"
OUTPUTS = ("touchpoints.stitched", "sessions", "carts", "identities", "actions")
DEAD_LETTERS = "records.dead"

_KIB, _MIB = 1024, 1024 * 1024
_DAY_MS = 86_400_000
_RETENTION_MS = 7 * _DAY_MS
#: Long enough to find out why, to mend it and to replay.
_DEAD_RETENTION_MS = 30 * _DAY_MS
#: What Kafka allows a record batch by itself, and what a batch costs besides one record.
_KAFKA_DEFAULT_BATCH_BYTES = 1_048_588
_BATCH_OVERHEAD_BYTES = 64 * _KIB
#: All that one commit changed is one record batch: all of it becomes visible, or nothing.
_CHANGELOG_BATCH_BYTES = 16 * _MIB
_SEGMENT_BYTES = 64 * _MIB

_REQUEST_S = 30.0
_SETTLE_S = 10.0
_SETTLE_POLL_S = 0.1
_MISSING = "is missing"
_EMBEDDED_CLUSTER = "mockCluster"


@dataclass(frozen=True, slots=True)
class TopicSpec:
    """How a topic must be. `config` has Kafka's names and texts."""

    name: str
    partitions: int
    replication_factor: int
    config: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Found:
    """How a topic is."""

    partitions: int
    replication_factor: int
    config: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Deviation:
    """One thing that is not as it must be. `can_alter`: `topics create --alter` mends it without loss."""

    topic: str
    what: str
    remedy: str
    can_alter: bool = False


class BrokerUnavailable(RuntimeError):
    """The broker does not answer, or cannot do what topics need."""


def expected(settings: Settings) -> list[TopicSpec]:
    """Every topic with its set-up: inputs, inbox, changelog, outputs, dead letters."""
    kafka = settings.kafka
    input_bytes = max(_KAFKA_DEFAULT_BATCH_BYTES, kafka.max_record_bytes + _BATCH_OVERHEAD_BYTES)
    # An output record is an input record and what was found out about it: never twice as long.
    output_bytes = 2 * input_bytes
    in_sync = {"min.insync.replicas": str(2 if kafka.replication_factor > 2 else 1)}
    kept = {"cleanup.policy": "delete", "retention.ms": str(_RETENTION_MS), **in_sync}
    # Inputs carry the time of their arrival, by the broker's clock: that is what timers stand on.
    arrived = {**kept, "message.timestamp.type": "LogAppendTime", "max.message.bytes": str(input_bytes)}
    made = {**kept, "message.timestamp.type": "CreateTime", "max.message.bytes": str(output_bytes)}
    configs = {
        **dict.fromkeys(INPUTS, arrived),
        INBOX: made,
        CHANGELOG: {**_compacted(), **in_sync},
        **dict.fromkeys(OUTPUTS, made),
        # Room for a record that filled its batch, and for the headers that say why it is here.
        DEAD_LETTERS: {**made, "retention.ms": str(_DEAD_RETENTION_MS)},
    }
    return [
        TopicSpec(name, kafka.partitions, kafka.replication_factor, config)
        for name, config in configs.items()
    ]


def _compacted() -> dict[str, str]:
    return {
        "cleanup.policy": "compact",
        # Time must never delete state.
        "retention.ms": "-1",
        "message.timestamp.type": "CreateTime",
        "max.message.bytes": str(_CHANGELOG_BATCH_BYTES),
        "segment.bytes": str(_SEGMENT_BYTES),
        # A restore reads what compaction has not removed: keep that near the size of the state.
        "min.cleanable.dirty.ratio": "0.2",
        # A restore that takes longer than this could miss a tombstone; a day is far beyond any.
        "delete.retention.ms": str(_DAY_MS),
    }


def partition_counts(settings: Settings) -> dict[str, int]:
    """Name -> partitions: what the embedded broker is started with."""
    return {spec.name: spec.partitions for spec in expected(settings)}


def deviations(specs: Iterable[TopicSpec], found: Mapping[str, Found]) -> list[Deviation]:
    """Whatever on the broker is not as it must be, in the order of the topics."""
    return [
        deviation
        for spec in specs
        for deviation in (_differing(spec, found[spec.name]) if spec.name in found else [_missing(spec)])
    ]


def _missing(spec: TopicSpec) -> Deviation:
    return Deviation(spec.name, _MISSING, "throughline topics create")


def _differing(spec: TopicSpec, found: Found) -> Iterator[Deviation]:
    if found.partitions != spec.partitions:
        yield Deviation(
            spec.name,
            f"has {found.partitions} partitions, not {spec.partitions}",
            "set kafka.partitions to what the topics have, or, while they are empty, delete them all and create "
            "them anew: adding partitions moves people between tasks, away from their state",
        )
    if found.replication_factor != spec.replication_factor:
        yield Deviation(
            spec.name,
            f"has {found.replication_factor} replicas, not {spec.replication_factor}",
            "reassign its replicas with kafka-reassign-partitions, or set kafka.replication_factor",
        )
    for key, value in spec.config.items():
        if (is_set := found.config.get(key)) != value:
            yield Deviation(
                spec.name,
                f"{key} is {is_set or 'not set'}, not {value}",
                "throughline topics create --alter",
                can_alter=True,
            )


def found_on(admin: AdminClient, names: Sequence[str]) -> dict[str, Found]:
    """Those of the topics that exist, as they are. Raises BrokerUnavailable."""
    from confluent_kafka import KafkaException
    from confluent_kafka.admin import ConfigResource, ResourceType  # type: ignore[attr-defined]

    try:
        metadata = admin.list_topics(timeout=_REQUEST_S)
        if str(metadata.cluster_id).startswith(_EMBEDDED_CLUSTER):
            raise BrokerUnavailable(
                "this is an embedded broker: it gets its topics when it starts, and has no settings for them"
            )
        existing = {name: metadata.topics[name] for name in names if name in metadata.topics}
        asked = [ConfigResource(ResourceType.TOPIC, name) for name in existing]
        answers = admin.describe_configs(asked, request_timeout=_REQUEST_S) if asked else {}
        configs = {
            resource.name: {entry.name: entry.value for entry in answer.result().values()}
            for resource, answer in answers.items()
        }
    except KafkaException as error:
        raise BrokerUnavailable(_said(error)) from error
    return {
        name: Found(len(topic.partitions), _replicas(topic.partitions.values()), configs[name])
        for name, topic in existing.items()
    }


def _replicas(partitions: Iterable[object]) -> int:
    """The fewest any partition has."""
    return min((len(getattr(partition, "replicas", ())) for partition in partitions), default=0)


def create(admin: AdminClient, specs: Iterable[TopicSpec]) -> None:
    """Make these topics; one that somebody else has made meanwhile is fine. Raises BrokerUnavailable."""
    from confluent_kafka import KafkaError, KafkaException
    from confluent_kafka.admin import NewTopic  # type: ignore[attr-defined]

    wanted = list(specs)
    topics = [
        NewTopic(
            spec.name,
            num_partitions=spec.partitions,
            replication_factor=spec.replication_factor,
            config=dict(spec.config),
        )
        for spec in wanted
    ]
    answers = admin.create_topics(topics, request_timeout=_REQUEST_S) if topics else {}
    for name, answer in answers.items():
        try:
            answer.result()
        except KafkaException as error:
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise BrokerUnavailable(f"topic {name} was not created: {_said(error)}") from error
    _settle(admin, wanted)


def alter(admin: AdminClient, specs: Iterable[TopicSpec]) -> None:
    """Set the configuration of these topics; other keys stay. Raises BrokerUnavailable."""
    from confluent_kafka import KafkaException
    from confluent_kafka.admin import (  # type: ignore[attr-defined]
        AlterConfigOpType,
        ConfigEntry,
        ConfigResource,
        ResourceType,
    )

    wanted = list(specs)
    resources = [
        ConfigResource(
            ResourceType.TOPIC,
            spec.name,
            incremental_configs=[
                ConfigEntry(key, value, incremental_operation=AlterConfigOpType.SET)
                for key, value in spec.config.items()
            ],
        )
        for spec in wanted
    ]
    answers = admin.incremental_alter_configs(resources, request_timeout=_REQUEST_S) if resources else {}
    for resource, answer in answers.items():
        try:
            answer.result()
        except KafkaException as error:
            raise BrokerUnavailable(f"topic {resource.name} was not altered: {_said(error)}") from error
    _settle(admin, wanted)


def _settle(admin: AdminClient, specs: Sequence[TopicSpec]) -> None:
    """Wait until the broker shows what it has agreed to: its answers come from a copy that follows the controller's."""
    names = [spec.name for spec in specs]
    deadline = time.monotonic() + _SETTLE_S
    while time.monotonic() < deadline:
        left = deviations(specs, found_on(admin, names)) if specs else []
        # Partitions and replicas of a topic that was there are for people.
        if not any(one.can_alter or one.what == _MISSING for one in left):
            return
        time.sleep(_SETTLE_POLL_S)


def _said(error: Exception) -> str:
    reason = error.args[0] if error.args else error
    said = getattr(reason, "str", None)
    return str(said()) if callable(said) else str(reason)
