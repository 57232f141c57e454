"""`throughline simulate` as people and programs call it."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import msgspec
import pytest
import typer
from typer.testing import CliRunner, Result

from streams.cli import simulate
from streams.cli.errors import ExitCode, Failure
from streams.simulator.options import Options
from streams.simulator.verdict import Counts, Truth


def run(*words: str) -> Result:
    """The command alone, without the root that shows failures."""
    app = typer.Typer()
    simulate.register(app)
    return CliRunner().invoke(app, words)


def test_files_are_the_same_for_the_same_options(tmp_path: Path) -> None:
    """Byte for byte, however often they are written."""
    for name in ("one", "two"):
        assert run("--people", "15", "--out", str(tmp_path / name)).exit_code == 0
    for name in ("touchpoints.jsonl.gz", "truth.jsonl"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_files_and_counts_agree(tmp_path: Path) -> None:
    """What `--json` prints is the first line of the truth, and counts the lines of the records."""
    told = msgspec.json.decode(run("--people", "15", "--out", str(tmp_path), "--json").stdout, type=Counts)
    with gzip.open(tmp_path / "touchpoints.jsonl.gz") as file:
        records = [json.loads(line) for line in file]
    assert len(records) == told.records
    assert len({record["message_id"] for record in records}) == told.touchpoints
    assert [record["arrival_ms"] for record in records] == sorted(record["arrival_ms"] for record in records)
    assert Truth.read(tmp_path / "truth.jsonl").counts() == told


def test_defaults_are_the_demo_day() -> None:
    """The command's defaults and the options' are one."""
    import inspect

    parameters = inspect.signature(simulate.simulate).parameters
    renamed = {"till_delay_h": "till_delay"}
    for name in Options.__dataclass_fields__:
        assert parameters[renamed.get(name, name)].default == getattr(Options(), name), name


@pytest.mark.parametrize(
    ("words", "named"),
    [
        ((), "--out DIR or --kafka"),
        (("--kafka", "--out", "x"), "--out DIR or --kafka"),
        (("--out", "x", "--late-share", "2"), "late_share"),
    ],
)
def test_wrong_words_are_a_usage_failure(words: tuple[str, ...], named: str) -> None:
    """With exit code 2 and one clear line."""
    failure = run(*words).exception
    assert isinstance(failure, Failure)
    assert failure.exit_code == ExitCode.USAGE
    assert named in failure.message
