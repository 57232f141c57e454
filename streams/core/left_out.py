"""Links of a person that do not count: refused ones, so that they are not asked for again and again, spare ones, and
those that wait.

Owns what is remembered of them, and how much; must not know which link is the better one.
"""

from collections.abc import Container, Mapping, Sequence
from typing import Final

from streams.core.actor import Profile
from streams.core.decided import parting
from streams.core.limits import Limits, Weight
from streams.core.messages import Bid, Cause, Link, Retry
from streams.core.rules import HOUR_MS

MOST: Final = 500
"""So many refused links are remembered of a profile; what is forgotten is asked, and refused, again."""
MOST_SPARE: Final = 100
ASK_AGAIN_MS: Final = 24 * HOUR_MS
"""A refusal is for good as long as the links count that it was weighed against: that is looked into once a day."""


SpareLink = tuple[str, str, int, int]
"""Two members, epoch ms, digest."""


def is_refused(profile: Profile, identifier: str, cause: Cause, limits: Limits) -> bool:
    """True if this link, or a better one between the same two, was refused lately, or the identifier was nobody's.

    A better one that an act has parted says nothing of this one.
    """
    through = cause.through
    weight = limits.weight(through, identifier, cause.occurred_ms, cause.digest)
    nobodys = profile.lost.get(identifier)
    if nobodys is not None and cause.digest >= 0 and abs(weight[0] - nobodys[0]) < ASK_AGAIN_MS:
        return True
    known = profile.lost.get(_pair(identifier, cause))
    if known is None or known > weight or weight[0] - known[0] >= ASK_AGAIN_MS:
        return False
    at_ms = limits.time_of(known, through, identifier)
    return not profile.acts or parting(profile.acts, through, identifier, at_ms, (through,)) is None


def refuse(
    profile: Profile, identifier: str, cause: Cause, weight: Weight, *, is_nobodys: bool = False
) -> None:
    """Remember a link that was refused, or that an identifier is nobody's."""
    key = identifier if is_nobodys else _pair(identifier, cause)
    profile.lost.pop(key, None)
    profile.lost[key] = weight
    if len(profile.lost) > MOST:
        del profile.lost[next(iter(profile.lost))]


def are_known(profile: Profile, index: Mapping[str, int], identifiers: Sequence[str], through: str) -> bool:
    """True if `is_known` of one identifier with each other one, all of them members."""
    at = index.get(through)
    if at is None:
        return False
    parents = profile.links.parents
    for identifier in identifiers:
        other = index.get(identifier)
        if other is None:
            return False
        if other != at and parents[other] != at and not is_known(profile, at, other):
            return False
    return True


def is_known(profile: Profile, one: int, other: int) -> bool:
    """True if two members, by place, are linked in the tree, or by a spare link that counts: no more need be kept."""
    parents = profile.links.parents
    if parents[one] == other or parents[other] == one or one == other:
        return True
    if len(profile.spare) >= MOST_SPARE:
        return True
    here, there = profile.members[one], profile.members[other]
    for first, second, at_ms, _ in profile.spare:
        is_same = (first == here and second == there) or (first == there and second == here)
        if is_same and _counts(profile, here, there, at_ms):
            return True
    return False


def ask_again(profile: Profile, bid: Bid) -> None:
    """What stood against a link is gone."""
    profile.lost.pop(_pair(bid.identifier, bid.cause), None)


def spare(profile: Profile, one: str, other: str, at_ms: int, digest: int) -> None:
    """Keep a link that is left out of the tree, in case that one of those in it has to go.

    Of the same two identifiers the first and the last that count are enough: one of them is the best, and the last is
    parted by the fewest acts. One that an act has parted may count again, if a block turns out to have been over by
    then; and those by acts nobody shows again.
    """
    link = one, other, at_ms, digest
    counting: list[SpareLink] = []
    for held in profile.spare:
        if held[:2] in ((one, other), (other, one)):
            if held[2:] == link[2:]:
                return
            if held[3] >= 0 and _counts(profile, one, other, held[2]):
                counting.append(held)
    if digest >= 0 and len(counting) > 1:
        first, last = min(counting, key=_time_of), max(counting, key=_time_of)
        if first[2] <= at_ms <= last[2]:
            return
        profile.spare.remove(first if at_ms < first[2] else last)
    if len(profile.spare) < MOST_SPARE:
        profile.spare.append(link)


def wait(profile: Profile, link: Link, limits: Limits) -> None:
    """Keep a link until it can be looked at: of the same two identifiers the best, and the latest if acts part that."""
    best = latest = link
    weight = _weight(link, limits)
    brings = link.brings
    for held in profile.waiting:
        if isinstance(held, Link) and _is_of_same(held, link):
            brings = brings or held.brings
            if _weight(held, limits) <= weight:
                best, weight = held, _weight(held, limits)
            if held.cause.occurred_ms >= latest.cause.occurred_ms:
                latest = held
    best.brings = brings
    if link is best or link is latest:
        profile.waiting = [
            held
            for held in profile.waiting
            if held is best or held is latest or not isinstance(held, Link) or not _is_of_same(held, link)
        ]
        profile.waiting.append(link)


def take_spare(profile: Profile) -> list[Link]:
    """All spare links, to be looked at again; they are kept no longer."""
    spare, profile.spare = profile.spare, []
    return [Link(one, other, Cause("", at_ms, digest, one)) for one, other, at_ms, digest in spare]


def part(profile: Profile, other: Profile, leaving: Container[str]) -> None:
    """Spare links of those who leave go with them; one with somebody who stays is kept on either side, since what
    stands against it may leave either. So do their own links by acts that do not count."""
    other.refused += [bid for bid in profile.refused if bid.cause.through in leaving]
    profile.refused = [bid for bid in profile.refused if bid.cause.through not in leaving]
    stays = []
    for link in profile.spare:
        is_theirs = link[0] in leaving or link[1] in leaving
        if is_theirs:
            other.spare.append(link)
        if not is_theirs or link[0] not in leaving or link[1] not in leaving:
            stays.append(link)
    profile.spare = stays


def take_outward(profile: Profile, members: Container[str]) -> list[Link]:
    """Spare links to those who are no members, to be looked at again; they are kept no longer."""
    kept, outward = [], []
    for one, other, at_ms, digest in profile.spare:
        if one in members and other in members:
            kept.append((one, other, at_ms, digest))
        else:
            outward.append(Link(one, other, Cause("", at_ms, digest, one)))
    profile.spare = kept
    return outward


def keep_refused(profile: Profile, bid: Bid) -> None:
    """Keep a claim that was refused here, or one by an act that does not count by now, to be made again."""
    profile.refused = [*profile.refused[1 - MOST :], bid]


def take_refused(profile: Profile, about: str = "") -> list[Retry]:
    """All of them, or those about one identifier: what they are about has left, or what stood against them; they are
    kept no longer."""
    taken = [bid for bid in profile.refused if about in ("", bid.identifier)]
    profile.refused = [bid for bid in profile.refused if about not in ("", bid.identifier)]
    return [Retry(bid.claimant, bid) for bid in taken]


def take_lost(profile: Profile, limits: Limits) -> list[Link]:
    """All links that were refused to this profile, to be looked at again; what is nobody's is still kept."""
    links: list[Link] = []
    for key in list(profile.lost):
        through, is_pair, identifier = key.partition("\0")
        if is_pair:
            weight = profile.lost.pop(key)
            at_ms = limits.time_of(weight, through, identifier)
            links.append(Link(through, identifier, Cause("", at_ms, weight[1], through)))
    return links


def _counts(profile: Profile, one: str, other: str, at_ms: int) -> bool:
    """True unless an act has parted a link of that moment."""
    return not profile.acts or parting(profile.acts, one, other, at_ms, (one, other)) is None


def _is_of_same(held: Link, link: Link) -> bool:
    return held.identifier == link.identifier and held.cause.through == link.cause.through


def _weight(link: Link, limits: Limits) -> Weight:
    return limits.weight(link.cause.through, link.identifier, link.cause.occurred_ms, link.cause.digest)


def _pair(identifier: str, cause: Cause) -> str:
    return f"{cause.through}\0{identifier}"


def _time_of(link: SpareLink) -> int:
    return link[2]
