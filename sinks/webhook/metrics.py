"""What Prometheus is told: deliveries by endpoint and outcome, how long requests take, what is behind.

No label has a person or an action in it. deploy/README.md lists the names; a test holds it to them.
"""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

__all__ = ["Metrics"]


class Metrics:
    """One registry a service."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.deliveries = Counter(
            "throughline_webhook_deliveries",
            "outcomes of attempts and events by reason; skipped: there was nothing to tell",
            ("endpoint", "outcome", "reason"),
            registry=self.registry,
        )
        self.seconds = Histogram(
            "throughline_webhook_request_seconds",
            "from request to answer or failure",
            ("endpoint",),
            registry=self.registry,
        )
        self.lag = Gauge(
            "throughline_webhook_lag_records",
            "records of actions in Kafka without an outcome at this endpoint",
            ("endpoint",),
            registry=self.registry,
        )
        self.held = Gauge(
            "throughline_webhook_held_events",
            "of these, events in memory: waiting, or under way",
            ("endpoint",),
            registry=self.registry,
        )
