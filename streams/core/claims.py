"""Claims of a profile that have no answer yet: by identifier, as profiles that claim the same one may become one.

Owns how they are kept; must not know what an answer means (see `identity`).
"""

from collections.abc import Container, Iterable, Sequence

import msgspec

from streams.core.decided import parting
from streams.core.limits import kind_of
from streams.core.messages import Act, Bid

Claims = dict[str, list[Bid]]


def claims_of(bids: Iterable[Bid]) -> Claims:
    """From all bids."""
    claims: Claims = {}
    for bid in bids:
        add(claims, bid)
    return claims


def bids_of(claims: Claims) -> list[Bid]:
    """All bids."""
    return [bid for bids in claims.values() for bid in bids]


def add(claims: Claims, bid: Bid) -> None:
    """One more, unless it is known."""
    bids = claims.setdefault(bid.identifier, [])
    if not any(_is_same(held, bid) for held in bids):
        bids.append(bid)


def remove(claims: Claims, bid: Bid) -> None:
    """The bid has its answer; there may be a copy of it elsewhere."""
    left = [held for held in claims.get(bid.identifier, ()) if not _is_same(held, bid)]
    if left:
        claims[bid.identifier] = left
    else:
        claims.pop(bid.identifier, None)


def take(claims: Claims, claimants: Container[str]) -> Claims:
    """Take out those of some claimants."""
    taken = claims_of(bid for bid in bids_of(claims) if bid.claimant in claimants)
    for bid in bids_of(taken):
        remove(claims, bid)
    return taken


def keeping_room(bids: Iterable[Bid], acts: Sequence[Act]) -> list[Bid]:
    """Those for which there must be room when they come; nothing comes of a link that acts have parted."""
    return [
        bid
        for bid in bids
        if bid.keeps_room
        and not (acts and parting(acts, bid.cause.through, bid.identifier, bid.cause.occurred_ms, ()))
    ]


def brought(bids: Iterable[Bid], *here: Container[str]) -> dict[str, int]:
    """How many of each type they bring along with identifiers that are not `here`."""
    counts: dict[str, int] = {}
    for bid in bids:
        if bid.brings not in ("", kind_of(bid.identifier)) and not any(
            bid.identifier in names for names in here
        ):
            counts[bid.brings] = 1
    return counts


def keep_no_room(claims: Claims, kind: str) -> None:
    """A better link needs the room for the one of this type."""
    for bids in claims.values():
        for place, bid in enumerate(bids):
            if kind in (bid.brings, kind_of(bid.identifier)):
                bids[place] = msgspec.structs.replace(bid, keeps_room=False)


def _is_same(one: Bid, other: Bid) -> bool:
    return one.number == other.number and one.claimant == other.claimant
