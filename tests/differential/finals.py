"""What stands in the end, row by row and ids included, to compare two runs of one input. Knows no right answer.

Left out is what rows say of the way there: revisions, when something was decided and what was known of the person then.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from tests.integration.line import Query

__all__ = ["Finals", "assert_alike", "finals"]

LINES = 20

Finals = dict[str, tuple[Any, ...]]
"""Each row by what it is and its first column."""

ACTION, IDENTIFIER = "action", "identifier"
ROWS = {
    IDENTIFIER: "SELECT identifier, profile_id FROM current_identities",
    "profile": "SELECT * EXCEPT (identifiers) FROM profiles",
    "touchpoint": "SELECT message_id, profile_id, session_id, event_at, is_late FROM current_touchpoints",
    "session": "SELECT * EXCEPT (revision) FROM current_sessions",
    "cart": "SELECT * EXCEPT (revision) FROM current_carts",
    ACTION: "SELECT concat(opened_by, '/', toString(trigger), '/', toString(step)), action_id, "
    "current_actions.* EXCEPT (action_id, revision, decided_at, historical, identifiers) "
    "FROM current_actions WHERE status != 'cancelled'",
}


def finals(query: Query) -> Finals:
    """Of everybody. Two rows of one id are one too many, and said so."""
    found: Finals = {}
    for kind, sql in ROWS.items():
        for row in query(sql):
            name = f"{kind} {row[0]}"
            assert name not in found, f"{name} is {found[name]} and {row}"
            found[name] = row
    return found


def assert_alike(one: Finals, other: Finals, *, promised: Collection[str]) -> None:
    """Raises AssertionError naming each row that one run has and the other has not, or not as it is.

    `promised` are the actions whose id is compared too, by opener and step.
    """
    unlike = list(_unlike(one, other, promised))
    assert not unlike, "\n".join([f"{len(unlike)} rows are not alike", *unlike[:LINES]])


def _unlike(one: Finals, other: Finals, promised: Collection[str]) -> Iterator[str]:
    for name in sorted(one.keys() | other.keys()):
        kind, _, what = name.partition(" ")
        here, there = one.get(name), other.get(name)
        # Who was only seen in links that do not count may be unknown.
        if kind == IDENTIFIER and (here is None or there is None):
            continue
        if kind == ACTION and here and there and what not in promised:
            here, there = (here[0], *here[2:]), (there[0], *there[2:])
        if here != there:
            yield f"{name} is {here} and {there}"
