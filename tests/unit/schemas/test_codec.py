"""Poison by example: what each kind of bad record is called, and that nothing else is."""

from __future__ import annotations

from typing import Any

import pytest

from schemas.catalog import CHANNELS, Catalog
from schemas.codec import (
    CodecError,
    Reason,
    as_current,
    check_own,
    check_rest,
    decode,
    encode,
    encode_touchpoint,
    frame,
    owner_bytes,
    read_commerce,
    read_head,
    read_identifiers,
    schema_id_of,
    stitch,
    unframe,
)
from tests.unit.schemas.records import EARLIEST_MS, LATEST_MS, long_spelled, schema_of, touchpoint

CATALOG = Catalog.embedded()
SESSION = {
    "session_id": "s",
    "profile_id": "p",
    "revision": 1,
    "started_at": 1_700_000_000_000,
    "ended_at": 1_700_000_100_000,
    "touchpoints": 2,
    "channels": ["web", "pos"],
    "orders": 0,
    "revenue_micros": 0,
    "is_final": False,
    "is_retracted": False,
    "retracted_into": None,
    "revenue": {"EUR": 5, "": 1},
    "is_bounce": False,
    "is_engaged": True,
    "path": ["web:page", "pos:Order Completed"],
    "is_path_cut": False,
    "events": {"page": 1, "Order Completed": 1},
    "first_campaign": None,
    "last_campaign": {"source": "mail", "medium": None, "name": "spring", "term": None, "content": None},
}


def reason_of(read: Any, *arguments: Any, **options: Any) -> Reason:
    with pytest.raises(CodecError) as raised:
        read(*arguments, **options)
    return raised.value.reason


def unchecked(**changes: Any) -> bytes:
    """A touchpoint with values our own writer would take but no reader should."""
    return encode("touchpoints.web", touchpoint(**changes))


class TestFraming:
    def test_framing_is_confluents(self) -> None:
        """A zero byte, the id in four bytes big-endian, the body."""
        assert frame(258, b"body") == b"\0\0\0\1\2body"
        assert unframe(b"\0\0\0\1\2body") == (258, b"body")
        assert schema_id_of(b"\0\0\0\1\2body") == 258

    @pytest.mark.parametrize("value", [None, b"", b"\0\0\0\0", b"\1\0\0\0\x64body", b'{"json": 1}'])
    def test_what_is_not_framed_is_unreadable(self, value: bytes | None) -> None:
        """No value, too short for an id, or another first byte."""
        assert reason_of(unframe, value) is Reason.UNREADABLE
        assert reason_of(schema_id_of, value) is Reason.UNREADABLE

    @pytest.mark.parametrize("schema_id", [0, 99, 115, 300, 2**32 - 1])
    def test_an_id_nobody_gave_is_an_unknown_schema(self, schema_id: int) -> None:
        """Whoever asks: the full decode, the foreign path, the catalog."""
        value = frame(schema_id, unchecked()[5:])
        assert reason_of(decode, value, CATALOG) is Reason.UNKNOWN_SCHEMA
        assert reason_of(as_current, value, CATALOG) is Reason.UNKNOWN_SCHEMA
        assert reason_of(CATALOG.schema, schema_id) is Reason.UNKNOWN_SCHEMA
        assert reason_of(CATALOG.subject, schema_id) is Reason.UNKNOWN_SCHEMA

    @pytest.mark.parametrize("subject", ["sessions", "actions", "touchpoints.stitched.web"])
    def test_a_record_of_another_kind_is_no_touchpoint(self, subject: str) -> None:
        """An output record on an input topic decodes, and is still of the wrong type."""
        assert reason_of(as_current, frame(CATALOG.id_of(subject), b""), CATALOG) is Reason.WRONG_TYPE


class TestImpossibleValues:
    @pytest.mark.parametrize(
        "changes",
        [
            {"message_id": ""},
            {"type": "click"},
            {"type": ""},
            {"channel": "fax"},
            {"occurred_at": LATEST_MS + 1},
            {"occurred_at": EARLIEST_MS - 1},
            {"received_at": 2**62},
            {"received_at": -(2**62)},
        ],
    )
    def test_readable_but_impossible_is_wrong_type(self, changes: dict[str, Any]) -> None:
        """Well-formed Avro with a value that cannot be is told apart from broken bytes."""
        assert reason_of(read_head, unchecked(**changes)) is Reason.WRONG_TYPE

    @pytest.mark.parametrize(
        "at_ms", [EARLIEST_MS, -(2**35), -1, 0, 1, 2**27, 2**34 - 1, 2**34, 2**41 - 1, 2**41, LATEST_MS]
    )
    @pytest.mark.parametrize("other_ms", [1_700_000_000_000, -(2**35), 2**41])
    def test_a_clock_in_1970_or_2090_is_a_clock(self, at_ms: int, other_ms: int) -> None:
        """Odd times are read as they are: what to make of them is not for the codec to say."""
        for occurred_ms, received_ms in ((at_ms, other_ms), (other_ms, at_ms)):
            record = touchpoint(occurred_at=occurred_ms, received_at=received_ms)
            value = encode_touchpoint(record)
            assert read_head(value)[4:6] == (occurred_ms, received_ms)
            assert value == encode("touchpoints.web", record)

    @pytest.mark.parametrize(
        "changes",
        [
            {"message_id": 7},
            {"message_id": None},
            {"message_id": ""},
            {"type": "click"},
            {"occurred_at": LATEST_MS + 1},
            {"event": b"Product Added"},
            {"event": "\ud800"},
            {"channel": "fax"},
            {"channel": ["web"]},
            {"occurred_at": "2024-01-01"},
            {"occurred_at": 1.5},
            {"received_at": 2**63},
            {"received_at": -(2**63) - 1},
            {"identifiers": ["user_id"]},
            {"identifiers": {"user_id": 42}},
            {"identifiers": None},
            {"identifiers": []},
            {"items": [{"name": "no id"}]},
            {"items": [{"product_id": "p", "colour": "red"}]},
            {"items": 3},
            {"campaign": {"sorce": "mail"}},
            {"campaign": "mail"},
            {"revenue_micros": "12"},
            {"page_url": 4},
            {"screen_width": 1.5},
            {"register_id": "till-1"},
            {"properties": {"a": 1}},
        ],
    )
    def test_feeders_cannot_write_what_is_not_in_the_schema(self, changes: dict[str, Any]) -> None:
        """A wrong type, a value out of range or a field of another channel is refused, not guessed."""
        assert reason_of(encode_touchpoint, touchpoint(**changes)) is Reason.WRONG_TYPE

    @pytest.mark.parametrize("name", ["message_id", "type", "event", "channel", "occurred_at", "identifiers"])
    def test_feeders_cannot_leave_out_what_has_no_default(self, name: str) -> None:
        """The envelope's first seven fields are required."""
        record = touchpoint()
        del record[name]
        assert reason_of(encode_touchpoint, record) is Reason.WRONG_TYPE

    @pytest.mark.parametrize(
        ("channel", "name", "value"),
        [("pos", "is_return", 1), ("pos", "is_return", "yes"), ("store", "distance_m", "near")],
    )
    def test_own_fields_have_their_types(self, channel: str, name: str, value: Any) -> None:
        """A boolean is True or False, a double a number."""
        assert reason_of(encode_touchpoint, touchpoint(channel=channel, **{name: value})) is Reason.WRONG_TYPE

    @pytest.mark.parametrize("changes", [{"session_id": None}, {"revision": "1"}, {"colour": "red"}])
    def test_the_generic_writer_refuses_alike(self, changes: dict[str, Any]) -> None:
        """Whatever fastavro raises is one error here."""
        assert reason_of(encode, "sessions", {**SESSION, **changes}) is Reason.WRONG_TYPE


class TestBrokenBytes:
    @pytest.mark.parametrize(
        "head",
        [
            long_spelled(-1, 0),
            long_spelled(2**40, 0),
            b"\x80" * 11,
            b"\xff" * 9 + b"\x02",
            b"\x04\xff\xfe",
        ],
        ids=["negative length", "length leaves the record", "endless varint", "65 bits", "not UTF-8"],
    )
    def test_a_bad_first_string_is_unreadable(self, head: bytes) -> None:
        """Lengths, varints and UTF-8 are checked."""
        assert reason_of(read_head, frame(100, head + bytes(40))) is Reason.UNREADABLE

    @pytest.mark.parametrize(
        "raw",
        [
            b"",
            b"\x02",
            b"\x02\x02a\x02b",
            b"\x02\x02a\x02b\0\0",
            b"\x02\x02a\x03b\0",
            b"\x01\x7f\0",
            b"\x02\x02\xff\x02b\0",
            b"\x02\x01",
        ],
    )
    def test_bad_identifiers_are_unreadable(self, raw: bytes) -> None:
        """No end, bytes behind the end, a block that leaves the map, bad UTF-8, a negative length."""
        assert reason_of(read_identifiers, raw) is Reason.UNREADABLE

    def test_a_time_is_no_longer_than_a_number_can_be(self) -> None:
        """Twelve bytes that look like two times of six, were it not that the first never ends."""
        value = encode_touchpoint(touchpoint())
        start = value.index(b"\x06web") + 4
        spoilt = value[:start] + b"\x80" * 11 + b"\x01" + value[start + 12 :]
        assert reason_of(read_head, spoilt) is Reason.UNREADABLE

    @pytest.mark.parametrize(
        "raw",
        [
            b"\x02\x02a\x02b\x02\x02c\x02d\0",
            b"\x02\x02a\x02b\x01\x08\x02c\x02d\0",
            b"\x01\x08\x02a\x02b\x02\x02c\x02d\0",
            b"\x03\x10\x02a\x02b\x02c\x02d\0",
            b"\x04\x02a\x82\0b\x02c\x02d\0",
            b"\x84\0\x02a\x02b\x02c\x02d\0",
            b"\x04\x02a\x02b\x02c\x02d\x80\0",
        ],
        ids=["two blocks", "second sized", "first sized", "sized", "long length", "long count", "long end"],
    )
    def test_a_map_is_read_however_it_is_spelled(self, raw: bytes) -> None:
        """Each spelling alone, in a head that is ordinary otherwise: other producers' libraries differ here."""
        value = encode_touchpoint(touchpoint(identifiers={"a": "b"}))
        start = value.index(b"\x02\x02a\x02b\0")
        spelled = value[:start] + raw + value[start + 6 :]
        head = read_head(spelled)
        assert head == (*read_head(value)[:6], raw, start + len(raw))
        assert read_identifiers(head[6]) == {"a": "b", "c": "d"}
        check_rest(spelled, head[-1], "web")

    @pytest.mark.parametrize("rest", [b"\x04", b"\x01", b"\x02\x04\xff\xff", b"\0\0\x02", b"\0\0\0\0\0\x06"])
    def test_a_bad_rest_of_the_envelope_is_unreadable(self, rest: bytes) -> None:
        """A union branch that does not exist, bad UTF-8, items that end too soon."""
        assert reason_of(read_commerce, rest, 0) is Reason.UNREADABLE
        assert reason_of(check_rest, rest, 0, "web") is Reason.UNREADABLE

    @pytest.mark.parametrize("size", [b"\x01", b"\x09", b"\x81\x01", b"\x7e", b"\xfe\x7f", b"\xfe\xff\x01"])
    def test_an_own_text_stays_in_the_record(self, size: bytes) -> None:
        """Negative lengths and lengths past the end are seen in one, two and three bytes."""
        bare = encode_touchpoint({**touchpoint(), "campaign": None})
        start = len(bare) - 13
        assert not any(bare[start:])
        spoilt = bare[:start] + b"\x02" + size + bare[start + 1 :]
        for end, check in ((read_head(bare)[-1], check_rest), (start, check_own)):
            assert reason_of(check, spoilt, end, "web") is Reason.UNREADABLE

    def test_text_in_own_fields_is_utf_8(self) -> None:
        """Also where nobody of ours reads it: whoever decodes the whole record would stumble over it."""
        value = encode_touchpoint(touchpoint(page_title="ü"))
        spoilt = value.replace("ü".encode(), b"\xc3\xc3")
        assert reason_of(check_rest, spoilt, read_head(value)[-1], "web") is Reason.UNREADABLE

    def test_a_boolean_is_zero_or_one(self) -> None:
        """Any other byte there means the rest is not this channel's."""
        value = encode_touchpoint(touchpoint(channel="pos", is_return=True))
        end = read_head(value)[-1]
        spoilt = value[:-3] + b"\x02" + value[-2:]
        assert value[-3:] == b"\x01\x00\x00"
        assert reason_of(check_rest, spoilt, end, "pos") is Reason.UNREADABLE

    def test_a_record_of_one_channel_is_not_whole_as_anothers(self) -> None:
        """The id says web, the body is the till's: the number of own fields gives it away."""
        value = encode_touchpoint(touchpoint(channel="pos"))
        assert reason_of(check_rest, value, read_head(value)[-1], "web") is Reason.UNREADABLE

    def test_own_fields_are_checked_from_where_commerce_ended(self) -> None:
        """`check_own` goes on where `read_commerce` stopped, and finds what `check_rest` finds."""
        value = encode_touchpoint(touchpoint(page_url="https://shop.example/", properties={"a": "b"}))
        end = read_commerce(value, read_head(value)[-1]).end
        check_own(value, end, "web")
        for broken in (value[:-1], value + b"\0"):
            assert reason_of(check_own, broken, end, "web") is Reason.UNREADABLE

    @pytest.mark.parametrize("size", [63, 64, 8191, 8192, 300_000])
    def test_long_texts_are_texts(self, size: int) -> None:
        """Each length of the length prefix is written and read."""
        text = "ü" * (size // 2) + "x" * (size % 2)
        record = touchpoint(message_id=text, page_title=text, identifiers={"email": text})
        value = encode_touchpoint(record)
        head = read_head(value)
        check_rest(value, head[-1], "web")
        assert (head[0], read_identifiers(head[6])) == (text, {"email": text})
        assert value == encode("touchpoints.web", record)


STITCHING = ("profile_id", "session_id", "stitched_at", "is_late", "identified_by")


class TestStitching:
    def test_a_stitched_record_is_the_touchpoint_and_more(self) -> None:
        """The producer's bytes stay as they were; what is added is read as fields."""
        value = encode_touchpoint(touchpoint())
        stitched = stitch(
            value, 220, owner_bytes("profile", None), 1_700_000_000_500, True, "email:a@b.example"
        )
        assert stitched.startswith(b"\0\0\0\0\xdc" + value[5:])
        subject, record = decode(stitched)
        added = {name: record.pop(name) for name in STITCHING}
        assert subject == "touchpoints.stitched.web"
        assert added == {
            "profile_id": "profile",
            "session_id": None,
            "stitched_at": 1_700_000_000_500,
            "is_late": True,
            "identified_by": "email:a@b.example",
        }
        assert record == decode(value)[1]


class TestOtherVersions:
    def test_the_current_version_is_left_alone(self) -> None:
        """No byte is touched where nothing is to be done."""
        value = encode_touchpoint(touchpoint())
        assert as_current(value, CATALOG) is value

    def test_a_schema_that_lacks_what_we_need_is_not_compatible(self) -> None:
        """A foreign schema without a required field of the envelope cannot become one of ours."""
        ours = schema_of("touchpoints.web")
        lacking = {**ours, "fields": [field for field in ours["fields"] if field["name"] != "message_id"]}
        catalog = CATALOG.with_schema(7000, "touchpoints.web", lacking)
        value = frame(7000, unchecked(message_id="")[6:])
        assert reason_of(as_current, value, catalog) is Reason.UNKNOWN_SCHEMA

    def test_a_registrys_ids_are_as_good_as_ours(self) -> None:
        """The hand-made writers put whatever id the registry gave in front of the same bytes."""
        assert encode_touchpoint(touchpoint(), schema_id=7)[5:] == encode_touchpoint(touchpoint())[5:]
        assert schema_id_of(encode_touchpoint(touchpoint(), schema_id=7)) == 7


@pytest.mark.parametrize("channel", CHANNELS)
def test_a_bare_touchpoint_is_whole(channel: str) -> None:
    """With nothing but the head, the rest is a zero byte a field, and passes."""
    names = ("message_id", "type", "event", "occurred_at", "received_at", "identifiers")
    value = encode_touchpoint({"channel": channel, **{name: touchpoint()[name] for name in names}})
    head = read_head(value)
    check_rest(value, head[-1], channel)
    assert not any(value[head[-1] :])
    assert head[3] == channel
