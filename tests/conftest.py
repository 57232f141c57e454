"""What every test stands on: seeds that are printed, skips that CI refuses, ERROR logs that fail.

Knows no room of the project; fixtures for brokers and warehouses live beside the tests that use them.
"""

from __future__ import annotations

import logging
import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

import hypothesis
import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
SEED = "THROUGHLINE_SEED"

# A slow machine is no defect: no deadline for examples, nor for drawing them. The blob repeats one without the seed.
hypothesis.settings.register_profile(
    "throughline", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow], print_blob=True
)
hypothesis.settings.load_profile("throughline")


def require(kind: str, reason: str) -> NoReturn:
    """Skip because `kind` (kafka, data or clients) is missing here; fail where THROUGHLINE_REQUIRE names it."""
    if kind in os.environ.get("THROUGHLINE_REQUIRE", "").replace(" ", "").split(","):
        pytest.fail(f"{kind} is required here but missing: {reason}", pytrace=False)
    # The only skip there is: a user's machine may lack Java, Go, Node.js or the data. Every suite in .ci/run insists.
    pytest.skip(f"{kind}: {reason}")


def stale_extensions(root: Path) -> list[str]:
    """Compiled modules that are older than their source: what would run is not what is read."""
    found = []
    for extension in (
        *root.glob("schemas/*.so"),
        *root.glob("streams/*/*.so"),
        *root.glob("sinks/*/*.so"),
    ):
        source = extension.with_name(extension.name.partition(".")[0] + ".py")
        if source.stem.endswith("__mypyc"):
            continue  # what all of them share
        if not source.exists() or source.stat().st_mtime > extension.stat().st_mtime:
            found.append(str(source.relative_to(root)))
    return sorted(found)


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Choose one seed for the whole run; xdist's workers inherit it through the environment."""
    if stale := stale_extensions(REPOSITORY):
        pytest.exit(f"compiled before it was changed: {', '.join(stale)}; `make setup` compiles anew", 4)
    seed = os.environ.setdefault(SEED, str(random.SystemRandom().randrange(2**31)))
    if getattr(config.option, "hypothesis_seed", None) is None:
        config.option.hypothesis_seed = seed


def pytest_report_header() -> list[str]:
    """What a failing run needs to be repeated."""
    required = os.environ.get("THROUGHLINE_REQUIRE") or "nothing"
    return [f"seed: {SEED}={os.environ[SEED]} (set it to repeat this run), required: {required}"]


@pytest.fixture(scope="session")
def seed() -> int:
    """The run's seed, for tests that draw their own random input."""
    return int(os.environ[SEED])


def shared_data_path(folder: str) -> Path:
    """Where one public data set lies; skips (or fails, see `require`) where it is absent."""
    root = Path(os.environ.get("THROUGHLINE_SHARED_DATA") or REPOSITORY.parent / "shared" / "data")
    path = root / folder
    if not path.is_dir():
        require("data", f"no folder {folder!r} in {root}")
    return path


@pytest.fixture(scope="session")
def shared_data() -> Callable[[str], Path]:
    """`shared_data("cdnow")` is the folder of that public data set, read in place."""
    return shared_data_path


class _ErrorLog(logging.Handler):
    """Keeps what was logged at ERROR or above."""

    def __init__(self) -> None:
        super().__init__(level=logging.ERROR)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(f"{record.name}: {record.getMessage()}")


@pytest.fixture(autouse=True)
def error_log() -> Iterator[list[str]]:
    """ERROR means data is lost or a person is needed: who expects one asks for this list and clears it."""
    handler = _ErrorLog()
    root = logging.getLogger()
    root.addHandler(handler)
    yield handler.messages
    root.removeHandler(handler)
    if handler.messages:
        pytest.fail("unexpected ERROR log: " + "; ".join(handler.messages), pytrace=False)
