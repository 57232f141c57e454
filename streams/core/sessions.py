"""Sessions of one profile: maximal unions of the intervals its touchpoints cover, across channels.

A touchpoint at t covers [t, t + gap(channel)], bounds inclusive (event-time session windows of the Dataflow model,
Akidau et al. 2015, with a gap by channel). Owns that rule; must not know profiles, clocks or records.
"""

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from struct import Struct
from typing import Any, Final

from mypy_extensions import mypyc_attr

try:
    # The interpreter's own: OpenSSL's looks its algorithm up anew for every digest, four times the cost.
    from _sha1 import sha1  # type: ignore[import-not-found]  # no stub
except ImportError:
    from hashlib import sha1

from streams.core.journal import Row
from streams.core.shapes import Revenue, SessionRow
from streams.core.vocabulary import IS_VIEW, ORDERED

_NAMESPACE: Final = b"throughline/session"
_CHANNELS: Final = tuple(bytes((code,)) for code in range(256))
_place: Final[Any] = Struct("<qQ").pack
ENGAGED_MS: Final = 10_000
ENGAGED_VIEWS: Final = 2


@mypyc_attr(acyclic=True)
class Session:
    """Times in epoch ms; named by the place of its first touchpoint: when that occurred, and its digest.

    `channels` are codes by first appearance; it closes once the clock passes `cover_ms`. `revenue_micros` is the sum of
    `revenue`, whatever the currency. `name` and `owner` are kept here for those who need them again and again: see
    `session_id_of`, and `step` for what stitching appends.
    """

    __slots__ = (
        "channels", "cover_ms", "digest", "ended_ms", "is_final", "name", "orders", "owner", "revenue",
        "revenue_micros", "started_ms", "touchpoints", "views",
    )  # fmt: skip

    def __init__(
        self,
        started_ms: int,
        digest: int,
        ended_ms: int,
        cover_ms: int,
        touchpoints: int,
        channels: bytes,
        orders: int,
        revenue_micros: int,
        is_final: bool,
        views: int,
        revenue: Revenue,
    ) -> None:
        self.started_ms = started_ms
        self.digest = digest
        self.ended_ms = ended_ms
        self.cover_ms = cover_ms
        self.touchpoints = touchpoints
        self.channels = channels
        self.orders = orders
        self.revenue_micros = revenue_micros
        self.is_final = is_final
        self.views = views
        self.revenue = revenue
        self.name = ""
        self.owner = b""

    def row(self) -> SessionRow:
        """What is stored of it."""
        return SessionRow(
            self.started_ms, self.digest, self.ended_ms - self.started_ms, self.cover_ms - self.ended_ms,
            self.touchpoints, self.channels, self.orders, self.revenue_micros, self.is_final, self.views,
            self.revenue,
        )  # fmt: skip


def session_of(row: SessionRow) -> Session:
    """The session that a row is of; one from before currencies were kept has all its revenue in none."""
    ended_ms = row.started_ms + row.lasted_ms
    revenue = row.revenue
    if row.orders and not revenue:
        revenue = (("", row.revenue_micros),)
    return Session(
        row.started_ms,
        row.digest,
        ended_ms,
        ended_ms + row.covers_ms,
        row.touchpoints,
        row.channels,
        row.orders,
        row.revenue_micros,
        row.is_final,
        row.views,
        revenue,
    )


def is_engaged(session: Session) -> bool:
    """True for one that lasts 10 s, has an order or two views: Google Analytics 4, "Engaged sessions"."""
    lasted_ms = session.ended_ms - session.started_ms
    return lasted_ms >= ENGAGED_MS or session.orders > 0 or session.views >= ENGAGED_VIEWS


def session_id_of(session: Session) -> str:
    """A version 5 UUID of its first touchpoint."""
    if not session.name:
        session.name = content_uuid(_NAMESPACE, _place(session.started_ms, session.digest))
    return session.name


def content_uuid(namespace: bytes, name: bytes) -> str:
    """A name-based UUID, version 5 (RFC 9562) in text form, over our own namespace."""
    text = sha1(namespace + name, usedforsecurity=False).hexdigest()
    # The variant replaces the two highest bits of a digit.
    variant = "89ab"[int(text[16], 16) & 3]
    return f"{text[:8]}-{text[8:12]}-5{text[13:16]}-{variant}{text[17:20]}-{text[20:32]}"


def extend(
    sessions: list[Session],
    at_ms: int,
    digest: int,
    channel: int,
    kind: int,
    revenue_micros: int,
    currency: str,
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
                last.channels += _CHANNELS[channel]
            last.views += IS_VIEW[kind]
            if kind == ORDERED:
                _order(last, revenue_micros, currency)
            last.is_final = False
            return last
    session = Session(
        at_ms, digest, at_ms, cover_ms, 1, _CHANNELS[channel], 0, 0, False, IS_VIEW[kind], ()
    )  # fmt: skip
    if kind == ORDERED:
        _order(session, revenue_micros, currency)
    sessions.append(session)
    return session


def _order(session: Session, revenue_micros: int, currency: str) -> None:
    """Count an order of a session."""
    session.orders += 1
    session.revenue_micros += revenue_micros
    by_currency = dict(session.revenue)
    by_currency[currency] = by_currency.get(currency, 0) + revenue_micros
    session.revenue = tuple(sorted(by_currency.items()))


def insert(
    sessions: list[Session],
    at_ms: int,
    digest: int,
    channel: int,
    kind: int,
    revenue_micros: int,
    currency: str,
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
        session = extend(alone, at_ms, digest, channel, kind, revenue_micros, currency, gap_ms)
        sessions.insert(after, session)
        return session
    is_known = channel == session.channels[0] or (channel in session.channels and len(session.channels) == 2)
    if at_ms == session.started_ms or at_ms == session.ended_ms or not (is_known or at_ms > session.ended_ms):
        return None
    if at_ms > session.ended_ms:
        return extend(sessions[:after], at_ms, digest, channel, kind, revenue_micros, currency, gap_ms)
    ended_ms = session.ended_ms
    extend([session], at_ms, digest, channel, kind, revenue_micros, currency, gap_ms)
    session.ended_ms = ended_ms
    return session


def _started(session: Session) -> int:
    return session.started_ms


def sessions_of(
    in_order: Iterable[Row], gaps_ms: Sequence[int], currencies: Mapping[int, str]
) -> list[Session]:
    """All sessions of entries given in event-time order; `currencies` are those of orders, by digest."""
    sessions: list[Session] = []
    for at_ms, digest, _, channel, kind, revenue in in_order:
        currency = currencies.get(digest, "") if kind == ORDERED else ""
        extend(sessions, at_ms, digest, channel, kind, revenue, currency, gaps_ms[channel])
    return sessions


def reconcile(
    old: Sequence[Session], new: Sequence[Session]
) -> tuple[list[Session], list[Session], list[tuple[Session, str | None]]]:
    """What is so now, what of it differs from before, and what is no more with the id of the session it went into."""
    before = {(session.started_ms, session.digest): session for session in old}
    now: list[Session] = []
    changed: list[Session] = []
    for session in new:
        known = before.pop((session.started_ms, session.digest), None)
        if known is None:
            changed.append(session)
        elif _same(known, session):
            session = known
        else:
            session.name = known.name
            changed.append(session)
        now.append(session)
    return now, changed, [(gone, _holder(now, gone.started_ms)) for gone in before.values()]


def _same(a: Session, b: Session) -> bool:
    return (a.ended_ms, a.cover_ms, a.touchpoints, a.channels, a.orders, a.revenue, a.views) == (
        b.ended_ms, b.cover_ms, b.touchpoints, b.channels, b.orders, b.revenue, b.views,
    )  # fmt: skip


def _holder(sessions: Sequence[Session], at_ms: int) -> str | None:
    for session in sessions:
        if session.started_ms <= at_ms <= session.ended_ms:
            return session_id_of(session)
    return None
