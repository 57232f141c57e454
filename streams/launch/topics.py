"""Every topic of an installation: those a worker stands on, and what sinks write of their own.

A worker asks for its own alone (`streams.runtime.topics`): it must not refuse to start because nobody has made the
topic of a sink. Must not know what is written into them.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from streams.runtime import topics as of_workers
from streams.runtime.topics import OUTPUTS, TopicSpec
from streams.settings import Settings

__all__ = ["DELIVERIES", "expected", "partition_counts"]

DELIVERIES: Final = "deliveries"


def expected(settings: Settings) -> list[TopicSpec]:
    """Every topic with its set-up: the workers', then what the webhook sink writes, set up as an output is."""
    asked = of_workers.expected(settings)
    output = next(spec for spec in asked if spec.name == OUTPUTS[-1])
    return [*asked, replace(output, name=DELIVERIES)]


def partition_counts(settings: Settings) -> dict[str, int]:
    """Name -> partitions: what the embedded broker is started with."""
    return {spec.name: spec.partitions for spec in expected(settings)}
