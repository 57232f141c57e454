"""Connections that several requests share: the sessions of the HTTP interface.

Knows connections only as something that can be closed. Requests of one session wait for each other.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from sinks.clickhouse.embedded.failure import refusal
from sinks.clickhouse.embedded.users import User

IDLE_S: Final = 600
"""How long a session waits for its next request, unless that says otherwise."""
IDLE_S_MAX: Final = 3_600
_LOCKED_S: Final = 30.0


@dataclass(frozen=True, slots=True)
class SessionKey:
    """Whose session, which, and what was asked of it: that it exists already, how long it may be idle."""

    user: User
    name: str
    must_exist: bool = False
    idle_s: int = IDLE_S


class Session:
    """One connection; `lock` is held while a statement runs on it."""

    def __init__(self, connection: Any) -> None:
        self.connection = connection
        self.lock = threading.Lock()
        self.idle_s = IDLE_S
        self.used_s = 0.0


class Sessions:
    """All of them. A user's sessions are out of every other user's reach."""

    def __init__(
        self, connect: Callable[[User], Any], *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._connect = connect
        self._clock = clock
        self._open: dict[tuple[User, str], Session] = {}
        self._lock = threading.Lock()

    def take(self, key: SessionKey) -> Session:
        """A session, its lock held. Raises Refused: 372 (there is none, and there must be), 373 (it stays busy)."""
        while True:
            session = self._found(key)
            if not session.lock.acquire(timeout=_LOCKED_S):
                text = f"Session {key.name} is locked by another statement."
                raise refusal(373, text, "SESSION_IS_LOCKED")
            if self._open.get((key.user, key.name)) is session:
                return session
            session.lock.release()  # closed while we waited

    def give_back(self, key: SessionKey, session: Session, *, is_over: bool = False) -> None:
        """Let the next request have it, or close it."""
        session.used_s = self._clock()
        with self._lock:
            if is_over and self._open.get((key.user, key.name)) is session:
                self._open.pop((key.user, key.name)).connection.close()
            session.lock.release()

    def close(self) -> None:
        """Close all."""
        with self._lock:
            for session in self._open.values():
                session.connection.close()
            self._open.clear()

    def _found(self, key: SessionKey) -> Session:
        with self._lock:
            self._close_idle()
            session = self._open.get((key.user, key.name))
            if session is None:
                if key.must_exist:
                    raise refusal(372, f"Session {key.name} not found.", "SESSION_NOT_FOUND")
                session = self._open[key.user, key.name] = Session(self._connect(key.user))
            session.idle_s = key.idle_s
            session.used_s = self._clock()
        return session

    def _close_idle(self) -> None:
        now_s = self._clock()
        for key, session in list(self._open.items()):
            if now_s - session.used_s > session.idle_s and not session.lock.locked():
                self._open.pop(key).connection.close()
