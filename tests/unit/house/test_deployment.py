"""docker-compose.yml and deploy/, which cannot be started everywhere, held against settings and commands."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.main import get_command

from streams.cli.app import build
from streams.settings import Settings, load
from tests.conftest import REPOSITORY

DEPLOY = REPOSITORY / "deploy"


def filled_in(text: str) -> str:
    """`${NAME:-default}` as Compose reads it where nobody sets NAME."""
    return re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", text)


COMPOSE: dict[str, Any] = yaml.safe_load(filled_in((REPOSITORY / "docker-compose.yml").read_text()))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = sorted(name for name, service in SERVICES.items() if "build" in service)


def settings_of(name: str) -> Settings:
    """What a container of ours would run with."""
    return load(None, SERVICES[name]["environment"])


@pytest.mark.parametrize("name", OURS)
def test_every_setting_in_compose_is_one(name: str) -> None:
    """A misspelt or impossible setting fails here, not at midnight."""
    settings = settings_of(name)
    assert settings.kafka.bootstrap_servers == "kafka:19092"
    assert settings.clickhouse.url == "http://clickhouse:8123"


@pytest.mark.parametrize("name", OURS)
def test_every_command_in_compose_is_one(name: str) -> None:
    """Each `command:` is parsed by the real command line, options too."""
    command: Any = get_command(build())
    words = list(SERVICES[name]["command"])
    while hasattr(command, "commands"):
        assert words[0] in command.commands
        command = command.commands[words.pop(0)]
    command.make_context(name, words)


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_what_a_service_waits_for_exists(name: str) -> None:
    """Names in depends_on are services, and a health that is waited for is checked."""
    waits = SERVICES[name].get("depends_on", {})
    assert set(waits) <= SERVICES.keys()
    for other, how in waits.items() if isinstance(waits, dict) else ():
        assert how["condition"] != "service_healthy" or "healthcheck" in SERVICES[other]


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_images_are_pinned(name: str) -> None:
    """The same commit starts the same versions."""
    tag = SERVICES[name]["image"].partition(":")[2]
    assert re.search(r"\d", tag), f"{name} has no version"


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_mounted_files_exist_and_named_volumes_are_declared(name: str) -> None:
    """Compose would make a directory of a file that is not there, and say nothing."""
    for volume in SERVICES[name].get("volumes", ()):
        source = volume.split(":")[0]
        exists = (REPOSITORY / source).is_file() if source.startswith(".") else source in COMPOSE["volumes"]
        assert exists, volume


def test_kafka_advertises_what_the_parts_are_told() -> None:
    """Clients in the network and on the host each get an address that leads back to the broker."""
    broker = SERVICES["kafka"]["environment"]
    advertised = broker["KAFKA_ADVERTISED_LISTENERS"].split(",")
    assert f"INSIDE://{settings_of('worker').kafka.bootstrap_servers}" in advertised
    assert f"HOST://{Settings().kafka.bootstrap_servers.replace('127.0.0.1', 'localhost')}" in advertised


def test_clickhouse_knows_the_user_the_parts_come_as() -> None:
    """User, password and database in deploy/clickhouse are those of the settings."""
    told = settings_of("sink").clickhouse
    users = ElementTree.parse(DEPLOY / "clickhouse" / "users.d" / "throughline.xml").getroot()
    password = users.find(f"users/{told.user}/password")
    assert password is not None
    assert SERVICES["clickhouse"]["environment"][password.attrib["from_env"]] == told.password
    granted = [grant.text for grant in users.iterfind(f"users/{told.user}/grants/query")]
    assert f"GRANT ALL ON {told.database}.*" in granted


def test_prometheus_scrapes_what_is_there() -> None:
    """Each target is a service, on the port on which that service has its metrics."""
    jobs = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text())["scrape_configs"]
    replicas = {
        name: found["port"]
        for job in jobs
        for found in job.get("dns_sd_configs", ())
        for name in found["names"]
    }
    assert replicas == {
        "worker": settings_of("worker").worker.metrics_port,
        "webhook": settings_of("webhook").webhook.metrics_port,
    }
    fixed = [target for job in jobs for found in job.get("static_configs", ()) for target in found["targets"]]
    config = ElementTree.parse(DEPLOY / "clickhouse" / "config.d" / "throughline.xml").getroot()
    assert fixed == [f"clickhouse:{config.findtext('prometheus/port')}"]


def test_the_image_is_built_from_what_is_there() -> None:
    """Everything the Dockerfile copies exists and passes .dockerignore."""
    lines = (DEPLOY / "Dockerfile").read_text().splitlines()
    copies = [line.split()[1:-1] for line in lines if line.startswith("COPY ")]
    copied = {word for words in copies if not words[0].startswith("--from=") for word in words}
    let_in = {
        line[1:] for line in (REPOSITORY / ".dockerignore").read_text().splitlines() if line.startswith("!")
    }
    assert copied == let_in
    assert all(Path(REPOSITORY / name).exists() for name in copied)
