"""What one profile looked at with nothing in its cart: browses, and when one was left at that.

Owns the fold over a profile's touchpoints in event-time order, beside that of `carts`; must not know clocks, actions
sent or records. A browse begins with a view of a product while nothing lies in the cart, and is over once something is
put in or bought, or nothing is viewed for the recovery window. It is abandoned at its owner's first silence after as
many views as the rules say; then it lasts until an order or the end of the recovery window, and is not due again.
"""

from collections.abc import Iterable, Sequence
from typing import Final

from mypy_extensions import mypyc_attr

from streams.core.carts import (
    EXPIRED,
    OPEN,
    ORDERED,
    PURCHASED,
    VIEWED,
    Episode,
    Span,
    advance,
    end,
    is_awaited,
    is_open,
    touched_ms,
)
from streams.core.journal import Row
from streams.core.rules import Rules
from streams.core.shapes import BrowseRow, CartEntry, Item, StepRow

TAKEN: Final = "taken"
"""How a browse ended that was not left at that: something was put into the cart, or bought."""
MOST_VIEWED: Final = 20
"""An action names so many products, those that were viewed last."""


@mypyc_attr(acyclic=True)
class Browse(Span):
    """From the first view to what ends it.

    `views` counts those until it was left at that, the last of them `last_by`, at `viewed_ms` (`viewed_digest`);
    `due_ms` is the end of the owner's silence, as far as known, and `is_left` set once a later touchpoint shows that it
    was long enough. Times in epoch ms.
    """

    __slots__ = ("currency", "is_left", "last_by", "viewed_digest", "viewed_ms", "views")

    def __init__(
        self,
        opened_ms: int,
        digest: int,
        opened_by: str,
        due_ms: int,
        arrived_ms: int,
        currency: str | None,
        last_by: str,
        viewed_ms: int,
        viewed_digest: int,
        views: int = 1,
        is_left: bool = False,
        outcome: str = OPEN,
        ended_ms: int = 0,
        end_digest: int = 0,
        revenue_micros: int | None = None,
    ) -> None:
        self.opened_ms = opened_ms
        self.digest = digest
        self.opened_by = opened_by
        self.due_ms = due_ms
        self.arrived_ms = arrived_ms
        self.currency = currency
        self.last_by = last_by
        self.viewed_ms = viewed_ms
        self.viewed_digest = viewed_digest
        self.views = views
        self.is_left = is_left
        self.outcome = outcome
        self.ended_ms = ended_ms
        self.end_digest = end_digest
        self.revenue_micros = revenue_micros

    def row(self) -> BrowseRow:
        """What is stored of it: the arguments of the constructor."""
        return (
            self.opened_ms, self.digest, self.opened_by, self.due_ms, self.arrived_ms, self.currency, self.last_by,
            self.viewed_ms, self.viewed_digest, self.views, self.is_left, self.outcome, self.ended_ms, self.end_digest,
            self.revenue_micros,
        )  # fmt: skip


def is_given_up(browse: Browse, rules: Rules) -> bool:
    """Whether its owner left it at that, or has, unless something comes until it is due."""
    return browse.is_left or (is_open(browse) and 0 < rules.browse_views <= browse.views)


def end_of(browse: Browse, rules: Rules) -> tuple[int, int]:
    """The last place among the profile's touchpoints that can be its own."""
    if is_open(browse):
        return _until_ms(browse, rules), 0
    return browse.ended_ms, browse.end_digest


def lasts_ms(browse: Browse, rules: Rules) -> int:
    """When it ended, or was due, or, if it is neither, when its last view was."""
    if not is_open(browse):
        return browse.ended_ms
    return browse.due_ms if is_given_up(browse, rules) else browse.viewed_ms


def is_shifted_by(browse: Browse, at_ms: int, rules: Rules) -> bool:
    """True if a touchpoint then that is not in `entries` changes when the owner fell silent."""
    return browse.due_ms - rules.abandon_after_ms < at_ms <= browse.due_ms and is_given_up(browse, rules)


def step_of(browse: Browse, entries: Iterable[CartEntry], rules: Rules) -> StepRow | None:
    """When it is due and what was looked at by then, entries given in event-time order; None if it is not."""
    if not is_given_up(browse, rules):
        return None
    lines: dict[str, Item] = {}
    first, last = (browse.opened_ms, browse.digest), (browse.viewed_ms, browse.viewed_digest)
    for entry in entries:
        if entry.kind != VIEWED or not first <= (entry.occurred_ms, entry.digest) <= last:
            continue
        is_another = entry.currency and entry.currency != browse.currency
        for item in entry.items:
            lines.pop(item.product_id, None)
            price_micros = 0 if is_another else item.price_micros
            lines[item.product_id] = Item(item.product_id, item.name, item.category, 1, price_micros)
    return browse.due_ms, tuple(list(lines.values())[-MOST_VIEWED:]), browse.last_by


def follow(
    browses: list[Browse], at_ms: int, entry: CartEntry | None, episodes: Sequence[Episode], rules: Rules
) -> None:
    """Add a touchpoint that comes last in event-time order, and has been added to the carts."""
    browse = browses[-1] if browses and is_open(browses[-1]) else None
    if browse is not None and not browse.is_left:
        if at_ms > browse.due_ms and is_given_up(browse, rules):
            browse.is_left = True
        else:
            browse.due_ms = at_ms + rules.abandon_after_ms
    if entry is None:
        return
    if browse is not None and at_ms > _until_ms(browse, rules):
        end(browse, EXPIRED, at_ms=_until_ms(browse, rules))
        browse = None
    if browse is None:
        if entry.kind == VIEWED and not _is_filled(episodes, at_ms, rules):
            browses.append(_begun(entry, rules))
    elif browse.is_left:
        if entry.kind == ORDERED:
            end(browse, PURCHASED, at_ms=at_ms)
            browse.end_digest, browse.revenue_micros = entry.digest, entry.revenue_micros
    elif entry.kind == ORDERED or (episodes and episodes[-1].digest == entry.digest):
        end(browse, TAKEN, at_ms=at_ms)
        browse.end_digest = entry.digest
    elif entry.kind == VIEWED:
        browse.views += 1
        browse.viewed_ms, browse.viewed_digest, browse.last_by = at_ms, entry.digest, entry.message_id
        browse.currency = entry.currency or browse.currency
        browse.arrived_ms = max(browse.arrived_ms, entry.arrived_ms)


def folded(
    in_order: Iterable[Row], entries: Sequence[CartEntry], rules: Rules
) -> tuple[list[Episode], list[Browse]]:
    """All carts and browses of a profile, its journal and its entries given in event-time order."""
    by_digest = {entry.digest: entry for entry in entries}
    episodes: list[Episode] = []
    browses: list[Browse] = []
    for at_ms, digest, _, _, _, _ in in_order:
        entry = by_digest.get(digest)
        cart = None if entry is None or entry.kind == VIEWED else entry
        if cart is not None or (episodes and is_awaited(episodes[-1], rules)):
            advance(episodes, at_ms, cart, rules)
        if rules.browse_views and (entry is not None or (browses and _is_followed(browses[-1]))):
            follow(browses, at_ms, entry, episodes, rules)
    return episodes, browses


def _is_followed(browse: Browse) -> bool:
    """Whether any touchpoint of its owner can still change when it is due."""
    return is_open(browse) and not browse.is_left


def _until_ms(browse: Browse, rules: Rules) -> int:
    return (browse.due_ms if browse.is_left else browse.viewed_ms) + rules.recovery_ms


def _is_filled(episodes: Sequence[Episode], at_ms: int, rules: Rules) -> bool:
    """Whether something lies in the cart then."""
    if not episodes or not is_open(episodes[-1]):
        return False
    return at_ms <= touched_ms(episodes[-1]) + rules.recovery_ms


def _begun(entry: CartEntry, rules: Rules) -> Browse:
    at_ms = entry.occurred_ms
    return Browse(
        at_ms, entry.digest, entry.message_id, at_ms + rules.abandon_after_ms, entry.arrived_ms, entry.currency,
        entry.message_id, at_ms, entry.digest,
    )  # fmt: skip
