"""What happens in the shop, and when each record of it arrives. Knows no broker, and only plain right answers.

All of it happens in the hours after START_MS. Hand-made people are told in minutes of a clock of their own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import permutations

from schemas.codec import decode, encode_touchpoint
from streams.simulator.emit import Emitted, Simulation
from streams.simulator.options import Options
from tests.differential.stream import Scenario
from tests.oracle.rules import DEFAULT, HOUR_MS, MINUTE_MS
from tests.oracle.touchpoints import Touchpoint, from_record, is_late, occurred_ms
from tests.oracle.values import usable_value
from tests.oracle.worlds import World, shuffled
from tests.simulation.feed import envelope_of, key_of
from tests.unit.oracle.build import added, ordered, touchpoint

__all__ = [
    "OPENED_MS", "PEOPLE_A_KIND", "START_MS", "Told", "a_day", "a_shuffled_day", "clocks", "in_its_own_order",
    "lagging_app", "late_tills", "marked", "merges_around_a_purchase", "unread_purchases", "wrong_clocks",
]  # fmt: skip

START_MS = int(datetime(2025, 6, 2, tzinfo=UTC).timestamp() * 1_000)
"""Long past: on a real Kafka a record arrives when it was received, by what it says, unless that lies ahead."""
OPENED_MS = START_MS + 5 * HOUR_MS
"""When the shop opens for all whom it has not opened for before."""
DAY_MS = 24 * HOUR_MS
FEW_HOURS = 8
"""Of the day that is shuffled. Nothing of it arrives more than 72 h after the first of it occurred: see
`tests.simulation.play.has_belated_link`."""
LAG_MS = 6 * HOUR_MS
PEOPLE_A_KIND = 6
"""So that one kind of people lies on several partitions."""
YEAR_MS = 365 * DAY_MS

Told = dict[str, list[str]]
"""Message id that opened a cart to how its action was told to stand, one after the other."""


def a_day(seed: int, people: int, *, hours: float = 24.0, mark: str = "") -> Scenario:
    """A simulated day of the shop in its own order; with a mark, of people whom no other day knows."""
    start = datetime.fromtimestamp(OPENED_MS / 1_000, UTC).isoformat()
    options = Options(
        people=people, hours=hours, seed=seed % 1_000_000, shared_devices=people // 20, start=start
    )
    emitted = Simulation(options).records()
    return Scenario(
        f"a day{mark}", tuple(marked(record, mark) for record in emitted) if mark else tuple(emitted)
    )


def a_shuffled_day(seed: int, people: int, *, mark: str = "") -> Scenario:
    """A few hours of the shop, everything at some other moment of the hours left of the 72 after the first of it."""
    return Scenario("shuffled", tuple(_moved(seed, a_day(seed, people, hours=FEW_HOURS, mark=mark))))


def in_its_own_order(other: Scenario) -> Scenario:
    """The same, each touchpoint at the moment it occurred, unless it is late: that it stays."""
    return Scenario("in order", tuple(map(_at_once, other.records)))


def lagging_app(seed: int, people: int, *, mark: str = "") -> Scenario:
    """A day on which all that happens in the app arrives hours later than the rest, and some who buy there."""
    records = [
        _arriving(record, LAG_MS) if record.channel == "app" else record
        for record in a_day(seed, people, mark=mark).records
    ]
    for who in range(PEOPLE_A_KIND):
        records += put(
            added(f"lag-{who}-adds", who=f"user_id:lag-{who}"),
            replace(
                ordered(f"lag-{who}-buys", 10, who=f"user_id:lag-{who}", arrives_min=10 + 360), channel="app"
            ),
        )
    return Scenario("the app lags", tuple(records))


def unread_purchases() -> Scenario:
    """Before the shop opens: carts on the web that are bought at the till by card, and as many that are left."""
    points = []
    for who in range(PEOPLE_A_KIND):
        points += [
            added(f"unread-{who}-adds", who=f"user_id:unread-{who} loyalty_id:unread-{who}"),
            ordered(f"unread-{who}-buys", 10, who=f"loyalty_id:unread-{who}"),
            added(f"left-{who}-adds", who=f"user_id:left-{who}"),
        ]
    return Scenario("the worker was down", put(*points, at_ms=START_MS))


CART, LINK, PURCHASE = "cart", "link", "purchase"


def merges_around_a_purchase() -> tuple[Scenario, Told]:
    """A cart of nobody known, the login that says whose device it is, a purchase by card; in every order of arrival.

    All within minutes; or the last of them three hours later: if that is the cart, there is nothing to tell of, else an
    action that is taken back.
    """
    points: list[Touchpoint] = []
    told: Told = {}
    for number, order in enumerate(permutations((CART, LINK, PURCHASE))):
        for how in ("soon", "late"):
            name, last = f"merge-{number}-{how}", order[-1]
            arrivals = {what: 21.0 + place for place, what in enumerate(order)}
            if how == "late":
                arrivals[last] = 21 + 3 * 60
            told[f"{name}-{CART}"] = ["due", "cancelled"] if how == "late" and last != CART else []
            points += [
                _arriving_at(added(f"{name}-{CART}", who=f"anonymous_id:{name}"), arrivals[CART]),
                touchpoint(
                    f"{name}-{LINK}", 10, who=f"loyalty_id:{name} anonymous_id:{name}",
                    channel="app", arrives_min=arrivals[LINK],
                ),
                ordered(
                    f"{name}-{PURCHASE}", 15, who=f"loyalty_id:{name}", arrives_min=arrivals[PURCHASE]
                ),
            ]  # fmt: skip
    return Scenario("merges", put(*points)), told


def late_tills() -> tuple[Scenario, Told]:
    """Carts bought at a till that uploads a day later; and some bought at one that uploads at once."""
    points: list[Touchpoint] = []
    told: Told = {}
    for who in range(PEOPLE_A_KIND):
        known = f"user_id:till-{who} loyalty_id:till-{who}"
        late = who % 2 == 0
        told[f"till-{who}-adds"] = ["due", "cancelled"] if late else []
        points += [
            added(f"till-{who}-adds", who=known),
            ordered(
                f"till-{who}-buys",
                10,
                who=f"loyalty_id:till-{who}",
                arrives_min=10 + late * DAY_MS / MINUTE_MS,
            ),
        ]
    return Scenario("late tills", put(*points)), told


@dataclass(frozen=True, slots=True)
class WrongClock:
    """How far cart and order are from when they happen, by what they say, and what comes of it.

    `told` is how the action is told to stand, `sessions` are (start, end) in minutes after the cart was filled.
    """

    cart_ms: int
    order_ms: int
    told: list[str]
    sessions: list[tuple[int, int]]
    receiver_ms: int = 0
    """How far ahead of Kafka's clock whoever received them was."""


IN_1970_MS = -OPENED_MS
"""From the hours in which all happens to the beginning of 1970."""
WRONG_CLOCKS = {
    "minutes ahead": WrongClock(7 * MINUTE_MS, 7 * MINUTE_MS, [], [(0, 10)]),
    "minutes behind": WrongClock(-7 * MINUTE_MS, -7 * MINUTE_MS, [], [(-7, 3)]),
    "fifty years ahead": WrongClock(50 * YEAR_MS, 50 * YEAR_MS, [], [(0, 10)]),
    "received a year ahead": WrongClock(YEAR_MS, YEAR_MS, [], [(0, 10)], receiver_ms=YEAR_MS),
    "order fifty years ahead": WrongClock(0, 50 * YEAR_MS, [], [(0, 10)]),
    # Before the cart, which is left.
    "order an hour behind": WrongClock(0, -HOUR_MS, ["due"], [(-50, -50), (0, 0)]),
    # Late, and so no part of sessions and carts: the order settles nothing, the cart is none.
    "order in 1970": WrongClock(0, IN_1970_MS, ["due"], [(0, 0)]),
    "cart in 1970": WrongClock(IN_1970_MS, 0, [], [(10, 10)]),
}


def clocks(*, is_real: bool) -> dict[str, WrongClock]:
    """Those that can be played: a real Kafka has a clock of its own, behind which nobody can be by a year for ever."""
    return {name: clock for name, clock in WRONG_CLOCKS.items() if not (is_real and clock.receiver_ms)}


def wrong_clocks(*, is_real: bool = False) -> tuple[Scenario, Told]:
    """A cart and, ten minutes later, an order, by producers whose clocks are wrong."""
    points: list[Touchpoint] = []
    told: Told = {}
    for name, clock in clocks(is_real=is_real).items():
        who = "user_id:" + name.replace(" ", "-")
        add, order = added(f"{name}: adds", who=who), ordered(f"{name}: buys", 10, who=who)
        told[add.message_id] = clock.told
        for point, wrong_ms in ((add, clock.cart_ms), (order, clock.order_ms)):
            points.append(
                replace(
                    point,
                    occurred_ms=point.occurred_ms + wrong_ms,
                    received_ms=point.received_ms + clock.receiver_ms,
                )
            )
    return Scenario("wrong clocks", put(*points)), told


def put(*points: Touchpoint, at_ms: int = OPENED_MS) -> tuple[Emitted, ...]:
    """Records of touchpoints that were told in minutes from then."""
    return tuple(_record(point, at_ms) for point in points)


def _record(point: Touchpoint, at_ms: int) -> Emitted:
    moved = replace(
        point, occurred_ms=point.occurred_ms + at_ms, received_ms=point.received_ms + at_ms,
        arrival_ms=point.arrival_ms + at_ms,
    )  # fmt: skip
    value = encode_touchpoint(envelope_of(moved))
    return Emitted(moved.channel, key_of(moved).encode(), value, moved.arrival_ms)


def _arriving_at(point: Touchpoint, at_min: float) -> Touchpoint:
    arrival_ms = round(at_min * MINUTE_MS)
    return replace(point, received_ms=arrival_ms, arrival_ms=arrival_ms)


def marked(record: Emitted, mark: str) -> Emitted:
    """The same record of somebody else: every value that names somebody has the mark, some digits, in it."""
    fields = decode(record.value)[1]
    fields["identifiers"] = {
        type_: _another(type_, value, mark=mark) for type_, value in fields["identifiers"].items()
    }
    type_, _, value = record.key.decode().partition(":")
    key = f"{type_}:{_another(type_, value, mark=mark)}"
    return Emitted(record.channel, key.encode(), encode_touchpoint(fields), record.arrival_ms)


def _another(type_: str, value: str, *, mark: str) -> str:
    if usable_value(type_, value, DEFAULT) is None:
        return value
    start = len(value) - len(value.lstrip())
    if type_ == "phone" and "5" in value:
        # Behind what a number begins with, which may be written in many ways: it stays one, and the same one.
        start = value.index("5")
    return value[:start] + mark + value[start:]


def _arriving(record: Emitted, later_ms: int) -> Emitted:
    """The same record, so much later, by what it says too."""
    fields = decode(record.value)[1]
    fields["received_at"] += later_ms
    return record._replace(value=encode_touchpoint(fields), arrival_ms=record.arrival_ms + later_ms)


def _moved(seed: int, day: Scenario) -> Iterator[Emitted]:
    """Each message once."""
    within_ms = DEFAULT.late_after_ms - FEW_HOURS * HOUR_MS
    rules = replace(DEFAULT, late_after_ms=within_ms)
    moved = shuffled(World(seed, day.touchpoints, (), rules), seed)
    records = {point.message_id: record for point, record in zip(day.touchpoints, day.records, strict=True)}
    for point in moved.touchpoints:
        yield _timed(records[point.message_id], point)


def _at_once(record: Emitted) -> Emitted:
    point = from_record(decode(record.value)[1], record.arrival_ms)
    if is_late(point):
        return record
    at_ms = occurred_ms(point)
    return _timed(record, replace(point, received_ms=at_ms, arrival_ms=at_ms))


def _timed(record: Emitted, point: Touchpoint) -> Emitted:
    """The record with the times of that touchpoint."""
    fields = decode(record.value)[1]
    fields.update(occurred_at=point.occurred_ms, received_at=point.received_ms)
    return record._replace(value=encode_touchpoint(fields), arrival_ms=point.arrival_ms)
