"""The ClickHouse that Compose runs is older than the embedded one: tables, views and answers are the same there."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from sinks.clickhouse.retention import FOR_EVER
from tests.conftest import REPOSITORY, require
from tests.integration.foreign_clients import ClientMissing, server_engine


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_server_of_compose_says_what_the_embedded_warehouse_says(tmp_path: Path) -> None:
    """Every view, over rows that landed as the sink lands them, each block twice, and once.

    Seen to fail when a view ended in a table without an alias: to 25.8 COMMENT is one.
    """
    try:
        older = server_engine()
    except ClientMissing as missing:
        require("clients", f"ClickHouse: {missing}")
    with ThreadPoolExecutor() as both:
        theirs, ours = both.map(
            lambda one: said(tmp_path / one[0], one[1]), [("older", [older]), ("ours", [])]
        )
    compose = (REPOSITORY / "docker-compose.yml").read_text()
    [version] = re.findall(r"image: clickhouse/clickhouse-server:(\S+)", compose)
    assert theirs.pop("version").startswith(f"{version}.")
    assert not ours.pop("version").startswith(f"{version}.")
    assert theirs == ours
    assert ours["kept"]
    assert FOR_EVER not in ours["kept"].values()
    assert all(records == rows for records, rows in ours["landed"].values())
    assert sum(count > 0 for count, _ in ours["answers"].values()) > 0.9 * len(ours["answers"])


def said(directory: Path, first: list[Path]) -> dict[str, Any]:
    """What `engine_answers` prints, with these folders before all others."""
    directory.mkdir()
    ran = subprocess.run(
        [sys.executable, "-m", "tests.integration.engine_answers", str(directory)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, [*first, REPOSITORY]))},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr[-2000:]
    found: dict[str, Any] = json.loads(ran.stdout)
    return found
