"""What many people use, in every order of arrival: a kiosk, a family's tablet, an address, an agent's telephone.

The answers are those a shop would give: nobody becomes somebody else because of a thing that both have used.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import permutations

import pytest

from streams.core.rules import KEEP, LIMITS, MOVE, Rules
from tests.oracle.rules import HOUR_MS, MINUTE_MS
from tests.oracle.worlds import START_MS
from tests.simulation.people import PARTITIONS, People, Seen, arrivals, people
from tests.unit.oracle.build import touchpoint

CUSTOMERS = 500
CALLS = 300


def seen(name: str, at_min: float, who: str, *, channel: str = "web") -> Seen:
    """`who` is one or more `type:value`, parted by spaces."""
    point = touchpoint(name, at_min, who=who, channel=channel)
    return Seen(name, START_MS + point.occurred_ms, point.identifiers, channel)


def persons(*members: str) -> set[frozenset[str]]:
    """One person each, with the identifiers in it, parted by spaces."""
    return {frozenset(each.split()) for each in members}


def told(orders: Iterable[Sequence[Seen]], rules: Rules, partitions: int) -> list[People]:
    """Who is who for each order of arrival."""
    return [people(order, rules, partitions=partitions, seed=number) for number, order in enumerate(orders)]


def kiosk_day() -> list[Seen]:
    """In ten hours each customer logs in on the kiosk, after somebody has looked around on it without."""
    day = []
    for customer in range(CUSTOMERS):
        at_min = customer * 600 / CUSTOMERS
        day.append(seen(f"looked {customer}", at_min, "device_id:kiosk", channel="store"))
        who = f"user_id:c{customer} device_id:kiosk"
        day.append(seen(f"login {customer}", at_min + 0.5, who, channel="store"))
    return day


@pytest.mark.parametrize("partitions", PARTITIONS)
def test_a_kiosk_is_nobodys(partitions: int) -> None:
    """500 customers who log in on one device stay 500; it is found to be shared, and by itself it shows nobody."""
    customers = {f"user_id:c{customer}" for customer in range(CUSTOMERS)}
    expected = {frozenset([each]) for each in (*customers, "device_id:kiosk")}
    for found in told(arrivals(kiosk_day(), shuffles=2), Rules(), partitions):
        assert found.groups() == expected
        assert found.shared == {"device_id:kiosk"}
        theirs = {found.profiles[customer] for customer in customers}
        assert not theirs & {found.messages[f"looked {customer}"] for customer in range(CUSTOMERS)}
        for customer in range(CUSTOMERS):
            assert found.messages[f"login {customer}"] == found.profiles[f"user_id:c{customer}"]


@pytest.mark.parametrize("partitions", PARTITIONS)
def test_a_cookie_on_a_kiosk_is_nobody_elses(partitions: int) -> None:
    """The cookie of a visit is never another visitor's; half of them at least are with who logged in with them.

    Until a device is known to be a kiosk it links, and not all that was left out for its links is looked into again:
    some cookies stay by themselves.
    """
    visits = []
    for visit in range(40):
        cookie = f"anonymous_id:visit-{visit} device_id:kiosk"
        visits.append(seen(f"looked {visit}", 10 * visit, cookie))
        visits.append(seen(f"login {visit}", 10 * visit + 1, f"user_id:c{visit} {cookie}"))
    own = [frozenset([f"user_id:c{visit}", f"anonymous_id:visit-{visit}"]) for visit in range(40)]
    for found in told(arrivals(visits, shuffles=4), Rules(), partitions):
        assert found.shared == {"device_id:kiosk"}
        groups = found.groups()
        assert frozenset(["device_id:kiosk"]) in groups
        assert all(any(group <= mine for mine in own) for group in groups - {frozenset(["device_id:kiosk"])})
        assert len(groups & set(own)) >= 20


TABLET = [
    seen("before", 0, "device_id:tablet"),
    seen("mum", 10, "user_id:mum device_id:tablet"),
    seen("dad", 20, "user_id:dad device_id:tablet"),
    seen("kid", 30, "user_id:kid device_id:tablet"),
    seen("after", 40, "device_id:tablet"),
]


@pytest.mark.parametrize("partitions", PARTITIONS)
@pytest.mark.parametrize(("on_conflict", "owner"), [(KEEP, "mum"), (MOVE, "kid")])
def test_a_family_tablet_is_one_persons(partitions: int, on_conflict: str, owner: str) -> None:
    """Three accounts stay three; the tablet is the first one's, or follows the latest, whatever arrives when."""
    rules = Rules(on_conflict={"device_id": on_conflict})
    others = [f"user_id:{one}" for one in ("mum", "dad", "kid") if one != owner]
    for found in told(permutations(TABLET), rules, partitions):
        assert found.groups() == persons(f"user_id:{owner} device_id:tablet", *others)
        assert not found.shared
        for message in ("before", "after", owner):
            assert found.messages[message] == found.profiles[f"user_id:{owner}"]
        for other in others:
            assert found.messages[other.partition(":")[2]] == found.profiles[other]


@pytest.mark.parametrize("partitions", PARTITIONS)
def test_a_tablet_of_many_years_is_no_kiosk(partitions: int) -> None:
    """Twelve accounts on one device, a month apart: it is the first one's still."""
    month_min = 30 * 24 * HOUR_MS // MINUTE_MS
    names = [f"user_id:c{name:02}" for name in range(12)]
    logins = [seen(one, place * month_min, f"{one} device_id:old") for place, one in enumerate(names)]
    for found in told(arrivals(logins, shuffles=6), Rules(), partitions):
        assert not found.shared
        assert found.groups() == persons(f"{names[0]} device_id:old", *names[1:])


CARDS = [
    seen("first card", 0, "loyalty_id:1 email:a@b.c", channel="loyalty"),
    seen("second card", 10, "loyalty_id:2 email:a@b.c", channel="loyalty"),
    seen("till", 20, "loyalty_id:2", channel="pos"),
    seen("mail", 30, "email:a@b.c", channel="email"),
]


@pytest.mark.parametrize("partitions", PARTITIONS)
def test_an_address_with_two_loyalty_cards(partitions: int) -> None:
    """The cards are two profiles; the address, and what it alone shows, is the first card's."""
    for found in told(permutations(CARDS), Rules(), partitions):
        assert found.groups() == persons("loyalty_id:1 email:a@b.c", "loyalty_id:2")
        first, second = found.profiles["loyalty_id:1"], found.profiles["loyalty_id:2"]
        assert {message for message, profile in found.messages.items() if profile == first} == {
            "first card",
            "mail",
        }
        assert {message for message, profile in found.messages.items() if profile == second} == {
            "second card",
            "till",
        }


def shift(types: Sequence[str]) -> list[Seen]:
    """Calls of one agent in eight hours, each with the agent's number; customers are known by the types in turn."""
    calls = []
    for call in range(CALLS):
        customer = f"{types[call % len(types)]}:c{call}"
        calls.append(seen(customer, call * 480 / CALLS, f"{customer} phone:agent", channel="voice"))
    return calls


@pytest.mark.parametrize("partitions", PARTITIONS)
@pytest.mark.parametrize("types", [("user_id",), ("loyalty_id",), ("user_id", "loyalty_id"), ("email",)])
def test_an_agents_number_is_nobodys(partitions: int, types: Sequence[str]) -> None:
    """300 customers called from one number stay 300, whatever they are known by; the number is found to be shared."""
    calls = shift(types)
    rules = Rules(limits={**LIMITS, "email": 1})
    alone = seen("alone", 490, "phone:agent", channel="voice")
    expected = persons("phone:agent", *(call.message_id for call in calls))
    for found in told(arrivals([*calls, alone], shuffles=2), rules, partitions):
        assert found.groups() == expected
        assert found.shared == {"phone:agent"}
        assert found.messages["alone"] == found.profiles["phone:agent"]
