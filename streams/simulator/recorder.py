"""What becomes of an act on its way into Kafka: message ids, clocks, delays, copies, careless values, keys.

Knows how records travel badly; must not know why anybody did anything. Times are epoch milliseconds.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec

from streams.simulator.options import HOUR_MS, MINUTE_MS, SECOND_MS, Options
from streams.simulator.shop import CURRENCY, Campaign, Item

RANKS = ("user_id", "loyalty_id", "email", "phone", "device_id", "anonymous_id")

_NOTHING: dict[str, str] = {}
_YEAR_MS = 365 * 24 * HOUR_MS
_JUNK = (("user_id", "undefined"), ("email", "null"), ("loyalty_id", "0000000"), ("phone", " - "))


class Touchpoint(msgspec.Struct, frozen=True, gc=False):
    """One record as its producer wrote it: the fields of the envelope, then `properties`."""

    message_id: str
    type: str
    event: str
    channel: str
    occurred_at: int
    received_at: int
    identifiers: dict[str, str]
    cart_id: str | None
    order_id: str | None
    items: Sequence[Item]
    revenue_micros: int | None
    currency: str | None
    campaign: Campaign | None
    location_id: str | None
    properties: dict[str, str]


class Face(NamedTuple):
    """How somebody shows up in one place.

    `identifiers` are as written, `known` is whom they really name (`type:value`, the strongest first), `key`
    and `weak_key` the record keys of a careful and of a foreign producer.
    """

    identifiers: dict[str, str]
    known: tuple[str, ...]
    key: bytes
    weak_key: bytes


class Entry(msgspec.Struct, frozen=True, gc=False):
    """One record on the wire; `is_copy` if the same bytes have been sent before."""

    arrival_ms: int
    touchpoint: Touchpoint
    face: Face
    key: bytes
    is_copy: bool


class Recorder:
    """Writes down what the people of one household do, in the order they do it; `entries` is the result."""

    def __init__(self, household: int, options: Options, *, end_ms: int, rnd: random.Random) -> None:
        self.entries: list[Entry] = []
        self._prefix = f"m-{options.seed:x}-{household:05x}-"
        self._random = rnd.random
        self._end_ms = end_ms
        self._used_ms: set[int] = set()
        self._faces: dict[tuple[tuple[str, str | None], ...], Face] = {}
        self._wrong_clock = options.clock_error_share
        self._late = self._wrong_clock + options.late_share
        self._delayed = self._late + options.out_of_order_share
        self._copied = options.duplicate_share
        self._dirty = options.dirty_share
        self._odd = options.dirty_share + options.misrouted_share
        self._written = 0

    def face(self, **identifiers: str | None) -> Face:
        """The face that shows these identifiers; absent ones are None."""
        given = tuple(identifiers.items())
        face = self._faces.get(given)
        if face is None:
            face = self._faces[given] = _clean_face({name: value for name, value in given if value})
        return face

    def note(
        self,
        face: Face,
        channel: str,
        event: str,
        at_ms: int,
        *,
        type_: str = "track",
        cart_id: str | None = None,
        order_id: str | None = None,
        items: Sequence[Item] = (),
        revenue_micros: int | None = None,
        campaign: Campaign | None = None,
        location_id: str | None = None,
        properties: dict[str, str] = _NOTHING,
        arrival_ms: int | None = None,
        is_tie: bool = False,
    ) -> None:
        """Write a touchpoint that happens at `at_ms`; with `arrival_ms` given, its way is settled.

        Only a tie may share its millisecond with another touchpoint of the household. After the end of the
        simulation nothing is written.
        """
        if at_ms >= self._end_ms:
            return
        random_ = self._random
        used_ms = self._used_ms
        if not is_tie:
            while at_ms in used_ms:
                at_ms += 1
        used_ms.add(at_ms)
        claimed_ms = at_ms
        draw = random_()
        if arrival_ms is None or arrival_ms < at_ms:
            arrival_ms = at_ms + 20 + int(random_() * 380)
            if draw < self._delayed:
                claimed_ms, arrival_ms = self._delay(at_ms, arrival_ms, draw=draw)
        key = face.key
        draw = random_()
        if draw < self._odd:
            face, key = self._spoil(face, draw)
        self._written += 1
        touchpoint = Touchpoint(
            f"{self._prefix}{self._written:04x}",
            type_,
            event,
            channel,
            claimed_ms,
            arrival_ms,
            face.identifiers,
            cart_id,
            order_id,
            items,
            revenue_micros,
            CURRENCY if items or revenue_micros is not None else None,
            campaign,
            location_id,
            properties,
        )
        self.entries.append(Entry(arrival_ms, touchpoint, face, key, False))
        if random_() < self._copied:
            again_ms = arrival_ms + SECOND_MS + int(random_() ** 3 * HOUR_MS)
            self.entries.append(Entry(again_ms, touchpoint, face, key, True))

    def _delay(self, at_ms: int, arrival_ms: int, *, draw: float) -> tuple[int, int]:
        """(claimed, arrival) of a record whose clock is wrong, that was held up for long, or for a moment."""
        random_ = self._random
        if draw < self._wrong_clock:
            claimed_ms = _impossible_ms(random_(), random_(), at_ms=at_ms, arrival_ms=arrival_ms)
            # A clamped time is an event time like any other: one of its own.
            while arrival_ms in self._used_ms:
                arrival_ms += 1
            self._used_ms.add(arrival_ms)
            return claimed_ms, arrival_ms
        if draw < self._late:
            return at_ms, arrival_ms + 5 * MINUTE_MS + int(random_() ** 2 * 6 * HOUR_MS)
        return at_ms, arrival_ms + SECOND_MS + int(random_() * 59 * SECOND_MS)

    def _spoil(self, face: Face, draw: float) -> tuple[Face, bytes]:
        """A careless producer's identifiers and key, or a careful one's record under a foreign key."""
        if draw < self._dirty:
            face = _careless_face(face, self._random())
            return face, face.key
        return face, face.weak_key


def _impossible_ms(kind: float, amount: float, *, at_ms: int, arrival_ms: int) -> int:
    if kind < 0.4:
        return arrival_ms + HOUR_MS + int(amount**4 * 60 * _YEAR_MS)
    if kind < 0.7:
        return int(amount * HOUR_MS)
    return at_ms - 73 * HOUR_MS - int(amount * 200 * HOUR_MS)


def _clean_face(identifiers: Mapping[str, str]) -> Face:
    ordered = {name: identifiers[name] for name in RANKS if name in identifiers}
    known = tuple(f"{name}:{value}" for name, value in ordered.items())
    weak_key = known[-1] if len(known) > 1 else f"legacy-{known[0]}"
    return Face(ordered, known, known[0].encode(), weak_key.encode())


def _careless_face(face: Face, draw: float) -> Face:
    """The same identifiers in capitals, in spaces, or beside one that names nobody; still the same person."""
    written = dict(face.identifiers)
    if "email" in written:
        written["email"] = f" {written['email'].upper()} "
    elif draw < 0.5:
        name = next(iter(written))
        written[name] = f"{written[name]} "
    else:
        absent = [(name, value) for name, value in _JUNK if name not in written]
        name, value = absent[int(draw * 2 * len(absent)) % len(absent)]
        written[name] = value
    first = next(name for name in RANKS if name in written)
    return Face(written, face.known, f"{first}:{written[first]}".encode(), face.weak_key)
