"""Which changes of a schema are let through, and that the verdict agrees with what Avro then does."""

from __future__ import annotations

import copy
import io
from collections.abc import Callable
from typing import Any

import fastavro
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas import evolution
from schemas.catalog import CHANNELS, Catalog, Release, Schema, releases
from tests.unit.schemas.records import schema_of

CATALOG = Catalog.embedded()

Change = Callable[[Schema], None]


def changed(subject: str, change: Change, *, schema_id: int | None = None) -> Catalog:
    """Our catalog with one subject changed, under its old id unless told otherwise."""
    schema = copy.deepcopy(schema_of(subject))
    change(schema)
    entries = [(known, name, CATALOG.schema(known)) for known, name in CATALOG.ids().items()]
    if schema_id is None:
        entries = [entry for entry in entries if entry[1] != subject]
    return Catalog([*entries, (schema_id or CATALOG.id_of(subject), subject, schema)])


def field_named(schema: Schema, name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(field for field in schema["fields"] if field["name"] == name)
    return found


def insert(at: int, **field: Any) -> Change:
    return lambda schema: schema["fields"].insert(at, field)


def drop(name: str) -> Change:
    return lambda schema: schema["fields"].remove(field_named(schema, name))


def retype(name: str, type_: Any) -> Change:
    return lambda schema: field_named(schema, name).update(type=type_)


NOTE = {"name": "note", "type": ["null", "string"], "default": None}


def test_what_we_have_may_be_released() -> None:
    """No violation of any version ever released."""
    assert list(releases()) == sorted(releases())
    assert "0.1.0" in releases()
    assert evolution.check(CATALOG) == []


def test_the_first_release_was_kept_as_it_is() -> None:
    """A snapshot holds every subject with its id, and reads back as it was written."""
    assert set(releases()["0.1.0"]) <= set(CATALOG.subjects())
    assert len(releases()["0.1.0"]) == 34


@pytest.mark.parametrize(
    ("subject", "change", "expected"),
    [
        ("sessions", insert(3, **NOTE), []),
        ("sessions", drop("orders"), []),
        ("sessions", retype("touchpoints", "long"), []),
        ("sessions", insert(3, name="note", type="string"), ["record.note: new, and has no default"]),
        ("sessions", retype("revision", "int"), ["record.revision: long can't be read as int"]),
        ("sessions", retype("started_at", "long"), ["record.started_at: logical type timestamp-millis became None"]),
        ("sessions", retype("retracted_into", "string"), ["record.retracted_into: null can't be read as string"]),
        ("sessions", retype("session_id", ["null", "string"]), []),
        ("sessions", retype("session_id", ["null", "long"]), ["record.session_id: string fits no branch of the union"]),
        ("sessions", lambda schema: schema.update(name="Visit"), ["record: Session became Visit"]),
        ("sessions", lambda schema: schema.update(name="Visit", aliases=["Session"]), []),
        (
            "carts",
            lambda schema: field_named(schema, "items")["type"]["items"]["fields"].append(
                {"name": "size", "type": "string"}
            ),
            ["record.items.items.size: new, and has no default"],
        ),
        ("identities", lambda schema: schema.update(doc="better prose"), []),
    ],
)  # fmt: skip
def test_each_change_gets_its_verdict(subject: str, change: Change, expected: list[str]) -> None:
    """Avro's rules: defaults for what is new, promotions but no narrowing, unions that fit, names that match."""
    catalog = changed(subject, change, schema_id=7000)
    assert evolution.check(catalog) == [f"{subject} against 0.1.0: {what}" for what in expected]


def test_a_changed_schema_takes_a_new_id() -> None:
    """Even a compatible change under the old id would make old records mean something else."""
    catalog = changed("carts", insert(3, **NOTE))
    assert evolution.check(catalog) == [
        "carts against 0.1.0: id 302 names another schema: a changed schema takes a new id"
    ]


def test_a_subject_and_its_id_stay_known() -> None:
    """Somebody's Kafka still holds records of it."""
    left = [(known, name, CATALOG.schema(known)) for known, name in CATALOG.ids().items() if name != "carts"]
    assert evolution.check(Catalog(left)) == [
        "carts against 0.1.0: the subject is gone",
        "carts against 0.1.0: id 302 is unknown: records under it can't be read",
    ]


@pytest.mark.parametrize(
    "change",
    [
        insert(7, **NOTE),
        insert(0, **NOTE),
        drop("location_id"),
        retype("event", ["null", "string"]),
        lambda schema: schema["fields"].reverse(),
        lambda schema: field_named(schema, "cart_id").update(default="", type=["string", "null"]),
    ],
)
@pytest.mark.parametrize("channel", ["web", "orders"])
def test_the_envelope_is_frozen(channel: str, change: Change) -> None:
    """No field of it is added, dropped, moved or changed, even where Avro would not mind."""
    violations = evolution.check(changed(f"touchpoints.{channel}", change, schema_id=7000))
    assert f"touchpoints.{channel} against 0.1.0: the envelope is frozen, and differs" in violations
    assert "the channels have different envelopes" in violations


def test_a_channel_may_grow_behind_the_envelope() -> None:
    """An own field with a default is welcome, under a new id; the stitched schema has to follow."""
    grown = changed("touchpoints.web", insert(14, **NOTE), schema_id=7000)
    assert evolution.check(grown) == [
        "touchpoints.stitched.web: does not begin with the fields of touchpoints.web"
    ]
    followed = copy.deepcopy(schema_of("touchpoints.stitched.web"))
    insert(14, **NOTE)(followed)
    entries = [(known, name, grown.schema(known)) for known, name in grown.ids().items()]
    assert evolution.check(Catalog([*entries, (7001, "touchpoints.stitched.web", followed)])) == []


def test_a_field_added_to_the_envelopes_file_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """However compatible: fields come behind the envelope."""
    monkeypatch.setattr(evolution, "read_part", lambda name: {"fields": [NOTE] * 15})
    assert evolution.check(CATALOG, {}) == ["the envelope is frozen at 14 fields, and has 15"]


def test_every_release_is_asked() -> None:
    """BACKWARD_TRANSITIVE: not the last version alone."""
    first: Release = {"carts": (302, schema_of("carts"))}
    odd = copy.deepcopy(schema_of("carts"))
    retype("revision", "string")(odd)
    second: Release = {"carts": (302, odd)}
    found = evolution.check(CATALOG, {"0.1.0": first, "0.0.9": second})
    assert [violation.split(":")[0] for violation in found] == ["carts against 0.0.9"] * 2


def test_a_snapshot_reads_back() -> None:
    """What `snapshot` keeps is what the check later sees."""
    import json

    kept = json.loads(evolution.as_text(evolution.snapshot(CATALOG)))
    assert {name: entry["id"] for name, entry in kept.items()} == {
        name: CATALOG.id_of(name) for name in CATALOG.subjects()
    }
    assert all(
        evolution.fingerprint(entry["schema"]) == evolution.fingerprint(schema_of(name))
        for name, entry in kept.items()
    )
    assert len(CHANNELS) == 15


PRIMITIVES = st.sampled_from(["null", "boolean", "int", "long", "float", "double", "string", "bytes"])
SAMPLES: dict[str, Any] = {
    "null": None, "boolean": True, "int": 1, "long": 1, "float": 1.0, "double": 1.0, "string": "a", "bytes": b"a",
}  # fmt: skip


@st.composite
def types(draw: st.DrawFn) -> Any:
    """A primitive, an array or map of one, or a union of two."""
    form = draw(st.sampled_from(["plain", "array", "map", "union"]))
    if form == "union":
        return draw(st.lists(PRIMITIVES, min_size=1, max_size=2, unique=True))
    plain = draw(PRIMITIVES)
    if form == "plain":
        return plain
    return {"type": form, "items" if form == "array" else "values": plain}


def sample(type_: Any, branch: int) -> Any:
    if isinstance(type_, list):
        return sample(type_[branch % len(type_)], branch)
    if isinstance(type_, dict):
        return [sample(type_["items"], 0)] if type_["type"] == "array" else {"k": sample(type_["values"], 0)}
    return SAMPLES[type_]


def record_of(field_type: Any) -> Schema:
    return {"type": "record", "name": "R", "fields": [{"name": "f", "type": field_type}]}


@settings(max_examples=300, deadline=None)
@given(reader=types(), writer=types())
def test_the_verdict_is_what_avro_then_does(reader: Any, writer: Any) -> None:
    """Found compatible: fastavro reads every branch. Found incompatible: at least one branch fails."""
    errors = evolution.resolution_errors(record_of(reader), record_of(writer))
    failures = 0
    branches = len(writer) if isinstance(writer, list) else 1
    for branch in range(branches):
        out = io.BytesIO()
        value = sample(writer, branch)
        name = writer[branch] if isinstance(writer, list) else None
        fastavro.schemaless_writer(out, record_of(writer), {"f": value if name is None else (name, value)})
        out.seek(0)
        try:
            fastavro.schemaless_reader(out, record_of(writer), record_of(reader))
        except Exception:
            failures += 1
    assert bool(errors) == bool(failures), errors
