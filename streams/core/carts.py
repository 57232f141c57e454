"""The cart of one profile: episodes of a filled cart, when each was abandoned, and how it ended.

Owns the fold over a profile's touchpoints in event-time order; must not know clocks, actions sent or records. One fold
step serves both a touchpoint that comes last and the whole history again, so that both give the same.
"""

from collections.abc import Iterable, Sequence
from enum import IntEnum

import msgspec

from streams.core.journal import Row
from streams.core.rules import Rules


class Commerce(IntEnum):
    """What a touchpoint does to the cart."""

    ADDED = 1
    REMOVED = 2
    UPDATED = 3
    ORDERED = 4


COMMERCE_OF = {
    "Product Added": Commerce.ADDED,
    "Product Removed": Commerce.REMOVED,
    "Cart Updated": Commerce.UPDATED,
    "Order Completed": Commerce.ORDERED,
}
"""By Segment's event name; every other event leaves the cart as it is."""

OPEN, PURCHASED, EMPTIED, EXPIRED = "open", "purchased", "emptied", "expired"


class Item(msgspec.Struct, gc=False, array_like=True, frozen=True):
    """One product in a cart; the price is that of one unit, in micros of the currency."""

    product_id: str
    name: str
    category: str
    quantity: int
    price_micros: int


class CartEntry(msgspec.Struct, gc=False, array_like=True, frozen=True):
    """What is kept of a touchpoint that touches the cart; times in epoch ms."""

    occurred_ms: int
    digest: int
    message_id: str
    kind: int
    cart_id: str | None
    items: tuple[Item, ...]
    revenue_micros: int | None
    currency: str | None
    arrived_ms: int = 0

    @property
    def order(self) -> tuple[int, int]:
        """Place among the profile's touchpoints."""
        return self.occurred_ms, self.digest


class Episode(msgspec.Struct, gc=False, array_like=True):
    """From the touchpoint that fills an empty cart to the one that empties it.

    `due_ms` is the end of the owner's first silence, as far as known; `left` is what lay in the cart then, set once a
    later touchpoint shows that the silence was long enough; `arrived_ms` is when the last of what filled it until then
    arrived; `is_given_up` while an action for it is due. Times in epoch ms.
    """

    opened_ms: int
    digest: int
    opened_by: str
    cart_id: str | None
    items: tuple[Item, ...]
    currency: str | None
    updated_ms: int
    due_ms: int
    left: tuple[Item, ...] | None = None
    left_by: str = ""
    outcome: str = OPEN
    ended_ms: int = 0
    ended_by: str | None = None
    end_digest: int = 0
    revenue_micros: int | None = None
    last_by: str = ""
    arrived_ms: int = 0
    is_given_up: bool = False

    @property
    def episode_id(self) -> str:
        """Names the episode by its first touchpoint, so that nothing a merge can change is in it."""
        return f"{self.opened_ms:011x}-{self.digest:016x}"

    @property
    def is_open(self) -> bool:
        """True while something lies in the cart."""
        return self.outcome == OPEN

    @property
    def is_abandoned(self) -> bool:
        """True unless the episode ended before the owner had been silent long enough (an open one is, once due)."""
        return self.is_open or self.left is not None

    @property
    def touched_ms(self) -> int:
        """Its cart is a new one if nobody touches it within the recovery window from here."""
        return max(self.due_ms, self.updated_ms)

    @property
    def items_left(self) -> tuple[Item, ...]:
        """What lay in the cart when it was left, or lies in it."""
        return self.items if self.left is None else self.left

    def is_moved_by(self, at_ms: int, abandon_after_ms: int) -> bool:
        """True if a touchpoint then, not about the cart, changes when the owner first fell silent."""
        return self.is_abandoned and self.due_ms - abandon_after_ms < at_ms <= self.due_ms

    def holds(self, order: tuple[int, int]) -> bool:
        """True if a touchpoint at this place belongs to the episode."""
        if order < (self.opened_ms, self.digest):
            return False
        return self.is_open or order <= (self.ended_ms, self.end_digest)


def value_micros(items: Iterable[Item]) -> int:
    """Sum of price times quantity."""
    return sum(item.price_micros * item.quantity for item in items)


def advance(episodes: list[Episode], at_ms: int, cart: CartEntry | None, rules: Rules) -> bool:
    """Add a touchpoint that comes last in event-time order, `cart` if it is about the cart; True if it touched it."""
    episode = episodes[-1] if episodes and episodes[-1].is_open else None
    if episode is not None and episode.left is None:
        if at_ms <= episode.due_ms:
            episode.due_ms = at_ms + rules.abandon_after_ms
        else:
            episode.left, episode.left_by = episode.items, episode.last_by
    if cart is None:
        return False
    if episode is not None and at_ms > episode.touched_ms + rules.recovery_ms:
        _end(episode, EXPIRED, at_ms=episode.touched_ms + rules.recovery_ms)
        episode = None
    if episode is None:
        return _open(episodes, cart, rules.abandon_after_ms)
    _apply(episode, cart)
    return True


def episodes_of(in_order: Iterable[Row], carts: Sequence[CartEntry], rules: Rules) -> list[Episode]:
    """All episodes of a profile, its journal and its cart entries given in event-time order."""
    by_digest = {cart.digest: cart for cart in carts}
    episodes: list[Episode] = []
    for at_ms, digest, *_ in in_order:
        cart = by_digest.get(digest)
        if cart is not None or (episodes and episodes[-1].is_open and episodes[-1].left is None):
            advance(episodes, at_ms, cart, rules)
    return episodes


def _open(episodes: list[Episode], cart: CartEntry, abandon_after_ms: int) -> bool:
    items = _contents((), cart)
    if not items:
        return False
    at_ms = cart.occurred_ms
    episodes.append(
        Episode(
            at_ms, cart.digest, cart.message_id, cart.cart_id, items, cart.currency, at_ms,
            at_ms + abandon_after_ms, last_by=cart.message_id, arrived_ms=cart.arrived_ms,
        )
    )  # fmt: skip
    return True


def _apply(episode: Episode, cart: CartEntry) -> None:
    items = _contents(episode.items, cart)
    episode.updated_ms, episode.last_by = cart.occurred_ms, cart.message_id
    episode.cart_id = episode.cart_id or cart.cart_id
    episode.currency = episode.currency or cart.currency
    if items:
        episode.items = items
        if episode.left is None:
            episode.arrived_ms = max(episode.arrived_ms, cart.arrived_ms)
        return
    is_order = cart.kind == Commerce.ORDERED
    _end(episode, PURCHASED if is_order else EMPTIED, at_ms=cart.occurred_ms)
    episode.end_digest, episode.ended_by = cart.digest, cart.message_id
    episode.revenue_micros = cart.revenue_micros if is_order else None


def _end(episode: Episode, outcome: str, *, at_ms: int) -> None:
    episode.outcome, episode.ended_ms = outcome, at_ms


def _contents(items: tuple[Item, ...], cart: CartEntry) -> tuple[Item, ...]:
    """The cart's items after one entry."""
    if cart.kind == Commerce.ORDERED:
        return ()
    held = {} if cart.kind == Commerce.UPDATED else {item.product_id: item for item in items}
    sign = -1 if cart.kind == Commerce.REMOVED else 1
    for item in cart.items:
        before = held.pop(item.product_id, None)
        quantity = sign * item.quantity + (before.quantity if before else 0)
        if quantity > 0:
            said = item if sign > 0 or before is None else before
            held[item.product_id] = Item(
                said.product_id, said.name, said.category, quantity, said.price_micros
            )
    return tuple(held.values())
