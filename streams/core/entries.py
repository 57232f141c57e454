"""What an actor keeps of touchpoints beside its journal: what they did to the cart, which products they viewed, and the
campaigns they came from.

Owns how these entries come together, go apart and are forgotten; they lie in event-time order, but for cart entries of
an actor that is unsettled. Must not know what a cart or a session is.
"""

from collections.abc import Container, Iterable
from typing import Final

from streams.core.actor import Actor
from streams.core.carts import ORDERED, VIEWED
from streams.core.shapes import CampaignEntry, CartEntry

MAX_CURRENCY: Final = 16
"""What is longer is no currency: a record of `sessions` names all there are."""


def place_of(entry: CartEntry | CampaignEntry) -> tuple[int, int]:
    """Place among the profile's touchpoints."""
    return entry.occurred_ms, entry.digest


def keep_campaign(actor: Actor, entry: CampaignEntry) -> None:
    """One more, in its place."""
    campaigns = actor.campaigns
    is_last = not campaigns or place_of(campaigns[-1]) < place_of(entry)
    campaigns.append(entry)
    if not is_last:
        campaigns.sort(key=place_of)
    actor.has_new_campaigns = True


def take_over(actor: Actor, other: Actor) -> None:
    """Add the entries of another whose touchpoints have none here yet."""
    held = {cart.digest for cart in actor.carts}
    carts = [cart for cart in other.carts if cart.digest not in held]
    if carts:
        actor.has_new_carts = True
        actor.carts = sorted(actor.carts + carts, key=place_of)
    held = {entry.digest for entry in actor.campaigns}
    campaigns = [entry for entry in other.campaigns if entry.digest not in held]
    if campaigns:
        actor.has_new_campaigns = True
        actor.campaigns = sorted(actor.campaigns + campaigns, key=place_of)


def part(actor: Actor, alone: Actor, digests: Container[int]) -> None:
    """Entries of these touchpoints go to the one that leaves."""
    alone.carts = [cart for cart in actor.carts if cart.digest in digests]
    if alone.carts:
        actor.has_new_carts = True
        actor.carts = [cart for cart in actor.carts if cart.digest not in digests]
    alone.campaigns = [entry for entry in actor.campaigns if entry.digest in digests]
    if alone.campaigns:
        actor.has_new_campaigns = True
        actor.campaigns = [entry for entry in actor.campaigns if entry.digest not in digests]


def forget_before(actor: Actor, cutoff_ms: int) -> None:
    """Drop what occurred before the cutoff, as the journal does."""
    if actor.carts and actor.carts[0].occurred_ms < cutoff_ms:
        actor.has_new_carts = True
        actor.carts = [cart for cart in actor.carts if cart.occurred_ms >= cutoff_ms]
    if actor.campaigns and actor.campaigns[0].occurred_ms < cutoff_ms:
        actor.has_new_campaigns = True
        actor.campaigns = [entry for entry in actor.campaigns if entry.occurred_ms >= cutoff_ms]


def forget_cart(actor: Actor, end: tuple[int, int]) -> None:
    """Drop the entries of an episode that ended there, and of all before it.

    Not those of orders, which say the currency of their session for as long as the journal remembers it; without an
    open cart they do nothing.
    """
    actor.has_new_carts = True
    actor.carts = [cart for cart in actor.carts if cart.kind == ORDERED or place_of(cart) > end]


def forget_views(actor: Actor, end: tuple[int, int]) -> None:
    """Drop the views of a browse that ended there, and of all before it."""
    actor.has_new_carts = True
    actor.carts = [cart for cart in actor.carts if cart.kind != VIEWED or place_of(cart) > end]


def currencies_of(carts: Iterable[CartEntry]) -> dict[int, str]:
    """The currency of each order, by digest."""
    return {cart.digest: currency_of(cart) for cart in carts if cart.kind == ORDERED}


def currency_of(order: CartEntry) -> str:
    """The currency of an order, "" where it says none."""
    currency = order.currency or ""
    return currency if len(currency) <= MAX_CURRENCY else ""
