"""A receiver that listens, a broker, and the service between them: what its tests stand on."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from random import Random
from typing import Any

from confluent_kafka import Consumer, Producer, TopicPartition

from schemas.codec import decode
from sinks.webhook.answers import Outcome
from sinks.webhook.endpoint import Endpoint
from sinks.webhook.service import ServiceOptions, serve, wall_clock_ms

PARTITIONS = 2
TOPICS = {"actions": PARTITIONS, "deliveries": PARTITIONS}
GROUP = "test-webhook"
SESSION_MS = 1_500
WAIT_S = 20.0


@dataclass(frozen=True, slots=True)
class Request:
    """What a receiver got."""

    headers: dict[str, str]
    body: bytes

    @property
    def key(self) -> str:
        return self.headers["idempotency-key"]


class Receiver:
    """An HTTP server in threads; `answer` gives status and headers, and may take its time."""

    def __init__(self, answer: Callable[[Request], tuple[int, dict[str, str]]] = lambda _: (200, {})) -> None:
        self.got: list[Request] = []
        self.most_at_once = 0
        self._answer = answer
        self._at_once = 0
        self._lock = threading.Lock()
        self.closing = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._server.block_on_close = False
        self.url = f"http://127.0.0.1:{self._server.server_port}/actions"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def heard(self) -> list[str]:
        return [request.key for request in self.got]

    def close(self) -> None:
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()

    def _take(self, request: Request) -> tuple[int, dict[str, str]]:
        with self._lock:
            self.got.append(request)
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            return self._answer(request)
        finally:
            with self._lock:
                self._at_once -= 1

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                headers = {name.lower(): value for name, value in self.headers.items()}
                status, more = receiver._take(Request(headers, body))
                try:
                    self.send_response(status)
                    for name, value in {"Content-Length": "0", **more}.items():
                        self.send_header(name, value)
                    self.end_headers()
                except OSError:
                    self.close_connection = True  # it did not wait for us

            def log_message(self, format: str, *args: Any) -> None:
                """Nobody reads it."""

        return Handler


@contextmanager
def receiving(
    answer: Callable[[Request], tuple[int, dict[str, str]]] = lambda _: (200, {}),
) -> Iterator[Receiver]:
    receiver = Receiver(answer)
    try:
        yield receiver
    finally:
        receiver.close()


class Served:
    """What a service said when it had ended."""

    outcomes: dict[str, Counter[Outcome]]


@contextmanager
def serving(
    bootstrap: str,
    *endpoints: Endpoint,
    clock_ms: Callable[[], int] = wall_clock_ms,
    metrics_port: int = 0,
    session_ms: int = SESSION_MS,
) -> Iterator[Served]:
    """The service in a thread with an event loop of its own, stopped at the end as SIGTERM would."""
    options = ServiceOptions(bootstrap, GROUP, metrics_port, session_ms)
    served, failures, started = Served(), list[BaseException](), threading.Event()
    stop: list[Callable[[], object]] = []

    async def run() -> None:
        asked, loop = asyncio.Event(), asyncio.get_running_loop()
        stop.append(lambda: loop.call_soon_threadsafe(asked.set))
        started.set()
        served.outcomes = await serve(options, endpoints, asked, clock_ms=clock_ms, random=Random(1))

    def body() -> None:
        try:
            asyncio.run(run())
        except BaseException as error:
            failures.append(error)
            started.set()

    thread = threading.Thread(target=body)
    thread.start()
    started.wait()
    try:
        yield served
    finally:
        if thread.is_alive():
            stop[0]()
        thread.join(WAIT_S)
    assert not thread.is_alive()
    assert failures == []


def write(bootstrap: str, *values: bytes, partition: int = 0) -> None:
    """Onto the topic of actions."""
    producer = Producer({"bootstrap.servers": bootstrap})
    for value in values:
        producer.produce("actions", value, partition=partition)
    assert producer.flush(WAIT_S) == 0


def deliveries(bootstrap: str) -> list[dict[str, Any]]:
    """All delivery records there are, those of an action in their order."""
    consumer = Consumer({
        "bootstrap.servers": bootstrap, "group.id": "test-reader", "enable.auto.commit": False, "fetch.wait.max.ms": 30
    })  # fmt: skip
    found = []
    try:
        places = [TopicPartition("deliveries", partition, 0) for partition in range(PARTITIONS)]
        left = {place.partition: consumer.get_watermark_offsets(place)[1] for place in places}
        consumer.assign(places)
        while any(count > 0 for count in left.values()):
            for message in consumer.consume(1_000, 0.1):
                assert message.error() is None
                left[message.partition() or 0] -= 1
                found.append(decode(message.value())[1])
    finally:
        consumer.close()
    return found


def committed(bootstrap: str, endpoint: str, *, group: str = "") -> dict[int, int]:
    """Partition -> offset that the endpoint's group has committed, where it has."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": group or f"{GROUP}-{endpoint}"})
    try:
        asked = [TopicPartition("actions", partition) for partition in range(PARTITIONS)]
        return {each.partition: each.offset for each in consumer.committed(asked, timeout=WAIT_S)}
    finally:
        consumer.close()


def until(is_true: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + WAIT_S
    while not is_true():
        assert time.monotonic() < deadline_s
        time.sleep(0.02)
