"""What analysts read: each thing once, as it stands, under today's person."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from clickhouse_connect.driver.client import Client

from schemas.catalog import Catalog, releases
from schemas.codec import encode
from sinks.clickhouse.chunk import ChunkWriter, Span
from sinks.clickhouse.embedded import EmbeddedWarehouse
from sinks.clickhouse.landing import TARGETS
from sinks.clickhouse.migrating import migrate
from sinks.clickhouse.resolving import TOPIC, resolve
from sinks.clickhouse.writer import Warehouse, Writer, connect
from tests.oracle.landed import LandedSession, read_landed
from tests.unit.sinks.samples import AT_MS, framed

pytestmark = pytest.mark.xdist_group("views")

MINUTE = 60_000
TABLES = (
    "touchpoints", "order_records", "sessions", "carts", "actions", "identities", "identity_places",
    "resolved_identifiers", "resolved_offsets", "deliveries",
)  # fmt: skip


class World:
    """Lands records at rising offsets, as the sink does, and asks."""

    def __init__(self, warehouse: Warehouse) -> None:
        self._writer = Writer(warehouse)
        self._chunks = ChunkWriter(Catalog.embedded().schema)
        self._offsets: dict[tuple[str, int], int] = {}
        self.client: Client = connect(warehouse)

    def land(self, topic: str, *values: bytes, partition: int = 0) -> None:
        start = self._offsets.get((topic, partition), 0)
        end = self._offsets[topic, partition] = start + len(values)
        records, target = list(zip(range(start, end), values, strict=True)), TARGETS[topic]
        span = Span(topic, partition, start, end)
        for block in self._chunks.blocks(span, records, can_mix=bool(target.mixed_table)):
            self._writer.insert(target.mixed_table if block.is_mixed else target.table, block)
        if topic == TOPIC:
            resolve(self.client, {partition: end})

    def touch(self, message_id: str, *, at: int = 0, partition: int = 0, **changes: Any) -> None:
        """A touchpoint `at` minutes after the beginning."""
        when = AT_MS + at * MINUTE
        record = {
            "occurred_at": when,
            "received_at": when,
            "session_id": None,
            "event": "Page Viewed",
            **changes,
        }
        value = framed("touchpoints.stitched.web", message_id=message_id, **record)
        self.land("touchpoints.stitched", value, partition=partition)

    def session(self, session_id: str, start: int, end: int, *, partition: int = 0, **changes: Any) -> None:
        """A session from `start` to `end` minutes after the beginning."""
        bounds = {"started_at": AT_MS + start * MINUTE, "ended_at": AT_MS + end * MINUTE}
        value = framed("sessions", session_id=session_id, **bounds, **changes)
        self.land("sessions", value, partition=partition)

    def belongs(
        self,
        identifier: str,
        profile_id: str,
        own: str,
        *,
        root: str = "",
        partition: int = 0,
        kind: str = "created",
    ) -> None:
        """It follows itself where no other root is given."""
        record = {
            "identifier": identifier, "profile_id": profile_id, "own_profile_id": own, "root": root or identifier,
            "kind": kind,
        }  # fmt: skip
        self.land("identities", framed("identities", **record), partition=partition)

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        return [tuple(row) for row in self.client.query(sql).result_rows]


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedWarehouse]:
    with EmbeddedWarehouse.start(tmp_path_factory.mktemp("warehouse")) as warehouse:
        migrate(Warehouse(warehouse.url, warehouse.user, warehouse.password))
        yield warehouse


@pytest.fixture
def world(opened: EmbeddedWarehouse) -> Iterator[World]:
    world = World(Warehouse(opened.url, opened.user, opened.password))
    yield world
    for table in TABLES:
        world.client.command(f"TRUNCATE TABLE {table}")
    world.client.close()


TOUCHPOINTS = (
    "SELECT message_id, profile_id, session_id FROM current_touchpoints ORDER BY message_id, profile_id"
)


def test_copies_of_a_touchpoint_are_one(world: World) -> None:
    """The same message_id within a person, on whatever partition and however often, is one touchpoint."""
    for _ in range(3):
        world.touch("m1")
    world.touch("m1", partition=1)
    world.touch("m2")
    world.touch("m1", profile_id="somebody else")
    assert world.ask(TOUCHPOINTS) == [("m1", "p1", None), ("m1", "somebody else", None), ("m2", "p1", None)]


def test_copy_that_came_in_time_is_the_one_that_stays(world: World) -> None:
    """A late repeat never takes a touchpoint out of its session."""
    world.touch("m1", at=5, is_late=True)
    world.touch("m1", at=5)
    world.session("s1", 0, 10)
    assert world.ask(TOUCHPOINTS) == [("m1", "p1", "s1")]


def test_copies_meet_in_a_merge(world: World) -> None:
    """Two people with the same message_id who become one person have it once."""
    world.touch("m1", profile_id="a")
    world.touch("m1", profile_id="b")
    world.belongs("user_id:1", "a", own="a")
    world.belongs("email:x", "b", own="b")
    assert [row[1] for row in world.ask(TOUCHPOINTS)] == ["a", "b"]
    world.belongs("email:x", "a", own="b")
    assert world.ask(TOUCHPOINTS) == [("m1", "a", None)]


def test_history_follows_the_last_word_on_an_identifier(world: World) -> None:
    """Merged, merged further, and back: the last record of an identifier holds, in every view."""
    world.touch("m1", profile_id="c")
    world.session("s1", 0, 1, profile_id="c")
    world.land("carts", framed("carts", profile_id="c"))
    world.land("actions", framed("actions", profile_id="c"))
    world.land("deliveries", framed("deliveries", profile_id="c"))
    for today in ("b", "a", "c", "a"):
        world.belongs(
            "anonymous_id:3", today, own="c", partition=1, kind="split" if today == "c" else "merged"
        )
        for view in ("touchpoints", "sessions", "carts", "actions", "deliveries"):
            assert world.ask(f"SELECT profile_id FROM current_{view}") == [(today,)]
        assert world.ask("SELECT profile_id FROM profiles") == [(today,)]


def test_who_follows_somebody_is_whose_that_one_is(world: World) -> None:
    """Two steps lead to where a profile is kept, and what that one said last of its name holds for all.

    A root that was created and no more says nothing of it: where it has another name, that is told of it yet.
    """
    world.touch("m1", profile_id="c")
    world.belongs("anonymous_id:3", "c", own="c", root="device_id:2", partition=1)
    world.belongs("device_id:2", "b", own="b", root="email:x")
    assert world.ask("SELECT profile_id FROM current_touchpoints") == [("b",)]
    world.belongs("email:x", "x", own="x")
    assert world.ask("SELECT profile_id FROM current_touchpoints") == [("b",)]
    world.belongs("email:x", "a", own="x", kind="named")
    assert world.ask("SELECT profile_id FROM current_touchpoints") == [("a",)]
    assert world.ask("SELECT identifier, profile_id, root FROM current_identities ORDER BY identifier") == [
        ("anonymous_id:3", "a", "email:x"), ("device_id:2", "a", "email:x"), ("email:x", "a", "email:x"),
    ]  # fmt: skip


@pytest.mark.parametrize("kind", ["refused", "blocked", "shared"])
def test_what_places_nothing_moves_nothing(world: World, kind: str) -> None:
    """A refusal, a block or a shared device is told about an identifier, whatever profile it names."""
    world.touch("m1", profile_id="b")
    world.belongs("user_id:1", "a", own="a")
    world.belongs("email:x", "a", own="b", kind="merged")
    world.belongs("email:x", "z", own="b", kind=kind)
    world.belongs("phone:5", "z", own="z", kind=kind)
    assert world.ask("SELECT * EXCEPT (last_offset, root) FROM current_identities ORDER BY identifier") == [
        ("email:x", "a", "b"),
        ("user_id:1", "a", "a"),
    ]
    assert world.ask("SELECT * FROM former_profiles") == [("b", "a")]
    assert world.ask("SELECT profile_id, identifiers FROM profiles") == [("a", ["email:x", "user_id:1"])]


@pytest.mark.parametrize("kind", ["released", "split"])
def test_what_places_an_identifier_moves_it(world: World, kind: str) -> None:
    """Given back or taken out, it belongs where its last record says, and takes its history along."""
    world.touch("m1", profile_id="b")
    world.belongs("email:x", "a", own="b", kind="merged")
    world.belongs("email:x", "b", own="b", kind=kind)
    assert world.ask("SELECT profile_id, identifiers FROM profiles") == [("b", ["email:x"])]


def test_records_of_the_first_release_still_land(world: World) -> None:
    """A record written before causes were kept has a place and no rule, beside those that have one."""
    record = {
        "identifier": "email:x", "profile_id": "a", "own_profile_id": "b", "root": "user_id:1", "kind": "stitched",
        "caused_by": "m1", "decided_at": AT_MS,
    }  # fmt: skip
    with_cause = framed("identities", linked_to="email:x", rule="seen together", linked_at=AT_MS)
    world.land("identities", encode(releases()["0.1.0"]["identities"][0], record), with_cause)
    asked = "SELECT identifier, linked_to, rule, toUnixTimestamp64Milli(linked_at) FROM identities ORDER BY identifier"
    assert world.ask(asked) == [("email:x", None, "", None), ("user_id:1", "email:x", "seen together", AT_MS)]


def test_what_happened_in_a_session_is_landed_and_read(world: World) -> None:
    """As the comparison with the oracle reads it, beside a record of the first release, which says nothing of it."""
    mail = {"source": "mail", "medium": None, "name": "spring", "term": None, "content": None}
    world.session("s1", 0, 1, is_final=True, first_campaign=mail, last_campaign={**mail, "name": None})
    record = {
        "session_id": "s0", "profile_id": "p1", "revision": 1, "started_at": AT_MS, "ended_at": AT_MS,
        "touchpoints": 1, "channels": ["web"], "orders": 0, "revenue_micros": 0, "is_final": True,
        "is_retracted": False,
    }  # fmt: skip
    world.land("sessions", encode(releases()["0.1.0"]["sessions"][0], record))
    old, new = sorted(read_landed(world.ask).sessions)
    assert old == LandedSession("s0", "p1", AT_MS, AT_MS, 1, ("web",), 0, 0)
    assert new[9:] == (
        *((("", 1), ("EUR", 5)), False, True, ("web:page", "app:Product Viewed"), False),
        *((("Product Viewed", 1), ("page", 1)), ("mail", None, "spring", None, None), ("mail", *[None] * 4)),
    )


@pytest.mark.parametrize(
    ("minute", "expected"),
    [(-1, None), (0, "s1"), (10, "s1"), (11, None), (40, "s2"), (50, "s2"), (51, None)],
)
def test_session_of_a_touchpoint_is_the_one_that_covers_it(
    world: World, minute: int, expected: str | None
) -> None:
    """Bounds belong to it; between sessions there is none; another person's never counts."""
    world.session("s1", 0, 10)
    world.session("s2", 40, 50)
    world.session("other", -100, 100, profile_id="somebody else")
    world.touch("m1", at=minute, session_id="gone")
    assert world.ask(TOUCHPOINTS) == [("m1", "p1", expected)]


def test_late_touchpoints_have_no_session(world: World) -> None:
    """Even where one covers their time."""
    world.session("s1", 0, 10)
    world.touch("m1", at=5, is_late=True)
    assert world.ask(TOUCHPOINTS) == [("m1", "p1", None)]


def test_event_time_never_lies_behind_receipt(world: World) -> None:
    """A producer's clock that runs ahead is cut to when the record was received, as the rules do."""
    world.session("s1", 0, 10)
    world.touch("m1", at=5, occurred_at=AT_MS + 999 * MINUTE)
    assert world.ask(TOUCHPOINTS) == [("m1", "p1", "s1")]


def test_event_time_never_lies_behind_arrival(world: World) -> None:
    """Nor may who received it be ahead: its session is found anew where the one it was written with was retracted.

    Seen to fail with an event time of a year later, which no session covers.
    """
    world.session("s2", 5, 5)
    world.session("s2", 5, 5, revision=2, is_retracted=True, retracted_into="s1")
    world.session("s1", 0, 5)
    ahead = AT_MS + 999 * MINUTE
    arrived = AT_MS + 5 * MINUTE
    world.touch("m1", occurred_at=ahead, received_at=ahead, stitched_at=arrived, session_id="s2")
    assert world.ask(TOUCHPOINTS) == [("m1", "p1", "s1")]


def test_touchpoint_keeps_a_session_whose_later_end_is_on_its_way(world: World) -> None:
    """Topics land one after the other: what it was written with holds though the session still ends before it."""
    world.belongs("user_id:1", "p1", own="p2")
    world.session("s1", 0, 10)
    world.touch("m1", at=12, session_id="s1")
    assert world.ask(TOUCHPOINTS) == [("m1", "p1", "s1")]


def test_sessions_stand_in_their_highest_revision(world: World) -> None:
    """Whatever the order and however often they were written; retracted ones are gone."""
    for revision, end in ((1, 5), (3, 15), (2, 10), (3, 15)):
        world.session("s1", 0, end, revision=revision, partition=revision % 2)
    world.session("s2", 20, 25)
    world.session("s2", 20, 25, revision=2, is_retracted=True, retracted_into="s1")
    asked = "SELECT session_id, revision, dateDiff('minute', started_at, ended_at) FROM current_sessions"
    assert world.ask(asked) == [("s1", 3, 15)]


def test_retracted_session_comes_back_with_a_higher_revision(world: World) -> None:
    """Retraction is a revision like any other."""
    world.session("s1", 0, 5, revision=1)
    world.session("s1", 0, 5, revision=2, is_retracted=True)
    assert world.ask("SELECT count() FROM current_sessions") == [(0,)]
    world.session("s1", 0, 9, revision=3)
    assert world.ask("SELECT revision FROM current_sessions") == [(3,)]


def test_carts_and_actions_stand_in_their_highest_revision(world: World) -> None:
    """A retracted cart is gone; a cancelled action stays, as cancelled."""
    for episode, statuses in {"e1": ("open", "abandoned", "purchased"), "e2": ("open", "retracted")}.items():
        for revision, status in enumerate(statuses):
            value = framed("carts", episode_id=episode, revision=revision, status=status)
            world.land("carts", value, value)
    for revision, status in enumerate(("due", "cancelled")):
        world.land("actions", framed("actions", revision=revision, status=status), partition=revision)
    assert world.ask("SELECT episode_id, status FROM current_carts") == [("e1", "purchased")]
    assert world.ask("SELECT action_id, status FROM current_actions") == [("a1", "cancelled")]


def test_a_delivery_stands_as_the_last_word_on_the_highest_revision(world: World) -> None:
    """Two failed attempts and a success are one row with three attempts; an overtaken revision gives way; endpoints
    do not mix. Seen to fail with the offsets in rising order, and with attempts counted over all revisions."""
    for second, outcome in enumerate(("retrying", "retrying", "delivered")):
        world.land("deliveries", framed("deliveries", outcome=outcome, attempted_at=AT_MS + second * 1_000))
    asked = "SELECT endpoint, revision, status, outcome, attempts, attempted_at - first_attempted_at FROM "
    asked += "current_deliveries ORDER BY endpoint"
    assert world.ask(asked) == [("crm", 1, "due", "delivered", 3, 2)]
    withdrawn = framed("deliveries", endpoint="sms", outcome="withdrawn", reason="superseded", attempt=0)
    cancelled = framed("deliveries", revision=2, status="cancelled", attempted_at=AT_MS + 9_000)
    world.land("deliveries", cancelled, withdrawn)
    assert world.ask(asked) == [
        ("crm", 2, "cancelled", "delivered", 1, 0),
        ("sms", 1, "due", "withdrawn", 0, 0),
    ]


def test_profile_sums_up_a_person(world: World) -> None:
    """One row a person of today, over everything written under what has become them."""
    world.touch("m1", at=0, profile_id="a")
    world.touch("m2", at=3, profile_id="b", event="Order Completed", revenue_micros=2_000_000)
    world.touch("m2", at=3, profile_id="b", event="Order Completed", revenue_micros=2_000_000)
    world.touch("m3", at=90, profile_id="b", revenue_micros=5)
    world.session("s1", 0, 3, profile_id="a")
    world.session("s2", 90, 90, profile_id="b")
    world.belongs("user_id:1", "a", own="a")
    world.belongs("email:x", "a", own="b")
    asked = """
        SELECT profile_id, identifiers, dateDiff('minute', first_seen_at, last_seen_at), touchpoints, sessions,
               orders, revenue_micros, channels FROM profiles"""
    assert world.ask(asked) == [("a", ["email:x", "user_id:1"], 90, 3, 2, 1, 2_000_000, ["web"])]


def test_views_have_the_columns_others_rely_on(world: World) -> None:
    """The names of the design's last paragraph."""
    promised = {
        "touchpoints": "message_id, event, channel, occurred_at, received_at, identifiers, profile_id, "
        "session_id, revenue_micros",
        "current_touchpoints": "message_id, event, channel, occurred_at, received_at, identifiers, profile_id, "
        "session_id, revenue_micros",
        "current_sessions": "session_id, profile_id, started_at, ended_at, touchpoints, channels, revision, is_final, "
        "revenue, is_bounce, is_engaged, path, is_path_cut, events, first_campaign, last_campaign",
        "current_carts": "episode_id, profile_id, status, items, value_micros",
        "current_actions": "action_id, profile_id, trigger, step, status, due_at, decided_at, value_micros",
        "profiles": "profile_id, identifiers, touchpoints, sessions, orders, revenue_micros, channels",
    }
    for name, columns in promised.items():
        assert world.ask(f"SELECT {columns} FROM {name}") == []
