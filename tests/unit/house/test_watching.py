"""Alerts, dashboard, health checks and their documentation, held against what a worker and the webhook sink expose."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from schemas.wire import Reason as Unread
from sinks.webhook.answers import Outcome as Delivered
from sinks.webhook.answers import Reason as Undelivered
from sinks.webhook.metrics import Metrics as WebhookMetrics
from streams.runtime.ending import ExitCode
from streams.runtime.metrics import METRICS, Metric, Metrics, Outcome, Phase, Step
from tests.conftest import REPOSITORY

DEPLOY = REPOSITORY / "deploy"
RULES: list[dict[str, Any]] = [
    rule
    for group in yaml.safe_load((DEPLOY / "prometheus" / "rules.yml").read_text())["groups"]
    for rule in group["rules"]
]
DASHBOARD: dict[str, Any] = json.loads((DEPLOY / "grafana" / "dashboards" / "throughline.json").read_text())
RECORDED = {rule["record"] for rule in RULES if "record" in rule}
OF_THE_SCRAPE = {"job", "instance"}
VALUES: dict[str, set[str]] = {
    "step": set(map(str, Step)),
    "phase": set(map(str, Phase)),
    "outcome": {*map(str, Outcome), *map(str, Delivered)},
    "reason": {*map(str, Unread), *map(str, Undelivered)},
}
WORDS = {
    "sum", "max", "rate", "increase", "deriv", "absent", "changes", "by", "and", "or", "histogram_quantile",
    "max_over_time",
}  # fmt: skip


def exposed() -> dict[str, set[str]]:
    """Every sample there can be, with its labels."""
    found: dict[str, set[str]] = {}
    for metric in METRICS:
        suffixes = ["_bucket", "_sum", "_count"] if metric.kind == "histogram" else [""]
        for suffix in suffixes:
            found[metric.wire + suffix] = set(metric.labels) | ({"le"} if suffix == "_bucket" else set())
    for registry in (Metrics().registry, webhook().registry):
        for family in text_string_to_metric_families(generate_latest(registry).decode()):
            for sample in family.samples:
                found.setdefault(sample.name, set(sample.labels))
    return found


def webhook() -> WebhookMetrics:
    """Those of the webhook sink; a metric has samples once it has been counted with."""
    metrics = WebhookMetrics()
    metrics.deliveries.labels("crm", "delivered", "").inc()
    for of_endpoint in (metrics.seconds, metrics.lag, metrics.held):
        of_endpoint.labels("crm")
    return metrics


def expressions() -> Iterator[tuple[str, str]]:
    """All that asks Prometheus something: where it stands, and the expression."""
    for rule in RULES:
        yield rule.get("alert") or rule["record"], rule["expr"]
    for panel in DASHBOARD["panels"]:
        for target in panel["targets"]:
            yield panel["title"], target["expr"]


EXPRESSIONS = sorted(expressions())


@pytest.mark.parametrize(("where", "expression"), EXPRESSIONS, ids=[where for where, _ in EXPRESSIONS])
def test_every_metric_and_label_that_is_asked_for_exists(where: str, expression: str) -> None:
    """An alert on a misspelt metric never fires, and nobody notices. Seen to fail with one letter changed."""
    samples = exposed()
    assert expression.count("(") == expression.count(")"), where
    bare = re.sub(r"\[[^\]]*\]", "", expression)
    for name, matchers in re.findall(r"([a-zA-Z_:][\w:]*)\{([^}]*)\}", bare):
        for label, value in re.findall(r'(\w+)\s*!?=~?\s*"([^"]*)"', matchers):
            assert label in samples[name] | OF_THE_SCRAPE, (name, label)
            assert value in VALUES.get(label, {value}), (name, label, value)
    bare = re.sub(r"\{[^}]*\}", "", bare)
    grouped = {label for group in re.findall(r"by\s*\(([^)]*)\)", bare) for label in re.split(r"\W+", group)}
    names = set(re.findall(r"[a-zA-Z_:][\w:]*", re.sub(r"by\s*\([^)]*\)", "", bare))) - WORDS
    assert names, where
    assert names <= samples.keys() | RECORDED, names - samples.keys()
    assert grouped - OF_THE_SCRAPE <= {label for name in names if name in samples for label in samples[name]}


def test_an_alert_says_what_is_wrong_and_how_bad_it_is() -> None:
    """One line for whoever is woken; labels it quotes are there; a page is not for what can wait."""
    alerts = [rule for rule in RULES if "alert" in rule]
    assert len({rule["alert"] for rule in alerts}) == len(alerts) > 10
    for rule in alerts:
        assert rule["labels"]["severity"] in {"page", "warn", "tell"}
        quoted = re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"])
        assert rule["annotations"]["summary"].endswith(".")
        by = re.findall(r"sum by \((\w+)\)", rule["expr"])
        assert set(quoted) <= (set(by) or {"instance", "partition", "endpoint"})


def test_prometheus_reads_the_rules_and_grafana_the_dashboard() -> None:
    """Where the configuration says the files are is where Compose puts them."""
    services = yaml.safe_load((REPOSITORY / "docker-compose.yml").read_text())["services"]
    mounted = {
        volume.split(":")[0].removeprefix("./"): volume.split(":")[1]
        for name in ("prometheus", "grafana")
        for volume in services[name]["volumes"]
    }
    config = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text())
    at = mounted["deploy/prometheus/prometheus.yml"].rpartition("/")[0]
    assert [f"{at}/{name}" for name in config["rule_files"]] == [mounted["deploy/prometheus/rules.yml"]]
    provisioned = DEPLOY / "grafana" / "provisioning"
    [provider] = yaml.safe_load((provisioned / "dashboards" / "throughline.yml").read_text())["providers"]
    assert mounted["deploy/grafana/dashboards/throughline.json"].startswith(provider["options"]["path"] + "/")
    [source] = yaml.safe_load((provisioned / "datasources" / "prometheus.yml").read_text())["datasources"]
    assert {panel["datasource"]["uid"] for panel in DASHBOARD["panels"]} == {source["uid"]}
    assert source["url"] == "http://prometheus:9090"


def test_panels_do_not_lie_over_each_other() -> None:
    """Each has its id and its place."""
    cells = [
        (x, y)
        for panel in DASHBOARD["panels"]
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]
    assert len(set(cells)) == len(cells)
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])


def test_the_worker_of_compose_is_asked_where_it_answers() -> None:
    """The health check is a command of ours, and the worker has a port for it to ask."""
    worker = yaml.safe_load((REPOSITORY / "docker-compose.yml").read_text())["services"]["worker"]
    assert worker["healthcheck"]["test"] == ["CMD", "throughline", "health"]
    assert int(worker["environment"]["THROUGHLINE_WORKER_METRICS_PORT"]) > 0
    assert worker["restart"] == "unless-stopped"


def row(metric: Metric) -> str:
    """A metric's line in deploy/README.md."""
    labels = ", ".join(f"`{label}`" for label in metric.labels)
    return f"| `{metric.wire}` | {metric.kind} | {labels} | {metric.says} |"


def test_the_documentation_lists_every_metric_as_it_is() -> None:
    """One table, line for line the list in the code: what is missing or wrong is what this shows, to be copied."""
    lines = (DEPLOY / "README.md").read_text().splitlines()
    assert [line for line in lines if line.startswith("| `throughline_")] == [
        row(metric) for metric in METRICS
    ]


def test_the_documentation_has_every_exit_code() -> None:
    """Whoever finds a worker ended finds its code there."""
    documented = re.findall(r"^\| (\d) \|", (DEPLOY / "README.md").read_text(), re.MULTILINE)
    assert {int(code) for code in documented} >= set(ExitCode)
