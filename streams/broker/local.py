"""A real one-node Kafka on this machine, without Docker: start, stop, status, each for a folder that keeps its data.

Role: one node a folder, any number of folders at once. A node outlives the command that started it. Must not know
topics, nor how Java and the jars came here (`jars`).

    <folder>/server.properties   what it was started with
    <folder>/data/               its records, kept between starts
    <folder>/kafka.log           what it said (and kafka.log.1, the time before)
    <folder>/node.json           process, port; there while it runs
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shlex
import signal
import socket
import subprocess
import time
import uuid
from base64 import urlsafe_b64encode
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from streams.broker.jars import ensure_jars, find_java, kafka_version

__all__ = [
    "DEFAULT_PORT",
    "Node",
    "NodeFailed",
    "default_directory",
    "node_properties",
    "start",
    "status",
    "stop",
]

DEFAULT_PORT = 9092
TEMPLATE = Path(__file__).with_name("server.properties")

_HEAP_MB = 512
_START_S = 90.0
_STOP_S = 30.0
_KILL_S = 5.0
_POLL_S = 0.1
_ANSWER_S = 10.0
_HOST = "127.0.0.1"

#: Nodes this process started: it has to collect them when they end.
_children: dict[int, subprocess.Popen[bytes]] = {}


class NodeFailed(RuntimeError):
    """The node did not start, or did not stop; the message says why and where to read on."""


@dataclass(frozen=True, slots=True)
class Node:
    """A running node."""

    pid: int
    port: int
    directory: str
    version: str

    @property
    def bootstrap(self) -> str:
        """`host:port`."""
        return f"{_HOST}:{self.port}"


def default_directory(environ: Mapping[str, str]) -> Path:
    """Where the node of this user keeps its data: under XDG_DATA_HOME."""
    root = environ.get("XDG_DATA_HOME")
    return (Path(root) if root else Path.home() / ".local" / "share") / "throughline" / "kafka"


def status(directory: Path) -> Node | None:
    """The node that runs on this folder; None if none does. A pid file left by a crash counts as none."""
    try:
        node = Node(**json.loads((directory / "node.json").read_text("utf-8")))
    except (OSError, ValueError, TypeError):
        return None
    return node if _is_running(node.pid, directory) else None


def start(
    directory: Path, *, port: int = DEFAULT_PORT, environ: Mapping[str, str], heap_mb: int = _HEAP_MB
) -> Node:
    """Start the node of this folder and wait until it answers; if it runs already, that one is the answer.

    Port 0 is any free one; `KAFKA_OPTS` are more options of the Java machine, as in Kafka's own scripts. Raises
    ToolMissing without Java or the jars, NodeFailed otherwise.
    """
    directory = directory.resolve()
    directory.mkdir(parents=True, exist_ok=True)
    with _only_one(directory):
        running = status(directory)
        if running is not None:
            if port not in (0, running.port):
                raise NodeFailed(
                    f"a Kafka node runs on {directory} already, at port {running.port} (process {running.pid}); "
                    f"stop it first, or choose another --directory"
                )
            return running
        java = [str(find_java(environ)), "-cp", str(ensure_jars(environ) / "*")]
        options = shlex.split(environ.get("KAFKA_OPTS", ""))
        return _start(directory, _checked_port(port), java=java, options=options, heap_mb=heap_mb)


def _start(directory: Path, port: int, *, java: list[str], options: list[str], heap_mb: int) -> Node:
    properties = directory / "server.properties"
    template = TEMPLATE.read_text("utf-8")
    properties.write_text(
        node_properties(template, directory=directory, port=port, controller_port=_free_port()), "utf-8"
    )
    if not (directory / "data" / "meta.properties").is_file():
        _format(java, properties)
    process = _spawn(directory, properties, java=java, options=options, heap_mb=heap_mb)
    node = Node(process.pid, port, str(directory), kafka_version())
    _write(directory / "node.json", json.dumps(asdict(node)))
    try:
        _wait_until_it_answers(node, process)
    except BaseException:
        # Also when somebody loses patience: what was started here must not stay behind.
        stop(directory)
        raise
    return node


def node_properties(template: str, *, directory: Path, port: int, controller_port: int) -> str:
    """The template with one node's addresses and folder behind it; of two lines with one key, Kafka takes the later."""
    # A backslash escapes in a properties file.
    data = str(directory / "data").replace("\\", "\\\\")
    own = {
        "listeners": f"PLAINTEXT://{_HOST}:{port},CONTROLLER://{_HOST}:{controller_port}",
        "advertised.listeners": f"PLAINTEXT://{_HOST}:{port}",
        "controller.quorum.voters": f"1@{_HOST}:{controller_port}",
        "log.dirs": data,
    }
    return template + "\n# This node.\n" + "".join(f"{key}={value}\n" for key, value in own.items())


def _checked_port(port: int) -> int:
    if port == 0:
        return _free_port()
    with socket.socket() as probe:
        # As the node will: a port in its last minute of a closed connection is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((_HOST, port))
        except OSError as error:
            raise NodeFailed(
                f"port {port} is not free ({error.strerror}); stop what listens there, or choose another --port"
            ) from error
    return port


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((_HOST, 0))
        return int(probe.getsockname()[1])


def _format(java: list[str], properties: Path) -> None:
    # A leading hyphen would be taken for an option.
    cluster_id = "A" + urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")[1:]
    ran = subprocess.run(
        [*java, "kafka.tools.StorageTool", "format", "-t", cluster_id, "-c", str(properties)],
        capture_output=True,
        text=True,
        check=False,
    )
    if ran.returncode:
        raise NodeFailed(
            f"the folder {properties.parent} could not be formatted: {_last_line(ran.stderr + ran.stdout)}"
        )


def _spawn(
    directory: Path, properties: Path, *, java: list[str], options: list[str], heap_mb: int
) -> subprocess.Popen[bytes]:
    log = directory / "kafka.log"
    if log.exists():
        log.replace(log.with_name("kafka.log.1"))
    flags = [
        f"-Xmx{heap_mb}m",
        f"-Xms{min(256, heap_mb)}m",
        "-XX:+UseSerialGC",
        "-XX:+ExitOnOutOfMemoryError",
        "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
        "-Dorg.slf4j.simpleLogger.showDateTime=true",
        *options,
    ]
    with log.open("wb") as said:
        process = subprocess.Popen(
            [java[0], *flags, *java[1:], "kafka.Kafka", str(properties)],
            cwd=directory,
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            # Ctrl-C in the terminal that started it is not meant for it.
            start_new_session=True,
        )
    _children[process.pid] = process
    return process


def _wait_until_it_answers(node: Node, process: subprocess.Popen[bytes]) -> None:
    log = Path(node.directory, "kafka.log")
    deadline = time.monotonic() + _START_S
    while not _listens(node.port):
        if process.poll() is not None:
            raise NodeFailed(f"Kafka ended while it started: {_complaint(log)} (all of it: {log})")
        if time.monotonic() > deadline:
            raise NodeFailed(
                f"Kafka did not listen within {_START_S:g} s: {_complaint(log)} (all of it: {log})"
            )
        time.sleep(_POLL_S)
    _ask(node, log=log)


def _listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection((_HOST, port), timeout=1.0):
        return True
    return False


def _ask(node: Node, *, log: Path) -> None:
    """It listens before it is a broker: wait until it names itself as one."""
    from confluent_kafka import KafkaException
    from confluent_kafka.admin import AdminClient

    admin = AdminClient({"bootstrap.servers": node.bootstrap, "log_level": 0})
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline:
        with contextlib.suppress(KafkaException):
            if admin.list_topics(timeout=_ANSWER_S).brokers:
                return
        time.sleep(_POLL_S)
    raise NodeFailed(
        f"Kafka listens on port {node.port} but does not answer: {_complaint(log)} (all of it: {log})"
    )


def _complaint(log: Path) -> str:
    """The first error in its log: what follows is mostly consequence."""
    lines = log.read_text("utf-8", errors="replace").splitlines() if log.exists() else []
    errors = [line for line in lines if "ERROR" in line or "Exception" in line or "FATAL" in line]
    return errors[0].strip() if errors else (lines[-1].strip() if lines else "it said nothing")


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "it said nothing"


def stop(directory: Path) -> Node | None:
    """Stop the node of this folder and wait for its end; None if none runs. SIGTERM, and SIGKILL if that fails."""
    directory = directory.resolve()
    node = status(directory)
    if node is not None:
        # It may end by itself meanwhile.
        with contextlib.suppress(ProcessLookupError):
            os.kill(node.pid, signal.SIGTERM)
            if not _ends(node.pid, directory, within_s=_STOP_S):
                os.kill(node.pid, signal.SIGKILL)
                if not _ends(node.pid, directory, within_s=_KILL_S):
                    raise NodeFailed(f"process {node.pid} does not end, not even when killed")
    (directory / "node.json").unlink(missing_ok=True)
    return node


def _ends(pid: int, directory: Path, *, within_s: float) -> bool:
    deadline = time.monotonic() + within_s
    while _is_running(pid, directory):
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_S)
    return True


def _is_running(pid: int, directory: Path) -> bool:
    """Whether that process is the node of this folder: after a crash its number may be somebody else's."""
    child = _children.get(pid)
    if child is not None and child.poll() is not None:
        del _children[pid]
    return str(directory.resolve() / "server.properties") in _command_of(pid)


def _command_of(pid: int) -> list[str]:
    """The words a process was started with; none if it is gone."""
    try:
        # What a process that ended left behind, until it is collected, is empty here.
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        if Path("/proc/self/cmdline").exists():
            return []
    listed = subprocess.run(
        ["ps", "-ww", "-o", "command=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    return listed.stdout.split()


@contextlib.contextmanager
def _only_one(directory: Path) -> Iterator[None]:
    """Two starts on one folder come one after the other; the second then finds the first one's node."""
    with (directory / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _write(path: Path, text: str) -> None:
    fresh = path.with_name(path.name + ".new")
    fresh.write_text(text, "utf-8")
    fresh.replace(path)
