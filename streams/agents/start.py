"""A worker from the settings: where settings, core, app and runtime meet."""

from __future__ import annotations

import asyncio

from schemas.catalog import Catalog
from streams.agents.app import Plan, build
from streams.agents.stores import stores_of
from streams.core.rules import Rules
from streams.core.step import Step
from streams.runtime.broker_traits import BrokerTraits, traits_of
from streams.runtime.commit import TaskTopics
from streams.runtime.engine import Engine, EngineFactory, Store
from streams.runtime.metrics import Metrics
from streams.runtime.task import Pace
from streams.runtime.topics import CHANGELOG, DEAD_LETTERS, INBOX, INPUTS
from streams.runtime.worker import Stopping, run, set_up_logging
from streams.settings import Settings

__all__ = ["plan_of", "rules_of", "start_worker"]


def plan_of(settings: Settings, traits: BrokerTraits) -> Plan:
    """The plain values a worker is built from."""
    worker = settings.worker
    return Plan(
        name=settings.app.name,
        bootstrap_servers=settings.kafka.bootstrap_servers,
        topics=TaskTopics(inputs=INPUTS, inbox=INBOX, changelog=CHANGELOG, dead=DEAD_LETTERS),
        partitions=settings.kafka.partitions,
        pace=Pace(worker.batch_records, worker.batch_bytes, worker.poll_ms / 1000),
        max_dead_share=worker.max_dead_share,
        is_live=worker.clock == "live",
        traits=traits,
    )


def rules_of(settings: Settings) -> Rules:
    """The numbers the core decides by."""
    return Rules(
        ranks=settings.identity.ranks,
        gap_ms=settings.sessions.gap_s * 1000,
        gaps_ms={channel: gap_s * 1000 for channel, gap_s in settings.sessions.gaps_s.items()},
        abandon_after_ms=settings.carts.abandon_after_s * 1000,
        recovery_ms=settings.carts.recovery_s * 1000,
        timer_lateness_ms=settings.actions.timer_lateness_s * 1000,
        max_action_age_ms=settings.actions.max_age_s * 1000,
        expires_ms=settings.actions.expires_s * 1000,
        action_channels=settings.actions.channels,
        max_record_bytes=settings.kafka.max_record_bytes,
        is_replay=settings.worker.clock == "replay",
    )


def engine_factory(settings: Settings) -> EngineFactory:
    """Makes the core of a task; schemas are read once a worker."""
    rules = rules_of(settings)
    catalog = Catalog.embedded()

    def make(partition: int, store: Store) -> Engine:
        return Step(partition, settings.kafka.partitions, rules, store, catalog=catalog)

    return make


def start_worker(settings: Settings) -> int:
    """Runs one worker until it is told to stop. Returns its exit code. Raises StateDirectoryUnavailable."""
    set_up_logging(settings.worker.log_level)
    traits = asyncio.run(traits_of(settings.kafka.bootstrap_servers))
    metrics = Metrics()
    metrics.serve(settings.worker.metrics_port)
    stopping = Stopping()
    with stores_of(settings) as make_store:
        app = build(
            plan_of(settings, traits),
            engine_factory(settings),
            metrics=metrics,
            stop=stopping,
            make_store=make_store,
        )
        return run(app, stopping=stopping, metrics=metrics)
