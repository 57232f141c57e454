"""The members of a profile of many as they are stored: full parts by themselves, the rest in the profile's head.

So that what a profile of 100,000 identifiers writes when one of them is linked does not grow with how many there are.
Owns the layout; must not know what a link means.
"""

from collections.abc import Callable
from typing import Any, Final

import msgspec

from streams.core.actor import Profile
from streams.core.links import PART, PENDING, LinkRow, links_of
from streams.core.messages import FOLLOWS_ROOT, MemberRow
from streams.core.shapes import NEVER, Root

_NO_LINK: Final = (PENDING, NEVER, 0)
_encode: Final[Any] = msgspec.msgpack.Encoder().encode
_decode: Final[Any] = msgspec.msgpack.Decoder(list[MemberRow]).decode


def parts_of(members: int) -> int:
    """How many full parts there are; at least one member is in the head."""
    return (members - 1) // PART


def rows_of(profile: Profile, first: int, stop: int) -> list[MemberRow]:
    """Members by place; one that has left has no name."""
    via = profile.via
    return [
        (profile.members[first + i], *link, via.get(first + i, FOLLOWS_ROOT))
        for i, link in enumerate(profile.links.rows(first, stop))
    ]


def write(profile: Profile, key: bytes, changes: list[tuple[bytes, bytes | None]]) -> None:
    """Append the full parts that have changed."""
    dirty = profile.links.dirty
    if not dirty:
        return
    parts = parts_of(len(profile.members))
    for number in sorted(dirty):
        if number < parts:
            changes.append(
                (_part_key(key, number), _encode(rows_of(profile, number * PART, (number + 1) * PART)))
            )
    dirty.clear()


def write_all(profile: Profile) -> None:
    """The next `write` writes every part."""
    for number in range(parts_of(len(profile.members))):
        profile.links.mark(number * PART)


def remove(parts: int, key: bytes, changes: list[tuple[bytes, bytes | None]]) -> None:
    """Append that there are no parts any more."""
    for number in range(parts):
        changes.append((_part_key(key, number), None))


def rest_of(profile: Profile) -> tuple[list[str], list[LinkRow], dict[int, int]]:
    """What of members, links and whom they follow is in no full part, the root itself left out."""
    stop = len(profile.members)
    first = max(1, parts_of(stop) * PART)
    via = {place: through for place, through in profile.via.items() if place >= first}
    return profile.members[first:], profile.links.rows(first, stop), via


def read(
    identifier: str, head: Root, rest_via: dict[int, int], get: Callable[[bytes], bytes | None]
) -> Profile:
    """A profile with its members, links and whom they follow; a part that was not sent along has no members."""
    members: list[str] = []
    links: list[LinkRow] = []
    via: dict[int, int] = {}
    key = identifier.encode()
    for number in range(head.members_parts):
        part = get(_part_key(key, number))
        if part is None:
            members += [""] * PART
            links += [_NO_LINK] * PART
            continue
        rows: list[MemberRow] = _decode(part)
        for member, parent, at_ms, digest, through in rows:
            if through != FOLLOWS_ROOT:
                via[len(members)] = through
            members.append(member)
            links.append((parent, at_ms, digest))
    profile = Profile([identifier, *members[1:], *head.others])
    stop = len(profile.members)
    profile.links = links_of([*links[1:], *head.links], stop)
    profile.links.dirty = None
    for number in range(head.members_parts, parts_of(stop)):
        # Stored in the head, before there were parts.
        profile.links.mark(number * PART)
    profile.via = via | rest_via
    return profile


def _part_key(key: bytes, number: int) -> bytes:
    return b"%s\0m%d" % (key, number)
