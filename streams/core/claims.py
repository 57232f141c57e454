"""Claims of a profile that have no answer yet: by identifier, as profiles that claim the same one may become one.

Owns how they are kept; must not know what an answer means (see `identity`).
"""

from collections.abc import Container, Iterable

from streams.core.messages import Bid

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


def _is_same(one: Bid, other: Bid) -> bool:
    return one.number == other.number and one.claimant == other.claimant
