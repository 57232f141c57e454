"""Sessions belong to their users, wait for each other, and are closed when nobody comes back."""

from __future__ import annotations

import threading
import time

import pytest

from sinks.clickhouse.embedded.failure import Refused
from sinks.clickhouse.embedded.sessions import SessionKey, Sessions
from sinks.clickhouse.embedded.users import User

ANN, BEA = User("ann"), User("bea", is_reader=True)


class Connection:
    """Knows whose it is, and whether it was closed."""

    def __init__(self, user: User) -> None:
        self.user = user
        self.is_closed = False

    def close(self) -> None:
        self.is_closed = True


class Clock:
    """Stands still until it is set."""

    now_s = 0.0
    asked = 0

    def __call__(self) -> float:
        self.asked += 1
        return self.now_s


def used(sessions: Sessions, key: SessionKey, *, is_over: bool = False) -> Connection:
    """The connection of one request that is done at once."""
    session = sessions.take(key)
    sessions.give_back(key, session, is_over=is_over)
    connection: Connection = session.connection
    return connection


def test_one_name_is_one_connection_for_each_user() -> None:
    """Whoever guesses a name gets a session of their own, with their own rights."""
    sessions = Sessions(Connection)
    first = used(sessions, SessionKey(ANN, "s"))
    assert used(sessions, SessionKey(ANN, "s")) is first
    assert used(sessions, SessionKey(BEA, "s")).user == BEA
    assert used(sessions, SessionKey(ANN, "t")) is not first
    sessions.close()
    assert first.is_closed


def test_idle_sessions_are_closed_after_their_own_time() -> None:
    """The time is the last request's to say; one that is used is never closed."""
    clock = Clock()
    sessions = Sessions(Connection, clock=clock)
    short, long = SessionKey(ANN, "short", idle_s=10), SessionKey(ANN, "long", idle_s=100)
    first, second = used(sessions, short), used(sessions, long)
    busy_key = SessionKey(ANN, "busy", idle_s=1)
    busy = sessions.take(busy_key)
    clock.now_s = 11.0
    assert used(sessions, long) is second
    assert (first.is_closed, busy.connection.is_closed) == (True, False)
    sessions.give_back(busy_key, busy)
    assert used(sessions, busy_key) is busy.connection
    assert used(sessions, short) is not first


def test_session_that_must_exist_is_not_made() -> None:
    """Its temporary tables would silently be gone."""
    sessions = Sessions(Connection)
    with pytest.raises(Refused, match="not found") as refused:
        sessions.take(SessionKey(ANN, "s", must_exist=True))
    assert refused.value.code == 372
    used(sessions, SessionKey(ANN, "s"), is_over=True)
    with pytest.raises(Refused, match="not found"):
        sessions.take(SessionKey(ANN, "s", must_exist=True))


def test_requests_of_one_session_wait_for_each_other() -> None:
    """And who has waited for a session that was closed meanwhile gets a new one.

    Seen to fail with the closed one handed on.
    """
    clock = Clock()
    sessions, key = Sessions(Connection, clock=clock), SessionKey(ANN, "s")
    first = sessions.take(key)
    found: list[Connection] = []
    second = threading.Thread(target=lambda: found.append(used(sessions, key)))
    asked = clock.asked
    second.start()
    while clock.asked < asked + 2:  # it has found the session, and waits or is about to
        time.sleep(0.001)
    assert not found
    sessions.give_back(key, first, is_over=True)
    second.join()
    assert not found[0].is_closed


def test_waiting_for_a_session_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """The client is told why."""
    monkeypatch.setattr("sinks.clickhouse.embedded.sessions._LOCKED_S", 0.01)
    sessions = Sessions(Connection)
    sessions.take(SessionKey(ANN, "s"))
    with pytest.raises(Refused, match="locked") as refused:
        sessions.take(SessionKey(ANN, "s"))
    assert refused.value.code == 373
