"""A TCP proxy that can go deaf: connections stay open and nothing passes any more, as when a cable is pulled."""

from __future__ import annotations

import contextlib
import selectors
import socket
import threading
from types import TracebackType

__all__ = ["Proxy"]

_BUFFER = 1 << 16
_WAKE_S = 0.05


class Proxy:
    """Listens on a free port of loopback and passes everything on to another."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._deaf: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def go_deaf(self) -> int:
        """Nothing passes over the connections there are now, and neither side is told; new ones work. How many."""
        with self._lock:
            fresh = {end for pair in self._pairs for end in pair} - self._deaf
            self._deaf |= fresh
            return len(fresh) // 2

    def __enter__(self) -> Proxy:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.set()
        self._listener.close()
        for pair in self._pairs:
            for end in pair:
                end.close()

    def _accept(self) -> None:
        while not self._closing.is_set():
            try:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._target))
            except OSError:
                continue
            with self._lock:
                self._pairs.append((client, server))
            threading.Thread(target=self._pass_on, args=(client, server), daemon=True).start()

    def _pass_on(self, client: socket.socket, server: socket.socket) -> None:
        other = {client: server, server: client}
        names: dict[int, socket.socket] = {end.fileno(): end for end in other}
        # Whatever ends a connection on one side ends it on the other, unless nobody may know.
        with selectors.DefaultSelector() as ready, contextlib.suppress(OSError, ValueError):
            for end in other:
                ready.register(end, selectors.EVENT_READ)
            while not self._closing.is_set():
                for key, _ in ready.select(_WAKE_S):
                    end = names[key.fd]
                    data = end.recv(_BUFFER)
                    if client in self._deaf:
                        if not data:
                            return
                        continue
                    if not data:
                        break
                    other[end].sendall(data)
                else:
                    continue
                break
        if client not in self._deaf:
            client.close()
            server.close()
