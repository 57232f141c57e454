"""`throughline import` as people type it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from streams.broker.embedded import EmbeddedBroker
from streams.cli.app import build
from streams.runtime.topics import INPUTS
from tests.unit.importer.build import SHOP, csv_text, write_file

ROWS = [("2024-01-02", "view", "ann"), ("2024-01-01", "cart", "bob"), ("never", "view", "bob")]


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    write_file(tmp_path / "shop.toml", SHOP)
    return [str(write_file(tmp_path / "rows.csv", csv_text(ROWS))), "--mapping", str(tmp_path / "shop.toml")]


def run(*arguments: str, **environment: str) -> Result:
    return CliRunner().invoke(build(), ["import", *arguments], env=environment)


def test_a_dry_run_shows_touchpoints(files: list[str]) -> None:
    """A dry run needs no Kafka: it prints the first touchpoints as JSON, and what it would reject."""
    result = run(*files, "--dry-run", "--order", "file")
    assert result.exit_code == 0
    first = json.loads(result.stdout[: result.stdout.index("\n}\n") + 2])
    assert (first["event"], first["identifiers"]) == ("Product Viewed", {"user_id": "ann"})
    assert "line 4: time" in result.stderr


def test_a_wrong_mapping_is_one_line(files: list[str], tmp_path: Path) -> None:
    """A mapping that does not fit is wrong usage, said in one line."""
    write_file(tmp_path / "shop.toml", SHOP.replace('"user"', '"customer"'))
    result = run(*files, "--dry-run")
    assert result.exit_code == 2
    assert "rows.csv has no column 'customer' (for identifiers.user_id)" in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_an_import_says_what_it_did(files: list[str]) -> None:
    """The summary is what was written, as JSON for programs and as text for people."""
    broker = EmbeddedBroker.start(dict.fromkeys(INPUTS, 1))
    where = {"THROUGHLINE_KAFKA_BOOTSTRAP_SERVERS": broker.bootstrap, "THROUGHLINE_KAFKA_PARTITIONS": "1"}
    try:
        for_programs = run(*files, "--no-pace", "--json", **where)
        for_people = run(*files, "--no-pace", **where)
        refused = run(*files, "--no-pace", "--max-rejects", "0", **where)
    finally:
        broker.stop()
    assert for_programs.exit_code == for_people.exit_code == 0
    summary = json.loads(for_programs.stdout)
    assert (summary["read"], summary["written"], summary["rejected"]) == (3, 2, 1)
    assert summary["by_event"] == {"Product Viewed": 1, "Product Added": 1}
    assert "3 rows read, 2 touchpoints written, 1 rows rejected, 0 skipped" in for_people.stdout
    assert refused.exit_code == 1
    assert "more than 0 rows rejected" in refused.stderr
