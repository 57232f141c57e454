"""Who lives in the simulated town: people, their devices and addresses, and who shares what with whom.

Knows what identifies whom; must not know what anybody does with it during the day.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from streams.simulator.shop import Product

_FIRST = "ada ben cleo dev emil fay gus hana ivo jun kai lea mia noa ole pia quin ria sam tom uma vic wim"
_LAST = "adler berg costa dahl evans fuchs garcia hahn ito jansen khan lopez moreau novak okafor petit rossi"
_FIRST_NAMES = tuple(_FIRST.split())
_LAST_NAMES = tuple(_LAST.split())
_DEVICE_COUNTS = (1, 1, 1, 1, 1, 2, 2, 2, 3, 4)


@dataclass(slots=True)
class Cart:
    """What somebody has put aside: product, quantity, and the price when it was last added, by product id."""

    owner: str
    ordinal: int = 1
    lines: dict[str, tuple[Product, int, int]] = field(default_factory=dict)

    @property
    def cart_id(self) -> str:
        """Each purchase begins a new one."""
        return f"c-{self.owner}-{self.ordinal}"

    def take_new(self) -> None:
        """The old one is paid for."""
        self.ordinal += 1
        self.lines.clear()


@dataclass(slots=True, eq=False)
class Device:
    """A web browser (anonymous id) or an app install (device id too); `user` is who is logged in on it."""

    is_app: bool
    anonymous_id: str
    device_id: str | None
    cart: Cart
    user: Person | None = None


@dataclass(slots=True, eq=False)
class Person:
    """Somebody with the addresses they have, whether or not the shop ever learns them."""

    user_id: str | None
    email: str | None
    phone: str | None
    loyalty_id: str | None
    #: never, late (at the checkout, if at all) or early (on arrival).
    logs_in: str
    reads_mail: bool
    reads_sms: bool
    #: How often a day they think of the shop.
    visits_a_day: float
    cart: Cart
    devices: list[Device] = field(default_factory=list)
    #: Reading mail, paying at a till and browsing take one person one after the other.
    busy_until_ms: int = 0
    has_linked_card: bool = False


def people_of(household: int, size: int, *, rnd: random.Random) -> list[Person]:
    """The members of one household, each with devices of their own; two or more also share the last."""
    members = [_person(household * 8 + member, rnd) for member in range(size)]
    for person in members:
        person.devices = [_device(rnd) for _ in range(_DEVICE_COUNTS[int(rnd.random() * 10)])]
    if size > 1:
        shared = _device(rnd)
        for person in members:
            person.devices.append(shared)
            person.logs_in = "early"
            person.user_id = person.user_id or _user_id(rnd, person.cart.owner)
    return members


def _person(number: int, rnd: random.Random) -> Person:
    draw = rnd.random()
    logs_in = "never" if draw < 0.34 else "late" if draw < 0.8 else "early"
    is_known = logs_in != "never"
    name = f"{rnd.choice(_FIRST_NAMES)}.{rnd.choice(_LAST_NAMES)}"
    return Person(
        user_id=_user_id(rnd, f"{number:x}") if is_known else None,
        email=f"{name}{number}@example.org" if rnd.random() < (0.95 if is_known else 0.25) else None,
        phone=f"+49151{number:08d}" if rnd.random() < (0.5 if is_known else 0.15) else None,
        loyalty_id=f"L{number:07d}" if rnd.random() < (0.4 if is_known else 0.12) else None,
        logs_in=logs_in,
        reads_mail=rnd.random() < 0.7,
        reads_sms=rnd.random() < 0.3,
        visits_a_day=rnd.expovariate(1 / 1.2),
        cart=Cart(f"{number:x}"),
    )


def _user_id(rnd: random.Random, number: str) -> str:
    return f"u-{number}-{rnd.getrandbits(24):06x}"


def _device(rnd: random.Random) -> Device:
    is_app = rnd.random() < 0.3
    bits = f"{rnd.getrandbits(128):032x}"
    anonymous_id = f"{bits[:8]}-{bits[8:12]}-4{bits[13:16]}-a{bits[17:20]}-{bits[20:]}"
    device_id = f"{rnd.getrandbits(64):016X}" if is_app else None
    return Device(is_app, anonymous_id, device_id, Cart(bits[20:]))
