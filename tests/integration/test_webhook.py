"""Actions of the whole line, told to a receiver that is not always well, and what the warehouse knows of it."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock

import pytest

from streams.simulator.emit import Simulation
from streams.simulator.options import HOUR_MS, Options
from tests.differential.lines import play, real
from tests.differential.scenarios import START_MS
from tests.differential.stream import Scenario, Stream
from tests.integration.brokers import RealKafka
from tests.integration.line import Query, feed, line
from tests.unit.webhook.build import endpoint
from tests.unit.webhook.world import Request, receiving, serving, until

pytestmark = pytest.mark.timeout(240)

SESSION_MS = 6_000
"""The least that a real Kafka takes."""


class Shop:
    """Answers one request in five with a failure, after it has taken it or without; keeps what it was told."""

    def __init__(self, seed: int) -> None:
        self.heard: dict[str, list[tuple[int, str]]] = {}
        self.successes = 0
        self._random, self._lock = random.Random(seed), Lock()

    def last(self, action_id: str) -> str | None:
        """As what it stands there."""
        return self.heard[action_id][-1][1] if action_id in self.heard else None

    def answer(self, request: Request) -> tuple[int, dict[str, str]]:
        with self._lock:
            is_failing, takes = self._random.random() < 0.2, self._random.random() < 0.5
            if is_failing and not takes:
                return 503, {}
            told = json.loads(request.body)
            self.heard.setdefault(told["action_id"], []).append((told["revision"], told["status"]))
            self.successes += not is_failing
            return (503 if is_failing else 200), {}


def told_right(
    shop: Shop, options: Options, *, bootstrap: str, query: Query, feed_day: Callable[[], object]
) -> None:
    """The day is told while it is being processed, by a clock of its morning, and comes out right."""
    began_s = time.monotonic()

    def morning_ms() -> int:
        return options.start_ms + int((time.monotonic() - began_s) * 1_000)

    with receiving(shop.answer) as crm:
        receiver = endpoint(url=crm.url, wants_recovered=True, first_backoff_s=0.05)
        with serving(bootstrap, receiver, clock_ms=morning_ms, session_ms=SESSION_MS):
            feed_day()
            asked = "SELECT action_id, status FROM current_actions WHERE "
            holds: dict[str, str] = dict(query(asked + "NOT historical"))
            due = {name for name, status in holds.items() if status == "due"}
            until(lambda: all(shop.last(name) == "due" for name in due))
            until(lambda: all(shop.last(name) in (None, status) for name, status in holds.items()))
        assert shop.heard.keys() <= holds.keys()
        assert due
        for heard in shop.heard.values():
            assert heard == sorted(heard)
        succeeded = "SELECT countIf(outcome = 'delivered') FROM deliveries"
        until(lambda: query(succeeded) == [(shop.successes,)])


def options_of(seed: int, start: str = Options().start) -> Options:
    """A day of a small shop."""
    return Options(people=160, seed=seed % 1_000_000, start=start)


def test_a_receiver_ends_up_with_the_actions_that_hold(seed: int, tmp_path: Path) -> None:
    """Whatever failed, what is due was told last as due, what was cancelled or recovered was told last as that, or
    never; historical ones never; revisions came in their order; and every success is a row of the warehouse. Seen to
    fail with `deliveries` taken off the sink's topics."""
    options = options_of(seed)
    with line(tmp_path) as running:
        told_right(
            Shop(seed),
            options,
            bootstrap=running.line.bootstrap,
            query=running.query,
            feed_day=lambda: feed(running, options),
        )


@pytest.mark.kafka
def test_the_same_on_a_real_kafka(real_kafka: RealKafka, seed: int, tmp_path: Path) -> None:
    """Where outputs come in transactions: what is not committed is told to nobody."""
    options = options_of(seed, start=datetime.fromtimestamp(START_MS / 1_000, UTC).isoformat())
    records = tuple(Simulation(options).records())
    stream = Stream((Scenario("a day", records),), ticks_ms=range(options.start_ms, options.end_ms, HOUR_MS))
    with real(real_kafka, tmp_path) as installed:
        told_right(
            Shop(seed),
            options,
            bootstrap=real_kafka.bootstrap,
            query=installed.query,
            feed_day=lambda: play(installed, stream),
        )
