"""The cart of one profile: episodes of a filled cart, when each was abandoned, and how it ended.

Owns the fold over a profile's touchpoints in event-time order; must not know clocks, actions sent or records. One fold
step serves both a touchpoint that comes last and the whole history again, so that both give the same.
"""

from collections.abc import Iterable, Sequence
from typing import Final

from mypy_extensions import mypyc_attr

from streams.core.rules import KEEP, Rules
from streams.core.shapes import NO_TIMER, CartEntry, EpisodeRow, Item, PaidRow, RemindedRow, StepRow

ADDED: Final = 1
REMOVED: Final = 2
UPDATED: Final = 3
ORDERED: Final = 4
PAYING: Final = 5
FAILED: Final = 6
VIEWED: Final = 7
"""What a touchpoint does to the cart: the `kind` of a CartEntry; VIEWED nothing, see `browses`."""

COMMERCE_OF: Final = {
    "Product Added": ADDED,
    "Wishlist Product Added to Cart": ADDED,
    "Product Removed": REMOVED,
    "Cart Updated": UPDATED,
    "Order Completed": ORDERED,
    "Payment Info Entered": PAYING,
    "Payment Failed": FAILED,
}
"""By Segment's event name, and one that it lacks; every other event leaves the cart as it is."""


OPEN: Final = "open"
PURCHASED: Final = "purchased"
EMPTIED: Final = "emptied"
EXPIRED: Final = "expired"
"""How an episode stands or ended."""


@mypyc_attr(acyclic=True)
class Span:
    """A stretch of a profile's touchpoints that actions are about: from the one that opens it to the one that ends it.

    `due_ms` is the end of the owner's first silence, as far as known. Times in epoch ms.
    """

    __slots__ = (
        "arrived_ms", "digest", "due_ms", "end_digest", "ended_ms", "opened_by", "opened_ms", "outcome",
        "revenue_micros",
    )  # fmt: skip

    opened_ms: int
    digest: int
    opened_by: str
    due_ms: int
    arrived_ms: int
    outcome: str
    ended_ms: int
    end_digest: int
    revenue_micros: int | None


@mypyc_attr(acyclic=True)
class Episode(Span):
    """From the touchpoint that fills an empty cart to the one that empties it.

    `due_ms` is the end of the owner's first silence, as far as known; `left` is what lay in the cart then, set once a
    later touchpoint shows that the silence was long enough; `arrived_ms` is when the last of what filled it until then
    arrived; `is_given_up` while an action for it is due. Where there are reminders, `quiet_ms` is when the owner was
    seen last, and `later` what a later touchpoint has shown of each. `paying_ms` is when its owner first came to pay,
    NO_TIMER if never; `failed` what lay in it at the first payment that failed (`failed_digest`), which arrived at
    `failed_arrived_ms`, in `failed_currency`; `currencies` what its prices were in before, each with when that ended.
    Times in epoch ms.
    """

    __slots__ = (
        "cart_id", "currencies", "currency", "ended_by", "failed", "failed_arrived_ms", "failed_currency",
        "failed_digest", "is_given_up", "items", "last_by", "later", "left", "left_by", "paying_ms", "quiet_ms",
        "updated_ms",
    )  # fmt: skip

    def __init__(
        self,
        opened_ms: int,
        digest: int,
        opened_by: str,
        cart_id: str | None,
        items: tuple[Item, ...],
        currency: str | None,
        updated_ms: int,
        due_ms: int,
        left: tuple[Item, ...] | None = None,
        left_by: str = "",
        outcome: str = OPEN,
        ended_ms: int = 0,
        ended_by: str | None = None,
        end_digest: int = 0,
        revenue_micros: int | None = None,
        last_by: str = "",
        arrived_ms: int = 0,
        is_given_up: bool = False,
    ) -> None:
        self.quiet_ms = 0
        self.later: tuple[StepRow, ...] = ()
        self.paying_ms = NO_TIMER
        self.failed: StepRow | None = None
        self.failed_digest = 0
        self.failed_arrived_ms = 0
        self.failed_currency: str | None = None
        self.currencies: tuple[tuple[int, str], ...] = ()
        self.opened_ms = opened_ms
        self.digest = digest
        self.opened_by = opened_by
        self.cart_id = cart_id
        self.items = items
        self.currency = currency
        self.updated_ms = updated_ms
        self.due_ms = due_ms
        self.left = left
        self.left_by = left_by
        self.outcome = outcome
        self.ended_ms = ended_ms
        self.ended_by = ended_by
        self.end_digest = end_digest
        self.revenue_micros = revenue_micros
        self.last_by = last_by
        self.arrived_ms = arrived_ms
        self.is_given_up = is_given_up

    def row(self) -> EpisodeRow:
        """What is stored of it: the arguments of the constructor (see `reminded_of` and `paid_of` for the rest)."""
        return (
            self.opened_ms, self.digest, self.opened_by, self.cart_id, self.items, self.currency, self.updated_ms,
            self.due_ms, self.left, self.left_by, self.outcome, self.ended_ms, self.ended_by, self.end_digest,
            self.revenue_micros, self.last_by, self.arrived_ms, self.is_given_up,
        )  # fmt: skip


def episode_id_of(span: Span) -> str:
    """Names it by its first touchpoint, so that nothing a merge can change is in it."""
    return f"{span.opened_ms:011x}-{span.digest:016x}"


def is_open(span: Span) -> bool:
    """True while it lasts: of an episode, while something lies in the cart."""
    return span.outcome == OPEN


def is_abandoned(episode: Episode) -> bool:
    """True unless the episode ended before the owner had been silent long enough (an open one is, once due)."""
    return episode.left is not None or episode.outcome == OPEN


def touched_ms(episode: Episode) -> int:
    """Its cart is a new one if nobody touches it within the recovery window from here."""
    return max(episode.due_ms, episode.updated_ms)


def steps_of(episode: Episode, rules: Rules) -> list[StepRow]:
    """When an abandoned cart is due, the first time and again, and what lay in it then, as far as known.

    Each step is due at the first moment, not before its time, at which the owner has been silent for as long as the
    first time; none that the cart's end comes before, and none once it has expired.
    """
    if not is_abandoned(episode):
        return []
    left = episode.left
    steps = [(episode.due_ms, episode.items if left is None else left, episode.left_by or episode.last_by)]
    for number, after_ms in enumerate(rules.reminders_ms):
        step = episode.later[number] if number < len(episode.later) else _pending(episode, after_ms, rules)
        if step[0] == NO_TIMER:
            break
        steps.append(step)
    return steps


def reminded_of(episodes: Sequence[Episode]) -> list[RemindedRow]:
    """What is stored of the further steps of all of somebody's episodes, if any has some."""
    rows = [(episode.quiet_ms, episode.later) for episode in episodes]
    return rows if any(quiet_ms for quiet_ms, _ in rows) else []


def paid_of(episodes: Sequence[Episode]) -> list[PaidRow]:
    """What is stored of payments and currencies of all of somebody's episodes, if any has something of it."""
    rows = [
        (e.paying_ms, e.failed, e.failed_digest, e.failed_arrived_ms, e.failed_currency, e.currencies)
        for e in episodes
    ]
    return rows if any(row[0] != NO_TIMER or row[5] for row in rows) else []


def currency_at(episode: Episode, at_ms: int) -> str | None:
    """The currency that its prices had then; where none had been said, the first that is."""
    for until_ms, currency in episode.currencies:
        if at_ms < until_ms:
            return currency
    return episode.currency


def is_moved_by(episode: Episode, at_ms: int, rules: Rules) -> bool:
    """True if a touchpoint then, not about the cart, changes when the owner fell silent."""
    abandon_after_ms = rules.abandon_after_ms
    if not rules.reminders_ms:
        due_ms = episode.due_ms
        return due_ms - abandon_after_ms < at_ms <= due_ms and is_abandoned(episode)
    return any(due_ms - abandon_after_ms < at_ms <= due_ms for due_ms, _, _ in steps_of(episode, rules))


def holds(span: Span, at_ms: int, digest: int) -> bool:
    """True if a touchpoint at this place belongs to it."""
    opened_ms = span.opened_ms
    if at_ms < opened_ms or (at_ms == opened_ms and digest < span.digest):
        return False
    if span.outcome == OPEN:
        return True
    ended_ms = span.ended_ms
    return at_ms < ended_ms or (at_ms == ended_ms and digest <= span.end_digest)


def end(span: Span, outcome: str, *, at_ms: int) -> None:
    """That is how it ended, and when."""
    span.outcome, span.ended_ms = outcome, at_ms


def value_micros(items: Iterable[Item]) -> int:
    """Sum of price times quantity."""
    total = 0
    for item in items:
        total += item.price_micros * item.quantity
    return total


def advance(episodes: list[Episode], at_ms: int, cart: CartEntry | None, rules: Rules) -> bool:
    """Add a touchpoint that comes last in event-time order, `cart` if it is about the cart; True if it touched it."""
    episode = episodes[-1] if episodes and is_open(episodes[-1]) else None
    if episode is not None and episode.left is None:
        if at_ms <= episode.due_ms:
            episode.due_ms = at_ms + rules.abandon_after_ms
        else:
            episode.left, episode.left_by = episode.items, episode.last_by
    if episode is not None and rules.reminders_ms:
        _pass_steps(episode, at_ms, rules)
    if cart is None:
        return False
    if episode is not None and at_ms > touched_ms(episode) + rules.recovery_ms:
        end(episode, EXPIRED, at_ms=touched_ms(episode) + rules.recovery_ms)
        episode = None
    if episode is None:
        return _open(episodes, cart, rules)
    _apply(episode, cart, keeps_leftovers=rules.leftovers == KEEP)
    return True


def is_awaited(episode: Episode, rules: Rules) -> bool:
    """Whether a touchpoint that is not about the cart can still change when it is due."""
    return is_open(episode) and (episode.left is None or len(episode.later) < len(rules.reminders_ms))


def _pass_steps(episode: Episode, at_ms: int, rules: Rules) -> None:
    """A touchpoint of the owner shows which further steps came before it."""
    if episode.left is not None:
        expires_ms = touched_ms(episode) + rules.recovery_ms
        for after_ms in rules.reminders_ms[len(episode.later) :]:
            if at_ms <= min(expires_ms, _due_again_ms(episode, after_ms, rules)):
                break
            episode.later += (_pending(episode, after_ms, rules),)
    episode.quiet_ms = at_ms


def _pending(episode: Episode, after_ms: int, rules: Rules) -> StepRow:
    """A further step as it comes if nothing more happens."""
    due_ms = _due_again_ms(episode, after_ms, rules)
    if not is_open(episode) or due_ms > touched_ms(episode) + rules.recovery_ms:
        return NO_TIMER, (), ""
    return due_ms, episode.items, episode.last_by


def _due_again_ms(episode: Episode, after_ms: int, rules: Rules) -> int:
    return max(episode.quiet_ms + rules.abandon_after_ms, episode.due_ms - rules.abandon_after_ms + after_ms)


def _open(episodes: list[Episode], cart: CartEntry, rules: Rules) -> bool:
    items = () if cart.kind == ORDERED else _contents((), cart)
    if not items:
        return False
    at_ms = cart.occurred_ms
    episode = Episode(
        at_ms, cart.digest, cart.message_id, cart.cart_id, items, cart.currency, at_ms,
        at_ms + rules.abandon_after_ms, last_by=cart.message_id, arrived_ms=cart.arrived_ms,
    )  # fmt: skip
    if rules.reminders_ms:
        episode.quiet_ms = at_ms
    _note_payment(episode, cart)
    episodes.append(episode)
    return True


def _apply(episode: Episode, cart: CartEntry, *, keeps_leftovers: bool) -> None:
    is_order = cart.kind == ORDERED
    if not is_order:
        _set_currency(episode, cart)
    items = (
        _leftovers(episode, cart, are_kept=keeps_leftovers) if is_order else _contents(episode.items, cart)
    )
    episode.updated_ms, episode.last_by = cart.occurred_ms, cart.message_id
    if not items or not is_order:
        # An order that leaves something was not the cart's own.
        episode.cart_id = episode.cart_id or cart.cart_id
    if items:
        episode.items = items
        if episode.left is None:
            episode.arrived_ms = max(episode.arrived_ms, cart.arrived_ms)
        _note_payment(episode, cart)
        return
    end(episode, PURCHASED if is_order else EMPTIED, at_ms=cart.occurred_ms)
    episode.end_digest, episode.ended_by = cart.digest, cart.message_id
    episode.revenue_micros = cart.revenue_micros if is_order else None


def _set_currency(episode: Episode, cart: CartEntry) -> None:
    """Prices of two currencies do not add up: what is not said again in the new one has none."""
    if not episode.currency:
        episode.currency = cart.currency
    elif cart.currency and cart.currency != episode.currency and cart.kind in (ADDED, UPDATED):
        episode.currencies += ((cart.occurred_ms, episode.currency),)
        episode.currency = cart.currency
        episode.items = tuple([Item(i.product_id, i.name, i.category, i.quantity, 0) for i in episode.items])


def _note_payment(episode: Episode, cart: CartEntry) -> None:
    if cart.kind == PAYING or cart.kind == FAILED:
        episode.paying_ms = min(episode.paying_ms, cart.occurred_ms)
    if cart.kind == FAILED and episode.failed is None:
        episode.failed, episode.failed_digest = (
            (cart.occurred_ms, episode.items, cart.message_id),
            cart.digest,
        )
        episode.failed_arrived_ms, episode.failed_currency = cart.arrived_ms, episode.currency


def _contents(items: tuple[Item, ...], cart: CartEntry) -> tuple[Item, ...]:
    """The cart's items after one entry that is no order; a payment that fails tells of an empty cart what was in it."""
    if cart.kind == PAYING or (cart.kind == FAILED and items):
        return items
    held = {} if cart.kind == UPDATED else {item.product_id: item for item in items}
    sign = -1 if cart.kind == REMOVED else 1
    for item in cart.items:
        before = held.pop(item.product_id, None)
        quantity = sign * item.quantity + (before.quantity if before else 0)
        if quantity > 0:
            said = item if sign > 0 or before is None else before
            held[item.product_id] = Item(
                said.product_id, said.name, said.category, quantity, said.price_micros
            )
    return tuple(held.values())


def _leftovers(episode: Episode, order: CartEntry, *, are_kept: bool) -> tuple[Item, ...]:
    """What an order leaves in the cart: nothing if it was made from that cart or does not say what was bought, else all
    but the products that were bought, however many of them."""
    is_made_from_it = bool(order.cart_id) and order.cart_id == episode.cart_id
    if not are_kept or is_made_from_it or not order.items:
        return ()
    bought = {item.product_id for item in order.items}
    return tuple([item for item in episode.items if item.product_id not in bought])
