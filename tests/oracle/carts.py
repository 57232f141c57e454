"""Carts of one person: the fold over touchpoints, its episodes, and when an episode counts as abandoned."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from tests.oracle.rules import DEFAULT, Rules
from tests.oracle.sessions import ORDER
from tests.oracle.touchpoints import Item, Touchpoint, occurred_ms

ADDED, REMOVED, UPDATED = "Product Added", "Product Removed", "Cart Updated"
WISHED = "Wishlist Product Added to Cart"
PRICING = (ADDED, WISHED, UPDATED)
"""What says prices."""
PAYING, FAILED = "Payment Info Entered", "Payment Failed"
TOUCHING = (*PRICING, REMOVED, ORDER, PAYING, FAILED)

Cart = tuple[Item, ...]
"""Lines by product id, each with a quantity above zero."""


@dataclass(frozen=True, slots=True)
class Abandonment:
    """The touchpoint after which the person was silent, when that is due, and what was in the cart.

    `was_paying`: the person had come to pay by then.
    """

    message_id: str
    due_ms: int
    items: Cart
    was_paying: bool = False
    currency: str | None = None


@dataclass(frozen=True, slots=True)
class Failure:
    """A payment for the cart that failed, and what was in it."""

    message_id: str
    failed_ms: int
    items: Cart
    currency: str | None


@dataclass(frozen=True, slots=True)
class Episode:
    """`ended_by` is None while there is something in the cart; `order` is the touchpoint that bought it.

    `abandonments` are the steps at which it was due, the first one first; none if it was not abandoned.
    """

    opened_by: str
    opened_ms: int
    ended_by: str | None
    ended_ms: int | None
    order: Touchpoint | None
    abandonments: tuple[Abandonment, ...]
    items: Cart
    failure: Failure | None = None

    @property
    def abandonment(self) -> Abandonment | None:
        """The first."""
        return self.abandonments[0] if self.abandonments else None

    @property
    def status(self) -> str:
        """How it ended, or, while it lasts, whether it was abandoned."""
        if self.order is not None:
            return "purchased"
        if self.ended_by is not None:
            return "emptied"
        return "abandoned" if self.abandonment else "open"


def cart_after(
    cart: Cart,
    touchpoint: Touchpoint,
    cart_id: str | None = None,
    rules: Rules = DEFAULT,
    currency: str | None = None,
) -> Cart:
    """The cart of that id and currency once the touchpoint has happened; others than about carts leave it alone."""
    is_said = bool(currency and touchpoint.currency)
    if touchpoint.event in PRICING and is_said and touchpoint.currency != currency:
        cart = tuple(replace(item, price_micros=0) for item in cart)
    if touchpoint.event == ORDER:
        return leftovers(cart, touchpoint, cart_id) if rules.keeps_leftovers else ()
    if touchpoint.event == UPDATED:
        return with_changes((), touchpoint.items, sign=1)
    if touchpoint.event in (ADDED, WISHED):
        return with_changes(cart, touchpoint.items, sign=1)
    if touchpoint.event == REMOVED:
        return with_changes(cart, touchpoint.items, sign=-1)
    if touchpoint.event == FAILED and not cart:
        return with_changes((), touchpoint.items, sign=1)
    return cart


def leftovers(cart: Cart, order: Touchpoint, cart_id: str | None) -> Cart:
    """What an order leaves in a cart that it was not made from, if it says what was bought: all other products."""
    is_made_from_it = bool(order.cart_id) and order.cart_id == cart_id
    if is_made_from_it or not order.items:
        return ()
    bought = [item.product_id for item in order.items]
    return tuple(item for item in cart if item.product_id not in bought)


def cart_id_of(touchpoints: Sequence[Touchpoint]) -> str | None:
    """The id of a cart that these have touched: the first that one of them says, orders apart."""
    return next(
        (t.cart_id for t in touchpoints if t.event in TOUCHING and t.event != ORDER and t.cart_id), None
    )


def currency_of(touchpoints: Sequence[Touchpoint], later: Sequence[Touchpoint] = ()) -> str | None:
    """The currency of a cart that these have touched: the latest said with prices, before that any that is said.

    Where they have said none, the first that is said later.
    """
    said: str | None = None
    for touchpoint in touchpoints:
        if touchpoint.event in PRICING or said is None:
            said = _currency_said(touchpoint) or said
    return said or next((currency for currency in map(_currency_said, later) if currency), None)


def _currency_said(touchpoint: Touchpoint) -> str | None:
    is_about_a_cart = touchpoint.event in TOUCHING and touchpoint.event != ORDER
    return touchpoint.currency if is_about_a_cart else None


def with_changes(cart: Cart, changes: Sequence[Item], *, sign: int) -> Cart:
    """Quantities added or taken by product; an addition says the latest price; nothing stays at zero."""
    lines = {item.product_id: item for item in cart}
    for change in changes:
        held = lines.pop(change.product_id, Item(change.product_id, quantity=0))
        quantity = held.quantity + sign * change.quantity
        price_micros = change.price_micros if sign > 0 else held.price_micros
        if quantity > 0:
            lines[change.product_id] = Item(change.product_id, quantity, price_micros)
    return tuple(sorted(lines.values(), key=lambda item: item.product_id))


def value_micros(cart: Cart) -> int:
    """What the cart is worth."""
    return sum(item.quantity * item.price_micros for item in cart)


def episodes_of(touchpoints: Sequence[Touchpoint], rules: Rules = DEFAULT) -> tuple[Episode, ...]:
    """From the touchpoint that puts something into an empty cart to the one that empties it, or until it expires."""
    episodes: list[Episode] = []
    carts: list[Cart] = []
    opened: int | None = None
    for index, touchpoint in enumerate(touchpoints):
        before = carts[-1] if carts else ()
        if opened is not None and _is_expired(touchpoints[: index + 1], carts, opened, rules=rules):
            episodes.append(_episode(touchpoints[:index], carts, opened, ended=None, rules=rules))
            before, opened = (), None
        past = touchpoints[opened:index] if opened is not None else ()
        carts.append(cart_after(before, touchpoint, cart_id_of(past), rules, currency_of(past)))
        if not before and carts[-1]:
            opened = index
        elif before and not carts[-1] and opened is not None:
            episodes.append(_episode(touchpoints, carts, opened, ended=index, rules=rules))
            opened = None
    if opened is not None:
        episodes.append(_episode(touchpoints, carts, opened, ended=None, rules=rules))
    return tuple(episodes)


def _is_expired(
    touchpoints: Sequence[Touchpoint], carts: Sequence[Cart], opened: int, *, rules: Rules
) -> bool:
    """The last touchpoint is about the cart, and nobody touched it within the recovery window before.

    The window begins when the cart was last touched, or when it was due if that is later.
    """
    *past, now = touchpoints
    silence = _silence(past, carts, opened, ended=None, rules=rules)
    if now.event not in TOUCHING or silence is None:
        return False
    return occurred_ms(now, rules) > _expires_ms(past[opened:], silence, rules)


def _expires_ms(touchpoints: Sequence[Touchpoint], silence: Abandonment, rules: Rules) -> int:
    """When a cart expires that these have touched, and nobody after them."""
    touched_ms = [occurred_ms(t, rules) for t in touchpoints if t.event in TOUCHING]
    return max(silence.due_ms, *touched_ms) + rules.recovery_ms


def _episode(
    touchpoints: Sequence[Touchpoint], carts: Sequence[Cart], opened: int, *, ended: int | None, rules: Rules
) -> Episode:
    last = touchpoints[ended] if ended is not None else None
    return Episode(
        opened_by=touchpoints[opened].message_id,
        opened_ms=occurred_ms(touchpoints[opened], rules),
        ended_by=last.message_id if last else None,
        ended_ms=occurred_ms(last, rules) if last else None,
        order=last if last and last.event == ORDER else None,
        abandonments=tuple(_abandonments(touchpoints, carts, opened, ended=ended, rules=rules)),
        items=carts[ended - 1] if ended is not None else carts[-1],
        failure=_failure(touchpoints, carts, opened, ended=ended, rules=rules),
    )


def _failure(
    touchpoints: Sequence[Touchpoint], carts: Sequence[Cart], opened: int, *, ended: int | None, rules: Rules
) -> Failure | None:
    """The first payment of an episode that failed."""
    for index in range(opened, len(touchpoints) if ended is None else ended):
        touchpoint = touchpoints[index]
        if touchpoint.event == FAILED:
            later = touchpoints[index + 1 : None if ended is None else ended + 1]
            currency = currency_of(touchpoints[opened : index + 1], later)
            return Failure(touchpoint.message_id, occurred_ms(touchpoint, rules), carts[index], currency)
    return None


def _abandonments(
    touchpoints: Sequence[Touchpoint], carts: Sequence[Cart], opened: int, *, ended: int | None, rules: Rules
) -> Iterator[Abandonment]:
    """The first silence with something in the cart; then for each reminder the first that lasts until its time or
    longer, as long as the cart has not expired."""
    first = _silence(touchpoints, carts, opened, ended=ended, rules=rules)
    if first is None:
        return
    yield first
    began_ms = first.due_ms - rules.abandon_after_ms
    for after_ms in rules.reminders_ms:
        again = _silence(
            touchpoints, carts, opened, ended=ended, rules=rules, not_before_ms=began_ms + after_ms
        )
        if again is None:
            return
        until = [t for t in touchpoints[opened:ended] if occurred_ms(t, rules) <= again.due_ms]
        if again.due_ms > _expires_ms(until, first, rules):
            return
        yield again


def _silence(
    touchpoints: Sequence[Touchpoint],
    carts: Sequence[Cart],
    opened: int,
    *,
    ended: int | None,
    rules: Rules,
    not_before_ms: int = 0,
) -> Abandonment | None:
    """The first touchpoint with something in the cart followed by silence for `abandon_after`, inclusive.

    Any touchpoint of the person, in any channel, is something that happens. Of several at one instant only
    the last in order can be followed by silence: what shares its instant is part of the same act. Silence that is long
    enough before a time must last until then.
    """
    for index in range(opened, len(touchpoints) if ended is None else ended):
        due_ms = max(occurred_ms(touchpoints[index], rules) + rules.abandon_after_ms, not_before_ms)
        is_last = index + 1 == len(touchpoints)
        if is_last or occurred_ms(touchpoints[index + 1], rules) > due_ms:
            past = touchpoints[opened : index + 1]
            was_paying = any(t.event in (PAYING, FAILED) for t in past)
            said = touchpoints[index].message_id
            currency = currency_of(past, touchpoints[opened : None if ended is None else ended + 1])
            return Abandonment(said, due_ms, carts[index], was_paying, currency)
    return None
