"""The rules, applied by the simulator to what its people did: who is one person, sessions, carts, actions.

Written without the pipeline's code, and the two must stay strangers: this is what a run is compared with.
Identity rests on whom the simulator *meant* by a record (`Face.known`), not on reading what was written.
Times are epoch milliseconds, money is micros.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import msgspec
import xxhash

from streams.simulator.options import HOUR_MS, MINUTE_MS
from streams.simulator.recorder import Entry, Touchpoint

_ONE_EACH = ("user_id", "loyalty_id")
"""Of these types a person has one."""


@dataclass(frozen=True, slots=True)
class Rules:
    """The durations that the rules leave to settings."""

    gap_ms: int = 30 * MINUTE_MS
    abandon_after_ms: int = 30 * MINUTE_MS
    late_ms: int = 72 * HOUR_MS
    recovery_ms: int = 72 * HOUR_MS


class Session(msgspec.Struct, frozen=True, gc=False):
    """`touchpoints` are message ids in the order of the rules."""

    started_ms: int
    ended_ms: int
    touchpoints: tuple[str, ...]
    channels: tuple[str, ...]
    orders: int
    revenue_micros: int


class Abandonment(msgspec.Struct, frozen=True, gc=False):
    """The action an abandoned episode must end with; `status` is due or recovered."""

    due_ms: int
    items: dict[str, int]
    value_micros: int
    status: str
    recovered_micros: int | None


class Episode(msgspec.Struct, frozen=True, gc=False):
    """One filling of a cart; `touchpoints` are all message ids of its owner from the opener to what ended it.

    `status` is purchased, emptied, or open (as far as the records go).
    """

    status: str
    touchpoints: tuple[str, ...]
    abandonment: Abandonment | None

    @property
    def opened_by(self) -> str:
        """The message that put the first thing into the empty cart."""
        return self.touchpoints[0]


class Profile(msgspec.Struct, frozen=True, gc=False):
    """One person as far as the records tell; `late` message ids belong to them, and to no session."""

    identifiers: tuple[str, ...]
    sessions: tuple[Session, ...]
    late: tuple[str, ...]
    episodes: tuple[Episode, ...]

    def message_ids(self) -> Iterable[str]:
        """Everything that counts once."""
        for session in self.sessions:
            yield from session.touchpoints
        yield from self.late


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the rules say of a set of records nobody else shares an identifier with."""

    profiles: tuple[Profile, ...]
    duplicates: int
    merges: int


def judge(entries: Iterable[Entry], rules: Rules) -> Judgement:
    """Apply the rules to all records of some people, given in the order of their arrival."""
    unique: dict[str, Entry] = {}
    records = 0
    for entry in entries:
        records += 1
        unique.setdefault(entry.touchpoint.message_id, entry)
    bonds = Bonds()
    held: dict[tuple[str, ...], list[Touchpoint]] = {}
    for entry in unique.values():
        held.setdefault(entry.face.known, []).append(entry.touchpoint)
    for _, known in sorted((min(map(_moment, touchpoints)), known) for known, touchpoints in held.items()):
        bonds.tie(known)
    together: dict[frozenset[str], list[Touchpoint]] = {}
    for known, touchpoints in held.items():
        together.setdefault(frozenset(bonds.group(known[0])), []).extend(touchpoints)
    profiles = tuple(_profile(group, touchpoints, rules) for group, touchpoints in together.items())
    return Judgement(profiles, records - len(unique), bonds.merges)


class Bonds:
    """Which identifiers are one person's; `merges` counts the profiles that became part of another.

    A group is one set object that all its members point at. Nobody has two accounts or two loyalty cards: what would
    give them to somebody, as a tablet in the hands of two, stays with whom it was seen first.
    """

    def __init__(self) -> None:
        self.merges = 0
        self._group_of: dict[str, set[str]] = {}

    def tie(self, identifiers: Sequence[str]) -> None:
        """These were shown together, the strongest first, later than all that was tied before."""
        strongest = identifiers[0]
        mine = self._group_of.setdefault(strongest, {strongest})
        for identifier in identifiers[1:]:
            theirs = self._group_of.get(identifier)
            if theirs is mine or not _may_be_one(mine | (theirs or {identifier})):
                self._group_of.setdefault(identifier, {identifier})
                continue
            self.merges += theirs is not None
            for moved in theirs or {identifier}:
                mine.add(moved)
                self._group_of[moved] = mine

    def group(self, identifier: str) -> set[str]:
        """Everything tied to it."""
        return self._group_of[identifier]


def _may_be_one(identifiers: Iterable[str]) -> bool:
    types = [identifier.partition(":")[0] for identifier in identifiers]
    return all(types.count(type_) <= 1 for type_ in _ONE_EACH)


def occurred_ms(touchpoint: Touchpoint) -> int:
    """When it happened: nothing happens after it was received."""
    return min(touchpoint.occurred_at, touchpoint.received_at)


def _moment(touchpoint: Touchpoint) -> tuple[int, int]:
    """Place in the order in which things happened."""
    return occurred_ms(touchpoint), xxhash.xxh3_64_intdigest(touchpoint.message_id.encode())


def _profile(identifiers: Iterable[str], touchpoints: Sequence[Touchpoint], rules: Rules) -> Profile:
    timed: list[tuple[int, int, Touchpoint]] = []
    late = []
    for touchpoint in touchpoints:
        if touchpoint.received_at - occurred_ms(touchpoint) > rules.late_ms:
            late.append(touchpoint.message_id)
        else:
            timed.append((*_moment(touchpoint), touchpoint))
    timed.sort(key=_place)
    times_ms = [at_ms for at_ms, _, _ in timed]
    in_order = [touchpoint for _, _, touchpoint in timed]
    return Profile(
        identifiers=tuple(sorted(identifiers)),
        sessions=tuple(_sessions(times_ms, in_order, gap_ms=rules.gap_ms)),
        late=tuple(late),
        episodes=tuple(_episodes(times_ms, in_order, rules=rules)),
    )


def _place(timed: tuple[int, int, Touchpoint]) -> tuple[int, int]:
    return timed[0], timed[1]


def _sessions(
    times_ms: Sequence[int], touchpoints: Sequence[Touchpoint], *, gap_ms: int
) -> Iterable[Session]:
    first = 0
    for index in range(1, len(times_ms) + 1):
        # Covers include both bounds, so only a silence longer than the gap parts two sessions.
        if index == len(times_ms) or times_ms[index] - times_ms[index - 1] > gap_ms:
            members = touchpoints[first:index]
            orders = [member for member in members if member.event == "Order Completed"]
            yield Session(
                started_ms=times_ms[first],
                ended_ms=times_ms[index - 1],
                touchpoints=tuple([member.message_id for member in members]),
                channels=tuple(dict.fromkeys([member.channel for member in members])),
                orders=len(orders),
                revenue_micros=sum(order.revenue_micros or 0 for order in orders),
            )
            first = index


def _episodes(
    times_ms: Sequence[int], touchpoints: Sequence[Touchpoint], *, rules: Rules
) -> Iterable[Episode]:
    """Walk through a person's touchpoints with their cart: quantity and price by product."""
    cart: dict[str, tuple[int, int]] = {}
    opened: int | None = None
    abandoned: tuple[int, dict[str, tuple[int, int]]] | None = None
    for index, touchpoint in enumerate(touchpoints):
        change = CHANGES.get(touchpoint.event)
        if change is not None:
            cart = change(cart, touchpoint)
        if cart and opened is None:
            opened = index
        elif not cart and opened is not None:
            yield _ended(times_ms, touchpoints, opened, last=index, abandoned=abandoned, rules=rules)
            opened = abandoned = None
        if cart and abandoned is None and _falls_silent(times_ms, index, after_ms=rules.abandon_after_ms):
            abandoned = (times_ms[index] + rules.abandon_after_ms, cart)
    if opened is not None:
        message_ids = tuple(touchpoint.message_id for touchpoint in touchpoints[opened:])
        yield Episode("open", message_ids, _abandonment(abandoned))


def _falls_silent(times_ms: Sequence[int], index: int, *, after_ms: int) -> bool:
    """What shares a millisecond is one act, so only its last touchpoint can be followed by silence."""
    return index + 1 == len(times_ms) or times_ms[index + 1] - times_ms[index] > after_ms


def _ended(
    times_ms: Sequence[int],
    touchpoints: Sequence[Touchpoint],
    opened: int,
    *,
    last: int,
    abandoned: tuple[int, dict[str, tuple[int, int]]] | None,
    rules: Rules,
) -> Episode:
    ending = touchpoints[last]
    is_bought = ending.event == "Order Completed"
    is_recovered = is_bought and abandoned is not None and times_ms[last] <= abandoned[0] + rules.recovery_ms
    return Episode(
        status="purchased" if is_bought else "emptied",
        touchpoints=tuple([touchpoint.message_id for touchpoint in touchpoints[opened : last + 1]]),
        abandonment=_abandonment(abandoned, recovered_by=ending if is_recovered else None),
    )


def _abandonment(
    abandoned: tuple[int, dict[str, tuple[int, int]]] | None, *, recovered_by: Touchpoint | None = None
) -> Abandonment | None:
    if abandoned is None:
        return None
    due_ms, cart = abandoned
    return Abandonment(
        due_ms=due_ms,
        items={product_id: quantity for product_id, (quantity, _) in cart.items()},
        value_micros=sum(quantity * price_micros for quantity, price_micros in cart.values()),
        status="recovered" if recovered_by else "due",
        recovered_micros=recovered_by.revenue_micros if recovered_by else None,
    )


Cart = Mapping[str, tuple[int, int]]


def _added(cart: Cart, touchpoint: Touchpoint) -> dict[str, tuple[int, int]]:
    changed = dict(cart)
    for item in touchpoint.items:
        held, _ = changed.get(item["product_id"], (0, 0))
        changed[item["product_id"]] = (held + item["quantity"], item["price_micros"])
    return {product_id: line for product_id, line in changed.items() if line[0] > 0}


def _removed(cart: Cart, touchpoint: Touchpoint) -> dict[str, tuple[int, int]]:
    changed = dict(cart)
    for item in touchpoint.items:
        held, price_micros = changed.get(item["product_id"], (0, 0))
        changed[item["product_id"]] = (held - item["quantity"], price_micros)
    return {product_id: line for product_id, line in changed.items() if line[0] > 0}


def _replaced(cart: Cart, touchpoint: Touchpoint) -> dict[str, tuple[int, int]]:
    return _added({}, touchpoint)


def _emptied(cart: Cart, touchpoint: Touchpoint) -> dict[str, tuple[int, int]]:
    return {}


CHANGES = {
    "Product Added": _added,
    "Product Removed": _removed,
    "Cart Updated": _replaced,
    "Order Completed": _emptied,
}
