"""The topics of an installation: which there are, how each must be set up, and what differs on a broker.

Role: one list for the real broker (`throughline topics`) and for the embedded one (names and partitions). Must not
know what is written into a topic, nor who reads it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from schemas.catalog import CHANNELS
from schemas.dead_letters import DEAD_LETTERS

if TYPE_CHECKING:
    from confluent_kafka.admin import AdminClient

    from streams.settings import Settings

__all__ = [
    "CHANGELOG",
    "CONTROL",
    "DEAD_LETTERS",
    "INBOX",
    "INPUTS",
    "OUTPUTS",
    "BrokerUnavailable",
    "Deviation",
    "Found",
    "TopicSpec",
    "UnfitTopics",
    "alter",
    "connect",
    "create",
    "deviations",
    "expected",
    "found_on",
    "partition_counts",
    "refuse_unfit",
]

log = logging.getLogger(__name__)

CONTROL = "identity.control"
INPUTS = (*(f"touchpoints.{channel}" for channel in CHANNELS), CONTROL)
INBOX = "profiles.inbox"
CHANGELOG = "profiles.changelog"
OUTPUTS = ("touchpoints.stitched", "sessions", "carts", "identities", "actions")

_KIB, _MIB = 1024, 1024 * 1024
_DAY_MS = 86_400_000
#: Long enough to find out why, to mend it and to replay.
_DEAD_RETENTION_DAYS = 30
#: What Kafka allows a record batch by itself, and what a batch costs besides one record.
_KAFKA_DEFAULT_BATCH_BYTES = 1_048_588
_BATCH_OVERHEAD_BYTES = 64 * _KIB
#: All that one commit changed is one record batch: all of it becomes visible, or nothing.
_CHANGELOG_BATCH_BYTES = 16 * _MIB
_SEGMENT_BYTES = 64 * _MIB

_REQUEST_S = 30.0
#: A first question to a broker that may not be there; the rest has librdkafka's patience.
_FIRST_ANSWER_S = 10.0
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
    """How a topic is. `config` is None where the broker does not tell: an embedded one has none."""

    partitions: int
    replication_factor: int
    config: Mapping[str, str] | None


@dataclass(frozen=True, slots=True)
class Deviation:
    """One thing that is not as it must be. `can_alter`: `topics create --alter` mends it without loss; `is_unsafe`: a
    worker would lose state, or take one time for another."""

    topic: str
    what: str
    remedy: str
    can_alter: bool = False
    is_unsafe: bool = False


class BrokerUnavailable(RuntimeError):
    """The broker does not answer, or cannot do what topics need."""


class UnfitTopics(RuntimeError):
    """A worker must not start on these topics; the message says for each what is wrong, and what to do."""


def expected(settings: Settings) -> list[TopicSpec]:
    """Every topic with its set-up: inputs, inbox, changelog, outputs, dead letters."""
    kafka = settings.kafka
    input_bytes = max(_KAFKA_DEFAULT_BATCH_BYTES, kafka.max_record_bytes + _BATCH_OVERHEAD_BYTES)
    # An output record is an input record and what was found out about it: never twice as long.
    output_bytes = 2 * input_bytes
    in_sync = {"min.insync.replicas": str(2 if kafka.replication_factor > 2 else 1)}
    kept = {"cleanup.policy": "delete", "retention.ms": str(kafka.retention_days * _DAY_MS), **in_sync}
    dead_ms = max(_DEAD_RETENTION_DAYS, kafka.retention_days) * _DAY_MS
    # Inputs carry the time of their arrival, by the broker's clock: that is what timers stand on.
    arrived = {**kept, "message.timestamp.type": "LogAppendTime", "max.message.bytes": str(input_bytes)}
    made = {**kept, "message.timestamp.type": "CreateTime", "max.message.bytes": str(output_bytes)}
    configs = {
        **dict.fromkeys(INPUTS, arrived),
        # What people have decided must still be there when everything is worked out again.
        CONTROL: {**arrived, "retention.ms": "-1"},
        INBOX: made,
        CHANGELOG: {**_compacted(), **in_sync},
        **dict.fromkeys(OUTPUTS, made),
        # Room for a record that filled its batch, and for the headers that say why it is here.
        DEAD_LETTERS: {**made, "retention.ms": str(dead_ms)},
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


#: Deleted state and deleted acts are lost; a producer's clock in place of the broker's moves timers.
_UNSAFE = frozenset(
    {(name, key) for name in (CHANGELOG, CONTROL) for key in ("cleanup.policy", "retention.ms")}
    | {(name, "message.timestamp.type") for name in INPUTS}
)


def refuse_unfit(settings: Settings) -> None:
    """What a worker asks before it joins. Raises UnfitTopics, or BrokerUnavailable.

    What is not as it must be but harms nobody is logged, once.
    """
    specs = expected(settings)
    admin = connect(settings.kafka.bootstrap_servers)
    left = deviations(specs, _found(admin, [spec.name for spec in specs])[0])
    if settings.worker.clock == "replay":
        # Ticks move the clocks there, whatever time a record carries.
        left = [one for one in left if not one.what.startswith("message.timestamp.type")]
    unsafe = [one for one in left if one.is_unsafe]
    if unsafe:
        lines = "".join(f"\n  {one.topic} {one.what}: {one.remedy}" for one in unsafe)
        raise UnfitTopics(
            f"the topics on {settings.kafka.bootstrap_servers} are not what a worker needs:{lines}"
        )
    if left:
        log.warning(
            "%d settings of topics are not as they must be, the first: %s %s. See: throughline topics check",
            len(left),
            left[0].topic,
            left[0].what,
        )


def connect(bootstrap_servers: str) -> AdminClient:
    """A client for questions about topics. Raises BrokerUnavailable if nobody answers."""
    from confluent_kafka import KafkaException
    from confluent_kafka.admin import AdminClient

    admin = AdminClient({"bootstrap.servers": bootstrap_servers, "log_level": 0})
    try:
        admin.list_topics(timeout=_FIRST_ANSWER_S)
    except KafkaException as error:
        raise BrokerUnavailable(
            f"no Kafka answers on {bootstrap_servers} (kafka.bootstrap_servers); "
            "`throughline kafka start` starts one here"
        ) from error
    return admin


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
    return Deviation(spec.name, _MISSING, "throughline topics create", is_unsafe=True)


def _differing(spec: TopicSpec, found: Found) -> Iterator[Deviation]:
    if found.partitions != spec.partitions:
        yield Deviation(
            spec.name,
            f"has {found.partitions} partitions, not {spec.partitions}",
            f"set kafka.partitions = {found.partitions} if all topics have so many; or, while nothing is in it, "
            f"kafka-topics --delete --topic {spec.name}, then throughline topics create. Never add partitions to "
            "topics in use: people would move between tasks, away from their state",
            is_unsafe=True,
        )
    if found.config is None:
        return
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
                is_unsafe=(spec.name, key) in _UNSAFE,
            )


def found_on(admin: AdminClient, names: Sequence[str]) -> dict[str, Found]:
    """Those of the topics that exist, as they are. Raises BrokerUnavailable."""
    found, is_embedded = _found(admin, names)
    if is_embedded:
        raise BrokerUnavailable(
            "this is an embedded broker: it gets its topics when it starts, and has no settings for them"
        )
    hidden = [name for name, topic in found.items() if topic.config is None]
    if hidden:
        raise BrokerUnavailable(f"the broker does not let us see the configuration of {', '.join(hidden)}")
    return found


def _found(admin: AdminClient, names: Sequence[str]) -> tuple[dict[str, Found], bool]:
    """The same, as far as the broker tells; and whether it is an embedded one, whose topics have no configuration."""
    from confluent_kafka import KafkaException
    from confluent_kafka.admin import ConfigResource, ResourceType  # type: ignore[attr-defined]

    try:
        metadata = admin.list_topics(timeout=_REQUEST_S)
        existing = {name: metadata.topics[name] for name in names if name in metadata.topics}
        is_embedded = str(metadata.cluster_id).startswith(_EMBEDDED_CLUSTER)
        asked = [] if is_embedded else [ConfigResource(ResourceType.TOPIC, name) for name in existing]
        answers = admin.describe_configs(asked, request_timeout=_REQUEST_S) if asked else {}
        configs = {resource.name: _config(answer) for resource, answer in answers.items()}
    except _Gone:
        return _found(admin, names)
    except KafkaException as error:
        raise BrokerUnavailable(_said(error)) from error
    found = {
        name: Found(len(topic.partitions), _replicas(topic.partitions.values()), configs.get(name))
        for name, topic in existing.items()
    }
    return found, is_embedded


class _Gone(Exception):
    """A topic that was there a moment ago."""


def _config(answer: Any) -> dict[str, str] | None:
    """None where it is not for our eyes. Raises _Gone."""
    from confluent_kafka import KafkaError, KafkaException

    try:
        return {entry.name: entry.value for entry in answer.result().values()}
    except KafkaException as error:
        code = error.args[0].code()
        if code == KafkaError.UNKNOWN_TOPIC_OR_PART:
            raise _Gone from error
        if code == KafkaError.TOPIC_AUTHORIZATION_FAILED:
            return None
        raise


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
