"""`throughline identity` as people type it, against an embedded broker."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from confluent_kafka import Consumer, TopicPartition
from typer.testing import CliRunner, Result

from schemas.catalog import Catalog
from schemas.codec import decode
from streams.broker.embedded import EmbeddedBroker
from streams.cli.app import build
from streams.core.control import Control
from streams.core.identifier import murmur2
from streams.core.rules import Rules

PARTITIONS = 3
WHY = ("--by", "ann", "--reason", "ticket 7")


@pytest.fixture(scope="module")
def broker() -> Iterator[EmbeddedBroker]:
    """One for all tests here."""
    started = EmbeddedBroker.start({"identity.control": PARTITIONS})
    yield started
    started.stop()


def identity(bootstrap: str, *arguments: str) -> Result:
    """A call of the command."""
    environment = {"THROUGHLINE_KAFKA_BOOTSTRAP_SERVERS": bootstrap}
    return CliRunner().invoke(build(), ["identity", *arguments], env=environment)


def record_at(broker: EmbeddedBroker, partition: int, offset: int) -> tuple[bytes | None, bytes | None]:
    """(key, value) of what lies there."""
    consumer = Consumer({"bootstrap.servers": broker.bootstrap, "group.id": "look", "log_level": 0})
    try:
        consumer.assign([TopicPartition("identity.control", partition, offset)])
        message = consumer.poll(10)
        assert message is not None
        assert message.error() is None
        key, value = message.key(), message.value()
        assert not isinstance(key, str)
        assert not isinstance(value, str)
        return key, value
    finally:
        consumer.close()


@pytest.mark.parametrize(
    ("arguments", "key"),
    [
        (("merge", "user_id:2", "--into", "user_id:1"), "user_id:1"),
        (("alias", "email:Old@x.y", "--into", "email:New@x.y"), "email:new@x.y"),
        (("split", "device_id:d", "email:a@x.y"), "device_id:d"),
        (("block", "phone:+49 30 123456"), "phone:+4930123456"),
        (("allow", "device_id:d", "--at", "2026-01-02T03:04:05"), "device_id:d"),
    ],
)
def test_an_act_is_written_and_said(broker: EmbeddedBroker, arguments: tuple[str, ...], key: str) -> None:
    """What is printed is what lies in Kafka, under the key of whom it is about; a worker can read it."""
    result = identity(broker.bootstrap, *arguments, *WHY, "--json")
    assert result.exit_code == 0, result.output
    said = json.loads(result.stdout)
    partition, offset = said.pop("partition"), said.pop("offset")
    found, value = record_at(broker, partition, offset)
    assert (found, partition) == (key.encode(), murmur2(key.encode()) % PARTITIONS)
    assert decode(value) == ("identity.control", said)
    read = Control(Catalog.embedded(), Rules()).read(value, said["acted_at"])
    assert (read.act_id, read.kind, read.by, read.reason) == (said["act_id"], arguments[0], "ann", "ticket 7")


def test_people_are_told_in_a_line(broker: EmbeddedBroker) -> None:
    """Who, what, from when on, and where it lies; a time without a zone is UTC."""
    at = ("--at", "2026-01-02T03:04:05", "--act-id", "a-1")
    result = identity(broker.bootstrap, "merge", "user_id:2", "--into", "user_id:1", *WHY, *at)
    assert result.stdout.startswith(
        "merge user_id:2 into user_id:1 from 2026-01-02T03:04:05+00:00, by ann: act a-1, record "
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("split", "ann@x.y"), "'ann@x.y' is no identifier; write type:value"),
        (("block", "email:null"), "'null' identifies nobody"),
        (("merge", "user_id:1", "--into", "user_id:1"), "user_id:1 cannot be another name of itself"),
        (("split", "email:a@x.y", "--at", "soon"), "'soon' is no time"),
        (("split", "email:a@x.y", "--at", "2999-01-01"), "2999-01-01 is still to come"),
        (("split", "email:a@x.y", "--act-id", "x" * 513), "act_id is longer than 512"),
        (("split", *[f"user_id:{n}" for n in range(1, 102)]), "101 identifiers; an act names 1 to 100"),
    ],
)
def test_a_wrong_act_is_wrong_usage(broker: EmbeddedBroker, arguments: tuple[str, ...], said: str) -> None:
    """Nothing is written; one line says what is wrong."""
    result = identity(broker.bootstrap, *arguments, *WHY)
    assert (result.exit_code, said in result.stderr, len(result.stderr.splitlines())) == (2, True, 1)


def test_without_a_topic_or_a_broker_nothing_is_written() -> None:
    """Both are said, with what to do, and have the exit code of what is not available."""
    other = EmbeddedBroker.start({"touchpoints.web": 1})
    try:
        result = identity(other.bootstrap, "block", "email:a@x.y", *WHY)
    finally:
        other.stop()
    assert (result.exit_code, "`throughline topics create` makes it" in result.stderr) == (3, True)
    result = identity("127.0.0.1:1", "block", "email:a@x.y", *WHY)
    assert (result.exit_code, "no Kafka answers on 127.0.0.1:1" in result.stderr) == (3, True)
