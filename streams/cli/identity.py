"""`throughline identity`: decide about identifiers where touchpoints alone are wrong, as records on the control topic.

What an act must look like and how it is written is `streams.importer.acting`; what it does is the pipeline's matter.
"""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from streams.cli import context, panels
from streams.cli.errors import ExitCode, Failure

Named = Annotated[list[str], typer.Argument(metavar="IDENTIFIER…", help="type:value, as in touchpoints.")]
Into = Annotated[str, typer.Option("--into", metavar="IDENTIFIER", help="Whose other names these are.")]
By = Annotated[str, typer.Option("--by", metavar="NAME", help="Who decides: a person or a system.")]
Why = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; it stands in `identities`.")]
At = Annotated[
    str | None,
    typer.Option("--at", metavar="ISO", help="From when on it holds, UTC where nothing else is said; now if absent."),
]  # fmt: skip
ActId = Annotated[
    str | None,
    typer.Option("--act-id", metavar="ID", help="To repeat a call safely: an id is done once. Random if absent."),
]  # fmt: skip
AsJson = Annotated[bool, typer.Option("--json", help="The record as one JSON object, for programs.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the root."""
    group = typer.Typer(
        no_args_is_help=True, help="Act on identity: who is one person, who is not, what identifies nobody."
    )
    group.command("merge")(merge)
    group.command("alias")(alias)
    group.command("split")(split)
    group.command("block")(block)
    group.command("allow")(allow)
    app.add_typer(group, name="identity", rich_help_panel=panels.OPERATE)


def merge(
    ctx: typer.Context, identifiers: Named, *, into: Into, by: By, reason: Why,
    at: At = None, act_id: ActId = None, as_json: AsJson = False,
) -> None:  # fmt: skip
    """Decide that identifiers are other names of another one: their people are one from now on.

    Two accounts that are one person count as one. Other limits hold; what would break them is refused, and told in
    `identities`.

    Example: throughline identity merge user_id:4711 --into user_id:42 --by ann --reason "ticket 1: same customer"
    """
    _act(ctx, "merge", identifiers, into, by=by, reason=reason, at=at, act_id=act_id, as_json=as_json)


def alias(
    ctx: typer.Context, identifiers: Named, *, into: Into, by: By, reason: Why,
    at: At = None, act_id: ActId = None, as_json: AsJson = False,
) -> None:  # fmt: skip
    """Say that identifiers have become another one: Segment's alias, previousId into userId. The same as merge.

    Example: throughline identity alias user_id:guest-9 --into user_id:42 --by shop --reason "registered"
    """
    _act(ctx, "alias", identifiers, into, by=by, reason=reason, at=at, act_id=act_id, as_json=as_json)


def split(
    ctx: typer.Context, identifiers: Named, *, by: By, reason: Why,
    at: At = None, act_id: ActId = None, as_json: AsJson = False,
) -> None:  # fmt: skip
    """Take identifiers off their profile: together they are a person of their own, with a new profile_id.

    The touchpoints that came through them go along. What they were seen with before does not count any more, whenever
    it arrives; what is seen together afterwards links anew.

    Example: throughline identity split device_id:tablet email:dad@shop.example --by ann --reason "two people"
    """
    _act(ctx, "split", identifiers, None, by=by, reason=reason, at=at, act_id=act_id, as_json=as_json)


def block(
    ctx: typer.Context, identifiers: Named, *, by: By, reason: Why,
    at: At = None, act_id: ActId = None, as_json: AsJson = False,
) -> None:  # fmt: skip
    """Decide that identifiers identify nobody: they let go of whom they linked, and link nobody until allowed.

    Example: throughline identity block phone:+4930123456 --by ann --reason "the call centre's own number"
    """
    _act(ctx, "block", identifiers, None, by=by, reason=reason, at=at, act_id=act_id, as_json=as_json)


def allow(
    ctx: typer.Context, identifiers: Named, *, by: By, reason: Why,
    at: At = None, act_id: ActId = None, as_json: AsJson = False,
) -> None:  # fmt: skip
    """Take back a block, or that an identifier was found to be shared: from now on it links again.

    Example: throughline identity allow device_id:kiosk-7 --by ann --reason "it was moved to an office"
    """
    _act(ctx, "allow", identifiers, None, by=by, reason=reason, at=at, act_id=act_id, as_json=as_json)


def _act(
    ctx: typer.Context, kind: str, identifiers: list[str], into: str | None,
    *, by: str, reason: str, at: str | None, act_id: str | None, as_json: bool,
) -> None:  # fmt: skip
    from uuid import uuid4

    from streams.agents.rules import rules_of
    from streams.core.normalise import NoIdentifier
    from streams.importer.acting import MissingTopic, WrongAct, act_of, write
    from streams.runtime.topics import BrokerUnavailable

    settings = context.settings(ctx)
    try:
        record = act_of(
            kind, identifiers, into, rules=rules_of(settings),
            act_id=act_id or str(uuid4()), acted_at=_moment(at), by=by, reason=reason,
        )  # fmt: skip
        written = write(settings.kafka.bootstrap_servers, record)
    except (NoIdentifier, WrongAct) as error:
        raise Failure(str(error), ExitCode.USAGE) from error
    except (BrokerUnavailable, MissingTopic) as error:
        raise Failure(str(error), ExitCode.UNAVAILABLE) from error
    if as_json:
        typer.echo(json.dumps({**record, "partition": written.partition, "offset": written.offset}))
    elif not context.quiet(ctx):
        typer.echo(_said(record, written.partition, written.offset))


def _moment(at: str | None) -> int:
    """Epoch ms of what was typed, or of now. Raises Failure."""
    from datetime import UTC, datetime

    now = datetime.now(UTC)
    if at is None:
        return int(now.timestamp() * 1000)
    try:
        moment = datetime.fromisoformat(at)
    except ValueError:
        raise Failure(f"{at!r} is no time; write it like 2026-11-28T18:30:00Z", ExitCode.USAGE) from None
    moment = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    if moment > now:
        raise Failure(f"{at} is still to come; an act holds from the past or from now on", ExitCode.USAGE)
    return int(moment.timestamp() * 1000)


def _said(record: dict[str, Any], partition: int, offset: int) -> str:
    """The act in one line."""
    from datetime import UTC, datetime

    into = f" into {record['into']}" if record["into"] else ""
    at = datetime.fromtimestamp(record["acted_at"] / 1000, UTC).isoformat(timespec="seconds")
    return (
        f"{record['act']} {' '.join(record['identifiers'])}{into} from {at}, by {record['by']}: "
        f"act {record['act_id']}, record {offset} of identity.control[{partition}]"
    )
