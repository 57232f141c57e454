"""`throughline webhook`: post actions to the endpoints of the settings.

Only puts settings and parts together; the service is `sinks.webhook`.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from typing import TYPE_CHECKING, Annotated

import typer

from streams.cli import context, panels
from streams.cli.errors import ExitCode, Failure

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Mapping

    from sinks.webhook.answers import Outcome
    from sinks.webhook.endpoint import Endpoint
    from sinks.webhook.service import ServiceOptions
    from streams.settings import Settings


def register(app: typer.Typer) -> None:
    """Add the command to the root."""
    app.command("webhook", rich_help_panel=panels.RUN)(webhook)


def webhook(
    ctx: typer.Context,
    *,
    is_checking: Annotated[
        bool,
        typer.Option("--check", help="Only say which endpoints there are, and whether their secrets are."),
    ] = False,
) -> None:
    """Post due actions to your endpoints as signed JSON, and take back what was cancelled; at least once, in order.

    Endpoints are the setting webhook.endpoints; deploy/README.md says how to receive. What became of each action is on
    the topic deliveries, and in the view current_deliveries. Runs until SIGTERM or Ctrl-C, then lets requests under way
    end.

    Example: throughline webhook

    Example: throughline --settings shop.toml webhook --check
    """
    settings = context.settings(ctx)
    logging.basicConfig(
        level=settings.worker.log_level, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    endpoints = endpoints_of(settings, os.environ)
    if is_checking:
        for endpoint in endpoints:
            typer.echo(f"{endpoint.name}: {endpoint.url}, secrets: {len(endpoint.keys)}")
        return
    _require_topics(settings)
    outcomes = _serve(settings, endpoints)
    if not context.quiet(ctx):
        for name, counts in outcomes.items():
            said = ", ".join(f"{count:,} {outcome}" for outcome, count in sorted(counts.items()))
            typer.echo(f"{name}: {said or 'nothing to tell'}")


def endpoints_of(settings: Settings, environ: Mapping[str, str]) -> list[Endpoint]:
    """The endpoints of the settings with their secrets. Raises Failure, which names all that cannot be had."""
    from sinks.webhook.endpoint import Endpoint, read_keys
    from sinks.webhook.signing import BadSecret

    if not settings.webhook.endpoints:
        raise Failure(
            "no endpoints: the settings file needs a table [[webhook.endpoints]] with name, url and secrets",
            ExitCode.USAGE,
        )
    found, problems = [], []
    for each in settings.webhook.endpoints:
        try:
            keys = read_keys(each.secrets, environ)
        except BadSecret as error:
            problems.append(f"webhook.endpoints {each.name}: secret {error}")
            continue
        found.append(
            Endpoint(
                name=each.name,
                url=each.url,
                keys=keys,
                triggers=frozenset(each.triggers),
                channels=frozenset(each.channels),
                wants_recovered=each.recovered,
                concurrency=each.concurrency,
                rate_per_s=each.rate_per_s,
                timeout_s=each.timeout_s,
                first_backoff_s=each.first_backoff_s,
                most_backoff_s=each.most_backoff_s,
                backlog=each.backlog,
            )
        )
    if problems:
        raise Failure("\n  ".join(problems), ExitCode.USAGE)
    return found


def _require_topics(settings: Settings) -> None:
    """Both topics are there: what could not be recorded must not be sent."""
    from sinks.webhook.courier import ACTIONS
    from sinks.webhook.recording import DELIVERIES
    from streams.runtime.topics import BrokerUnavailable, connect

    try:
        admin = connect(settings.kafka.bootstrap_servers)
    except BrokerUnavailable as error:
        raise Failure(str(error), ExitCode.UNAVAILABLE) from error
    there = admin.list_topics(timeout=10.0).topics
    missing = [topic for topic in (ACTIONS, DELIVERIES) if topic not in there]
    if missing:
        raise Failure(
            f"{settings.kafka.bootstrap_servers} has no topic {' and no '.join(missing)}; "
            "`throughline topics create` makes it",
            ExitCode.UNAVAILABLE,
        )


def _serve(settings: Settings, endpoints: list[Endpoint]) -> dict[str, Counter[Outcome]]:
    from confluent_kafka import KafkaException

    from schemas.wire import CodecError
    from sinks.webhook.recording import CannotRecord
    from sinks.webhook.service import ServiceOptions

    options = ServiceOptions(
        bootstrap_servers=settings.kafka.bootstrap_servers,
        group=f"{settings.app.name}-webhook",
        metrics_port=settings.webhook.metrics_port,
    )
    try:
        return asyncio.run(_until_signalled(options, endpoints))
    except CodecError as error:
        raise Failure(f"an action cannot be read: {error}") from error
    except CannotRecord as error:
        raise Failure(str(error), ExitCode.UNAVAILABLE) from error
    except KafkaException as error:
        raise Failure(f"Kafka: {error}", ExitCode.UNAVAILABLE) from error
    except OSError as error:
        port = settings.webhook.metrics_port
        raise Failure(f"port {port} cannot be had (webhook.metrics_port): {error}", ExitCode.USAGE) from error


async def _until_signalled(options: ServiceOptions, endpoints: list[Endpoint]) -> dict[str, Counter[Outcome]]:
    from random import SystemRandom

    from sinks.webhook.service import serve

    stop = asyncio.Event()
    for signum in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(signum, stop.set)
    return await serve(options, endpoints, stop, random=SystemRandom())
