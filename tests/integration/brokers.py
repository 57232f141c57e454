"""Brokers for tests: `embedded_broker` starts as many embedded ones as asked, `real_kafka` is one for the session.

`real_kafka` is, in this order: the broker that THROUGHLINE_KAFKA_BOOTSTRAP_SERVERS names, a node from Maven jars, a
container. It is shared: tests use topics of their own (`fresh_topics`). Tests that need it carry the marker kafka.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from streams.broker import local
from streams.broker.embedded import EmbeddedBroker
from streams.broker.jars import ToolMissing, ensure_jars, find_java
from streams.broker.local import Node
from streams.runtime.topics import partition_counts
from streams.settings import load
from tests.conftest import require

__all__ = ["EmbeddedBrokers", "RealKafka", "embedded_broker", "fresh_topics", "real_kafka", "start_node"]

EmbeddedBrokers = Callable[..., EmbeddedBroker]

_EXTERNAL = "THROUGHLINE_KAFKA_BOOTSTRAP_SERVERS"
# Its start script is what testcontainers knows how to drive; Kafka 3.8.
_IMAGE = "confluentinc/cp-kafka:7.8.0"


@dataclass(frozen=True, slots=True)
class RealKafka:
    """A real broker. `pid` is its process, if it is one of this machine (for CPU time); `origin` says whose it is."""

    bootstrap: str
    pid: int | None
    origin: str


@pytest.fixture
def embedded_broker() -> Iterator[EmbeddedBrokers]:
    """`embedded_broker(partitions)` starts one with all topics of Throughline, `topics=` with others; all end here."""
    with contextlib.ExitStack() as running:

        def start(
            partitions: int = 4, *, topics: Mapping[str, int] | None = None, group_delay_ms: int = 500
        ) -> EmbeddedBroker:
            settings = load(None, {"THROUGHLINE_KAFKA_PARTITIONS": str(partitions)})
            asked = partition_counts(settings) if topics is None else topics
            return running.enter_context(EmbeddedBroker.start(asked, group_delay_ms=group_delay_ms))

        yield start


@pytest.fixture(scope="session")
def real_kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealKafka]:
    """One real Kafka for all tests of this run; skips (or fails, see `require`) where none can be had."""
    if external := os.environ.get(_EXTERNAL):
        yield RealKafka(external, None, "external")
        return
    try:
        find_java(os.environ)
        ensure_jars(os.environ)
    except ToolMissing as missing:
        yield from _container(str(missing))
    else:
        yield from _node(tmp_path_factory.mktemp("kafka"))


def start_node(directory: Path, *, port: int = 0) -> Node:
    """A node that compiles for minutes, not for days: for the long run it costs a core while a test lasts."""
    return local.start(directory, port=port, environ={**os.environ, "KAFKA_OPTS": "-XX:TieredStopAtLevel=1"})


def _node(directory: Path) -> Iterator[RealKafka]:
    node = start_node(directory)
    try:
        yield RealKafka(node.bootstrap, node.pid, "node")
    finally:
        local.stop(directory)


def _container(why_no_node: str) -> Iterator[RealKafka]:
    docker = shutil.which("docker")
    if docker is None or subprocess.run([docker, "info"], capture_output=True, check=False).returncode:
        require("kafka", f"{why_no_node} And no Docker answers.")
    from testcontainers.community.kafka import KafkaContainer

    with KafkaContainer(_IMAGE).with_kraft() as container:
        yield RealKafka(container.get_bootstrap_server(), None, "container")


@pytest.fixture
def fresh_topics() -> Callable[[str], str]:
    """`fresh_topics("sessions")` is a name nobody else of this run has: a shared broker keeps what is written."""
    suffix = uuid.uuid4().hex[:8]
    return lambda name: f"{name}-{suffix}"
