"""The shapes of what the core works on and keeps: fields and nothing else.

Rules live in the modules that own them, compiled where that can be done; these classes cannot be, and so hold no logic.
Times in epoch ms, money in micros of the currency. What is stored is encoded as MessagePack arrays, so a field is added
only at the end and with a default.
"""

import msgspec

from streams.core.messages import Waiting

NEVER = -(1 << 62)
OPEN, PURCHASED, EMPTIED, EXPIRED = "open", "purchased", "emptied", "expired"


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


class Episode(msgspec.Struct, gc=False, array_like=True):
    """From the touchpoint that fills an empty cart to the one that empties it.

    `due_ms` is the end of the owner's first silence, as far as known; `left` is what lay in the cart then, set once a
    later touchpoint shows that the silence was long enough; `arrived_ms` is when the last of what filled it until then
    arrived; `is_given_up` while an action for it is due. Times in epoch ms.
    """

    opened_ms: int
    digest: int
    opened_by: str
    cart_id: str | None
    items: tuple[Item, ...]
    currency: str | None
    updated_ms: int
    due_ms: int
    left: tuple[Item, ...] | None = None
    left_by: str = ""
    outcome: str = OPEN
    ended_ms: int = 0
    ended_by: str | None = None
    end_digest: int = 0
    revenue_micros: int | None = None
    last_by: str = ""
    arrived_ms: int = 0
    is_given_up: bool = False


class Session(msgspec.Struct, gc=False, array_like=True):
    """Times in epoch ms; `channels` are codes by first appearance; closes once the clock passes `cover_ms`."""

    session_id: str
    started_ms: int
    ended_ms: int
    cover_ms: int
    touchpoints: int
    channels: bytes
    orders: int
    revenue_micros: int
    is_final: bool


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


class Alias(msgspec.Struct, gc=False, array_like=True, tag=0):
    """An identifier that belongs to another's profile."""

    root: str


class Profile(msgspec.Struct, gc=False, array_like=True, tag=1):
    """What a root holds; times in epoch ms. `revision` rises with every change and outlives merges.

    `arrived_ms` is when the newest of its touchpoints arrived, `merged_ms` when it last had to do with a merge: until
    the timer clock has passed both, not everything is known that was in Kafka by then. `found_ms` is the wall clock
    when a cart was first found due: what had arrived by then is heard of before anything is decided.
    """

    members: list[str]
    revision: int = 0
    last_ms: int = NEVER
    last_digest: int = 0
    sessions: list[Session] = []
    episodes: list[Episode] = []
    actions: list[Action] = []
    late: dict[int, int] = {}
    proposal: str = ""
    waiting: list[Waiting] = []
    merged_ms: int = NEVER
    arrived_ms: int = NEVER
    found_ms: int = NEVER
    journal_first: int = 0
    journal_parts: int = 0
    journal_tail: bytes = b""


class ClockState(msgspec.Struct, array_like=True):
    """What a task keeps: its inputs' clocks by topic, what it may say, has said, and has heard from each task."""

    inputs: dict[str, int]
    mine: list[int]
    told: list[int]
    heard: list[list[int]]
