"""A worker from the settings: where settings, core, app and runtime meet."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from schemas.catalog import Catalog
from streams.agents.app import Guarantee, Plan, build
from streams.agents.rules import rules_of
from streams.agents.stores import stores_of
from streams.core.identifier import Identifiers
from streams.core.step import Step
from streams.runtime.allocator import set_up_allocator
from streams.runtime.broker_traits import BrokerTraits, traits_of
from streams.runtime.commit import TaskTopics
from streams.runtime.engine import Engine, EngineFactory, Store
from streams.runtime.observed import observed
from streams.runtime.task import Pace
from streams.runtime.topics import CHANGELOG, DEAD_LETTERS, INBOX, INPUTS, OUTPUTS, refuse_unfit
from streams.runtime.worker import Stopping, run, set_up_logging
from streams.settings import Settings

__all__ = ["NoTransactions", "guarantee_of", "plan_of", "start_worker"]


class NoTransactions(ValueError):
    """The broker cannot give the guarantee that was asked for."""


def plan_of(settings: Settings, traits: BrokerTraits) -> Plan:
    """The plain values a worker is built from."""
    worker = settings.worker
    return Plan(
        name=settings.app.name,
        bootstrap_servers=settings.kafka.bootstrap_servers,
        topics=TaskTopics(
            inputs=INPUTS, outputs=OUTPUTS, inbox=INBOX, changelog=CHANGELOG, dead=DEAD_LETTERS
        ),
        partitions=settings.kafka.partitions,
        pace=Pace(worker.batch_records, worker.batch_bytes, worker.poll_ms / 1000, worker.fetch_buffer_bytes),
        max_dead_share=worker.max_dead_share,
        is_live=worker.clock == "live",
        # The embedded broker's sessions are what its rebalances take.
        traits=replace(traits, session_s=worker.session_s) if traits.has_transactions else traits,
        guarantee=guarantee_of(worker.processing_guarantee, traits),
        transaction_timeout_s=worker.transaction_timeout_s,
        instance_id=worker.instance_id,
    )


def guarantee_of(asked: str, traits: BrokerTraits) -> Guarantee:
    """What a worker on this broker promises. Raises NoTransactions rather than promise less than was asked."""
    if asked == "exactly_once" and not traits.has_transactions:
        raise NoTransactions(
            "worker.processing_guarantee is exactly_once, but the embedded broker has no transactions; use a real "
            "Kafka (throughline kafka start), or leave it at auto"
        )
    return "exactly_once" if traits.has_transactions and asked != "at_least_once" else "at_least_once"


def engine_factory(settings: Settings) -> EngineFactory:
    """Makes the core of a task; schemas are read, and the forms of values prepared, once a worker."""
    rules = rules_of(settings)
    catalog = Catalog.embedded()
    identifiers = Identifiers(rules, settings.kafka.partitions)

    def make(partition: int, store: Store) -> Engine:
        return Step(
            partition, settings.kafka.partitions, rules, store, catalog=catalog, identifiers=identifiers
        )

    return make


def start_worker(settings: Settings) -> int:
    """Runs one worker until it is told to stop. Returns its exit code. Raises NoTransactions, UnfitTopics,
    BrokerUnavailable, CannotServe, StateDirectoryUnavailable."""
    set_up_allocator()
    set_up_logging(settings.worker.log_level)
    traits = asyncio.run(traits_of(settings.kafka.bootstrap_servers))
    refuse_unfit(settings)
    plan, stopping = plan_of(settings, traits), Stopping()
    worker = settings.worker
    with (
        stores_of(settings) as make_store,
        observed(worker.stall_s, port=worker.metrics_port, inbox=INBOX, is_live=plan.is_live) as metrics,
    ):
        app = build(plan, engine_factory(settings), metrics=metrics, stop=stopping, make_store=make_store)
        return run(app, stopping=stopping, metrics=metrics)
