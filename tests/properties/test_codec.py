"""The laws of the bytes: what is made by hand gives fastavro's answer, and no bytes get past it with another."""

from __future__ import annotations

import io
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import fastavro
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from schemas.catalog import CHANNELS, Catalog
from schemas.codec import (
    Campaign,
    CodecError,
    Reason,
    as_current,
    check_rest,
    decode,
    encode,
    encode_touchpoint,
    frame,
    owner_bytes,
    read_commerce,
    read_head,
    read_identifiers,
    stitch,
    unframe,
    without_logical_types,
)
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
from tests.unit.schemas.records import LATEST_MS, records, schema_of, spelled, touchpoint, touchpoints

CATALOG = Catalog.embedded()
PLAIN = {
    subject: fastavro.parse_schema(without_logical_types(schema_of(subject)))
    for subject in CATALOG.subjects()
}

every_channel = pytest.mark.parametrize("channel", CHANNELS)
few = settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
many = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def by_fastavro(subject: str, record: Any) -> bytes:
    out = io.BytesIO()
    fastavro.schemaless_writer(out, PLAIN[subject], record)
    return frame(CATALOG.id_of(subject), out.getvalue())


def decision_by_hand(subject: str, record: dict[str, Any]) -> bytes:
    """The record through `decision_writer`, its lists encoded as that wants them."""
    given = dict(record)
    if "items" in given:
        given["items"] = array_bytes([item_bytes(**item) for item in given["items"]])
    for name in ("channels", "caused_by", "path"):
        if isinstance(given.get(name), list):
            given[name] = texts_bytes(given[name])
    for name in ("revenue", "events"):
        if name in given:
            given[name] = counts_bytes(given[name].items())
    for name in ("first_campaign", "last_campaign"):
        if name in given:
            said = given[name]
            given[name] = campaign_bytes(None if said is None else [said[part] for part in Campaign._fields])
    write: dict[str, Callable[..., bytes]] = {
        "sessions": encode_session,
        "carts": encode_cart,
        "actions": encode_action,
        "identities": encode_identity,
    }
    return write[subject](**given)


def read_by_fastavro(subject: str, body: bytes) -> Any:
    source = io.BytesIO(body)
    record = fastavro.schemaless_reader(source, PLAIN[subject], None)
    assert source.tell() == len(body)
    return record


def read_by_hand(value: bytes) -> dict[str, Any]:
    """The envelope of a framed touchpoint by the hand-made paths, after they found the record whole."""
    message_id, kind, event, channel, occurred_ms, received_ms, identifiers_raw, end = read_head(value)
    rest = read_commerce(value, end)
    assert check_rest(value, end, channel) == rest.campaign
    return {
        "message_id": message_id,
        "type": kind,
        "event": event,
        "channel": channel,
        "occurred_at": occurred_ms,
        "received_at": received_ms,
        "identifiers": read_identifiers(identifiers_raw),
        "cart_id": rest.cart_id,
        "order_id": rest.order_id,
        "items": [item._asdict() for item in rest.items],
        "revenue_micros": rest.revenue_micros,
        "currency": rest.currency,
        "campaign": None if rest.campaign is None else rest.campaign._asdict(),
        "location_id": rest.location_id,
    }


def envelope_of(record: dict[str, Any]) -> dict[str, Any]:
    return {name: record[name] for name in touchpoint()}


@every_channel
@few
@given(data=st.data())
def test_feeders_write_the_bytes_of_fastavro(channel: str, data: st.DataObject) -> None:
    """`encode_touchpoint` equals fastavro byte for byte, own fields and properties included."""
    record = data.draw(touchpoints(channel))
    assert encode_touchpoint(record) == by_fastavro(f"touchpoints.{channel}", record)


@every_channel
@few
@given(data=st.data())
def test_what_is_absent_is_the_default(channel: str, data: st.DataObject) -> None:
    """A field left out is written as its default, by the hand-made writer as by fastavro."""
    record = data.draw(touchpoints(channel))
    required = {"message_id", "type", "event", "channel", "occurred_at", "received_at", "identifiers"}
    kept = data.draw(st.sets(st.sampled_from(sorted(record))))
    sparse = {name: value for name, value in record.items() if name in required | kept}
    sparse["items"] = [{"product_id": item["product_id"]} for item in record["items"]]
    assert encode_touchpoint(sparse) == by_fastavro(f"touchpoints.{channel}", sparse)


@every_channel
@few
@given(data=st.data())
def test_readers_by_hand_give_the_values_of_fastavro(channel: str, data: st.DataObject) -> None:
    """Head, identifiers and commerce equal a full decode, however the maps, arrays and numbers are spelled."""
    record = data.draw(touchpoints(channel))
    subject = f"touchpoints.{channel}"
    body = spelled(schema_of(subject), record, data.draw)
    expected = read_by_fastavro(subject, body)
    assert read_by_hand(frame(CATALOG.id_of(subject), body)) == envelope_of(expected) == envelope_of(record)


@every_channel
@few
@given(data=st.data(), position=st.integers(0, 40))
def test_a_head_is_read_wherever_it_begins(channel: str, data: st.DataObject, position: int) -> None:
    """`at` moves the head and its end, and changes nothing else."""
    value = encode_touchpoint(data.draw(touchpoints(channel)))
    *head, end = read_head(value)
    *moved, moved_end = read_head(bytes(position) + value[5:], position)
    assert moved == head
    assert moved_end - position == end - 5


@pytest.mark.parametrize("subject", ["sessions", "carts", "actions", "identities"])
@few
@given(data=st.data())
def test_decisions_are_the_bytes_of_fastavro(subject: str, data: st.DataObject) -> None:
    """Every hand-made writer of a decision equals fastavro byte for byte."""
    record = data.draw(records(subject))
    assert decision_by_hand(subject, record) == by_fastavro(subject, record)


@pytest.mark.parametrize("subject", CATALOG.subjects())
@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_decode_undoes_encode(subject: str, data: st.DataObject) -> None:
    """What any subject's record was, it is again, times as the same epoch-ms."""
    record = data.draw(records(subject))
    name, found = decode(encode(subject, record))
    assert (name, found) == (subject, record)


@every_channel
@few
@given(
    data=st.data(),
    profile_id=st.text(),
    session_id=st.none() | st.text(),
    stitched_ms=st.integers(0, LATEST_MS),
    is_late=st.booleans(),
)
def test_stitching_appends_and_changes_nothing(
    channel: str,
    data: st.DataObject,
    profile_id: str,
    session_id: str | None,
    stitched_ms: int,
    is_late: bool,
) -> None:
    """Touchpoint bytes plus suffix are the stitched record fastavro writes of both together."""
    record = data.draw(touchpoints(channel))
    subject = f"touchpoints.stitched.{channel}"
    added = {
        "profile_id": profile_id,
        "session_id": session_id,
        "stitched_at": stitched_ms,
        "is_late": is_late,
        "identified_by": session_id or "",
    }
    owner = owner_bytes(profile_id, session_id)
    stitched = stitch(
        encode_touchpoint(record), CATALOG.id_of(subject), owner, stitched_ms, is_late, session_id or ""
    )
    assert stitched == by_fastavro(subject, record | added)


def read_or_reason(value: bytes) -> dict[str, Any] | Reason:
    """The envelope, or why there is none; whatever else escapes is a defect."""
    try:
        unframe(value)
        return read_by_hand(value)
    except CodecError as error:
        return error.reason


@every_channel
@settings(few, max_examples=3)
@given(data=st.data())
def test_every_truncation_is_unreadable(channel: str, data: st.DataObject) -> None:
    """A record cut off anywhere is found out before anything is appended to it."""
    value = encode_touchpoint(data.draw(touchpoints(channel)))
    assert {read_or_reason(value[:size]) for size in range(len(value))} == {Reason.UNREADABLE}


@every_channel
@few
@given(data=st.data(), garbage=st.binary(min_size=1, max_size=20))
def test_bytes_behind_a_record_are_unreadable(channel: str, data: st.DataObject, garbage: bytes) -> None:
    """A record ends where it ends."""
    value = encode_touchpoint(data.draw(touchpoints(channel))) + garbage
    assert read_or_reason(value) is Reason.UNREADABLE
    with pytest.raises(CodecError) as raised:
        decode(value)
    assert raised.value.reason is Reason.UNREADABLE


@many
@given(noise=st.binary(max_size=300))
@example(b"\x80" * 300)
@example(b"\xff" * 300)
@example(b"\x01" * 300)
def test_noise_is_never_anything_but_a_codec_error(noise: bytes) -> None:
    """Random bytes raise CodecError from every reader, or nothing."""
    for value in (noise, frame(100, noise)):
        read_or_reason(value)
        for read in (decode, read_head, read_identifiers, lambda raw: read_commerce(raw, 0)):
            with suppress(CodecError):
                read(value)


@every_channel
@many
@given(data=st.data())
def test_what_passes_by_hand_fastavro_reads_alike(channel: str, data: st.DataObject) -> None:
    """After a few bytes are changed, a record is refused or means to fastavro what it means to us."""
    body = bytearray(encode_touchpoint(data.draw(touchpoints(channel)))[5:])
    for _ in range(data.draw(st.integers(1, 3))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.sampled_from((0, 1, 2, 127, 128, 255)))
    found = read_or_reason(frame(100, bytes(body)))
    if isinstance(found, dict):
        whole = read_by_fastavro(f"touchpoints.{found['channel']}", bytes(body))
        assert found == envelope_of(whole)
    else:
        assert found in (Reason.UNREADABLE, Reason.WRONG_TYPE)


@every_channel
@few
@given(data=st.data())
def test_a_foreign_schema_leads_to_the_same_head(channel: str, data: st.DataObject) -> None:
    """A record of another version (fields moved, added, missing, int for long) reads as one of the current."""
    subject = f"touchpoints.{channel}"
    ours = schema_of(subject)
    fields = [field for field in ours["fields"][14:-1] if data.draw(st.booleans())]
    shuffled = data.draw(st.permutations([*ours["fields"][:14], *fields]))
    if any(field["name"] == "items" for field in shuffled):
        shuffled = sorted(shuffled, key=lambda field: field["name"] != "items")
    extra = {"name": "not_ours", "type": ["null", "string"], "default": None}
    foreign = {**ours, "fields": [extra, *shuffled]}
    catalog = CATALOG.with_schema(90_001, subject, foreign)

    record = data.draw(touchpoints(channel))
    value = frame(90_001, spelled(foreign, record | {"not_ours": "x"}, data.draw))
    current = as_current(value, catalog)
    names = {field["name"] for field in foreign["fields"]}
    expected = {name: field for name, field in record.items() if name in names}
    assert current == by_fastavro(subject, expected)
    assert read_by_hand(current) == envelope_of(record)
