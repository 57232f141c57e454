"""What a benchmark found, as rows for people and as JSON for programs. Must not know how anything was measured."""

from __future__ import annotations

import datetime
import json
import os
import platform
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True, slots=True)
class Row:
    """One figure: µs of CPU a touchpoint unless `unit` says otherwise; `budget` is what the design allows."""

    name: str
    value: float
    unit: str = "µs"
    budget: float | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Section:
    """What was measured together, and under which conditions."""

    title: str
    rows: Sequence[Row]
    note: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """One run, on one machine, on one day."""

    sections: Sequence[Section]
    machine: str = field(
        default_factory=lambda: f"{_processor()}, {os.cpu_count()} CPUs, {platform.system()}"
    )
    date: str = field(default_factory=lambda: datetime.datetime.now(tz=datetime.UTC).date().isoformat())
    python: str = field(default_factory=platform.python_version)
    packages: dict[str, str] = field(
        default_factory=lambda: _versions("aiokafka", "faust-streaming", "fastavro")
    )

    def to_json(self) -> str:
        """The whole report."""
        return json.dumps(asdict(self), ensure_ascii=False, indent=2)

    def tell(self, *, as_json: bool) -> None:
        """On stdout, for programs or for people."""
        if as_json:
            print(self.to_json())
        else:
            self.print()

    def print(self) -> None:
        """Tables on stdout."""
        console = Console(file=sys.stdout, highlight=False)
        packages = " · ".join(f"{name} {number}" for name, number in self.packages.items())
        console.print(f"{self.date} · {self.machine} · Python {self.python} · {packages}")
        for section in self.sections:
            console.print(_table(section))
            if section.note:
                console.print(section.note, style="dim")


def _table(section: Section) -> Table:
    table = Table(title=section.title, title_justify="left", box=None, pad_edge=False)
    has_budget = any(row.budget is not None for row in section.rows)
    table.add_column("", min_width=34)
    table.add_column("measured", justify="right")
    table.add_column("")
    if has_budget:
        table.add_column("budget", justify="right")
    table.add_column("", style="dim")
    for row in section.rows:
        budget = [f"{row.budget:g}" if row.budget is not None else ""] if has_budget else []
        table.add_row(row.name, _number(row.value), row.unit, *budget, row.note)
    return table


def _number(value: float) -> str:
    return f"{value:,.2f}" if abs(value) < 1_000 else f"{value:,.0f}"


def _processor() -> str:
    """The processor's name where Linux tells it."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, "") or platform.processor() or platform.machine()


def _versions(*packages: str) -> dict[str, str]:
    return {package: version(package) for package in packages}
