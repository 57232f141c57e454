"""What settings accept where a type does not say it: each returns what it was given, or raises ValueError with a line
that says what to write. Knows no setting by name but those it has to look at together."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TypeVar

from pydantic import ValidationInfo

from schemas.catalog import CHANNELS
from streams.layered import did_you_mean

Names = TypeVar("Names", bound=Iterable[str])


def known_channels(names: Names) -> Names:
    """Channels of ours, each of them."""
    for name in names:
        if name not in CHANNELS:
            hint = did_you_mean(name, CHANNELS)
            raise ValueError(f"{name!r} is no channel{hint}; channels are {', '.join(CHANNELS)}")
    return names


def unique(names: tuple[str, ...]) -> tuple[str, ...]:
    """No name twice."""
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"each name once, but {', '.join(twice)} stands there more than once")
    return names


def known_region(region: str) -> str:
    """A region of telephone numbers, or none."""
    # Here and below: large tables come along, which commands without such a setting do not need.
    from phonenumbers import SUPPORTED_REGIONS

    if region and region not in SUPPORTED_REGIONS:
        hint = (
            ", did you mean GB?"
            if region.upper() == "UK"
            else did_you_mean(region.upper(), SUPPORTED_REGIONS)
        )
        raise ValueError(
            f"{region!r} is no region{hint}; write two capital letters of ISO 3166, like DE, GB or US"
        )
    return region


def domains(names: tuple[str, ...]) -> tuple[str, ...]:
    """Domains, or `*` for all of them."""
    for name in names:
        if name != "*" and not re.fullmatch(r"[^\s@*.]+(\.[^\s@*.]+)+", name):
            raise ValueError(f"{name!r} is no domain; write it like gmail.com, or * alone for every domain")
    return names


def blocked_entries(entries: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
    """What may stand in `identity.blocked`, its types being those of `identity.ranks`."""
    from streams.core.normalise import checked

    # Without ranks it is they that are wrong.
    if "ranks" in info.data:
        for entry in entries:
            checked(entry, info.data["ranks"])
    return entries
