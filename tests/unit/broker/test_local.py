"""A node's folder, properties and process, as far as no Kafka is needed."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from streams.broker.local import TEMPLATE, NodeFailed, default_directory, node_properties, start, status, stop


def write_node(directory: Path, pid: int) -> None:
    """What a node leaves that was started as that process."""
    node = {"pid": pid, "port": 9092, "directory": str(directory), "version": "4.3.0"}
    (directory / "node.json").write_text(json.dumps(node), encoding="utf-8")


def last_values(properties: str) -> dict[str, str]:
    """As Java reads them: comments left out, the later of two wins."""
    lines = (line for line in properties.splitlines() if line and not line.startswith("#"))
    return dict(line.split("=", 1) for line in lines)


def test_a_nodes_own_addresses_win_over_the_template() -> None:
    """Every address and the folder are the node's; nothing of the template's ports is left in force."""
    text = node_properties(
        TEMPLATE.read_text("utf-8"), directory=Path("/srv/kafka one"), port=19092, controller_port=19093
    )
    values = last_values(text)
    assert values["listeners"] == "PLAINTEXT://127.0.0.1:19092,CONTROLLER://127.0.0.1:19093"
    assert values["advertised.listeners"] == "PLAINTEXT://127.0.0.1:19092"
    assert values["controller.quorum.voters"] == "1@127.0.0.1:19093"
    assert values["log.dirs"] == "/srv/kafka one/data"
    assert not [key for key, value in values.items() if ":9092" in value or ":9093" in value]


def test_replicas_can_fetch_the_largest_changelog_batch() -> None:
    """A batch of the changelog's 16 MiB must fit what one replica asks of another."""
    values = last_values(TEMPLATE.read_text("utf-8"))
    assert int(values["replica.fetch.max.bytes"]) >= 16 * 1024 * 1024
    assert int(values["replica.fetch.response.max.bytes"]) >= 16 * 1024 * 1024


def test_the_data_folder_follows_xdg() -> None:
    """XDG_DATA_HOME where it is set, its default otherwise."""
    assert default_directory({"XDG_DATA_HOME": "/data"}) == Path("/data/throughline/kafka")
    assert default_directory({}) == Path.home() / ".local/share/throughline/kafka"


@pytest.mark.parametrize("content", ["", "{}", "[1]", '{"pid": 1}', "null"])
def test_a_broken_pid_file_counts_as_not_running(tmp_path: Path, content: str) -> None:
    """A crash may leave anything; nothing is started or killed on its word."""
    (tmp_path / "node.json").write_text(content, encoding="utf-8")
    assert status(tmp_path) is None


def test_a_reused_process_number_is_never_killed(tmp_path: Path) -> None:
    """After a crash the number may belong to somebody else: not running, and stop leaves that process alone."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as stranger:
        write_node(tmp_path, stranger.pid)
        assert status(tmp_path) is None
        assert stop(tmp_path) is None
        assert stranger.poll() is None
        stranger.communicate(b"\n")
    assert stranger.returncode == 0
    assert not (tmp_path / "node.json").exists()


def test_a_node_that_ignores_sigterm_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stop ends with the process gone, whatever the process thinks of it."""
    monkeypatch.setattr("streams.broker.local._STOP_S", 0.3)
    script = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); time.sleep(60)"
    command = [sys.executable, "-c", script, str(tmp_path / "server.properties")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        process.stdout.readline()
        write_node(tmp_path, process.pid)
        node = stop(tmp_path)
        assert node is not None
        assert node.pid == process.pid
        assert process.wait(5) == -9
    finally:
        process.kill()
        process.communicate()


def fake_tools(directory: Path, java: str = "") -> dict[str, str]:
    """An environment with a Java that says its version and does what the script says, and a Maven that fetches."""
    scripts = {
        "java": f"#!/bin/sh\n{java}\necho 'openjdk version \"17.0.1\"' >&2\n",
        "mvn": '#!/bin/sh\nfor word; do d="${word#-DoutputDirectory=}"; done\nmkdir -p "$d"; : > "$d/kafka_2.13.jar"\n',
    }
    for name, script in scripts.items():
        tool = directory / name
        tool.write_text(script, encoding="utf-8")
        tool.chmod(0o755)
    return {"PATH": f"{directory}:{os.environ['PATH']}", "XDG_CACHE_HOME": str(directory)}


def test_a_taken_port_is_named_before_kafka_is_asked(tmp_path: Path) -> None:
    """One line about the port instead of a Java stack trace."""
    environ = fake_tools(tmp_path)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(NodeFailed, match=f"port {port} is not free .*another --port"):
            start(tmp_path / "node", port=port, environ=environ)
    assert status(tmp_path / "node") is None


def test_options_of_the_java_machine_are_handed_on(tmp_path: Path) -> None:
    """Those of KAFKA_OPTS, by words as a shell has them, to the node alone. Seen to fail when they were left out."""
    said = tmp_path / "said"
    java = f"""for word; do [ "$word" = kafka.Kafka ] && printf '%s\\n' "$@" > {said} && exit 1; done"""
    environ = {**fake_tools(tmp_path, java), "KAFKA_OPTS": "-Xss2m '-Done=a b'"}
    with pytest.raises(NodeFailed, match="ended while it started"):
        start(tmp_path / "node", port=0, environ=environ)
    assert {"-Xss2m", "-Done=a b"} <= set(said.read_text("utf-8").splitlines())
