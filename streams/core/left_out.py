"""Links of a person that do not count: refused ones, so that they are not asked for again and again, and spare ones.

Owns what is remembered of them, and how much; must not know why a link was left out.
"""

from typing import Final

from streams.core.actor import Profile
from streams.core.limits import Weight
from streams.core.messages import Bid, Cause
from streams.core.rules import HOUR_MS

MOST: Final = 500
"""So many refused links are remembered of a profile; what is forgotten is asked, and refused, again."""
MOST_SPARE: Final = 100
ASK_AGAIN_MS: Final = 24 * HOUR_MS
"""A refusal is for good as long as the links count that it was weighed against: that is looked into once a day."""


def is_refused(profile: Profile, identifier: str, cause: Cause, weight: Weight) -> bool:
    """True if this link, or a better one between the same two, was refused lately, or the identifier is nobody's."""
    if identifier in profile.lost:
        return True
    known = profile.lost.get(_pair(identifier, cause))
    return known is not None and known <= weight and weight[0] - known[0] < ASK_AGAIN_MS


def refuse(
    profile: Profile, identifier: str, cause: Cause, weight: Weight, *, is_nobodys: bool = False
) -> None:
    """Remember a link that was refused, or that an identifier is nobody's."""
    key = identifier if is_nobodys else _pair(identifier, cause)
    profile.lost.pop(key, None)
    profile.lost[key] = weight
    if len(profile.lost) > MOST:
        del profile.lost[next(iter(profile.lost))]


def ask_again(profile: Profile, bid: Bid) -> None:
    """What stood against a link is gone."""
    profile.lost.pop(_pair(bid.identifier, bid.cause), None)


def spare(profile: Profile, one: str, other: str, at_ms: int, digest: int) -> None:
    """Keep a link that is left out of the tree, in case that one of those in it has to go."""
    pairs = {(known[0], known[1]) for known in profile.spare}
    if (one, other) not in pairs and (other, one) not in pairs and len(profile.spare) < MOST_SPARE:
        profile.spare.append((one, other, at_ms, digest))


def _pair(identifier: str, cause: Cause) -> str:
    return f"{cause.through}\0{identifier}"
