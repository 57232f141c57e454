"""Small nasty worlds from a seed: few people, many links, boundaries of every rule hit. Knows no answer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Any

from tests.oracle.acts import Act
from tests.oracle.random_acts import acts_about
from tests.oracle.rules import CHANNELS, DEFAULT, HOUR_MS, MINUTE_MS, SECOND_MS, Rules
from tests.oracle.touchpoints import Item, Touchpoint, arrived_ms, is_late, occurred_ms

START_MS = 1_760_000_400_000
"""A full minute, so that the coarse grid is easy to read in epoch milliseconds."""
GAPS_MS = (
    *(0, 0, 1, 5 * MINUTE_MS, 10 * MINUTE_MS, 10 * MINUTE_MS, 20 * MINUTE_MS, 20 * MINUTE_MS),
    *(30 * MINUTE_MS - 1, 30 * MINUTE_MS, 30 * MINUTE_MS + 1, 40 * MINUTE_MS, 60 * MINUTE_MS, 5 * HOUR_MS),
)
EVENTS = (
    *("Product Added",) * 6,
    *("Order Completed",) * 3,
    *("Product Removed",) * 2,
    *("Product Viewed",) * 3,
    "Cart Updated",
    "Checkout Started",
    "Cart Viewed",
    "Email Opened",
)
LOOKING = frozenset({"Product Viewed", "Checkout Started", "Cart Viewed", "Email Opened"})
"""Of EVENTS those that touch no cart."""
CALLS = (
    *(("page", ""),) * 5,
    *(("page", "Home"), ("page", "Product Viewed"), ("screen", ""), ("identify", ""), ("track", "")),
    *(
        ("track", "Fitting Room Booked"),
        ("track", "x"),
        ("track", "page"),
        ("group", "x"),
        ("alias", "other"),
    ),
)
"""Segment's calls, with the event they name."""
CAMPAIGNS = (
    ("mail", "email", "spring", None, None),
    ("search", "cpc", "shoes", "red shoes", "b"),
    ("search", None, None, None, None),
    (None, None, None, None, "only content"),
    ("", None, "summer", "", None),
    (None, None, None, None, None),
    ("", "", "", "", ""),
    ("s" * 300, None, "é" * 256, None, None),
)
POOL = ("user_id", "loyalty_id", "email", "phone", "device_id", "device_id", "anonymous_id", "anonymous_id")
BLOCKED = ("null", "0", "", "Guest", "00000000-0000-0000-0000-000000000000", " n/a ", "\ufeffNULL")
TAIL_MS = 73 * HOUR_MS
"""How far behind the last arrival the first of the final ticks is: past every timer and bound."""


@dataclass(frozen=True, slots=True)
class Tick:
    """Everything that arrived by then has been fed."""

    clock_ms: int


@dataclass(frozen=True, slots=True)
class World:
    """Touchpoints in the order they are fed, ticks and acts among them, and the rules that hold."""

    seed: int
    touchpoints: tuple[Touchpoint, ...]
    ticks_ms: tuple[int, ...]
    rules: Rules = DEFAULT
    acts: tuple[Act, ...] = ()

    def records(self) -> Iterator[Touchpoint | Tick | Act]:
        """Touchpoints, ticks and acts in the order to feed them; the final ticks are `final_ticks_ms`.

        Before what arrives with it or after it comes an act; behind what arrives with it or before it, a tick.
        """
        others: list[tuple[int, Act | Tick]] = [(2 * act.arrival_ms - 1, act) for act in self.acts]
        others += [(2 * clock_ms + 1, Tick(clock_ms)) for clock_ms in self.ticks_ms]
        others.sort(key=lambda entry: entry[0])
        for touchpoint in self.touchpoints:
            while others and others[0][0] < 2 * touchpoint.arrival_ms:
                yield others.pop(0)[1]
            yield touchpoint
        yield from (other for _, other in others)

    def final_ticks_ms(self) -> tuple[int, ...]:
        """Past the last timer, then three more, each to be fed once the one before has been consumed."""
        arrivals_ms = [t.arrival_ms for t in self.touchpoints] + [act.arrival_ms for act in self.acts]
        last_ms = max([*self.ticks_ms, *arrivals_ms], default=START_MS)
        return tuple(last_ms + TAIL_MS + n for n in range(4))


def world(seed: int) -> World:
    """The world of this seed; the same seed always gives the same one."""
    rng = Random(seed)
    size = rng.choice([rng.randint(1, 8), rng.randint(2, 25), rng.randint(10, 60)])
    rules = replace(_rules(rng), **_limits(seed), **_cart_rules(seed))
    people = _knot(rng) if rng.random() < 0.3 else _people(rng)
    clocks_ms = [START_MS + rng.choice(GAPS_MS) for _ in people]
    originals = []
    for n in range(size):
        who = rng.randrange(len(people))
        clocks_ms[who] += _gap_ms(rng)
        originals.append(_touchpoint(rng, f"m{n}", clocks_ms[who], identifiers=people[who], rules=rules))
    copies = [_copy(rng, rng.choice(originals)) for _ in range(rng.choice([0, 0, 1, 1 + size // 5]))]
    fed = sorted([*originals, *copies], key=lambda t: t.arrival_ms)
    acts, ticks_ms = _acts(seed, fed), _ticks_ms(rng, fed)
    told, events = _told(seed, _with_payments(seed, fed))
    looked, browse_views = _looked(seed, told)
    return World(seed, looked, ticks_ms, replace(rules, events=events, browse_views=browse_views), acts)


def _looked(seed: int, fed: Sequence[Touchpoint]) -> tuple[tuple[Touchpoint, ...], int]:
    """In three worlds of seven browses count, after one to three views, and most is looked at, not put in."""
    rng = Random(f"browses {seed}")
    browse_views = rng.choice([0, 0, 0, 0, 1, 2, 3])
    if not browse_views:
        return tuple(fed), 0
    views = {
        name: tuple(
            Item(rng.choice("xyz"), rng.choice([1, 2]), rng.randint(0, 5) * 1000) for _ in range(lines)
        )
        for name in sorted({t.message_id for t in fed if t.event in ("Product Added", "Product Viewed")})
        if (lines := rng.choice([0, 0, 1, 1, 2])) or rng.random() < 0.2
    }
    look: dict[str, Any] = {"type": "track", "event": "Product Viewed"}
    looked = [replace(t, **look, items=views[t.message_id]) if t.message_id in views else t for t in fed]
    return tuple(looked), browse_views


def _told(seed: int, fed: Sequence[Touchpoint]) -> tuple[tuple[Touchpoint, ...], tuple[str, ...]]:
    """What touchpoints say of where people came from and what they did, copies the same; and the events added to ours.

    Who looked at something may have made a call of another kind, with a name, a strange one or none; what was paid was
    paid in two currencies or in none; and in two worlds of three every third touchpoint has a campaign.
    """
    rng = Random(f"told {seed}")
    share = rng.choice([0.0, 0.3, 0.3])
    changes: dict[str, dict[str, Any]] = {}
    for point in sorted(fed, key=lambda t: t.message_id):
        if point.message_id in changes:
            continue
        said: dict[str, Any] = {"currency": rng.choice([None, "", "EUR", "EUR", "USD", "no currency at all"])}
        if point.event in LOOKING and rng.random() < 0.6:
            said["type"], said["event"] = rng.choice(CALLS)
        if rng.random() < share:
            said["campaign"] = rng.choice(CAMPAIGNS)
        changes[point.message_id] = said
    return tuple(replace(t, **changes[t.message_id]) for t in fed), rng.choice([(), ("Fitting Room Booked",)])


def _with_payments(seed: int, fed: Sequence[Touchpoint]) -> list[Touchpoint]:
    """In half of the worlds people come to pay, and some of their payments fail."""
    rng = Random(f"payments {seed}")
    if rng.random() < 0.5:
        return list(fed)
    idle = [t.message_id for t in fed if t.event in ("Product Removed", "Cart Updated")]
    paying = {
        name: (
            rng.choice(["Payment Info Entered", "Payment Failed"]),
            rng.choice([(), (Item("x", 1, 1000),)]),
        )
        for name in dict.fromkeys(idle)
        if rng.random() < 0.6
    }
    return [
        replace(t, event=paying[t.message_id][0], items=paying[t.message_id][1])
        if t.message_id in paying
        else t
        for t in fed
    ]


def _acts(seed: int, fed: Sequence[Touchpoint]) -> tuple[Act, ...]:
    """In a third of the worlds, one to three acts about identifiers that are seen, some of them twice.

    Those that part people come when they are done, so that what was seen later comes later; others come at any time.
    """
    rng = Random(f"acts {seed}")
    known = [
        f"{type_}:{value}" for t in fed for type_, value in t.identifiers.items() if value not in BLOCKED
    ]
    if rng.random() < 0.67 or len(set(known)) < 2:
        return ()
    return acts_about(rng, known, fed, rng.choice([1, 1, 2, 3]))


def _limits(seed: int) -> dict[str, Any]:
    """Half of the worlds know no limits; in the others accounts stay apart, and some types follow their latest user."""
    rng = Random(f"limits {seed}")
    style = rng.choice(["none", "none", "keep", "move"])
    if style == "none":
        return {"limits": {}}
    moving = rng.sample([type_ for type_ in dict.fromkeys(POOL) if type_ != "user_id"], rng.choice([1, 2]))
    return {"limits": {"user_id": 1}, "moving": frozenset(moving if style == "move" else ())}


def _cart_rules(seed: int) -> dict[str, Any]:
    """A third of the shops keep what an order leaves of a cart, and a half remind of an abandoned one again."""
    rng = Random(f"carts {seed}")
    reminders_ms = rng.choice([(), (), (HOUR_MS, 3 * HOUR_MS), (24 * HOUR_MS, 72 * HOUR_MS)])
    return {"keeps_leftovers": rng.random() < 0.34, "reminders_ms": reminders_ms}


def shuffled(original: World, seed: int, *, keep_times: bool = False) -> World:
    """The same touchpoints in another order of arrival, with the same final answer.

    `keep_times`: records keep the times they claim to have arrived at and come in any order, as from a file
    that is not sorted, with no tick before the end. Otherwise every touchpoint arrives at another moment of
    the 72 h after it occurred, and ticks fit.
    """
    rng = Random(seed)
    if keep_times:
        fed = _without_copies(original.touchpoints)
        rng.shuffle(fed)
        return replace(original, touchpoints=tuple(fed), ticks_ms=())
    moved = [_moved(rng, t, original.rules) for t in _without_copies(original.touchpoints)]
    fed = sorted(moved, key=lambda t: t.arrival_ms)
    return replace(original, touchpoints=tuple(fed), ticks_ms=_ticks_ms(rng, fed))


def _rules(rng: Random) -> Rules:
    """Mostly the defaults; sometimes gaps of single channels, or a shop with a country and a till of its own."""
    rules = DEFAULT
    if rng.random() < 0.2:
        rules = replace(rules, gaps_ms={"store": 2 * HOUR_MS, "email": MINUTE_MS})
    if rng.random() < 0.4:
        rules = replace(
            rules, default_region="DE", drop_plus_tags=("bücher.example",), blocked=("email:till?@*",)
        )
    return rules


def _people(rng: Random) -> list[list[tuple[str, str]]]:
    """Identifiers of each of a few people; now and then two share one, which makes them one."""
    people = []
    for person in range(rng.choice([1, 1, 2, 2, 3, 4])):
        types = rng.sample(POOL, rng.randint(1, len(POOL)))
        people.append([(type_, _value(type_, 10 * person + n)) for n, type_ in enumerate(types)])
    if len(people) > 1 and rng.random() < 0.4:
        people[0].append(rng.choice(people[1]))
    return people


def _knot(rng: Random) -> list[list[tuple[str, str]]]:
    """Many pairs out of one pool of identifiers: links that come in any order make and merge people all the time."""
    pool = [(type_, _value(type_, n)) for n, type_ in enumerate(rng.choices(POOL, k=rng.randint(4, 14)))]
    return [rng.sample(pool, min(len(pool), rng.choice([1, 2, 2, 2, 3]))) for _ in range(rng.randint(3, 12))]


def _value(type_: str, number: int) -> str:
    """One of a kind; addresses and numbers of the odd ones are such, the others hashes or anything else."""
    if number % 2 and type_ == "email":
        return f"e{number}@bücher.example"
    if number % 2 and type_ == "phone":
        return f"+4930{500_000 + number}"
    return f"{type_[0]}{number}"


def _gap_ms(rng: Random) -> int:
    return 80 * HOUR_MS if rng.random() < 0.002 else rng.choice(GAPS_MS)


def _touchpoint(
    rng: Random, message_id: str, at_ms: int, *, identifiers: Sequence[tuple[str, str]], rules: Rules
) -> Touchpoint:
    event = rng.choice(EVENTS)
    is_order = event == "Order Completed"
    channel = rng.choice(["pos", "web", "app", "orders"]) if is_order else rng.choice(CHANNELS)
    arrival_ms = at_ms + _delay_ms(rng, is_order=is_order)
    return Touchpoint(
        message_id=message_id,
        event=event,
        occurred_ms=_claimed_ms(rng, at_ms),
        received_ms=arrival_ms + (5 * MINUTE_MS if rng.random() < 0.03 else 0),
        arrival_ms=arrival_ms,
        identifiers=_worn(rng, identifiers, rules),
        channel=channel,
        items=_items(rng, event),
        cart_id=rng.choice([None, "c1", "c2"]),
        order_id=f"o-{message_id}" if is_order else None,
        revenue_micros=rng.choice([None, rng.randint(0, 9) * 1_000_000]) if is_order else None,
        currency=rng.choice([None, "EUR"]),
    )


def _claimed_ms(rng: Random, at_ms: int) -> int:
    """Mostly the truth; a few clocks are ahead, and a very few stand at 1970."""
    luck = rng.random()
    if luck < 0.03:
        return at_ms + rng.choice([MINUTE_MS, 24 * HOUR_MS, 500_000 * HOUR_MS])
    return 0 if luck < 0.034 else at_ms


def _delay_ms(rng: Random, *, is_order: bool) -> int:
    """From occurring to arriving: mostly nothing, orders often hours (tills), rarely the edge of too late."""
    luck = rng.random()
    if luck < (0.3 if is_order else 0.02):
        return rng.randint(1, 40) * 30 * MINUTE_MS
    if luck < 0.5:
        return 0
    if luck < 0.99:
        return rng.choice([1, SECOND_MS, 9 * SECOND_MS, 11 * SECOND_MS, 5 * MINUTE_MS, 31 * MINUTE_MS])
    return 72 * HOUR_MS + rng.choice([-1, 0, 1, HOUR_MS])


def _worn(rng: Random, identifiers: Sequence[tuple[str, str]], rules: Rules) -> dict[str, str]:
    """One to three of a person's identifiers as a sloppy producer writes them, now and then a blocked one."""
    chosen = rng.sample(identifiers, min(len(identifiers), rng.choice([1, 1, 1, 1, 2, 2, 3])))
    worn = {type_: _sloppy(rng, type_, value=value, rules=rules) for type_, value in chosen}
    if rng.random() < 0.06:
        worn[rng.choice(POOL)] = rng.choice(BLOCKED)
    if rules.blocked and rng.random() < 0.03:
        worn["email"] = f"TILL{rng.randint(1, 9)}@shop.example"
    return worn


def _sloppy(rng: Random, type_: str, *, value: str, rules: Rules) -> str:
    """The value as somebody typed it into a form, or another system sent it."""
    if rng.random() < 0.5:
        return value
    if type_ == "email":
        name, at, domain = value.partition("@")
        tag = rng.choice(["", "+news"]) if domain in rules.drop_plus_tags else ""
        domain = rng.choice([domain, domain.replace("bücher", "xn--bcher-kva")])
        return f" {name}{tag}{at}{domain}".upper()
    if type_ == "phone" and value.startswith("+49"):
        inside = value.removeprefix("+4930")
        abroad = [f"+49 (0)30 {inside}", f"0049 30/{inside}", f"+49-30-{inside[:3]} {inside[3:]} ext. 7"]
        return rng.choice([*abroad, f"(030) {inside}"] if rules.default_region else abroad)
    return rng.choice([value, f" {value}\u200b"])


def _items(rng: Random, event: str) -> tuple[Item, ...]:
    if event not in ("Product Added", "Product Removed", "Cart Updated", "Order Completed"):
        return ()
    lines = rng.choice([1, 1, 2]) if event.startswith("Product") else rng.randint(0, 2)
    return tuple(
        Item(rng.choice("xyz"), rng.choice([1, 1, 2]), rng.randint(1, 5) * 1000) for _ in range(lines)
    )


def _copy(rng: Random, original: Touchpoint) -> Touchpoint:
    """The same message again: the same bytes twice, or received twice (but never turned late by it)."""
    after_ms = rng.choice([0, 1, MINUTE_MS, 35 * MINUTE_MS, 20 * HOUR_MS])
    received_ms = original.received_ms + (after_ms if rng.random() < 0.5 else 0)
    again = replace(original, arrival_ms=original.arrival_ms + after_ms, received_ms=received_ms)
    return again if is_late(again) == is_late(original) else original


def _ticks_ms(rng: Random, fed: Sequence[Touchpoint]) -> tuple[int, ...]:
    """Regular ticks, ticks at moments that matter (arrivals, due, lateness), or none before the end."""
    style = rng.choice(["none", "regular", "sharp", "sharp"])
    if style == "none" or not fed:
        return ()
    first_ms, last_ms = fed[0].arrival_ms, fed[-1].arrival_ms
    if style == "regular":
        step_ms = max(rng.choice([5 * MINUTE_MS, HOUR_MS]), (last_ms - first_ms) // 60)
        return tuple(range(first_ms, last_ms + 2 * HOUR_MS, step_ms))
    moments = {
        base_ms + after_ms
        for t in rng.sample(fed, min(len(fed), 12))
        for base_ms in (t.arrival_ms, t.arrival_ms + 30 * MINUTE_MS)
        for after_ms in rng.sample([0, 9_999, 10_000, 10_001, MINUTE_MS], 2)
    }
    return tuple(sorted(moments))


def _without_copies(touchpoints: Sequence[Touchpoint]) -> list[Touchpoint]:
    """The copy of each message that arrives first: which one that is must not be changed."""
    first: dict[str, Touchpoint] = {}
    for touchpoint in sorted(touchpoints, key=arrived_ms):
        first.setdefault(touchpoint.message_id, touchpoint)
    return list(first.values())


def _moved(rng: Random, touchpoint: Touchpoint, rules: Rules) -> Touchpoint:
    if is_late(touchpoint, rules):
        return touchpoint
    happened_ms = occurred_ms(touchpoint, rules)
    arrival_ms = happened_ms + rng.choice([0, rng.randint(0, rules.late_after_ms), rng.randint(0, HOUR_MS)])
    return replace(touchpoint, occurred_ms=happened_ms, received_ms=arrival_ms, arrival_ms=arrival_ms)
