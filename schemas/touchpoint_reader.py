"""Reading touchpoints by hand, in steps: the hot head of every record, the rest of the envelope of few.

For records of a channel's current schema only; `codec.as_current` brings any other version into it. Every
function raises CodecError and nothing else, whatever the bytes. Values equal fastavro's.
"""

from __future__ import annotations

from typing import Final, NamedTuple, TypeAlias

from mypy_extensions import i64

from schemas.catalog import CHANNELS
from schemas.layout import OWN_FIELDS, Kind
from schemas.wire import read_count, read_end, read_long, read_text, unreadable, wrong_type

__all__ = [
    "TYPES", "Campaign", "Commerce", "Head", "Item",
    "check_own", "check_rest", "read_commerce", "read_head", "read_identifiers",
]  # fmt: skip

Head: TypeAlias = tuple[str, str, str, str, int, int, bytes, int]
"""(message_id, type, event, channel, occurred_ms, received_ms, identifiers_raw, end).

`identifiers_raw` is the Avro map as it stands in the record, for callers that remember maps they have seen;
`end` is where `read_commerce` and `check_rest` go on.
"""

TYPES: Final = ("track", "identify", "page", "screen", "group", "alias")
"""Segment's calls."""

_TYPE_BY_BYTES: Final = {name.encode(): name for name in TYPES}
_CHANNEL_BY_BYTES: Final = {name.encode(): name for name in CHANNELS}

# What DateTime64(3) of ClickHouse can hold: a time outside is none, one inside is up to the clock rules.
EARLIEST_MS: Final = -2_208_988_800_000
LATEST_MS: Final = 10_413_791_999_999


class Item(NamedTuple):
    """One product line."""

    product_id: str
    name: str
    category: str
    quantity: int
    price_micros: int


class Campaign(NamedTuple):
    """What brought the customer here."""

    source: str | None
    medium: str | None
    name: str | None
    term: str | None
    content: str | None


class Commerce(NamedTuple):
    """The rest of the envelope; `end` is where the channel's own fields begin."""

    cart_id: str | None
    order_id: str | None
    items: tuple[Item, ...]
    revenue_micros: int | None
    currency: str | None
    campaign: Campaign | None
    location_id: str | None
    end: int


# The continuation bits of five varint bytes, as they sum up below.
_SIX_BYTES: Final = 34_630_287_488  # 128 * (1 + 2**7 + 2**14 + 2**21 + 2**28)


def read_head(value: bytes, at: int = 5) -> Head:
    """The hot head of a touchpoint; raises CodecError.

    Takes the shape nearly every record has (strings under 64 bytes, times from 1970-07 to 2039, one map
    block) for granted, notes whatever contradicts it, and reads again with care if something did.
    """
    start = at
    try:
        size = value[at]
        odd = size
        at += 1
        end = at + (size >> 1)
        message_id = value[at:end].decode()
        size = value[end]
        odd |= size
        at = end + 1
        end = at + (size >> 1)
        kind = _TYPE_BY_BYTES[value[at:end]]
        size = value[end]
        odd |= size
        at = end + 1
        end = at + (size >> 1)
        event = value[at:end].decode()
        size = value[end]
        odd |= size
        at = end + 1
        end = at + (size >> 1)
        channel = _CHANNEL_BY_BYTES[value[at:end]]
        occurred_ms = _six_bytes(value, end)
        received_ms = _six_bytes(value, end + 6)
        raw_from = at = end + 12
        strings = value[at]
        odd |= strings | occurred_ms & 1 | received_ms & 1
        at += 1
        if strings:
            # A zigzag count is twice the entries: just the number of strings.
            for _ in range(strings):
                size = value[at]
                odd |= size
                at += 1 + (size >> 1)
            if value[at]:
                return _read_any_head(value, start)
            at += 1
        if odd & 129 or occurred_ms < 0 or received_ms < 0 or not message_id:
            return _read_any_head(value, start)
    except (IndexError, ValueError, KeyError):
        return _read_any_head(value, start)
    return message_id, kind, event, channel, occurred_ms >> 1, received_ms >> 1, value[raw_from:at], at


def _six_bytes(value: bytes, at: i64) -> i64:
    """The zigzag number in just six varint bytes, not unfolded; negative if it is not of that length."""
    a: i64 = value[at]
    b: i64 = value[at + 1]
    c: i64 = value[at + 2]
    d: i64 = value[at + 3]
    e: i64 = value[at + 4]
    f: i64 = value[at + 5]
    if not a & b & c & d & e & 128 or f & 128:
        return -1
    return a + (b << 7) + (c << 14) + (d << 21) + (e << 28) + (f << 35) - _SIX_BYTES


def _read_any_head(value: bytes, at: int) -> Head:
    """As `read_head`, for every shape Avro allows."""
    try:
        message_id, at = read_text(value, at)
        kind, at = read_text(value, at)
        event, at = read_text(value, at)
        channel, at = read_text(value, at)
        occurred_ms, at = read_long(value, at)
        received_ms, at = read_long(value, at)
        end = _skip_text_map(value, at)
    except (IndexError, UnicodeDecodeError) as error:
        raise unreadable("the head of a touchpoint") from error
    if not message_id:
        raise wrong_type("message_id is empty")
    if kind not in TYPES:
        raise wrong_type("type is none of Segment's calls")
    if channel not in CHANNELS:
        raise wrong_type("channel is none of ours")
    if not EARLIEST_MS <= occurred_ms <= LATEST_MS or not EARLIEST_MS <= received_ms <= LATEST_MS:
        raise wrong_type("a time outside 1900 to 2299")
    return message_id, kind, event, channel, occurred_ms, received_ms, value[at:end], end


def _skip_text_map(value: bytes, at: int) -> int:
    """Where a map of strings ends."""
    while True:
        count, at = read_count(value, at)
        if not count:
            return at
        for _ in range(2 * count):
            _, at = read_end(value, at)


def read_identifiers(identifiers_raw: bytes) -> dict[str, str]:
    """Type to value, of a head's `identifiers_raw`; raises CodecError."""
    found: dict[str, str] = {}
    try:
        size = odd = identifiers_raw[0]
        at = 1
        # As in `read_head`: the one shape nearly every map has, or else with care.
        for _ in range(size >> 1 if not odd & 129 else 0):
            size = identifiers_raw[at]
            start = at + 1
            at = start + (size >> 1)
            following = identifiers_raw[at]
            odd |= size | following
            name = identifiers_raw[start:at].decode()
            start = at + 1
            at = start + (following >> 1)
            found[name] = identifiers_raw[start:at].decode()
        if (
            not odd & 129
            and at + bool(identifiers_raw[0]) == len(identifiers_raw)
            and not identifiers_raw[-1]
        ):
            return found
        return _read_any_identifiers(identifiers_raw)
    except (IndexError, UnicodeDecodeError):
        return _read_any_identifiers(identifiers_raw)


def _read_any_identifiers(identifiers_raw: bytes) -> dict[str, str]:
    """As `read_identifiers`, for every shape Avro allows."""
    found: dict[str, str] = {}
    at = 0
    try:
        while True:
            count, at = read_count(identifiers_raw, at)
            if not count:
                break
            for _ in range(count):
                name, at = read_text(identifiers_raw, at)
                found[name], at = read_text(identifiers_raw, at)
    except (IndexError, UnicodeDecodeError) as error:
        raise unreadable("identifiers") from error
    if at != len(identifiers_raw):
        raise unreadable("bytes behind the identifiers")
    return found


def _read_branch(value: bytes, at: int) -> tuple[bool, int]:
    """Whether a nullable field has a value."""
    byte = value[at]
    if byte == 0:
        return False, at + 1
    if byte == 2:
        return True, at + 1
    # An index may be spelled in more bytes than it needs.
    branch, at = read_long(value, at)
    if branch not in (0, 1):
        raise unreadable("a union branch that does not exist")
    return branch == 1, at


def _read_nullable_text(value: bytes, at: int) -> tuple[str | None, int]:
    present, at = _read_branch(value, at)
    return read_text(value, at) if present else (None, at)


def _read_nullable_long(value: bytes, at: int) -> tuple[int | None, int]:
    present, at = _read_branch(value, at)
    return read_long(value, at) if present else (None, at)


def _read_item(value: bytes, at: int) -> tuple[Item, int]:
    product_id, at = read_text(value, at)
    name, at = read_text(value, at) if value[at] else ("", at + 1)
    category, at = read_text(value, at) if value[at] else ("", at + 1)
    quantity, at = read_long(value, at)
    price_micros, at = read_long(value, at)
    # Past the named tuple's own constructor, which is a Python function around this one.
    return tuple.__new__(Item, (product_id, name, category, quantity, price_micros)), at


def _read_items(value: bytes, at: int) -> tuple[tuple[Item, ...], int]:
    items: list[Item] = []
    while True:
        count, at = read_count(value, at)
        if not count:
            return tuple(items), at
        for _ in range(count):
            item, at = _read_item(value, at)
            items.append(item)


def _read_campaign(value: bytes, at: int) -> tuple[Campaign | None, int]:
    present, at = _read_branch(value, at)
    if not present:
        return None, at
    source, at = _read_nullable_text(value, at)
    medium, at = _read_nullable_text(value, at)
    name, at = _read_nullable_text(value, at)
    term, at = _read_nullable_text(value, at)
    content, at = _read_nullable_text(value, at)
    return Campaign(source, medium, name, term, content), at


def read_commerce(value: bytes, end: int) -> Commerce:
    """The rest of the envelope, from where the head ended; raises CodecError."""
    try:
        # A zero byte is an absent field: most are, and a call each would cost more than all else here.
        at = end
        cart_id, at = _read_nullable_text(value, at) if value[at] else (None, at + 1)
        order_id, at = _read_nullable_text(value, at) if value[at] else (None, at + 1)
        items, at = _read_items(value, at) if value[at] else ((), at + 1)
        revenue_micros, at = _read_nullable_long(value, at) if value[at] else (None, at + 1)
        currency, at = _read_nullable_text(value, at) if value[at] else (None, at + 1)
        campaign, at = _read_campaign(value, at) if value[at] else (None, at + 1)
        location_id, at = _read_nullable_text(value, at) if value[at] else (None, at + 1)
    except (IndexError, UnicodeDecodeError) as error:
        raise unreadable("the envelope of a touchpoint") from error
    return Commerce(cart_id, order_id, items, revenue_micros, currency, campaign, location_id, at)


# What stands behind the head, in order, a byte a kind: every one of these is a zero byte when it is absent.
_TEXT: Final = 0
_CAMPAIGN: Final = 5
_COMMERCE_KINDS: Final = bytes(
    (Kind.TEXT, Kind.TEXT, Kind.ITEMS, Kind.LONG, Kind.TEXT, Kind.CAMPAIGN, Kind.TEXT)
)
_OWN_KINDS: Final = {channel: bytes(kind for _, kind in OWN_FIELDS[channel]) for channel in CHANNELS}
_REST_KINDS: Final = {channel: _COMMERCE_KINDS + _OWN_KINDS[channel] for channel in CHANNELS}


def check_rest(value: bytes, end: int, channel: str) -> Campaign | None:
    """That behind the head comes the rest of one whole record of this channel, nothing else; or CodecError.

    For before `codec.stitch`: bytes appended to a broken record would spoil the block it is landed in. Returns the
    campaign, which is on the way.
    """
    return _check_fields(value, end, _REST_KINDS[channel])


def check_own(value: bytes, end: int, channel: str) -> None:
    """As `check_rest`, from where `read_commerce` ended: for records whose commerce is read anyway."""
    _check_fields(value, end, _OWN_KINDS[channel])


def _check_fields(value: bytes, start: int, kinds: bytes) -> Campaign | None:
    """That from `start` on there are fields of these kinds, then properties, then the end; the campaign among them."""
    # Where all that is left is ASCII, so is every text in it: one look instead of one a text.
    is_ascii = value[start:].isascii()
    length: i64 = len(value)
    at: i64 = start
    fields: i64 = len(kinds)
    field: i64 = 0
    campaign: Campaign | None = None
    try:
        while field < fields:
            branch: i64 = value[at]
            at += 1
            if not branch:
                pass
            elif branch == 2 and kinds[field] == _TEXT:
                at = _text_end(value, at, is_ascii)
            elif kinds[field] == _CAMPAIGN:
                campaign, end = _read_campaign(value, at - 1)
                at = end
            else:
                at = _field_end(value, at - 1, kinds[field])
            field += 1
        at = _text_map_end(value, at, is_ascii) if value[at] else at + 1
    except (IndexError, UnicodeDecodeError) as error:
        raise unreadable("the fields behind the head") from error
    if at != length:
        raise unreadable("bytes behind the record")
    return campaign


def _text_end(value: bytes, at: i64, is_ascii: bool) -> i64:
    """Where a string ends; its UTF-8 is checked, unless all of the record is known to be ASCII."""
    size: i64 = value[at]
    begin = at + 1
    if size > 127:
        size = size & 127 | value[begin] << 7
        begin += 1
        # Three bytes and more: a text of 8 KiB, or one spelled oddly.
        if size > 16383:
            return read_text(value, at)[1]
    end = begin + (size >> 1)
    if size & 1 or end > len(value):
        raise unreadable("a length that leaves the record")
    if not is_ascii:
        value[begin:end].decode()
    return end


def _text_map_end(value: bytes, start: i64, is_ascii: bool) -> i64:
    """Where a map of strings ends, its UTF-8 checked."""
    at = start
    while True:
        count, following = read_count(value, at)
        at = following
        if not count:
            return at
        strings: i64 = 2 * count
        while strings:
            at = _text_end(value, at, is_ascii)
            strings -= 1


def _field_end(value: bytes, at: int, kind: int) -> int:
    """Where a field that is present ends."""
    if kind == Kind.ITEMS:
        return _read_items(value, at)[1]
    if kind == Kind.BOOLEAN:
        if value[at] > 1:
            raise unreadable("a boolean that is neither")
        return at + 1
    present, at = _read_branch(value, at)
    if not present:
        return at
    if kind == Kind.TEXT:
        return read_text(value, at)[1]
    if kind == Kind.LONG:
        return read_long(value, at)[1]
    if at + 8 > len(value):
        raise unreadable("a number cut off")
    return at + 8
