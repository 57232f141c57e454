"""The Faust app: the whole pipeline on one screen, and what it is built from.

Decides nothing: the core says what a touchpoint means, the runtime how its effects reach Kafka.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast

import faust
from faust.tables.manager import TableManager
from yarl import URL

from schemas.dead_letters import DeadShare
from streams.runtime.broker_traits import REAL, BrokerTraits
from streams.runtime.changelog import Changelog
from streams.runtime.commit import AtLeastOnce, Commit, TaskTopics
from streams.runtime.ending import ExitCode, end_process
from streams.runtime.engine import EngineFactory, Store
from streams.runtime.metrics import Metrics
from streams.runtime.store.memory import MemoryStore
from streams.runtime.task import Pace, Tasks, Turn
from streams.runtime.transactions import ExactlyOnce, transactional_producers
from streams.runtime.transport import BatchConsumer, BatchProducer, BatchTransport
from streams.runtime.wiring import Wiring

__all__ = ["Guarantee", "PipelineApp", "Plan", "build"]

Guarantee = Literal["exactly_once", "at_least_once"]


@dataclass(frozen=True, slots=True)
class Plan:
    """What a worker is built from: plain values out of the settings."""

    name: str
    bootstrap_servers: str
    topics: TaskTopics
    partitions: int
    pace: Pace
    max_dead_share: float = 0.5
    is_live: bool = True
    traits: BrokerTraits = REAL
    guarantee: Guarantee = "exactly_once"
    transaction_timeout_s: int = 30
    instance_id: str = ""


class _NoTables(TableManager):
    """There are no Faust tables, so nothing waits for them to register (stock: 1 s)."""

    async def on_start(self) -> None:
        await self._update_channels()
        await self.recovery.start()


class PipelineApp(faust.App):
    """A Faust app that keeps nothing on disk."""

    tasks: Tasks

    async def on_stop(self) -> None:
        """What is being committed is committed; then the tasks are let go, and only then the group hears of it."""
        await super().on_stop()
        await self.tasks.close()

    def _create_directories(self) -> None:
        """No tables, so no directories for them."""

    def _crash(self, reason: BaseException) -> None:
        """A part of the worker died of something nobody expected: nothing more may be sent or committed."""
        end_process(ExitCode.BROKEN, "a part of the worker crashed; ending", error=reason)


def build(
    plan: Plan,
    make_engine: EngineFactory,
    *,
    metrics: Metrics,
    stop: Callable[[ExitCode, str], None],
    make_store: Callable[[int], Store] = lambda partition: MemoryStore(),
) -> Any:
    """The app, ready to be run by a worker.

    Delivery: as planned; see `streams.runtime.transactions.ExactlyOnce`, or `streams.runtime.commit.AtLeastOnce` for
    what can double and how it is removed.
    """
    app = PipelineApp(plan.name, **_faust_settings(plan))
    tasks = app.tasks = Tasks(
        make_engine=make_engine,
        make_store=make_store,
        changelog=Changelog(plan.bootstrap_servers, plan.topics.changelog),
        commit=_commit(app, plan, metrics=metrics),
        inputs=frozenset(plan.topics.inputs),
        dead_share=DeadShare(plan.max_dead_share),
        metrics=metrics,
        stop=stop,
    )
    app.transport = BatchTransport(_urls(plan), app)
    app.transport.wiring = Wiring(
        tasks,
        plan.topics,
        partitions=plan.partitions,
        pace=plan.pace,
        metrics=metrics,
        traits=plan.traits,
        is_live=plan.is_live,
    )
    _add_agent(app, plan.topics, tasks=tasks)
    return app


def _commit(app: Any, plan: Plan, *, metrics: Metrics) -> Commit:
    def note(partition: int, positions: Mapping[str, int]) -> None:
        cast(BatchConsumer, app.consumer).note(partition, positions)

    if plan.guarantee == "exactly_once":
        return ExactlyOnce(
            transactional_producers(plan.bootstrap_servers, transaction_timeout_s=plan.transaction_timeout_s),
            plan.topics,
            group=plan.name,
            note=note,
            metrics=metrics,
            changelog_batch_bytes=plan.traits.changelog_batch_bytes,
        )
    return AtLeastOnce(
        lambda: cast(BatchProducer, app.producer).client,
        plan.topics,
        note=note,
        metrics=metrics,
        changelog_batch_bytes=plan.traits.changelog_batch_bytes,
    )


def _add_agent(app: Any, topics: TaskTopics, *, tasks: Tasks) -> None:
    touchpoints = app.topic(
        *topics.read, key_type=bytes, key_serializer="raw", value_type=bytes, value_serializer="raw"
    )

    @app.agent(touchpoints, name="profiles")  # type: ignore[untyped-decorator]  # Faust's decorators have no types
    async def keep_profiles(turns: AsyncIterator[Turn]) -> None:
        """Decode, stitch, sessionize, carts, actions: one pure step a turn. Delivery: as planned, see `build`."""
        async for turn in turns:
            tasks.take(turn)


def _urls(plan: Plan) -> list[URL]:
    return [URL(f"kafka://{server}") for server in plan.bootstrap_servers.split(",")]


def _faust_settings(plan: Plan) -> dict[str, Any]:
    return {
        "broker": _urls(plan),
        "broker_session_timeout": plan.traits.session_s,
        "broker_heartbeat_interval": plan.traits.heartbeat_s,
        "consumer_group_instance_id": plan.instance_id or None,
        "broker_request_timeout": 40.0,
        # What Faust does at this interval is, here, to report positions to the group.
        "broker_commit_interval": 0.1,
        "producer_linger_ms": 0,
        "producer_request_timeout": 40.0,
        "producer_max_request_size": 32 * 1024 * 1024,
        "store": "memory://",
        "stream_buffer_maxsize": 4096,
        "stream_wait_empty": True,
        "table_standby_replicas": 0,
        "TableManager": _NoTables,
        "topic_allow_declare": False,
        "topic_disable_leader": True,
        "web_enabled": False,
        "worker_redirect_stdouts": False,
    }
