"""The shapes of what the core stores: fields and nothing else.

msgspec makes and encodes them, so they cannot be compiled and hold no logic: rules live in the modules that own them.
Times in epoch ms, money in micros of the currency. They are MessagePack arrays, so a field is added only at the end and
with a default.
"""

from typing import Final

import msgspec

from streams.core.messages import Accept, Act, Bid, Waiting

NEVER: Final = -4_611_686_018_427_387_904
NO_TIMER: Final = 4_611_686_018_427_387_903

Campaign = tuple[str | None, str | None, str | None, str | None, str | None]
"""What brought somebody here: source, medium, name, term, content."""
Revenue = tuple[tuple[str, int], ...]
"""Micros by currency, sorted; "" where none is said."""


class SessionRow(msgspec.Struct, gc=False, array_like=True, frozen=True):
    """A session as it is stored: the arguments of `sessions.Session`, its ends counted from each other."""

    started_ms: int
    digest: int
    lasted_ms: int
    covers_ms: int
    touchpoints: int
    channels: bytes
    orders: int
    revenue_micros: int
    is_final: bool
    views: int = 0
    revenue: Revenue = ()


class Item(msgspec.Struct, gc=False, array_like=True, frozen=True):
    """One product in a cart; the price is that of one unit, in micros of the currency."""

    product_id: str
    name: str
    category: str
    quantity: int
    price_micros: int


class CartEntry(msgspec.Struct, gc=False, array_like=True, frozen=True):
    """What is kept of a touchpoint that touches the cart; times in epoch ms."""

    occurred_ms: int
    digest: int
    message_id: str
    kind: int
    cart_id: str | None
    items: tuple[Item, ...]
    revenue_micros: int | None
    currency: str | None
    arrived_ms: int = 0


class CampaignEntry(msgspec.Struct, gc=False, array_like=True, frozen=True):
    """What is kept of a touchpoint that has a campaign; when it occurred in epoch ms."""

    occurred_ms: int
    digest: int
    campaign: Campaign


EpisodeRow = tuple[
    int, int, str, str | None, tuple[Item, ...], str | None, int, int, tuple[Item, ...] | None, str, str, int,
    str | None, int, int | None, str, int, bool,
]  # fmt: skip
"""An episode as it is stored: the fields of `carts.Episode` in order, but for its further steps."""

StepRow = tuple[int, tuple[Item, ...], str]
"""A step of a cart's reminders: when it was due (NO_TIMER: never), what lay in the cart, which message put it so."""

RemindedRow = tuple[int, tuple[StepRow, ...]]
"""Of an episode with further steps: when its owner was seen last, and how those came out of which that is known."""


PaidRow = tuple[int, StepRow | None, int, int, str | None, tuple[tuple[int, str], ...]]
"""Of an episode: when its owner first came to pay (NO_TIMER: never); the first payment that failed, its digest, when it
arrived and in which currency; and the currencies that its prices had before, each with when that ended."""


BrowseRow = tuple[
    int, int, str, int, int, str | None, str, int, int, int, bool, str, int, int, int | None,
]  # fmt: skip
"""A browse as it is stored: the fields of `browses.Browse` in order."""


class Action(msgspec.Struct, gc=False, array_like=True):
    """One decided action as last said; times in epoch ms, money in micros."""

    action_id: str
    anchor_ms: int
    anchor_digest: int
    decided_ms: int
    is_historical: bool
    status: str
    due_ms: int
    opened_ms: int
    opened_by: str
    caused_by: str
    cart_id: str | None
    items: tuple[Item, ...]
    currency: str | None
    recovered_micros: int | None = None
    step: int = 1
    trigger: str = "abandoned_cart"


class Alias(msgspec.Struct, gc=False, array_like=True, tag=0):
    """An identifier that belongs to another's profile; see `actor.Actor` for the rest."""

    root: str
    generation: int = 0
    epoch: int = 0
    mark: str = ""
    rivals: list[tuple[int, str]] = []
    acts: list[Act] = []


class Arriving(msgspec.Struct, gc=False, array_like=True):
    """A profile of many whose members come in pieces: to which place the first goes, how many come and have come.

    `counts` are those still to come, by type.
    """

    base: int
    members: int
    arrived: int
    counts: dict[str, int]


class Contested(msgspec.Struct, gc=False, array_like=True):
    """What few profiles have anything of: see `actor.Profile`, and `actor.Actor` for the first three and `acts`.

    `known_acts` are those of the profile, `name_epoch` its epoch; `via` is of members that are in no part.
    """

    epoch: int
    mark: str
    rivals: list[tuple[int, str]]
    reserved: list[Bid]
    lost: dict[str, tuple[int, int, str]]
    expecting: list[str]
    refused: list[Bid]
    spare: list[tuple[str, str, int, int]]
    acts: list[Act] = []
    known_acts: list[Act] = []
    via: dict[int, int] = {}
    accepted: Accept | None = None
    arriving: dict[str, Arriving] = {}
    name_epoch: int = 0


class Root(msgspec.Struct, gc=False, array_like=True, tag=1):
    """A profile as it is stored: the fields of `actor.Profile`, and what of its journal and its sessions is no part.

    `others` are its members but the first, which is the root itself, and `links` theirs, as far as they are in no part
    (see `roster`); None is a time that never was; "" is the root's own name.
    """

    others: list[str]
    revision: int
    last_ms: int | None
    last_digest: int
    sessions: list[SessionRow]
    episodes: list[EpisodeRow]
    actions: list[Action]
    late: dict[int, int]
    proposal: str
    waiting: list[Waiting]
    merged_ms: int | None
    arrived_ms: int | None
    found_ms: int | None
    journal_first: int
    journal_parts: int
    journal_tail: bytes
    journal_floor_ms: int | None
    sessions_forgotten: int
    sessions_parts: int
    links: list[tuple[int, int, int]] = []
    generation: int = 0
    contested: Contested | None = None
    name: str = ""
    proposed_size: int = 0
    members_parts: int = 0
    reminded: list[RemindedRow] = []
    paid: list[PaidRow] = []
    browses: list[BrowseRow] = []


class Numbers(msgspec.Struct, array_like=True):
    """What a task keeps of messages: how many it has sent to each task, and the last it has heard of each."""

    sent: list[int]
    heard: list[int]


class ClockState(msgspec.Struct, array_like=True):
    """What a task keeps: its inputs' clocks by topic, what it may say, has said, and has heard from each task."""

    inputs: dict[str, int]
    mine: list[int]
    told: list[int]
    heard: list[list[int]]
