"""Writing what the pipeline decides by hand: sessions, carts, actions, identities, one function a subject.

Arguments are the schema's fields under their names, times epoch-ms; every function gives the very bytes fastavro
would, several times faster. Items, campaigns, lists and maps are handed over encoded, by the functions named after
them, so that what many records share is encoded once. It knows nothing of what the values mean.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from schemas.catalog import Catalog
from schemas.wire import frame, long_bytes, text_bytes

__all__ = [
    "array_bytes", "campaign_bytes", "counts_bytes", "encode_action", "encode_cart", "encode_identity",
    "encode_session", "item_bytes", "texts_bytes",
]  # fmt: skip

_SESSION: Final = frame(Catalog.embedded().id_of("sessions"), b"")
_CART: Final = frame(Catalog.embedded().id_of("carts"), b"")
_ACTION: Final = frame(Catalog.embedded().id_of("actions"), b"")
_IDENTITY: Final = frame(Catalog.embedded().id_of("identities"), b"")


def array_bytes(entries: Sequence[bytes]) -> bytes:
    """An array of encoded entries, in one block."""
    return long_bytes(len(entries)) + b"".join(entries) + b"\0" if entries else b"\0"


def texts_bytes(texts: Iterable[str]) -> bytes:
    """An array of strings."""
    return array_bytes([text_bytes(text) for text in texts])


def counts_bytes(counts: Iterable[tuple[str, int]]) -> bytes:
    """A map of whole numbers."""
    return array_bytes([text_bytes(name) + long_bytes(number) for name, number in counts])


def campaign_bytes(campaign: Sequence[str | None] | None) -> bytes:
    """A nullable campaign: source, medium, name, term, content."""
    return b"\0" if campaign is None else b"\2" + b"".join([_nullable_text(part) for part in campaign])


def item_bytes(product_id: str, name: str, category: str, quantity: int, price_micros: int) -> bytes:
    """One product line; the price is that of one unit."""
    return b"".join(
        (
            text_bytes(product_id),
            text_bytes(name),
            text_bytes(category),
            long_bytes(quantity),
            long_bytes(price_micros),
        )
    )


def encode_session(
    *,
    session_id: str,
    profile_id: str,
    revision: int,
    started_at: int,
    ended_at: int,
    touchpoints: int,
    channels: bytes,
    orders: int,
    revenue_micros: int,
    is_final: bool,
    is_retracted: bool,
    retracted_into: str | None,
    revenue: bytes,
    is_bounce: bool,
    is_engaged: bool,
    path: bytes,
    is_path_cut: bool,
    events: bytes,
    first_campaign: bytes,
    last_campaign: bytes,
) -> bytes:
    """A framed record of `sessions`."""
    return b"".join(
        (
            _SESSION,
            text_bytes(session_id),
            text_bytes(profile_id),
            long_bytes(revision),
            long_bytes(started_at),
            long_bytes(ended_at),
            long_bytes(touchpoints),
            channels,
            long_bytes(orders),
            long_bytes(revenue_micros),
            b"\1" if is_final else b"\0",
            b"\1" if is_retracted else b"\0",
            _nullable_text(retracted_into),
            revenue,
            b"\1" if is_bounce else b"\0",
            b"\1" if is_engaged else b"\0",
            path,
            b"\1" if is_path_cut else b"\0",
            events,
            first_campaign,
            last_campaign,
        )
    )


def encode_cart(
    *,
    episode_id: str,
    profile_id: str,
    revision: int,
    status: str,
    cart_id: str | None,
    opened_at: int,
    updated_at: int,
    items: bytes,
    value_micros: int,
    currency: str | None,
    settled_by: str | None,
    retracted_into: str | None,
) -> bytes:
    """A framed record of `carts`."""
    return b"".join(
        (
            _CART,
            text_bytes(episode_id),
            text_bytes(profile_id),
            long_bytes(revision),
            text_bytes(status),
            _nullable_text(cart_id),
            long_bytes(opened_at),
            long_bytes(updated_at),
            items,
            long_bytes(value_micros),
            _nullable_text(currency),
            _nullable_text(settled_by),
            _nullable_text(retracted_into),
        )
    )


def encode_action(
    *,
    action_id: str,
    profile_id: str,
    revision: int,
    trigger: str,
    step: int,
    status: str,
    due_at: int,
    decided_at: int,
    expires_at: int,
    opened_at: int,
    opened_by: str,
    cart_id: str | None,
    items: bytes,
    value_micros: int,
    currency: str | None,
    identifiers: Mapping[str, str],
    channels: bytes,
    reason: str,
    caused_by: bytes,
    historical: bool,
    variant: str | None,
    recovered_micros: int | None,
) -> bytes:
    """A framed record of `actions`."""
    return b"".join(
        (
            _ACTION,
            text_bytes(action_id),
            text_bytes(profile_id),
            long_bytes(revision),
            text_bytes(trigger),
            long_bytes(step),
            text_bytes(status),
            long_bytes(due_at),
            long_bytes(decided_at),
            long_bytes(expires_at),
            long_bytes(opened_at),
            text_bytes(opened_by),
            _nullable_text(cart_id),
            items,
            long_bytes(value_micros),
            _nullable_text(currency),
            array_bytes([text_bytes(kind) + text_bytes(value) for kind, value in identifiers.items()]),
            channels,
            text_bytes(reason),
            caused_by,
            b"\1" if historical else b"\0",
            _nullable_text(variant),
            _nullable_long(recovered_micros),
        )
    )


def encode_identity(
    *,
    identifier: str,
    profile_id: str,
    own_profile_id: str,
    root: str,
    kind: str,
    caused_by: str,
    decided_at: int,
    linked_to: str | None,
    other_profile_id: str | None,
    rule: str,
    decided_by: str | None,
    reason: str | None,
    linked_at: int | None,
) -> bytes:
    """A framed record of `identities`."""
    return b"".join(
        (
            _IDENTITY,
            text_bytes(identifier),
            text_bytes(profile_id),
            text_bytes(own_profile_id),
            text_bytes(root),
            text_bytes(kind),
            text_bytes(caused_by),
            long_bytes(decided_at),
            _nullable_text(linked_to),
            _nullable_text(other_profile_id),
            text_bytes(rule),
            _nullable_text(decided_by),
            _nullable_text(reason),
            _nullable_long(linked_at),
        )
    )


def _nullable_long(number: int | None) -> bytes:
    return b"\0" if number is None else b"\2" + long_bytes(number)


def _nullable_text(text: str | None) -> bytes:
    return b"\0" if text is None else b"\2" + text_bytes(text)
