"""Sessions of one profile: maximal unions of the intervals its touchpoints cover, across channels.

A touchpoint at t covers [t, t + gap(channel)], bounds inclusive (event-time session windows of the Dataflow model,
Akidau et al. 2015, with a gap by channel). Owns that rule; must not know profiles, clocks or records.
"""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from hashlib import sha1
from typing import Final

from mypy_extensions import mypyc_attr

from streams.core.journal import ORDERED, Row
from streams.core.shapes import SessionRow

_NAMESPACE: Final = b"throughline/session"


@mypyc_attr(acyclic=True)
class Session:
    """Times in epoch ms; `channels` are codes by first appearance; closes once the clock passes `cover_ms`."""

    __slots__ = (
        "channels", "cover_ms", "ended_ms", "is_final", "orders", "revenue_micros", "session_id", "started_ms",
        "touchpoints",
    )  # fmt: skip

    def __init__(
        self,
        session_id: str,
        started_ms: int,
        ended_ms: int,
        cover_ms: int,
        touchpoints: int,
        channels: bytes,
        orders: int,
        revenue_micros: int,
        is_final: bool,
    ) -> None:
        self.session_id = session_id
        self.started_ms = started_ms
        self.ended_ms = ended_ms
        self.cover_ms = cover_ms
        self.touchpoints = touchpoints
        self.channels = channels
        self.orders = orders
        self.revenue_micros = revenue_micros
        self.is_final = is_final

    def row(self) -> SessionRow:
        """Its fields, in the order of the constructor."""
        return (
            self.session_id, self.started_ms, self.ended_ms, self.cover_ms, self.touchpoints, self.channels,
            self.orders, self.revenue_micros, self.is_final,
        )  # fmt: skip


def content_uuid(namespace: bytes, name: str) -> str:
    """A name-based UUID, version 5 (RFC 9562) in text form, over our own namespace."""
    digest = bytearray(sha1(namespace + name.encode(), usedforsecurity=False).digest()[:16])
    digest[6] = digest[6] & 0x0F | 0x50
    digest[8] = digest[8] & 0x3F | 0x80
    text = digest.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def extend(
    sessions: list[Session],
    at_ms: int,
    digest: int,
    channel: int,
    kind: int,
    revenue_micros: int,
    gap_ms: int,
) -> Session:
    """Add a touchpoint that comes last in event-time order; returns the session it went into."""
    cover_ms = at_ms + gap_ms
    if sessions:
        last = sessions[-1]
        if at_ms <= last.cover_ms:
            last.ended_ms = at_ms
            if cover_ms > last.cover_ms:
                last.cover_ms = cover_ms
            last.touchpoints += 1
            if channel not in last.channels:
                last.channels += bytes((channel,))
            if kind == ORDERED:
                last.orders += 1
                last.revenue_micros += revenue_micros
            last.is_final = False
            return last
    session_id = content_uuid(_NAMESPACE, f"{at_ms}:{digest:016x}")
    orders, revenue = (1, revenue_micros) if kind == ORDERED else (0, 0)
    session = Session(session_id, at_ms, at_ms, cover_ms, 1, bytes((channel,)), orders, revenue, False)
    sessions.append(session)
    return session


def insert(
    sessions: list[Session],
    at_ms: int,
    digest: int,
    channel: int,
    kind: int,
    revenue_micros: int,
    gap_ms: int,
) -> Session | None:
    """Add a touchpoint that comes before the last one, where that changes one session only; None where it does not.

    None means that bounds, ids or the order of channels may change, so that only the whole journal tells.
    """
    after = bisect_right(sessions, at_ms, key=_started)
    cover_ms = at_ms + gap_ms
    if after < len(sessions) and cover_ms >= sessions[after].started_ms:
        return None
    session = sessions[after - 1] if after else None
    if session is None or at_ms > session.cover_ms:
        alone: list[Session] = []
        session = extend(alone, at_ms, digest, channel, kind, revenue_micros, gap_ms)
        sessions.insert(after, session)
        return session
    is_known = channel == session.channels[0] or (channel in session.channels and len(session.channels) == 2)
    if at_ms == session.started_ms or at_ms == session.ended_ms or not (is_known or at_ms > session.ended_ms):
        return None
    if at_ms > session.ended_ms:
        return extend(sessions[:after], at_ms, digest, channel, kind, revenue_micros, gap_ms)
    ended_ms = session.ended_ms
    extend([session], at_ms, digest, channel, kind, revenue_micros, gap_ms)
    session.ended_ms = ended_ms
    return session


def _started(session: Session) -> int:
    return session.started_ms


def sessions_of(in_order: Iterable[Row], gaps_ms: Sequence[int]) -> list[Session]:
    """All sessions of entries given in event-time order."""
    sessions: list[Session] = []
    for at_ms, digest, _, channel, kind, revenue in in_order:
        extend(sessions, at_ms, digest, channel, kind, revenue, gaps_ms[channel])
    return sessions


def reconcile(
    old: Sequence[Session], new: Sequence[Session]
) -> tuple[list[Session], list[Session], list[tuple[Session, str | None]]]:
    """What is so now, what of it differs from before, and what is no more with the id of the session it went into."""
    before = {session.session_id: session for session in old}
    now: list[Session] = []
    changed: list[Session] = []
    for session in new:
        known = before.pop(session.session_id, None)
        if known is not None and _same(known, session):
            now.append(known)
        else:
            now.append(session)
            changed.append(session)
    return now, changed, [(gone, _holder(now, gone.started_ms)) for gone in before.values()]


def _same(a: Session, b: Session) -> bool:
    return (a.ended_ms, a.cover_ms, a.touchpoints, a.channels, a.orders, a.revenue_micros) == (
        b.ended_ms, b.cover_ms, b.touchpoints, b.channels, b.orders, b.revenue_micros,
    )  # fmt: skip


def _holder(sessions: Sequence[Session], at_ms: int) -> str | None:
    return next((s.session_id for s in sessions if s.started_ms <= at_ms <= s.ended_ms), None)
