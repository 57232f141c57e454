"""The command line: grouped, with examples, quick to start, and clear when it fails."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.main import get_command
from typer.testing import CliRunner

from streams.cli import context
from streams.cli.app import COMMANDS, build
from streams.cli.errors import ExitCode, Failure
from streams.cli.panels import PANELS
from tests.conftest import REPOSITORY

HEAVY = ["aiohttp", "aiokafka", "chdb", "clickhouse_connect", "confluent_kafka", "fastavro", "faust"]
HEAVY += ["mode", "msgspec", "numpy", "pandas", "pyarrow", "pydantic"]


def commands(group: Any, words: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    """Every command by the words that call it: `topics create`."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, (*words, name))
        else:
            yield " ".join((*words, name)), command


def failing(error: Exception) -> typer.Typer:
    """The real command line with one more command, which raises error."""
    app = build()

    @app.command("break")
    def break_it() -> None:
        raise error

    return app


def test_the_installed_command_runs_from_anywhere(tmp_path: Path) -> None:
    """Compiled modules and what they share are found by the script itself, not by the folder one stands in."""
    script = Path(sys.executable).with_name("throughline")
    done = subprocess.run(
        [script, "schemas", "check"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_every_command_module_is_on_the_list() -> None:
    """A module that registers a command is reachable: none is forgotten in COMMANDS."""
    modules = (REPOSITORY / "streams" / "cli").glob("*.py")
    registering = {path.stem for path in modules if "\ndef register(" in path.read_text(encoding="utf-8")}
    assert registering == set(COMMANDS)


def test_every_command_has_an_example() -> None:
    """The help of a command shows one call of it that can be typed."""
    without = [
        words
        for words, command in commands(get_command(build()))
        if not shows_a_call(words, command.help or "")
    ]
    assert without == []


def shows_a_call(words: str, text: str) -> bool:
    """Whether the help has an example line that calls the command, options before it or not."""
    examples = [line for line in text.splitlines() if "throughline " in line]
    return any(words in line.partition("throughline ")[2] for line in examples)


def test_every_command_stands_in_a_group() -> None:
    """`throughline --help` is grouped by what people want to do; no command stands outside."""
    lost = [
        name
        for name, command in get_command(build()).commands.items()  # type: ignore[attr-defined]
        if command.rich_help_panel not in PANELS
    ]
    assert lost == []


def test_help_loads_nothing_heavy() -> None:
    """Asking for help imports no broker client, no data frame, no settings: they belong inside commands."""
    code = "import sys; from streams.cli.app import build; build()(['--help'], standalone_mode=False); "
    code += f"print('heavy:', sorted(set({HEAVY!r}) & set(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.splitlines()[-1] == "heavy: []"


@pytest.mark.parametrize("code", list(ExitCode))
def test_a_failure_is_one_line_and_its_exit_code(code: ExitCode) -> None:
    """Who runs a command reads what is wrong, not where in our code it was found."""
    result = CliRunner().invoke(failing(Failure("no broker at 127.0.0.1:9092", code)), ["break"])
    assert (result.stderr, result.exit_code) == ("throughline: no broker at 127.0.0.1:9092\n", code)


def test_debug_lets_the_traceback_through() -> None:
    """Who mends a command asks for where it failed."""
    result = CliRunner().invoke(failing(Failure("no broker")), ["--debug", "break"])
    assert isinstance(result.exception, Failure)


def test_a_defect_is_never_dressed_up_as_a_failure() -> None:
    """What we did not foresee keeps its traceback."""
    result = CliRunner().invoke(failing(ZeroDivisionError()), ["break"])
    assert isinstance(result.exception, ZeroDivisionError)


def test_bad_settings_are_a_usage_error(tmp_path: Path) -> None:
    """A command that asks for settings says all that is wrong with them and exits with 2."""
    path = tmp_path / "bad.toml"
    path.write_text("[kafka]\npartitons = 3\n")
    result = CliRunner().invoke(build(), ["--settings", str(path), "settings"])
    said = f"throughline: settings: {path}: kafka.partitons: is unknown, did you mean partitions?\n"
    assert (result.stderr, result.exit_code) == (said, ExitCode.USAGE)


def test_commands_get_the_settings_and_options_of_the_root(tmp_path: Path) -> None:
    """What stands before the command holds for the command."""
    path = tmp_path / "eight.toml"
    path.write_text("[kafka]\npartitions = 8\n")
    app = build()

    @app.command("peek")
    def peek(ctx: typer.Context) -> None:
        typer.echo(f"{context.settings(ctx).kafka.partitions} {context.quiet(ctx)}")

    assert CliRunner().invoke(app, ["--settings", str(path), "-q", "peek"]).stdout == "8 True\n"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("THROUGHLINE_CLICKHOUSE_PASSWORD", "hunter2-of-the-test"),
        ("THROUGHLINE_CLICKHOUSE_URL", "https://shop:hunter2-of-the-test@warehouse:8443"),
        ("THROUGHLINE_REGISTRY_URL", "ftp://shop:hunter2-of-the-test@registry"),
    ],
)
def test_secrets_are_never_printed(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    """Settings are printed into tickets and logs, and so is what is wrong with them; secrets are not."""
    monkeypatch.setenv(name, value)
    for arguments in (["settings"], ["settings", "--json"], ["settings", "--toml"]):
        assert "hunter2-of-the-test" not in CliRunner().invoke(build(), arguments).output
