"""The embedded broker: librdkafka's mock cluster in a small process of its own, reached over TCP by every part.

Role: start and stop that process, and be it (`python -m streams.broker.embedded TOPIC:PARTITIONS …`). It prints its
address as one line, then obeys lines on stdin (`down`, `up`, `quit`) and ends with SIGTERM, with the end of stdin, or
when its parent is gone. Ctrl-C it ignores: parts that write to it stop first. Must not know what topics mean.

Delivery: none. Records live in memory and are forgotten with the process, or earlier, as described below.

What the mock cluster can and cannot do, seen with librdkafka 2.16, aiokafka 0.14 and confluent-kafka 2.16
(`tests/integration/test_brokers.py` shows what matters of it, on every run):

- It keeps RETENTION_BYTES or RETENTION_BATCHES a partition and forgets whole batches, the oldest first. A batch costs
  some 70 bytes more than its records. `beginning_offsets` tells exactly; a read below it is OFFSET_OUT_OF_RANGE.
- **A batch that pushes out all earlier ones of its partition cannot be read itself** (the log start jumps past it): it
  was acknowledged and is lost. No batch over MAX_BATCH_BYTES, then any two neighbours fit and it cannot happen.
- A fetch answers with one batch a partition: 3,500 records/s with one record a batch, 134,000 with 100. A fetch that
  finds nothing waits its whole time, whatever is written meanwhile: set the wait to 20-30 ms (p50 to the reader: 13 ms
  with 20, 274 ms with 500).
- Record timestamps are the producer's (no LogAppendTime); in produce responses they are always 1234. Offsets for times
  are unknown. Headers, null keys and null values, every compression work.
- Groups (classic protocol) work. A rebalance takes `session_timeout_ms − 1 s`, except the very first, which takes
  `group_delay_ms`: members that start together should join within it. Offsets commit with metadata; during a rebalance
  commits are refused, and once a group has had members only they can commit. A follower whose SyncGroup comes after
  the leader's is refused as INVALID_REQUEST, which aiokafka takes for fatal: `streams.runtime.group_patience` is the
  cure. Members of a group whose preferred assignors differ abort the broker.
- Transactions are accepted and mean nothing: what was aborted is read, zombies are not fenced.
- No topic is refused: an unknown one appears with 4 partitions as soon as it is asked for. CreateTopics, topic
  configurations, DescribeGroups: absent. Nobody is authenticated; it listens on loopback only.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import select
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from types import FrameType, TracebackType
from typing import IO

from streams.broker.librdkafka import LibraryMissing, MockCluster, MockFailed, load

__all__ = [
    "MAX_BATCH_BYTES",
    "RETENTION_BATCHES",
    "RETENTION_BYTES",
    "BrokerFailed",
    "EmbeddedBroker",
    "parse_topic",
]

RETENTION_BYTES = 5 * 1024 * 1024
RETENTION_BATCHES = 100_000
MAX_BATCH_BYTES = 2_500_000
"""A batch must be smaller than half of what a partition keeps; see the module's text."""

GROUP_DELAY_MS = 500
"""How long the first member of a group waits for others."""

_START_S = 20.0
_STOP_S = 5.0
_ANSWER_S = 10.0
_PARENT_CHECK_S = 0.5
_DONE = "ok"


class BrokerFailed(RuntimeError):
    """The embedded broker did not start, or is gone."""


class EmbeddedBroker:
    """The broker as the one who started it sees it. It never outlives that process."""

    def __init__(self, process: subprocess.Popen[str], *, bootstrap: str, complaints: IO[str]) -> None:
        self._process = process
        self._complaints = complaints
        self.bootstrap = bootstrap

    @classmethod
    def start(cls, topics: Mapping[str, int], *, group_delay_ms: int = GROUP_DELAY_MS) -> EmbeddedBroker:
        """Start a broker with these topics (name -> partitions). Raises BrokerFailed."""
        specs = [f"{name}:{partitions}" for name, partitions in topics.items()]
        complaints = tempfile.TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115 - lives as long as the process
        # Its parent by number: asked for after a start that took long, its parent might be another one already.
        options = ["--group-delay-ms", str(group_delay_ms), "--parent", str(os.getpid())]
        process = subprocess.Popen(
            [sys.executable, "-m", "streams.broker.embedded", *options, *specs],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=complaints,
            text=True,
        )
        broker = cls(process, bootstrap="", complaints=complaints)
        try:
            broker.bootstrap = broker._read_line(_START_S)
        except BrokerFailed:
            broker.stop()
            raise
        return broker

    @property
    def pid(self) -> int:
        """The process, for those who account for CPU time."""
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        """Whether the process runs."""
        return self._process.poll() is None

    def down(self) -> None:
        """Cut every connection and accept none, as a broker that crashed; its records are kept."""
        self._order("down")

    def up(self) -> None:
        """Come back after `down`, on the same address."""
        self._order("up")

    def stop(self) -> None:
        """End the process. Twice is fine."""
        if self._process.stdin and not self._process.stdin.closed:
            # The end of stdin is the order to stop. A broker that is gone already has closed its side.
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.close()
        try:
            self._process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout:
            self._process.stdout.close()
        self._complaints.close()

    def _order(self, word: str) -> None:
        if self._process.stdin is None or not self.is_alive:
            raise BrokerFailed(f"the embedded broker is gone{self._said()}")
        self._process.stdin.write(word + "\n")
        self._process.stdin.flush()
        answer = self._read_line(_ANSWER_S)
        if answer != _DONE:
            raise BrokerFailed(f"the embedded broker refused {word!r}: {answer}")

    def _read_line(self, timeout_s: float) -> str:
        """The next line it prints. Raises BrokerFailed at its end, or when nothing comes in time."""
        output = self._process.stdout
        if output is None or not select.select([output], [], [], timeout_s)[0]:
            raise BrokerFailed(f"the embedded broker did not answer within {timeout_s:g} s{self._said()}")
        line = output.readline().strip()
        if not line:
            self._process.wait(_STOP_S)
            raise BrokerFailed(
                f"the embedded broker ended with exit code {self._process.returncode}{self._said()}"
            )
        return line

    def _said(self) -> str:
        if self._complaints.closed:
            return ""
        self._complaints.seek(0)
        text = self._complaints.read().strip()
        return f": {text}" if text else ""

    def __enter__(self) -> EmbeddedBroker:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def parse_topic(spec: str) -> tuple[str, int]:
    """`name:partitions`. Raises ValueError."""
    name, _, count = spec.rpartition(":")
    if not name or not count.isdecimal() or int(count) < 1:
        raise ValueError(f"{spec!r} is not TOPIC:PARTITIONS, as in sessions:4")
    return name, int(count)


class _Terminated(Exception):
    """SIGTERM came."""


def _on_sigterm(number: int, frame: FrameType | None) -> None:
    raise _Terminated


def _arguments(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m streams.broker.embedded",
        description="A Kafka broker in memory, for one machine. Prints its address; obeys down, up and quit on stdin.",
    )
    parser.add_argument("topics", nargs="*", metavar="TOPIC:PARTITIONS")
    parser.add_argument("--group-delay-ms", type=int, default=GROUP_DELAY_MS)
    parser.add_argument("--parent", type=int, metavar="PID", help="end with this process")
    arguments = parser.parse_args(argv)
    try:
        arguments.topics = dict(map(parse_topic, arguments.topics))
    except ValueError as error:
        parser.error(str(error))
    return arguments


def _serve(cluster: MockCluster, parent: int) -> None:
    """Obey stdin until it ends, or says so, or the parent is gone."""
    # The parent is looked at as well: a pipe that something else inherited does not end with it.
    buffered = b""
    while os.getppid() == parent:
        if not select.select([0], [], [], _PARENT_CHECK_S)[0]:
            continue
        read = os.read(0, 4096)
        if not read:
            return
        *lines, buffered = (buffered + read).split(b"\n")
        for line in lines:
            word = line.decode(errors="replace").strip()
            if word == "quit":
                return
            print(_obey(cluster, word), flush=True)


def _obey(cluster: MockCluster, word: str) -> str:
    orders = {"down": cluster.down, "up": cluster.up}
    if word not in orders:
        return f"unknown order {word!r}: down, up, quit"
    try:
        orders[word]()
    except MockFailed as error:
        return str(error)
    return _DONE


def main(argv: Sequence[str] | None = None) -> int:
    """The broker process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _on_sigterm)
    arguments = _arguments(sys.argv[1:] if argv is None else argv)
    try:
        with MockCluster(load(), group_delay_ms=arguments.group_delay_ms) as cluster:
            for name, partitions in arguments.topics.items():
                cluster.create_topic(name, partitions)
            print(cluster.bootstrap, flush=True)
            _serve(cluster, arguments.parent or os.getppid())
    except _Terminated:
        return 0
    except (LibraryMissing, MockFailed) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
