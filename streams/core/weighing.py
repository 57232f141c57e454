"""Which link of a person has to go where there is one too many of what a person has one of.

Several names of one account (see `decided.accounts`) count once: what stands against another account is the name that
is nearest, by the worst link on the way, since that link is the first that does not count. Owns the comparison of links
within one person; must not know actors of others or what is said about it (see `contests`).
"""

from collections.abc import Container, Mapping, Sequence

from streams.core.actor import Actor, Profile
from streams.core.decided import parting
from streams.core.limits import Limits, Weight, kind_of
from streams.core.messages import Bid, Cause


def is_parted(actor: Actor, profile: Profile, identifier: str, cause: Cause) -> bool:
    """True if the link of an identifier with a member of a root does not count, as far as the root knows."""
    if actor.mark and cause.through == actor.identifier:
        return True
    if not profile.acts:
        return False
    known = (cause.through, identifier) if identifier in actor.index else (cause.through,)
    return parting(profile.acts, cause.through, identifier, cause.occurred_ms, known) is not None


def is_nobodys(actor: Actor, bid: Bid) -> bool:
    """True if a bid is a link with a root that identifies nobody."""
    return bool(actor.mark) and actor.identifier in (bid.identifier, bid.cause.through)


def worst_of(limits: Limits, profile: Profile, path: Sequence[int]) -> tuple[int, Weight | None]:
    """The worst link of a path, by its child, and its weight; None if the path is empty."""
    links, members = profile.links, profile.members
    found = 0
    weight: Weight | None = None
    for child in path:
        at_ms, digest = links.times_ms[child], links.digests[child]
        other = limits.weight(members[child], members[links.parents[child]], at_ms, digest)
        if weight is None or other > weight:
            found, weight = child, other
    return found, weight


def nearest(limits: Limits, actor: Actor, kind: str, through: int) -> tuple[int, Weight | None]:
    """The worst link, as `worst_of`, on the way from a member to what the person has one of, and must have."""
    profile = actor.profile
    assert profile is not None, "an alias is weighed"
    found: tuple[int, Weight | None] | None = None
    left = actor.counts()[kind]
    for name, place in actor.index.items():
        if kind_of(name) == kind:
            worst = worst_of(limits, profile, profile.links.path(place, through))
            if worst[1] is None:
                return worst
            if found is None or found[1] is None or worst[1] < found[1]:
                found = worst
            left -= 1
            if not left:
                break
    assert found is not None, "nobody of the kind is among the members"
    return found


def surplus(
    limits: Limits, profile: Profile, same: Mapping[str, str], without: Container[int] = ()
) -> list[int]:
    """Links by which a person has two of a type of which it may have one: Kruskal over its own links, by child.

    `same` has one name for several that are one account's; `without` are links that do not count.
    """
    links, members = profile.links, profile.members
    held: list[dict[str, str]] = []
    accounts: dict[str, set[str]] = {}
    for name in members:
        kind = kind_of(name) if name else ""
        held.append({kind: same.get(name, name)} if limits.is_unique(kind) else {})
        for account in held[-1].values():
            accounts.setdefault(kind, set()).add(account)
    if all(len(names) == 1 for names in accounts.values()):
        return []
    tops = list(range(len(members)))

    def top_of(place: int) -> int:
        while tops[place] != place:
            tops[place] = tops[tops[place]]
            place = tops[place]
        return place

    by_weight = sorted(
        (limits.weight(members[child], members[parent], links.times_ms[child], links.digests[child]), child)
        for child, parent in enumerate(links.parents)
        if parent >= 0 and child not in without
    )
    found: list[int] = []
    for _, child in by_weight:
        one, other = top_of(child), top_of(links.parents[child])
        if any(held[other].get(kind, name) != name for kind, name in held[one].items()):
            found.append(child)
        else:
            tops[one] = other
            held[other] |= held[one]
    return found
