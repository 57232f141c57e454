"""Every identifier of a person stands in the tree once, under the one it came through."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.cli.trail.person import Person, Record, Seen, Touchpoint, document, iso, person_of
from tests.unit.trail.build import History


def parents(person: Person) -> dict[str, str | None]:
    """Identifier to the one it stands under, in the tree's order."""
    return {member.identifier: member.parent for member in person.members}


def test_identifiers_stand_under_what_they_came_through() -> None:
    """A stitch names its link, and so does a merge; whom a merge moved stays under what it was seen with."""
    history = History()
    history.say("created", "user:1")
    history.say("created", "device:c")
    stitched = history.say("stitched", "device:d", "device:c", linked_to="device:c")
    history.say("stitched", "email:e", "user:1", linked_to="user:1")
    merged = history.say("merged", "device:c", "user:1", linked_to="email:e")
    history.say("merged", "device:d", "user:1", linked_to="email:e")
    person = person_of("of user:1", history.records)
    assert parents(person) == {
        "user:1": None, "email:e": "user:1", "device:c": "email:e", "device:d": "device:c",
    }  # fmt: skip
    by_name = {member.identifier: member for member in person.members}
    assert (by_name["device:c"].came, by_name["device:c"].merged_profile_id) == (merged, "of device:c")
    assert (by_name["device:d"].came, by_name["device:d"].merged_profile_id) == (stitched, None)
    assert (person.profile_id, person.root, person.decisions) == ("of user:1", "user:1", ())


def test_records_without_links_stand_under_the_root_of_their_time() -> None:
    """As those of the first release; the profile that came in is the one the identifier had before."""
    history = History()
    history.say("created", "user:1")
    history.say("created", "email:b")
    history.say("stitched", "device:d", "email:b")
    history.say("merged", "email:b", "user:1")
    history.say("merged", "device:d", "user:1")
    person = person_of("of user:1", history.records)
    assert parents(person) == {"user:1": None, "email:b": "user:1", "device:d": "email:b"}
    assert {m.identifier: m.merged_profile_id for m in person.members}["email:b"] == "of email:b"


@pytest.mark.parametrize("link", ["device:gone", "device:d", None])
def test_link_that_holds_no_more_leads_to_the_root(link: str | None) -> None:
    """To somebody else's identifier, to itself, or not recorded at all."""
    history = History()
    history.say("created", "user:1")
    history.say("stitched", "device:d", "email:b", linked_to=link)
    history.say("merged", "device:d", "user:1", linked_to=link)
    history.say("created", "device:gone")
    assert parents(person_of("of user:1", history.records)) == {"user:1": None, "device:d": "user:1"}


def test_root_without_a_record_is_there_all_the_same() -> None:
    """Its record may have expired, or not have landed."""
    history = History()
    history.say("stitched", "device:d", "user:1", linked_to="user:1")
    told = history.say("refused", "email:x", "user:2", other_profile_id="of user:1")
    person = person_of("of user:1", history.records)
    assert parents(person) == {"user:1": None, "device:d": "user:1"}
    assert (person.members[0].came, person.decisions) == (None, (told,))


def test_link_to_itself_says_nothing() -> None:
    """The next record may say more."""
    history = History()
    history.say("created", "user:1")
    history.say("stitched", "email:e", "user:1", linked_to="user:1")
    history.say("created", "device:d", linked_to="device:d")
    history.say("merged", "device:d", "user:1", linked_to="email:e")
    assert parents(person_of("of user:1", history.records))["device:d"] == "email:e"


def test_circles_are_cut_at_their_first_member() -> None:
    """Links may lead in a circle when each came through the other's profile; what hangs on it stays on it."""
    history = History()
    history.say("created", "user:1")
    history.say("stitched", "device:tail", "user:1", linked_to="device:b")
    history.say("stitched", "device:a", "user:1", linked_to="device:c")
    history.say("stitched", "device:b", "user:1", linked_to="device:a")
    history.say("stitched", "device:c", "user:1", linked_to="device:b")
    assert parents(person_of("of user:1", history.records)) == {
        "user:1": None, "device:a": "user:1", "device:b": "device:a", "device:tail": "device:b",
        "device:c": "device:b",
    }  # fmt: skip


@pytest.mark.parametrize("kind", ["refused", "blocked", "shared"])
def test_what_places_nothing_is_told_and_moves_nothing(kind: str) -> None:
    """The identifier stays, in the tree and with its person; so says the other side, too."""
    history = History()
    history.say("created", "user:1")
    history.say("created", "user:2")
    history.say("stitched", "device:d", "user:1", linked_to="user:1")
    told = history.say(kind, "device:d", "user:2", other_profile_id="of user:2", rule="limit user 1")
    person = person_of("of user:1", history.records)
    assert parents(person) == {"user:1": None, "device:d": "user:1"}
    assert person.decisions == (told,)
    assert person_of("of user:2", history.records).decisions == (told,)


@pytest.mark.parametrize("kind", ["released", "split"])
def test_what_left_is_told_by_both_sides(kind: str) -> None:
    """The person it left has it among the decisions, not in the tree; it is its own now."""
    history = History()
    history.say("created", "user:1")
    history.say("created", "device:d")
    history.say("merged", "device:d", "user:1", linked_to="user:1")
    left = history.say(kind, "device:d", other_profile_id="of user:1", decided_by="ann", reason="a till")
    assert parents(person_of("of user:1", history.records)) == {"user:1": None}
    assert person_of("of user:1", history.records).decisions == (left,)
    alone = person_of("of device:d", history.records)
    assert (alone.root, alone.members[0].came, alone.decisions) == ("device:d", left, (left,))


def test_split_and_come_back_counts_from_the_return() -> None:
    """What was before it left does not say how it came this time."""
    history = History()
    history.say("created", "user:1")
    history.say("stitched", "email:e", "user:1", linked_to="user:1")
    history.say("stitched", "device:d", "user:1", linked_to="user:1")
    split = history.say(
        "split", "device:d", profile_id="second of device:d", own_profile_id="second of device:d"
    )
    back = history.say(
        "merged", "device:d", "user:1", linked_to="email:e", own_profile_id="second of device:d"
    )
    person = person_of("of user:1", history.records)
    assert parents(person) == {"user:1": None, "email:e": "user:1", "device:d": "email:e"}
    assert (person.members[-1].came, person.members[-1].merged_profile_id) == (back, "second of device:d")
    assert person.decisions == (split,)


def test_strangers_decisions_are_not_ours() -> None:
    """What was refused between two others is left out, though its records were read along."""
    history = History()
    history.say("created", "user:1")
    history.say("refused", "device:d", "user:2", other_profile_id="of user:3")
    assert person_of("of user:1", history.records).decisions == ()


def test_refusal_of_a_profile_that_has_since_come_in_is_ours() -> None:
    """Its other side was a profile that is part of this person by now."""
    history = History()
    history.say("created", "user:1")
    history.say("created", "device:d")
    told = history.say("refused", "email:x", "user:2", other_profile_id="of device:d")
    history.say("merged", "device:d", "user:1", linked_to="user:1")
    assert person_of("of user:1", history.records).decisions == (told,)


def test_identifier_that_no_record_places_is_nobodys() -> None:
    """A blocked value has a history and no person."""
    history = History()
    told = history.say("blocked", "email:info", rule="operator", reason="a role address")
    assert person_of(None, history.records) == Person(None, None, (), (told,))


def test_what_was_said_twice_is_told_once() -> None:
    """A replayed batch writes the same records again."""
    history = History()
    history.say("created", "user:1")
    told = history.say("refused", "user:1", other_profile_id="of user:2")
    assert person_of("of user:1", [*history.records, *history.records]).decisions == (told,)


@pytest.mark.parametrize("shape", ["star", "chain"])
def test_ten_thousand_identifiers_are_put_together(shape: str) -> None:
    """All under one, or each under the one before: each is there once, nearest to the root first."""
    history = History()
    history.say("created", "user:1")
    names = ["user:1", *(f"device:{n}" for n in range(10_000))]
    for before, name in pairwise(names):
        history.say("stitched", name, "user:1", linked_to="user:1" if shape == "star" else before)
    person = person_of("of user:1", reversed(history.records))
    assert [member.identifier for member in person.members] == names
    json.dumps(document("user:1", "user:1", person, seen=Seen(0, None, None), touchpoints={}))


RECORDS = st.builds(
    Record,
    identifier=st.sampled_from("abcde"),
    profile_id=st.just("p"),
    own_profile_id=st.just("o"),
    root=st.sampled_from("abc"),
    kind=st.sampled_from(["created", "stitched", "merged", "refused", "released", "split", "blocked"]),
    caused_by=st.just("m1"),
    decided_ms=st.integers(0, 3),
    linked_to=st.none() | st.sampled_from("abcdef"),
)


@settings(max_examples=300)
@given(st.lists(RECORDS, max_size=30))
def test_whatever_the_records_everybody_is_in_the_tree_once(records: list[Record]) -> None:
    """Below the one root, a parent before its children; even where records contradict each other."""
    person = person_of("p", records)
    placed = {r.identifier for r in records if r.kind not in ("refused", "blocked")}
    known: set[str | None] = set()
    for member in person.members:
        assert member.identifier not in known
        assert (member.parent is None) == (not known)
        assert member.parent is None or member.parent in known
        known.add(member.identifier)
    assert known == placed | ({person.root} if placed else set())


def test_document_has_the_keys_that_the_help_promises() -> None:
    """Times as text, touchpoints with the records they caused, the tree flat."""
    history = History()
    history.say("created", "user:1", linked_ms=1_700_000_000_007)
    history.say("refused", "user:1", caused_by="m2", other_profile_id="of user:2")
    person = person_of("of user:1", history.records)
    cause = Touchpoint("m1", "track", "Order Completed", "pos", 1_500)
    told = document("1", "user:1", person, seen=Seen(2, 1_000, None), touchpoints={"m1": cause})
    came = told["identifiers"][0]["came"]
    assert {**told, "identifiers": [], "decisions": []} == {
        "value": "1", "identifier": "user:1", "profile_id": "of user:1", "root": "user:1", "touchpoints": 2,
        "first_seen_at": "1970-01-01T00:00:01.000Z", "last_seen_at": None, "identifiers": [], "decisions": [],
    }  # fmt: skip
    assert told["identifiers"] == [
        {"identifier": "user:1", "parent": None, "merged_profile_id": None, "came": came}
    ]
    assert came == {
        "identifier": "user:1", "profile_id": "of user:1", "own_profile_id": "of user:1", "root": "user:1",
        "kind": "created", "caused_by": "m1", "decided_at": "1970-01-01T00:00:00.000Z", "linked_to": None,
        "other_profile_id": None, "rule": "", "decided_by": None, "reason": None,
        "linked_at": "2023-11-14T22:13:20.007Z", "touchpoint": {
            "message_id": "m1", "type": "track", "event": "Order Completed", "channel": "pos",
            "occurred_at": "1970-01-01T00:00:01.500Z",
        },
    }  # fmt: skip
    assert [(each["kind"], each["touchpoint"]) for each in told["decisions"]] == [("refused", None)]


@pytest.mark.parametrize(
    ("at_ms", "text"),
    [(None, None), (-1, "1969-12-31T23:59:59.999Z"), (999, "1970-01-01T00:00:00.999Z")],
)
def test_times_are_iso_8601(at_ms: int | None, text: str | None) -> None:
    """To the millisecond, in UTC."""
    assert iso(at_ms) == text
