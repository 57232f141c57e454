"""The embedded broker's process, as far as its clients do not matter."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import pytest

from streams.broker.embedded import (
    MAX_BATCH_BYTES,
    RETENTION_BYTES,
    BrokerFailed,
    EmbeddedBroker,
    parse_topic,
)
from streams.broker.librdkafka import LibraryMissing, candidates, load

WAIT_S = 10.0


def installed() -> Path:
    """The folder of confluent-kafka here."""
    spec = find_spec("confluent_kafka")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent


def is_gone(pid: int) -> bool:
    """Whether a process ends within WAIT_S; what is only left to be collected counts as ended."""
    deadline = time.monotonic() + WAIT_S
    while time.monotonic() < deadline:
        listed = subprocess.run(
            ["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False
        )
        if not listed.stdout.strip() or listed.stdout.startswith("Z"):
            return True
        time.sleep(0.05)
    return False


@pytest.mark.parametrize(
    ("spec", "topic"),
    [("sessions:4", ("sessions", 4)), ("touchpoints.web:1", ("touchpoints.web", 1)), ("a:b:2", ("a:b", 2))],
)
def test_a_topic_is_a_name_and_a_count(spec: str, topic: tuple[str, int]) -> None:
    """The last colon parts them."""
    assert parse_topic(spec) == topic


@pytest.mark.parametrize(
    "spec", ["", "sessions", ":4", "sessions:", "sessions:0", "sessions:-1", "sessions:four"]
)
def test_what_is_no_topic_is_refused(spec: str) -> None:
    """Each with what it should look like."""
    with pytest.raises(ValueError, match="not TOPIC:PARTITIONS"):
        parse_topic(spec)


def test_two_neighbouring_batches_always_fit_what_a_partition_keeps() -> None:
    """The bound that keeps a batch from pushing out all before it, and so itself."""
    assert 2 * (MAX_BATCH_BYTES + 100) <= RETENTION_BYTES


def test_the_library_is_looked_for_where_wheels_put_it(tmp_path: Path) -> None:
    """The extension first, then beside the package (Linux), then inside it (macOS)."""
    package = tmp_path / "confluent_kafka"
    places = [package / "cimpl.cpython-311-x86_64-linux-gnu.so", tmp_path / "confluent_kafka.libs/librdkafka-0.so.1",
              package / ".dylibs/librdkafka.1.dylib"]  # fmt: skip
    for path in places:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"no library")
    assert list(candidates(package)) == places


def test_the_library_is_found_without_the_extension(tmp_path: Path) -> None:
    """Where symbols cannot be seen through the extension, the bundled file itself does."""
    extension = next(candidates(installed()))
    # What it needs lies beside it, not beside the link: once loaded it is found.
    load(installed())
    package = tmp_path / "confluent_kafka"
    (package / ".dylibs").mkdir(parents=True)
    (package / "cimpl.so").write_bytes(b"no library")
    (package / ".dylibs" / "librdkafka.1.dylib").symlink_to(extension)
    assert callable(load(package).rd_kafka_mock_cluster_new)


def test_a_missing_library_says_where_it_was_looked_for(tmp_path: Path) -> None:
    """And how to get it."""
    with pytest.raises(LibraryMissing, match=rf"no file of it in {tmp_path}.*pip install confluent-kafka"):
        load(tmp_path)
    (tmp_path / "cimpl.so").write_bytes(b"no library")
    with pytest.raises(LibraryMissing, match=rf"{tmp_path}/cimpl\.so: .*pip install confluent-kafka"):
        load(tmp_path)


def test_a_broker_that_cannot_start_says_why() -> None:
    """The message of its process is in the exception."""
    with pytest.raises(BrokerFailed, match=r"(?s)exit code 2.*'sessions:0' is not TOPIC:PARTITIONS"):
        EmbeddedBroker.start({"sessions": 0})


def test_stop_ends_the_process_and_may_be_repeated() -> None:
    """The broker is a guest of the one who started it."""
    broker = EmbeddedBroker.start({"sessions": 1})
    assert broker.bootstrap.startswith("127.0.0.1:")
    broker.stop()
    broker.stop()
    assert not broker.is_alive
    assert is_gone(broker.pid)
    with pytest.raises(BrokerFailed, match="is gone"):
        broker.down()


def test_sigterm_ends_it_and_ctrl_c_does_not() -> None:
    """Ctrl-C reaches everything in the terminal; the parts that write to the broker must be able to finish."""
    with EmbeddedBroker.start({"sessions": 1}) as broker:
        os.kill(broker.pid, signal.SIGINT)
        time.sleep(0.2)
        survived = broker.is_alive
        os.kill(broker.pid, signal.SIGTERM)
        assert is_gone(broker.pid)
        assert (survived, broker.is_alive) == (True, False)


@pytest.mark.parametrize("inherits", [False, True], ids=["stdin ends", "stdin is held open by somebody else"])
def test_it_never_outlives_its_parent(inherits: bool) -> None:
    """Killed with SIGKILL, a parent can order nothing: the broker sees it by itself, from stdin or from its parent."""
    script = (
        "import subprocess, time\n"
        "from streams.broker.embedded import EmbeddedBroker\n"
        "broker = EmbeddedBroker.start({'sessions': 1})\n"
        "heir = None\n"
        f"if {inherits}:\n"
        "    # Holds on to the writing end of the broker's stdin.\n"
        "    keep = broker._process.stdin.fileno()\n"
        "    heir = subprocess.Popen(['sleep', '60'], pass_fds=[keep], stdout=subprocess.DEVNULL)\n"
        "print(broker.pid, heir.pid if heir else 0, flush=True)\n"
        "time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        broker, heir = map(int, parent.stdout.readline().split())
        parent.kill()
    try:
        assert is_gone(broker)
    finally:
        if heir:
            os.kill(heir, signal.SIGKILL)
