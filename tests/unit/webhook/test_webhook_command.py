"""`throughline webhook`: what people type, its exit codes, and that what it documents is so."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families
from typer.testing import CliRunner, Result

from sinks.webhook.endpoint import Endpoint
from sinks.webhook.metrics import Metrics
from streams.broker.embedded import EmbeddedBroker
from streams.cli.app import build
from streams.cli.errors import ExitCode
from streams.cli.webhook import endpoints_of
from streams.endpoints import EndpointSettings
from streams.settings import load
from tests.conftest import REPOSITORY
from tests.unit.webhook.build import SECRET, action
from tests.unit.webhook.world import TOPICS, WAIT_S, committed, receiving, until, write

README = (REPOSITORY / "deploy" / "README.md").read_text()


def settings_file(folder: Path, url: str = "https://crm.example/actions", more: str = "") -> Path:
    """One endpoint, its secret in a file beside."""
    (folder / "secret").write_text(SECRET)
    path = folder / "shop.toml"
    secret = f"file:{folder / 'secret'}"
    path.write_text(f'[[webhook.endpoints]]\nname = "crm"\nurl = "{url}"\nsecrets = ["{secret}"]\n{more}')
    return path


def run(path: Path | None, *words: str) -> Result:
    before = [] if path is None else ["--settings", str(path)]
    return CliRunner().invoke(build(), [*before, "webhook", *words])


def test_without_endpoints_it_says_what_to_write() -> None:
    """Nothing to do is a mistake in the settings, exit code 2."""
    result = run(None)
    assert result.exit_code == ExitCode.USAGE
    assert "needs a table [[webhook.endpoints]] with name, url and secrets" in result.stderr


def test_check_says_what_there_is(tmp_path: Path) -> None:
    """Endpoints and how many secrets, never a secret; no broker is asked."""
    result = run(settings_file(tmp_path), "--check")
    assert (result.exit_code, result.stdout) == (0, "crm: https://crm.example/actions, secrets: 1\n")


def test_a_missing_secret_is_named(tmp_path: Path) -> None:
    """Exit code 2, with the endpoint, the reference and what is wrong."""
    path = settings_file(tmp_path)
    (tmp_path / "secret").unlink()
    result = run(path)
    assert result.exit_code == ExitCode.USAGE
    said = f"webhook.endpoints crm: secret file:{tmp_path}/secret: cannot be read: No such file or directory"
    assert said in result.stderr


def test_without_its_topics_nothing_is_sent(tmp_path: Path) -> None:
    """What could not be recorded is not sent: exit code 3, and the command that mends it."""
    with EmbeddedBroker.start({"actions": 1}) as broker:
        result = run(settings_file(tmp_path, more=f'[kafka]\nbootstrap_servers = "{broker.bootstrap}"\n'))
    assert result.exit_code == ExitCode.UNAVAILABLE
    assert "has no topic deliveries; `throughline topics create` makes it" in result.stderr


@pytest.mark.timeout(60)
def test_it_delivers_until_sigterm_and_says_what_it_did(tmp_path: Path) -> None:
    """The real command: exit code 0, everything with an outcome committed."""
    with EmbeddedBroker.start(TOPICS, group_delay_ms=50) as broker, receiving() as crm:
        more = f'[kafka]\nbootstrap_servers = "{broker.bootstrap}"\n'
        path = settings_file(tmp_path, url=crm.url, more=more)
        words = [sys.executable, "-m", "streams.cli", "--settings", str(path), "webhook"]
        with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
            write(
                broker.bootstrap, action("a1"), action("a2"), action("a2", 2), action("a3", historical=True)
            )
            until(lambda: len(crm.got) == 2)
            process.send_signal(signal.SIGTERM)
            said, _ = process.communicate(timeout=WAIT_S)
        assert process.returncode == 0
        assert re.fullmatch(r"crm: 2 delivered, [12] skipped(, 1 withdrawn)?\n", said)
        assert committed(broker.bootstrap, "crm", group="throughline-webhook-crm")[0] == 4


@pytest.mark.timeout(60)
def test_what_is_no_action_stops_it(tmp_path: Path) -> None:
    """Actions are ours: one that cannot be read is a broken invariant, never skipped. Exit code 1, one line."""
    with EmbeddedBroker.start(TOPICS, group_delay_ms=50) as broker:
        write(broker.bootstrap, b"no action")
        path = settings_file(tmp_path, more=f'[kafka]\nbootstrap_servers = "{broker.bootstrap}"\n')
        words = [sys.executable, "-m", "streams.cli", "--settings", str(path), "webhook"]
        done = subprocess.run(words, capture_output=True, text=True, timeout=WAIT_S, check=False)
    assert done.returncode == ExitCode.FAILED
    assert "throughline: an action cannot be read: unreadable" in done.stderr


def test_the_endpoint_in_the_documentation_is_one(tmp_path: Path) -> None:
    """The example is read by the real settings, and shows every key there is, with its default."""
    shown = re.search(r"```toml\n(.*?)```", README, re.S)
    assert shown is not None
    path = tmp_path / "shown.toml"
    path.write_text(shown.group(1))
    (endpoint,) = load(path, {}).webhook.endpoints
    assert endpoint.model_fields_set == EndpointSettings.model_fields.keys()
    silent = {"name", "url", "secrets", "triggers", "channels", "recovered"}
    for name, field in EndpointSettings.model_fields.items():
        assert name in silent or getattr(endpoint, name) == field.default


def test_settings_and_endpoints_have_the_same_defaults(tmp_path: Path) -> None:
    """What the settings leave out is what the sink takes by itself."""
    (endpoint,) = endpoints_of(load(settings_file(tmp_path), {}), {})
    assert endpoint == Endpoint("crm", "https://crm.example/actions", (SECRET.encode(),))


def test_the_documentation_lists_every_metric() -> None:
    """By the names on the wire."""
    families = text_string_to_metric_families(generate_latest(Metrics().registry).decode())
    names = {f"{family.name}_total" if family.type == "counter" else family.name for family in families}
    assert set(re.findall(r"^- `(throughline_webhook_\w+)`", README, re.M)) == names
