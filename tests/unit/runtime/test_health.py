"""The endpoints answer from a thread, and say yes and no as the progress is; `throughline health` asks them."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
from typer.testing import CliRunner

from streams.cli.app import build
from streams.runtime.health import CannotServe, Health
from streams.runtime.metrics import Metrics
from streams.runtime.progress import Progress


class House:
    """A worker's endpoints over a clock that is set by hand."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.progress = Progress(lambda: self.now_s, 100.0, "inbox")
        self.metrics = Metrics(self.progress)
        self.health = Health(self.metrics, 0, host="127.0.0.1")

    def ask(self, page: str) -> tuple[int, str]:
        """Status and body."""
        try:
            with urlopen(f"http://127.0.0.1:{self.health.port}{page}", timeout=10) as answer:
                return answer.status, answer.read().decode()
        except HTTPError as refusal:
            with refusal:
                return refusal.code, refusal.read().decode()


@pytest.fixture
def house() -> Iterator[House]:
    """Endpoints on a free port."""
    found = House()
    yield found
    found.health.close()


def test_ready_is_who_has_its_tasks_and_gets_on(house: House) -> None:
    """503 with the reason while starting, restoring or standing still; 200 when all is well. Live all the while."""
    assert house.ask("/readyz")[0] == 503
    house.progress.restores({3: 0.25})
    status, body = house.ask("/readyz")
    assert (status, json.loads(body)["why"]) == (503, ["restoring, task 3 25%"])
    house.progress.holds([3])
    assert house.ask("/readyz")[0] == 200
    house.progress.takes(3, {"in": 5})
    house.now_s = house.progress.beaten_s = 30.0
    status, body = house.ask("/readyz")
    assert (status, json.loads(body)) == (
        503,
        {
            "live": True,
            "ready": False,
            "state": "running",
            "why": ["task 3 has not moved for 30 s, 5 records are waiting"],
            "tasks": {"3": {"lag": 5, "still_s": 30.0}},
        },
    )
    assert house.ask("/livez")[0] == 200


def test_alive_is_who_is_not_stalled(house: House) -> None:
    """503 when the watchdog would end it; neither page is then a yes."""
    house.progress.holds([0])
    house.now_s = 100.0
    status, body = house.ask("/livez")
    assert (status, json.loads(body)["why"][0]) == (503, "the event loop has not run for 100 s")
    assert house.ask("/readyz")[0] == 503


def test_figures_are_on_the_same_port(house: House) -> None:
    """As Prometheus asks for them; anything else is not there."""
    status, body = house.ask("/metrics")
    assert (status, "throughline_ready 0.0" in body) == (200, True)
    assert house.ask("/secrets")[0] == 404


def test_a_client_that_says_nothing_keeps_nobody_waiting(house: House) -> None:
    """Each has a thread of its own."""
    with socket.create_connection(("127.0.0.1", house.health.port)):
        assert house.ask("/livez")[0] == 200


def test_a_port_that_somebody_has_is_one_clear_line(house: House) -> None:
    """Two workers on one machine need two ports."""
    with pytest.raises(CannotServe, match=rf"port {house.health.port} cannot be had .*worker.metrics_port"):
        Health(house.metrics, house.health.port, host="127.0.0.1")


def test_the_command_asks_and_says_it_with_its_exit_code(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """0 ready, 1 not, 3 nobody there, 2 no port: what a container's health check looks at."""

    def health(*options: str) -> tuple[int, str]:
        result = CliRunner().invoke(build(), ["health", *options])
        return result.exit_code, result.output

    assert health()[0] == 2
    monkeypatch.setenv("THROUGHLINE_WORKER_METRICS_PORT", str(house.health.port))
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    assert health()[0] == 1
    assert health("--live")[0] == 0
    house.progress.holds([0])
    code, said = health()
    assert (code, json.loads(said)["ready"]) == (0, True)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        monkeypatch.setenv("THROUGHLINE_WORKER_METRICS_PORT", str(taken.getsockname()[1]))
        assert health()[0] == 3
