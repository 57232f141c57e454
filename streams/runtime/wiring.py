"""What the parts of the transport need to know of the worker around them. Set once, before the app starts."""

from __future__ import annotations

from dataclasses import dataclass

from streams.runtime.broker_traits import BrokerTraits
from streams.runtime.commit import TaskTopics
from streams.runtime.metrics import Metrics
from streams.runtime.task import Pace, Tasks

__all__ = ["Wiring"]


@dataclass(slots=True)
class Wiring:
    """One worker's parts and plain values."""

    tasks: Tasks
    topics: TaskTopics
    partitions: int
    pace: Pace
    metrics: Metrics
    traits: BrokerTraits
    is_live: bool
