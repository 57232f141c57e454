"""A Kafka record of an input topic as a touchpoint, or the reason why it can never be one.

Owns validation and the correction of times; must not know profiles or tasks. Raises schemas.codec.CodecError.
"""

from collections.abc import Mapping, Sequence
from typing import Final, Protocol

import xxhash
from mypy_extensions import mypyc_attr

from schemas.catalog import CHANNELS, Catalog
from schemas.codec import (
    Campaign,
    CodecError,
    Commerce,
    Reason,
    as_current,
    check_own,
    check_rest,
    frame,
    read_commerce,
    read_head,
    read_identifiers,
    schema_id_of,
)
from streams.core.carts import COMMERCE_OF, VIEWED
from streams.core.identifier import Identifiers
from streams.core.rules import LATE_MS, Rules
from streams.core.shapes import CampaignEntry, CartEntry, Item
from streams.core.vocabulary import Vocabulary

TICK_HEADER: Final = "clock-ms"
MAX_MESSAGE_ID: Final = 512
MAX_CAMPAIGN: Final = 256
"""So many characters are kept of each part of a campaign."""
PRODUCT_VIEWED: Final = "Product Viewed"
CHANNEL_CODES: Final = {channel: code for code, channel in enumerate(CHANNELS)}


class Record(Protocol):
    """A record as read from Kafka; `timestamp` is when Kafka appended it, epoch ms."""

    @property
    def topic(self) -> str: ...
    @property
    def partition(self) -> int: ...
    @property
    def offset(self) -> int: ...
    @property
    def timestamp(self) -> int: ...
    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...
    @property
    def headers(self) -> Sequence[tuple[str, bytes]]: ...


@mypyc_attr(acyclic=True)
class Touchpoint:
    """What the core needs of one; times in epoch ms, `value` the record's bytes under the channel's current schema.

    `occurred_ms` is corrected: nothing occurs after it was received, nothing is received after it arrived.
    `identifiers` are usable ones, lowest first. `event` is a code of the vocabulary; `cart` is set where the touchpoint
    touches a cart, or views a product that counts, `campaign` where it has one.
    """

    __slots__ = (
        "arrival_ms", "campaign", "cart", "channel", "digest", "event", "identifiers", "is_late", "message_id",
        "occurred_ms", "value", "was_clamped",
    )  # fmt: skip

    def __init__(
        self,
        message_id: str,
        digest: int,
        channel: int,
        event: int,
        occurred_ms: int,
        arrival_ms: int,
        is_late: bool,
        was_clamped: bool,
        identifiers: tuple[str, ...],
        cart: CartEntry | None,
        campaign: CampaignEntry | None,
        value: bytes,
    ) -> None:
        self.message_id = message_id
        self.digest = digest
        self.channel = channel
        self.event = event
        self.occurred_ms = occurred_ms
        self.arrival_ms = arrival_ms
        self.is_late = is_late
        self.was_clamped = was_clamped
        self.identifiers = identifiers
        self.cart = cart
        self.campaign = campaign
        self.value = value


class Reader:
    """Reads records under one catalog and one set of rules.

    `blocked` are the types of identifiers that were left out of the record read last, because they identify nobody.
    """

    __slots__ = (
        "_catalog",
        "_channels",
        "_identifiers",
        "_is_replay",
        "_kinds",
        "_max_bytes",
        "_vocabulary",
        "blocked",
    )

    def __init__(self, catalog: Catalog, identifiers: Identifiers, rules: Rules) -> None:
        self._catalog = catalog
        self._identifiers = identifiers
        self._is_replay = rules.is_replay
        self._max_bytes = rules.max_record_bytes
        self._vocabulary = Vocabulary(rules.events)
        self._kinds = COMMERCE_OF | {PRODUCT_VIEWED: VIEWED} if rules.browse_views else COMMERCE_OF
        self.blocked: tuple[str, ...] = ()
        self._channels = {frame(at, b""): channel for at, channel in catalog.channels.items()}

    def read(self, value: bytes | None, timestamp_ms: int) -> Touchpoint:
        """The touchpoint of a record's value; raises CodecError with the dead letter's reason."""
        self.blocked = ()
        if value is not None and len(value) > self._max_bytes:
            raise CodecError(Reason.TOO_LARGE, f"{len(value)} bytes, more than {self._max_bytes}")
        sent_as = self._channels.get(value[:5]) if value is not None else None
        if sent_as is None:
            schema_id_of(value)
            assert value is not None
            value = as_current(value, self._catalog)
            sent_as = self._channels[value[:5]]
        assert value is not None
        message_id, call, event, channel, occurred_ms, received_ms, raw, end = read_head(value)
        if channel != sent_as:
            raise CodecError(Reason.WRONG_TYPE, f"a touchpoint of {channel} under the schema of {sent_as}")
        if len(message_id) > MAX_MESSAGE_ID:
            raise CodecError(Reason.WRONG_TYPE, f"message_id is longer than {MAX_MESSAGE_ID}")
        identifiers = self._identifiers.known(raw)
        if identifiers is None:
            identifiers = self._identifiers.usable(read_identifiers(raw), raw)
        self.blocked = self._identifiers.blocked(raw)
        if not identifiers:
            raise CodecError(Reason.NO_IDENTIFIER, "no identifier that says who it was")
        kind = self._kinds.get(event)
        if kind is None:
            campaign = check_rest(value, end, channel)
            commerce = None
        else:
            commerce = read_commerce(value, end)
            campaign = commerce.campaign
            check_own(value, commerce.end, channel)
        arrival_ms = received_ms if self._is_replay and received_ms < timestamp_ms else timestamp_ms
        at_ms = occurred_ms if occurred_ms <= received_ms else received_ms
        if at_ms > arrival_ms:
            at_ms = arrival_ms
        # Less its two lowest bits, which leaves the order and fits a compiled integer.
        digest: int = xxhash.xxh3_64_intdigest(message_id.encode()) >> 2
        cart = None
        if kind is not None and commerce is not None:
            cart = _cart_entry(at_ms, digest, message_id, kind, commerce, arrival_ms)
        return Touchpoint(
            message_id, digest, CHANNEL_CODES[channel], self._vocabulary.code_of(event, call), at_ms, arrival_ms,
            arrival_ms - at_ms > LATE_MS, at_ms != occurred_ms, identifiers, cart,
            None if campaign is None else _campaign_entry(at_ms, digest, campaign), value,
        )  # fmt: skip


def tick_ms(record: Record) -> int | None:
    """The clock a tick carries, epoch ms; None if the record is none (a null value alone is not a tick)."""
    for name, value in record.headers:
        if name == TICK_HEADER and value.isdigit():
            return int(value)
    return None


def stitched_ids(catalog: Catalog) -> Mapping[int, int]:
    """Schema id of the stitched record by channel code."""
    return {code: catalog.id_of(f"touchpoints.stitched.{channel}") for code, channel in enumerate(CHANNELS)}


def _cart_entry(
    at_ms: int, digest: int, message_id: str, kind: int, commerce: Commerce, arrival_ms: int
) -> CartEntry:
    items = tuple(Item(*item) for item in commerce.items)
    revenue, currency = commerce.revenue_micros, commerce.currency
    return CartEntry(at_ms, digest, message_id, kind, commerce.cart_id, items, revenue, currency, arrival_ms)


def _campaign_entry(at_ms: int, digest: int, campaign: Campaign) -> CampaignEntry | None:
    """None for a campaign that says nothing."""
    source, medium, name, term, content = [part[:MAX_CAMPAIGN] if part else None for part in campaign]
    if not (source or medium or name or term or content):
        return None
    return CampaignEntry(at_ms, digest, (source, medium, name, term, content))
