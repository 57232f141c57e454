"""A proxy before ClickHouse that behaves badly by a seed: slow, refusing, cutting requests, and losing replies."""

from __future__ import annotations

import contextlib
import random
import socket
import threading
import time
from collections import Counter
from types import TracebackType

__all__ = ["RudeProxy"]

_BUFFER = 1 << 14
_SLOW_S = 0.2
_TOO_MANY_PARTS = b"Code: 252. DB::Exception: Too many parts. (TOO_MANY_PARTS)\n"
_REFUSAL = b"HTTP/1.1 500 Internal Server Error\r\nX-ClickHouse-Exception-Code: 252\r\nConnection: close\r\n"


class RudeProxy:
    """Passes on what comes, but for a `chance` at each piece of it; `done` counts what it has done by kind."""

    def __init__(self, target: int, seed: int, chance: float) -> None:
        self.chance = chance
        self.done: Counter[str] = Counter()
        self._target = target
        self._random = random.Random(seed)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._closing = threading.Event()
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> RudeProxy:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.set()
        self._listener.close()

    def _accept(self) -> None:
        while not self._closing.is_set():
            try:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._target))
            except OSError:
                continue
            for here, there, pump in ((client, server, self._requests), (server, client, self._replies)):
                threading.Thread(target=self._pumped, args=(pump, here, there), daemon=True).start()

    def _pumped(self, pump: object, here: socket.socket, there: socket.socket) -> None:
        assert callable(pump)
        with contextlib.suppress(OSError):
            pump(here, there)
        for end in (here, there):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def _is_rude(self) -> bool:
        return self._random.random() < self.chance

    def _requests(self, client: socket.socket, server: socket.socket) -> None:
        while data := client.recv(_BUFFER):
            if self._is_rude():
                kind = self._random.choice(["slow", "cut", "refused"])
                self.done[kind] += 1
                if kind == "cut":
                    server.sendall(data[: len(data) // 2])
                    return
                if kind == "refused":
                    length = b"Content-Length: %d\r\n\r\n" % len(_TOO_MANY_PARTS)
                    client.sendall(_REFUSAL + length + _TOO_MANY_PARTS)
                    return
                time.sleep(_SLOW_S)
            server.sendall(data)

    def _replies(self, server: socket.socket, client: socket.socket) -> None:
        while data := server.recv(_BUFFER):
            if self._is_rude():
                self.done["reply lost"] += 1
                return
            client.sendall(data)
