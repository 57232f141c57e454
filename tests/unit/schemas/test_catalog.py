"""What the schemas are made of, and that their ids and words stay one thing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import fastavro
import pytest

from schemas.catalog import CHANNELS, STITCHED_TOPIC, TOUCHPOINTS_TOPIC, Catalog
from schemas.layout import ENVELOPE_NAMES, OWN_FIELDS, Kind, kind_of
from tests.unit.schemas.records import schema_of

CATALOG = Catalog.embedded()
ENVELOPE = [
    "message_id", "type", "event", "channel", "occurred_at", "received_at", "identifiers", "cart_id", "order_id",
    "items", "revenue_micros", "currency", "campaign", "location_id",
]  # fmt: skip


def names_of(subject: str) -> list[str]:
    return [field["name"] for field in schema_of(subject)["fields"]]


def fields_within(node: Any) -> Iterator[dict[str, Any]]:
    """Every field of a schema, at any depth."""
    if isinstance(node, list):
        for branch in node:
            yield from fields_within(branch)
    elif isinstance(node, dict):
        yield from node.get("fields", ())
        for key in ("type", "items", "values", "fields"):
            yield from fields_within(node.get(key))


def test_ids_are_for_ever() -> None:
    """100 and 220 plus the channel's code, then the outputs, then acts: records in Kafka depend on these numbers."""
    expected = {f"touchpoints.{channel}": 100 + code for code, channel in enumerate(CHANNELS)}
    expected |= {f"touchpoints.stitched.{channel}": 220 + code for code, channel in enumerate(CHANNELS)}
    expected |= {"sessions": 306, "carts": 302, "actions": 303, "identities": 305, "deliveries": 307}
    expected |= {"identity.control": 401}
    assert {subject: CATALOG.id_of(subject) for subject in CATALOG.subjects()} == expected
    assert CHANNELS[0] == "web"
    assert CHANNELS[14] == "orders"


@pytest.mark.parametrize("channel", CHANNELS)
def test_a_channel_is_envelope_then_its_own_then_properties(channel: str) -> None:
    """And its stitched schema is that and five more; prefix decode and suffix append stand on this order."""
    own = [name for name, _ in OWN_FIELDS[channel]]
    plain = [*ENVELOPE, *own, "properties"]
    assert names_of(TOUCHPOINTS_TOPIC + channel) == plain
    assert names_of(STITCHED_TOPIC + channel) == [
        *plain,
        "profile_id",
        "session_id",
        "stitched_at",
        "is_late",
        "identified_by",
    ]
    assert list(ENVELOPE_NAMES) == ENVELOPE


@pytest.mark.parametrize("channel", CHANNELS)
def test_everything_behind_the_envelope_has_a_default(channel: str) -> None:
    """A producer that knows only the envelope can write to every channel."""
    behind = schema_of(TOUCHPOINTS_TOPIC + channel)["fields"][len(ENVELOPE) :]
    assert [field["name"] for field in behind if "default" not in field] == []


@pytest.mark.parametrize("subject", CATALOG.subjects())
def test_every_schema_parses_and_every_field_says_what_it_is(subject: str) -> None:
    """Another Avro library takes each schema, and no field is without its sentence."""
    fastavro.parse_schema(schema_of(subject))
    assert [field["name"] for field in fields_within(schema_of(subject)) if not field.get("doc")] == []


def test_a_field_name_means_one_thing() -> None:
    """The channels land in one table: a name has the same type and the same sentence wherever it appears."""
    seen: dict[str, tuple[Any, str]] = {}
    for channel in CHANNELS:
        for field in schema_of(STITCHED_TOPIC + channel)["fields"]:
            meaning = (field["type"], field["doc"])
            assert seen.setdefault(field["name"], meaning) == meaning, f"{field['name']} of {channel}"


def test_a_field_the_hand_made_paths_cannot_walk_stops_the_import() -> None:
    """A new kind of own field is noticed before the first wrong byte."""
    assert kind_of({"name": "score", "type": ["null", "long"], "default": None}) is Kind.LONG
    for field in (
        {"name": "tags", "type": {"type": "array", "items": "string"}, "default": []},
        {"name": "page_url", "type": "string", "default": ""},
        {"name": "is_new", "type": "boolean", "default": True},
    ):
        with pytest.raises(ValueError, match=str(field["name"])):
            kind_of(field)


def test_only_current_input_schemas_take_the_fast_path() -> None:
    """Outputs, stitched records, older and unknown ids do not."""
    older = CATALOG.with_schema(7000, "touchpoints.app", schema_of("touchpoints.app"))
    fast = {schema_id: older.channels.get(schema_id) for schema_id in (100, 114, 200, 301, 7000, 7001)}
    assert fast == {100: "web", 114: "orders", 200: None, 301: None, 7000: None, 7001: None}


def test_a_catalog_with_one_more_schema_writes_what_it_wrote() -> None:
    """A foreign version can be read; ours stays the one written, and the first catalog stays as it was."""
    more = CATALOG.with_schema(7000, "touchpoints.web", {**schema_of("touchpoints.web"), "doc": "theirs"})
    assert more.id_of("touchpoints.web") == 100
    assert more.subject(7000) == "touchpoints.web"
    assert more.schema(7000)["doc"] == "theirs"
    assert 7000 not in CATALOG.ids()
    assert more.subjects() == CATALOG.subjects()


def test_a_subject_that_is_not_ours_is_a_key_error() -> None:
    """A mistake in code, not in data."""
    with pytest.raises(KeyError):
        CATALOG.id_of("touchpoints.fax")
