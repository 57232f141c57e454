"""`throughline schemas`, as a person or a program calls it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from schemas import evolution, registry
from schemas.catalog import Catalog
from streams.cli import schemas as command
from streams.cli.errors import Failure

RUN = CliRunner()


@pytest.fixture
def app() -> typer.Typer:
    root = typer.Typer()
    root.callback()(lambda: None)
    command.register(root)
    return root


def test_check_passes_and_says_against_what(app: typer.Typer) -> None:
    """Exit code 0 and the versions asked."""
    result = RUN.invoke(app, ["schemas", "check"])
    assert (result.exit_code, result.stdout) == (0, "36 schemas may follow 0.1.0\n")
    result = RUN.invoke(app, ["schemas", "check", "--json"])
    assert json.loads(result.stdout) == {"violations": [], "against": ["0.1.0"]}


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_check_fails_with_one_line_a_violation(
    app: typer.Typer, monkeypatch: pytest.MonkeyPatch, options: list[str]
) -> None:
    """Exit code 1, and nothing but the violations."""
    monkeypatch.setattr(evolution, "check", lambda catalog: ["carts: gone", "sessions: changed"])
    result = RUN.invoke(app, ["schemas", "check", *options])
    assert result.exit_code == 1
    found = json.loads(result.stdout)["violations"] if options else result.stdout.splitlines()
    assert found == ["carts: gone", "sessions: changed"]


@pytest.mark.parametrize("name", ["touchpoints.stitched.pos", "222"])
def test_show_prints_the_whole_schema(app: typer.Typer, name: str) -> None:
    """By subject or by id, as JSON another tool can take."""
    result = RUN.invoke(app, ["schemas", "show", name])
    assert json.loads(result.stdout) == Catalog.embedded().schema(222)


@pytest.mark.parametrize("name", ["touchpoints.fax", "999", ""])
def test_show_names_what_there_is(app: typer.Typer, name: str) -> None:
    """A wrong subject is wrong usage, answered with the right ones."""
    result = RUN.invoke(app, ["schemas", "show", name])
    assert isinstance(result.exception, Failure)
    assert result.exception.exit_code == 2
    assert "touchpoints.web" in result.exception.message


def test_register_prints_the_ids(app: typer.Typer, monkeypatch: pytest.MonkeyPatch) -> None:
    """One line a subject, or one JSON object."""
    monkeypatch.setattr(registry, "publish", lambda url, catalog: iter([("a-value", 7), ("b-value", 8)]))
    result = RUN.invoke(app, ["schemas", "register", "http://registry"])
    assert result.stdout == "7\ta-value\n8\tb-value\n"
    result = RUN.invoke(app, ["schemas", "register", "http://registry", "--json"])
    assert json.loads(result.stdout) == {"a-value": 7, "b-value": 8}


@pytest.mark.parametrize(
    ("raised", "exit_code"), [(registry.RegistryRefused("x: 409"), 1), (registry.RegistryUnavailable("x"), 3)]
)
def test_register_tells_a_refusal_from_an_absence(
    app: typer.Typer, monkeypatch: pytest.MonkeyPatch, raised: Exception, exit_code: int
) -> None:
    """Exit code 1 where the registry said no, 3 where none answered."""

    def publish(url: str, catalog: Catalog) -> None:
        raise raised

    monkeypatch.setattr(registry, "publish", publish)
    result = RUN.invoke(app, ["schemas", "register", "http://registry"])
    assert isinstance(result.exception, Failure)
    assert result.exception.exit_code == exit_code


def test_register_without_an_address_says_what_to_set(app: typer.Typer) -> None:
    """The setting registry.url is empty by default."""
    result = RUN.invoke(app, ["schemas", "register"])
    assert isinstance(result.exception, Failure)
    assert (result.exception.exit_code, "registry.url" in result.exception.message) == (2, True)


def test_a_snapshot_is_written_once(app: typer.Typer, tmp_path: Path) -> None:
    """What was released stays as it was released."""
    snapshot = ["schemas", "snapshot", "0.2.0", "--directory", str(tmp_path)]
    assert RUN.invoke(app, snapshot).exit_code == 0
    written = (tmp_path / "0.2.0.json").read_text("utf-8")
    assert written == evolution.as_text(evolution.snapshot(Catalog.embedded()))
    again = RUN.invoke(app, snapshot)
    assert isinstance(again.exception, Failure)
    assert (tmp_path / "0.2.0.json").read_text("utf-8") == written


@pytest.mark.parametrize("version", ["next", "../0.2.0", "v1"])
def test_a_snapshot_has_a_version(app: typer.Typer, tmp_path: Path, version: str) -> None:
    """Numbers and dots; releases are ordered by them."""
    result = RUN.invoke(app, ["schemas", "snapshot", version, "--directory", str(tmp_path)])
    assert isinstance(result.exception, Failure)
    assert list(tmp_path.iterdir()) == []
