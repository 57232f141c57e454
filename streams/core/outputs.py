"""Decisions as records: what a batch has changed becomes the bytes of the output topics.

Owns the mapping from state to schema; must not decide anything. Money in micros, times in epoch ms.
"""

from collections.abc import Iterable
from typing import Final

from schemas.catalog import CHANNELS
from schemas.decision_writer import (
    array_bytes,
    campaign_bytes,
    counts_bytes,
    encode_action,
    encode_cart,
    encode_identity,
    encode_session,
    item_bytes,
    texts_bytes,
)
from streams.core.actions import ABANDONED_BROWSE, CANCELLED, DUE, PAYMENT_FAILED, RECOVERED
from streams.core.actor import Actor
from streams.core.belongings import Belonging
from streams.core.carts import EMPTIED, OPEN, PURCHASED, Episode, episode_id_of, value_micros
from streams.core.changed import Changed
from streams.core.courses import Course
from streams.core.rules import Rules
from streams.core.sessions import Session, is_engaged, session_id_of
from streams.core.shapes import Action, Item

Output = tuple[bytes, bytes]
ABANDONED: Final = "abandoned"
RETRACTED: Final = "retracted"
_NAMES: Final[dict[bytes, bytes]] = {}
_NO_COURSE: Final = Course([], False, {}, None, None)
_WHY: Final = {
    DUE: "the cart was left with items in it and its owner was silent until due_at",
    CANCELLED: "what became known since shows that the cart was settled, emptied or in use before due_at",
    RECOVERED: "the cart was left, and bought after due_at",
}
_WHY_PAYMENT: Final = {
    DUE: "a payment for the cart failed at due_at",
    CANCELLED: "what became known since shows that the cart had no such failure of its own",
    RECOVERED: "a payment for the cart failed, and it was bought after due_at",
}
_WHY_BROWSE: Final = {
    DUE: "products were viewed with nothing in the cart, and who did so was silent until due_at",
    CANCELLED: "what became known since shows that something was put into the cart or bought, or more was done, "
    "before due_at",
    RECOVERED: "products were viewed and left at that, and something was bought after due_at",
}
_WHY_OF: Final = {PAYMENT_FAILED: _WHY_PAYMENT, ABANDONED_BROWSE: _WHY_BROWSE}


def session_records(changed: Changed) -> list[Output]:
    """Records of `sessions`: how each changed session stands, and those that are no more."""
    said = []
    for session_id, (actor, session) in changed.sessions.items():
        course = changed.courses[session_id] if session.is_final else _NO_COURSE
        said.append(_session(actor, actor.revision, session, course, False, None))
    for actor, session, into, revision in changed.gone_sessions.values():
        said.append(_session(actor, revision, session, _NO_COURSE, True, into))
    return said


def cart_records(changed: Changed) -> list[Output]:
    """Records of `carts`."""
    said = [
        _cart(actor, actor.revision, episode, _cart_status(episode), None)
        for actor, episode in changed.carts.values()
    ]
    for actor, episode, into, revision in changed.gone_carts.values():
        said.append(_cart(actor, revision, episode, RETRACTED, into))
    return said


def action_records(changed: Changed, rules: Rules) -> list[Output]:
    """Records of `actions`."""
    return [_action(actor, action, rules) for actor, action in changed.actions.values()]


def identity_records(belongings: Iterable[Belonging], now_ms: int) -> list[Output]:
    """Records of `identities`, keyed by identifier."""
    return [(said.identifier.encode(), _identity(said, now_ms)) for said in belongings]


def _identity(said: Belonging, now_ms: int) -> bytes:
    return encode_identity(
        identifier=said.identifier,
        profile_id=said.profile_id,
        own_profile_id=said.own_profile_id,
        root=said.root,
        kind=said.kind,
        caused_by=said.cause.message_id,
        decided_at=now_ms,
        linked_to=said.cause.through,
        other_profile_id=said.other_profile_id,
        rule=said.rule,
        decided_by=said.decided_by,
        reason=said.reason,
        linked_at=said.cause.occurred_ms,
    )


def _session(
    actor: Actor, revision: int, session: Session, course: Course, is_retracted: bool, into: str | None
) -> Output:
    return actor.key, encode_session(
        session_id=session_id_of(session),
        profile_id=actor.profile_id,
        revision=revision,
        started_at=session.started_ms,
        ended_at=session.ended_ms,
        touchpoints=session.touchpoints,
        channels=_channel_names(session.channels),
        orders=session.orders,
        revenue_micros=session.revenue_micros,
        is_final=session.is_final,
        is_retracted=is_retracted,
        retracted_into=into,
        revenue=counts_bytes(session.revenue),
        is_bounce=session.touchpoints == 1,
        is_engaged=is_engaged(session),
        path=texts_bytes(course.path),
        is_path_cut=course.is_cut,
        events=counts_bytes(course.events.items()),
        first_campaign=campaign_bytes(course.first_campaign),
        last_campaign=campaign_bytes(course.last_campaign),
    )


def _channel_names(codes: bytes) -> bytes:
    """The encoded names of channels; people use few combinations."""
    names = _NAMES.get(codes)
    if names is None:
        names = _NAMES[codes] = texts_bytes([CHANNELS[code] for code in codes])
    return names


def _cart_status(episode: Episode) -> str:
    """An expired cart stays what it was: abandoned."""
    if episode.outcome in (PURCHASED, EMPTIED):
        return episode.outcome
    is_left = episode.left is not None or episode.is_given_up
    return ABANDONED if is_left else OPEN


def _cart(actor: Actor, revision: int, episode: Episode, status: str, into: str | None) -> Output:
    return actor.key, encode_cart(
        episode_id=episode_id_of(episode),
        profile_id=actor.profile_id,
        revision=revision,
        status=status,
        cart_id=episode.cart_id,
        opened_at=episode.opened_ms,
        updated_at=episode.updated_ms,
        items=_items(episode.items),
        value_micros=value_micros(episode.items),
        currency=episode.currency,
        settled_by=episode.ended_by,
        retracted_into=into,
    )


def _action(actor: Actor, action: Action, rules: Rules) -> Output:
    return actor.key, encode_action(
        action_id=action.action_id,
        profile_id=actor.profile_id,
        revision=actor.revision,
        trigger=action.trigger,
        step=max(1, action.step),
        status=action.status,
        due_at=action.due_ms,
        decided_at=action.decided_ms,
        expires_at=action.due_ms + rules.expires_ms,
        opened_at=action.opened_ms,
        opened_by=action.opened_by,
        cart_id=action.cart_id,
        items=_items(action.items),
        value_micros=value_micros(action.items),
        currency=action.currency,
        identifiers=_addresses(actor, rules),
        channels=texts_bytes(rules.action_channels),
        reason=_WHY_OF.get(action.trigger, _WHY)[action.status],
        caused_by=texts_bytes(dict.fromkeys((action.opened_by, action.caused_by))),
        historical=action.is_historical,
        variant=None,
        recovered_micros=action.recovered_micros,
    )


def _items(items: Iterable[Item]) -> bytes:
    return array_bytes([
        item_bytes(item.product_id, item.name, item.category, item.quantity, item.price_micros)
        for item in items
    ])  # fmt: skip


def _addresses(actor: Actor, rules: Rules) -> dict[str, str]:
    """One identifier of each type, the lowest, as type to value."""
    found: dict[str, str] = {}
    members = actor.index or (actor.identifier,)
    for kind, _, value in (member.partition(":") for member in sorted(members)):
        found.setdefault(kind, value)
    return {kind: found[kind] for kind in rules.ranks if kind in found}
