"""What views of merges are made of, apart from other identities: complete, once, and nothing more."""

from __future__ import annotations

import pytest

from sinks.clickhouse.migrating import migrations, statements_of
from tests.integration.shop import Shop
from tests.unit.sinks.samples import framed

pytestmark = pytest.mark.xdist_group("identity_places")

NUMBER = 17
PLACES = "SELECT * FROM identity_places ORDER BY place"
MOVES = "SELECT is_move FROM identity_places ORDER BY place"


def statements(beginning: str) -> list[str]:
    """Those of the migration that begin so."""
    sql = next(each.sql for each in migrations() if each.number == NUMBER)
    return [each.strip() for each in statements_of(sql) if each.strip().startswith(beginning)]


def belongs(identifier: str, profile_id: str, own: str, root: str, kind: str) -> bytes:
    return framed(
        "identities", identifier=identifier, profile_id=profile_id, own_profile_id=own, root=root, kind=kind
    )


RECORDS = (
    belongs("user_id:1", "a", "a", "user_id:1", "created"),
    belongs("email:x", "a", "b", "user_id:1", "stitched"),
    belongs("device_id:2", "c", "c", "device_id:2", "created"),
    belongs("device_id:2", "a", "c", "user_id:1", "merged"),
    belongs("device_id:3", "z", "d", "user_id:9", "refused"),
    belongs("email:x", "b", "b", "email:x", "split"),
)


def test_only_who_belongs_to_another_or_moves_is_there(shop: Shop) -> None:
    """Somebody new and alone is where every record says, and what places nothing says nothing."""
    shop.land("identities", *RECORDS)
    assert shop.ask(MOVES) == [(False,), (True,), (True,)]


def test_repeated_insert_adds_nothing_and_repairs_one_that_was_half_applied(shop: Shop) -> None:
    """After a crash between both tables, the same block again brings what is missing and nothing else."""
    shop.client.command("DROP VIEW identities_to_identity_places")
    shop.land("identities", *RECORDS)
    for statement in statements("CREATE MATERIALIZED VIEW"):
        shop.client.command(statement)
    assert shop.ask(MOVES) == []
    for _ in range(2):
        shop._offsets.clear()
        shop.land("identities", *RECORDS)
        assert len(shop.ask(MOVES)) == 3
        assert shop.ask("SELECT count() FROM identities") == [(len(RECORDS),)]


def test_migration_fills_in_what_was_there_once_and_as_if_it_landed(shop: Shop) -> None:
    """Also where it was cut off and is run again.

    Seen to fail with rows taken over that are there already.
    """
    shop.land("identities", *RECORDS)
    landed = shop.ask(PLACES)
    shop.client.command("TRUNCATE TABLE identity_places")
    for _ in range(2):
        for statement in statements("INSERT"):
            shop.client.command(statement)
        assert shop.ask(PLACES) == landed


@pytest.mark.parametrize(
    ("moves", "today"),
    [
        ([("merged", "a", "user_id:1")], "a"),
        ([("merged", "a", "user_id:1"), ("split", "b", "email:x")], "b"),
        ([("merged", "a", "user_id:1"), ("split", "b", "email:x"), ("merged", "a", "user_id:1")], "a"),
    ],
)
def test_last_move_holds(shop: Shop, moves: list[tuple[str, str, str]], today: str) -> None:
    """Of an identifier, its profile's former name, and whoever follows it without a word of its own."""
    shop.land("identities", belongs("email:x", "b", "b", "email:x", "created"))
    shop.land("identities", belongs("phone:5", "b", "e", "email:x", "stitched"))
    for kind, profile_id, root in moves:
        shop.land("identities", belongs("email:x", profile_id, "b", root, kind))
    asked = """
        SELECT DISTINCT profile_id FROM moved_owners
        WHERE owner_hash IN (sipHash64('email:x'), sipHash64('phone:5'), sipHash64('b'))"""
    assert shop.ask(asked) == [(today,)]
    assert shop.ask("SELECT count() FROM moved_owners") == [(4,)]


def test_profiles_that_somebody_left_are_changed_too(shop: Shop) -> None:
    """Without whoever was split off, what stays may fall into other sessions. Seen to fail with moves alone."""
    shop.land("identities", *RECORDS)
    assert shop.ask("SELECT DISTINCT profile_hash = sipHash64('a') FROM changed_profiles ORDER BY 1") == [
        (0,), (1,),
    ]  # fmt: skip
    assert shop.ask("SELECT count() FROM changed_profiles WHERE profile_hash = sipHash64('a')") == [(2,)]
