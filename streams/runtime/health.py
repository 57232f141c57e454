"""`/livez`, `/readyz` and `/metrics` on one port, answered by a thread: also while the event loop is busy or stuck.

Knows what is asked for and how to say it; what it is like is `progress`, figures are `metrics`.
"""

from __future__ import annotations

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

from prometheus_client.exposition import choose_encoder

from streams.runtime.metrics import Metrics
from streams.runtime.progress import Progress

__all__ = ["CannotServe", "Health", "health_of"]

_CLIENT_S = 10.0
"""A client that asks nothing, or takes nothing, holds a thread no longer."""

_JSON = "application/json; charset=utf-8"


class CannotServe(RuntimeError):
    """The port cannot be had; says which, and why."""


def health_of(progress: Progress) -> dict[str, Any]:
    """What there is to say, for people and programs: nothing of any person."""
    now_s = progress.now()
    stall = progress.stall()
    obstacles = progress.obstacles()
    return {
        "live": not stall,
        "ready": not obstacles and not stall,
        "state": str(progress.state),
        "why": [stall, *obstacles] if stall else obstacles,
        "tasks": {
            str(partition): {"lag": task.backlog, "still_s": round(now_s - task.well_s, 1)}
            for partition, task in sorted(progress.tasks.items())
        },
    }


class Health:
    """The server. `port` is the one it got, if any was asked for."""

    def __init__(self, metrics: Metrics, port: int, *, host: str = "") -> None:
        """Listens. Raises CannotServe."""
        try:
            self._server = _Server((host, port), _handler_of(metrics))
        except OSError as error:
            raise CannotServe(
                f"port {port} cannot be had ({error.strerror}); see worker.metrics_port"
            ) from error
        self.port = self._server.server_port
        Thread(target=self._server.serve_forever, name="health", daemon=True).start()

    def close(self) -> None:
        """Answers nobody any more."""
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no news."""


def _handler_of(metrics: Metrics) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = _CLIENT_S
        server_version = "throughline"
        sys_version = ""

        def do_GET(self) -> None:
            """The three pages there are."""
            match self.path.partition("?")[0]:
                case "/metrics":
                    encode, content_type = choose_encoder(self.headers.get("Accept", ""))
                    self._answer(200, content_type, encode(metrics.registry))
                case "/livez":
                    self._say("live")
                case "/readyz":
                    self._say("ready")
                case _:
                    self._answer(404, "text/plain", b"/metrics, /livez, /readyz\n")

        def _say(self, what: str) -> None:
            said = health_of(metrics.progress)
            self._answer(200 if said[what] else 503, _JSON, json.dumps(said).encode() + b"\n")

        def _answer(self, status: int, content_type: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Being asked is no news."""

    return Handler
