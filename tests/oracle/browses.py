"""Browses of one person: what was looked at while nothing lay in the cart, and when that was left at that."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from tests.oracle.carts import ADDED, Cart, episodes_of
from tests.oracle.rules import DEFAULT, Rules
from tests.oracle.sessions import ORDER
from tests.oracle.touchpoints import Item, Touchpoint, occurred_ms

VIEWED = "Product Viewed"


@dataclass(frozen=True, slots=True)
class Browse:
    """`viewed_ms` is when the last of its views was that counts; `due_ms` None while it is not abandoned.

    `caused_by` is that last view; `order` what was bought in time after it was due.
    """

    opened_by: str
    opened_ms: int
    viewed_ms: int
    due_ms: int | None = None
    caused_by: str = ""
    items: Cart = ()
    currency: str | None = None
    order: Touchpoint | None = None


def browses_of(touchpoints: Sequence[Touchpoint], rules: Rules = DEFAULT) -> tuple[Browse, ...]:
    """One after another: the next begins where the one before is over."""
    found: list[Browse] = []
    at = 0
    while rules.browse_views and at < len(touchpoints):
        if touchpoints[at].event == VIEWED and not has_cart(touchpoints[: at + 1], rules):
            browse, at = _browse(touchpoints, at, rules)
            found.append(browse)
        else:
            at += 1
    return tuple(found)


def has_cart(touchpoints: Sequence[Touchpoint], rules: Rules) -> bool:
    """Whether something lies in the cart when the last of these comes: what it put in would not be the first."""
    *past, now = touchpoints
    adding = replace(now, event=ADDED, items=(Item("anything"),))
    return not opens_cart([*past, adding], rules)


def opens_cart(touchpoints: Sequence[Touchpoint], rules: Rules) -> bool:
    """Whether the last of these puts something into an empty cart."""
    episodes = episodes_of(touchpoints, rules)
    return bool(episodes) and episodes[-1].opened_by == touchpoints[-1].message_id


def _browse(touchpoints: Sequence[Touchpoint], first: int, rules: Rules) -> tuple[Browse, int]:
    """The browse that begins with a touchpoint, and at which one it is over."""
    opener = touchpoints[first]
    views: list[Touchpoint] = []
    for at in range(first, len(touchpoints)):
        now = touchpoints[at]
        at_ms = occurred_ms(now, rules)
        if now.event == ORDER or opens_cart(touchpoints[: at + 1], rules):
            return _open(opener, views, rules), at + 1
        if now.event == VIEWED:
            if views and at_ms > occurred_ms(views[-1], rules) + rules.recovery_ms:
                return _open(opener, views, rules), at
            views.append(now)
        due_ms = at_ms + rules.abandon_after_ms
        is_silent = at + 1 == len(touchpoints) or occurred_ms(touchpoints[at + 1], rules) > due_ms
        if is_silent and len(views) >= rules.browse_views:
            return _left(_open(opener, views, rules), views, due_ms, touchpoints, at + 1, rules)
    return _open(opener, views, rules), len(touchpoints)


def _open(opener: Touchpoint, views: Sequence[Touchpoint], rules: Rules) -> Browse:
    return Browse(opener.message_id, occurred_ms(opener, rules), occurred_ms(views[-1], rules))


def _left(
    browse: Browse,
    views: Sequence[Touchpoint],
    due_ms: int,
    touchpoints: Sequence[Touchpoint],
    after: int,
    rules: Rules,
) -> tuple[Browse, int]:
    """One that was left at that, and is over with an order, or with a view after the recovery window."""
    until_ms = due_ms + rules.recovery_ms
    currency = next((t.currency for t in reversed(views) if t.currency), None)
    browse = replace(
        browse,
        due_ms=due_ms,
        caused_by=views[-1].message_id,
        items=looked_at(views, currency, rules),
        currency=currency,
    )
    for at in range(after, len(touchpoints)):
        now = touchpoints[at]
        if now.event == ORDER and occurred_ms(now, rules) <= until_ms:
            return replace(browse, order=now), at + 1
        if now.event == VIEWED and occurred_ms(now, rules) > until_ms:
            return browse, at
    return browse, len(touchpoints)


def looked_at(views: Sequence[Touchpoint], currency: str | None, rules: Rules) -> Cart:
    """Each product once, with the price that its last view says, of the 20 that were looked at last."""
    lines: dict[str, Item] = {}
    for touchpoint in views:
        is_another = touchpoint.currency and touchpoint.currency != currency
        for item in touchpoint.items:
            lines.pop(item.product_id, None)
            price_micros = 0 if is_another else item.price_micros
            lines[item.product_id] = Item(item.product_id, 1, price_micros)
    return tuple(list(lines.values())[-rules.most_viewed :])
