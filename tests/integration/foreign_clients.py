"""ClickHouse's clients for other languages, fetched once into the user's cache, each with a program that uses it; and a
ClickHouse of the version that Compose runs.

Which versions: `clients/package.json`, `clients/go/go.mod`, `clients/pom.xml`, `clients/clickhouse.txt`. A program
takes address, user, password, reader and the reader's password, and prints one fact a line.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

SOURCES = Path(__file__).with_name("clients")
_FETCH_S = 900.0


class ClientMissing(RuntimeError):
    """A tool is missing, or could not fetch the client; the message says which and what it said."""


@dataclass(frozen=True, slots=True)
class Program:
    """How to run it; whether it takes an address with its scheme."""

    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    takes_url: bool = False


def javascript() -> Program:
    """Raises ClientMissing without Node.js and npm."""
    node, npm = _tool("node"), _tool("npm")

    def fill(folder: Path) -> None:
        shutil.copy(SOURCES / "package.json", folder)
        _run(npm, "install", "--no-audit", "--no-fund", "--no-package-lock", folder=folder)

    folder = _fetched("javascript", [SOURCES / "package.json"], fill)
    command = (node, str(SOURCES / "read.cjs"))
    return Program(command, {"NODE_PATH": str(folder / "node_modules")}, takes_url=True)


def go() -> Program:
    """Raises ClientMissing without Go. Building takes minutes the first time."""
    tool = _tool("go")
    sources = [SOURCES / "go" / name for name in ("go.mod", "go.sum", "main.go")]

    def fill(folder: Path) -> None:
        _run(tool, "build", "-o", str(folder / "client"), ".", folder=SOURCES / "go")

    return Program((str(_fetched("go", sources, fill) / "client"),))


def java() -> Program:
    """Raises ClientMissing without a JDK and Maven."""
    tool, maven = _tool("java"), _tool("mvn")
    _tool("javac")  # one file is compiled as it is run
    pom = SOURCES / "pom.xml"

    def fill(folder: Path) -> None:
        words = ("-q", "-B", "-f", str(pom), "dependency:copy-dependencies", "-DincludeScope=runtime")
        _run(maven, *words, f"-DoutputDirectory={folder}", folder=folder)

    return Program((tool, "-cp", f"{_fetched('java', [pom], fill)}/*", str(SOURCES / "Read.java")))


def server_engine() -> Path:
    """Where Python finds the chDB that is ClickHouse 25.8. Raises ClientMissing without pip or what it installs."""
    wanted = SOURCES / "clickhouse.txt"

    def fill(folder: Path) -> None:
        words = ("install", "-q", "--disable-pip-version-check", "--no-deps", "--target", str(folder))
        _run(sys.executable, "-m", "pip", *words, "-r", str(wanted), folder=folder)

    return _fetched("clickhouse", [wanted], fill)


CLIENTS: Mapping[str, Callable[[], Program]] = {"javascript": javascript, "go": go, "java": java}


def _tool(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise ClientMissing(f"there is no {name}")
    return found


def _fetched(name: str, sources: list[Path], fill: Callable[[Path], None]) -> Path:
    """The folder that `fill` fills, once for these sources."""
    digest = hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()[:8]
    root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "throughline"
    folder = root / f"client-{name}-{digest}"
    if not folder.is_dir():
        root.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=root, prefix="fetching-") as scratch:
            # In a folder of its own and then moved: a half-filled one never counts.
            filled = Path(scratch, "client")
            filled.mkdir()
            fill(filled)
            os.replace(filled, folder)
    return folder


def _run(*words: str, folder: Path) -> None:
    try:
        ran = subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=_FETCH_S, check=False)
    except subprocess.TimeoutExpired:
        raise ClientMissing(f"{words[0]} {words[1]} did not end within {_FETCH_S:g} s") from None
    if ran.returncode:
        said = (ran.stdout + ran.stderr).strip().splitlines()
        raise ClientMissing(f"{words[0]} {words[1]}: {' | '.join(said[-3:])}")
