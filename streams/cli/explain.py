"""`throughline explain`: why the pipeline decided as it did, from what it has written down.

What the records say together is `streams.cli.trail`'s matter; here it is only asked for and printed.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from streams.cli import context, panels
from streams.cli.errors import ExitCode, Failure, rejected
from streams.cli.explain_clock import explain_clock

if TYPE_CHECKING:
    from sinks.clickhouse.writer import Warehouse
    from streams.cli.trail.records import Ask
    from streams.core.rules import Rules

_SHOWN: Final = 50
_ESCAPES: Final = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n"})


def register(app: typer.Typer) -> None:
    """Add the commands to the root."""
    group = typer.Typer(
        no_args_is_help=True, help="Why: who is one person and how that came; what timers wait for."
    )
    group.command("identity")(explain_identity)
    group.command("clock")(explain_clock)
    app.add_typer(group, name="explain", rich_help_panel=panels.ASK)


def explain_identity(
    ctx: typer.Context,
    value: Annotated[
        str,
        typer.Argument(
            metavar="VALUE", help="type:value, a value of any type, or a profile_id, today's or a former."
        ),
    ],
    *,
    show_all: Annotated[
        bool,
        typer.Option("--all", help=f"More than the first {_SHOWN} identifiers and last {_SHOWN} decisions."),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document, whole.")] = False,
    directory: Annotated[
        Path | None,
        typer.Option(
            "--warehouse", metavar="DIR", help="An embedded warehouse, whether it is running or not."
        ),
    ] = None,
) -> None:
    """Show a person as a tree: each identifier under the one it came through, when, and by which touchpoint.

    Below: what was refused, left, is blocked or shared, and why. Times are UTC.
    Exit code 1 if nothing is known of VALUE, 2 if it is several identifiers,
    3 if no warehouse answers.

    --json has value, identifier (null if VALUE is a profile_id), profile_id
    (null: belongs to nobody), root, touchpoints, first_seen_at, last_seen_at,
    identifiers (each with identifier, parent, merged_profile_id, came) and
    decisions. came, and each decision, is a row of table identities with
    touchpoint: message_id, type, event, channel, occurred_at; null if unknown.

    Example: throughline explain identity email:ann@example.com

    Example: throughline explain identity 42 --json --warehouse ./shop
    """
    from sinks.clickhouse.writer import Rejected, Unavailable
    from streams.agents.rules import rules_of
    from streams.cli.query import warehouse_of

    try:
        with warehouse_of(ctx, directory) as warehouse:
            _explain(
                _asking(warehouse), value, rules_of(context.settings(ctx)), show_all=show_all, as_json=as_json
            )
    except Unavailable as error:
        raise rejected(error, ExitCode.UNAVAILABLE) from error
    except Rejected as error:
        raise rejected(error) from error


def _explain(ask: Ask, value: str, rules: Rules, *, show_all: bool, as_json: bool) -> None:
    from streams.cli.trail.person import document, person_of
    from streams.cli.trail.records import records_of, seen_of, touchpoints_of

    identifier, profile = _found(ask, value, rules)
    person = person_of(profile, records_of(ask, profile, identifier))
    seen, touchpoints = seen_of(ask, profile), touchpoints_of(ask, profile, identifier)
    if as_json:
        typer.echo(
            json.dumps(document(value, identifier, person, seen=seen, touchpoints=touchpoints), indent=2)
        )
        return
    from rich.console import Console

    from streams.cli.trail.shown import WIDEST, tree_of

    most = None if show_all else _SHOWN
    tree = tree_of(person, identifier, seen=seen, touchpoints=touchpoints, most=most)
    # On a terminal lines are folded within their branch; in a pipe a line is a thing, whatever its length.
    Console(highlight=False, width=None if sys.stdout.isatty() else WIDEST).print(tree)


def _found(ask: Ask, value: str, rules: Rules) -> tuple[str | None, str | None]:
    """(identifier, profile) that a value stands for; an identifier alone belongs to nobody. Raises Failure."""
    from streams.cli.trail.records import MOST_MATCHES, identifiers_of, profile_from_id, profile_of
    from streams.core.normalise import Normaliser

    kind, _, rest = value.partition(":")
    normaliser = Normaliser(rules)
    normal = normaliser.identifier(kind, rest) if kind in rules.ranks else None
    normal, email = (
        normal or value,
        (normaliser.identifier("email", value) if "email" in rules.ranks else None) or value,
    )
    matches = identifiers_of(ask, value, normal=normal or value, email=email or value)
    if len(matches) == 1:
        return matches[0], profile_of(ask, matches[0])
    if matches:
        of = [f"\n  {match}  of profile {profile_of(ask, match) or 'nobody'}" for match in matches]
        many = (
            f"{MOST_MATCHES} identifiers or more"
            if len(matches) == MOST_MATCHES
            else f"{len(matches)} identifiers"
        )
        raise Failure(f"{value} is {many}; choose one of them:{''.join(of)}", ExitCode.USAGE)
    profile = profile_from_id(ask, value)
    if profile is None:
        raise Failure(
            f"nothing is known of {value}: no identifier, value or profile_id of that name has landed"
        )
    return None, profile


def _asking(warehouse: Warehouse) -> Ask:
    from sinks.clickhouse.asking import ask

    def rows(sql: str, parameters: Mapping[str, str]) -> list[dict[str, Any]]:
        settings: dict[str, str | int] = {"output_format_json_quote_64bit_integers": 0}
        # Parameters travel escaped, as text in tab-separated files does.
        settings |= {f"param_{name}": value.translate(_ESCAPES) for name, value in parameters.items()}
        lines = ask(warehouse, sql, default_format="JSONEachRow", settings=settings)
        return [json.loads(line) for line in lines if line.strip()]

    return rows
