"""Acts through the whole line, embedded: typed by an operator, landed with who and why."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer
from typer.testing import CliRunner

from streams.cli.app import build
from streams.cli.embedded import Running
from tests.integration.line import line
from tests.integration.test_line import START_MS, dead_letters, value

WHY = ("--by", "ann", "--reason", "ticket 7", "--at", "2026-03-01T00:00:00Z")


def act(running: Running, *arguments: str) -> None:
    """As an operator types it."""
    environment = {"THROUGHLINE_KAFKA_BOOTSTRAP_SERVERS": running.line.bootstrap}
    result = CliRunner().invoke(build(), ["identity", *arguments, *WHY], env=environment)
    assert result.exit_code == 0, result.output


def owners(running: Running) -> dict[str, str]:
    """Today's profile of each identifier."""
    return dict(running.query("SELECT identifier, profile_id FROM current_identities"))


def put(running: Running, topic: str, *values: bytes) -> None:
    """Records, whatever they are."""
    producer = Producer({"bootstrap.servers": running.line.bootstrap})
    for each in values:
        producer.produce(topic, each, b"user_id:1", timestamp=START_MS)
    assert producer.flush(30) == 0


def seen(message_id: str, **identifiers: Any) -> bytes:
    """A touchpoint with these identifiers."""
    return value(message_id, identifiers=identifiers)


@pytest.mark.timeout(120)
def test_an_operators_acts_land_with_who_and_why(tmp_path: Path) -> None:
    """Two accounts become one, a tablet is split off; a wrong act is a dead letter; readers see today's people."""
    with line(tmp_path, partitions=2) as running:
        put(
            running, "touchpoints.web",
            seen("m1", user_id="1", device_id="tablet"), seen("m2", user_id="2"), seen("m3", device_id="tablet"),
        )  # fmt: skip
        act(running, "merge", "user_id:2", "--into", "user_id:1")
        act(running, "split", "device_id:tablet", "--act-id", "twice")
        act(running, "split", "device_id:tablet", "--act-id", "twice")
        put(running, "identity.control", b"no act")
        feeder = running.line.feeder()
        feeder.finish(START_MS)
        feeder.close()
        running.line.wait_until_landed()
        today = owners(running)
        assert today["user_id:1"] == today["user_id:2"] != today["device_id:tablet"]
        (splits,) = running.query(
            "SELECT identifier, decided_by, reason, rule, count() FROM identities WHERE kind = 'split' "
            "GROUP BY ALL HAVING identifier = 'device_id:tablet'"
        )
        assert splits == ("device_id:tablet", "ann", "ticket 7", "split", 1)
        people: dict[str, str] = dict(running.query("SELECT message_id, profile_id FROM current_touchpoints"))
        assert people == {
            "m1": today["user_id:1"],
            "m2": today["user_id:1"],
            "m3": today["device_id:tablet"],
        }
        assert dead_letters(running.line.bootstrap, topic="identity.control") == {b"no act": "unreadable"}
