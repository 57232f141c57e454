"""`throughline explain identity` as it is typed, on a warehouse that the sink has filled."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from sinks.clickhouse.embedded import EmbeddedWarehouse
from sinks.clickhouse.migrating import migrate
from sinks.clickhouse.writer import Warehouse
from streams.cli.app import build
from tests.integration.test_views import World
from tests.unit.sinks.samples import AT_MS, framed

pytestmark = pytest.mark.xdist_group("explain")


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedWarehouse]:
    """A person of two profiles, a till that was refused and then blocked, a stranger, one more with a value alike."""
    with EmbeddedWarehouse.start(tmp_path_factory.mktemp("warehouse")) as warehouse:
        at = Warehouse(warehouse.url, warehouse.user, warehouse.password)
        migrate(at)
        world = World(at)
        world.touch("m1", at=0, profile_id="of ann's phone", event="Product Added")
        world.touch("m2", at=5, profile_id="of 42", event="Order Completed")
        world.touch("m3", at=6, profile_id="of a stranger")
        say(world, "anonymous_id:phone", "of ann's phone", kind="created")
        say(world, "user_id:42", "of 42", kind="created", caused_by="m2")
        say(world, "email:ann@b.c", "of 42", root="user_id:42", kind="stitched", caused_by="m2",
            linked_to="user_id:42", linked_at=AT_MS, rule="seen together")  # fmt: skip
        say(world, "anonymous_id:phone", "of 42", own="of ann's phone", root="user_id:42", kind="merged",
            caused_by="m2", linked_to="email:ann@b.c", other_profile_id="of ann's phone")  # fmt: skip
        say(world, "device_id:till", "of a stranger", kind="refused", caused_by="m9", other_profile_id="of 42",
            rule="limit user_id 1")  # fmt: skip
        say(world, "device_id:till", "of a stranger", kind="created", caused_by="m3")
        say(world, "phone:000", "of phone", kind="blocked", decided_by="ann", reason="the till's")
        say(world, "loyalty_id:tab\t\\ '{x}", "of 7", kind="created")
        say(world, "loyalty_id:till", "of 8", kind="created")
        world.client.close()
        yield warehouse


def say(
    world: World, identifier: str, profile: str, *, own: str = "", root: str = "", **changes: Any
) -> None:
    """One record of `identities`."""
    places = {"profile_id": profile, "own_profile_id": own or profile, "root": root or identifier}
    world.land("identities", framed("identities", identifier=identifier, **places, **changes))


def explain(opened: EmbeddedWarehouse, *words: str) -> Result:
    environment = {"THROUGHLINE_CLICKHOUSE_URL": opened.url}
    return CliRunner().invoke(build(), ("explain", "identity", *words), env=environment)


def test_person_is_shown_as_a_tree(opened: EmbeddedWarehouse) -> None:
    """Who, through what, when and by which touchpoint; then what was refused and why."""
    order = "touchpoint Order Completed (web, 2023-11-14 22:18:20, message m2)"
    assert explain(opened, "user_id:42").stdout.splitlines() == [
        "profile of 42  3 identifiers (1 anonymous_id, 1 email, 1 user_id), "
        "2 touchpoints from 2023-11-14 22:13:20 to 2023-11-14 22:18:20",
        f"├── user_id:42  created 2023-11-14 22:13:20, {order}",
        f"│   └── email:ann@b.c  stitched 2023-11-14 22:13:20, rule: seen together, {order}",
        "│       └── anonymous_id:phone  merged 2023-11-14 22:13:20, "
        f"brought in profile of ann's phone, {order}",
        "└── refused, left, blocked or shared",
        "    └── device_id:till  refused 2023-11-14 22:13:20, belongs to profile of a stranger, "
        "other side: profile of 42, rule: limit user_id 1, touchpoint with message m9",
    ]


@pytest.mark.parametrize(
    ("value", "identifier"),
    [
        ("user_id:42", "user_id:42"),
        ("42", "user_id:42"),
        ("phone", "anonymous_id:phone"),
        ("email: Ann@B.C", "email:ann@b.c"),
        ("ANN@b.c", "email:ann@b.c"),
        ("of 42", None),
        ("of ann's phone", None),
    ],
)
def test_any_name_of_a_person_finds_them(
    opened: EmbeddedWarehouse, value: str, identifier: str | None
) -> None:
    """type:value, a bare value, as typed or normalised, today's profile_id and a former one."""
    found = json.loads(explain(opened, value, "--json").stdout)
    assert (found["value"], found["identifier"], found["profile_id"]) == (value, identifier, "of 42")
    assert [each["identifier"] for each in found["identifiers"]] == [
        "user_id:42", "email:ann@b.c", "anonymous_id:phone",
    ]  # fmt: skip
    came = found["identifiers"][2]["came"]
    assert (came["kind"], came["linked_to"], came["touchpoint"]["channel"]) == (
        "merged",
        "email:ann@b.c",
        "web",
    )
    assert [each["rule"] for each in found["decisions"]] == ["limit user_id 1"]
    assert (found["touchpoints"], found["first_seen_at"]) == (2, "2023-11-14T22:13:20.000Z")


def test_value_is_never_read_as_sql(opened: EmbeddedWarehouse) -> None:
    """Tabs, backslashes, quotes and braces are what they are."""
    found = json.loads(explain(opened, "tab\t\\ '{x}", "--json").stdout)
    assert found["profile_id"] == "of 7"


def test_blocked_value_belongs_to_nobody(opened: EmbeddedWarehouse) -> None:
    """Its history is told all the same."""
    found = json.loads(explain(opened, "phone:000", "--json").stdout)
    assert (found["profile_id"], found["root"], found["identifiers"]) == (None, None, [])
    assert [(each["decided_by"], each["reason"]) for each in found["decisions"]] == [("ann", "the till's")]


def test_several_identifiers_are_listed_to_choose_from(opened: EmbeddedWarehouse) -> None:
    """Exit code 2, and whose each is."""
    found = explain(opened, "till")
    assert (found.exit_code, found.stdout) == (2, "")
    assert found.stderr.splitlines() == [
        "throughline: till is 2 identifiers; choose one of them:",
        "  device_id:till  of profile of a stranger",
        "  loyalty_id:till  of profile of 8",
    ]


def test_unknown_value_is_one_line_and_exit_code_1(opened: EmbeddedWarehouse) -> None:
    """For programs as for people."""
    for words in (["user_id:7"], ["nothing of the kind", "--json"]):
        found = explain(opened, *words)
        assert (found.exit_code, found.stdout) == (1, "")
        assert found.stderr.startswith(f"throughline: nothing is known of {words[0]}:")
        assert found.stderr.count("\n") == 1


def test_large_person_is_cut_unless_all_is_asked_for(opened: EmbeddedWarehouse) -> None:
    """The first 50 on the screen; all with --all, and always all as JSON."""
    world = World(Warehouse(opened.url, opened.user, opened.password))
    values = [
        framed("identities", identifier=f"device_id:{n}", profile_id="of 60", own_profile_id=f"of device {n}",
               root="user_id:60", kind="stitched", linked_to="user_id:60")
        for n in range(60)
    ]  # fmt: skip
    world.land("identities", *values, partition=1)
    say(world, "email:x", "of x", kind="refused", other_profile_id="of 60")
    world.client.close()
    first = explain(opened, "of 60").stdout.splitlines()
    assert sum("stitched" in line for line in first) == 49
    assert first[-3] == "├── … and 11 more identifiers; --all shows them"
    assert "email:x  refused" in first[-1]
    everything = explain(opened, "of 60", "--all").stdout
    assert everything.count("stitched") == 60
    assert len(json.loads(explain(opened, "of 60", "--json").stdout)["identifiers"]) == 61


def test_nobody_there_is_exit_code_3() -> None:
    """One line that says where was asked."""
    environment = {"THROUGHLINE_CLICKHOUSE_URL": "http://127.0.0.1:9"}
    found = CliRunner().invoke(build(), ("explain", "identity", "42"), env=environment)
    assert found.exit_code == 3
    assert "127.0.0.1" in found.stderr


def test_empty_warehouse_directory_says_what_is_missing(tmp_path: Path) -> None:
    """A warehouse without our tables is another thing than an unknown identifier."""
    with EmbeddedWarehouse.start(tmp_path) as warehouse:
        found = explain(warehouse, "42")
    assert found.exit_code == 3
    assert "throughline warehouse migrate" in found.stderr
