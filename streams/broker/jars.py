"""What a Kafka node runs on: Java, and Kafka's jars, which Maven fetches once into the user's cache.

Role: find them or say what to install. Must not know how a node is configured or started.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

__all__ = ["JAVA_NEEDED", "POM", "ToolMissing", "ensure_jars", "find_java", "java_major", "kafka_version"]

JAVA_NEEDED = 17
POM = Path(__file__).with_name("pom.xml")

_RESOLVE_S = 600.0
_INSTALL_JAVA = (
    "Debian, Ubuntu: apt install openjdk-17-jre-headless; Fedora: dnf install java-17-openjdk-headless; "
    "macOS: brew install openjdk@17. If it is installed elsewhere, set JAVA_HOME"
)
_INSTALL_MAVEN = "Debian, Ubuntu: apt install maven; Fedora: dnf install maven; macOS: brew install maven"


class ToolMissing(RuntimeError):
    """Java or Maven is missing or too old, or Maven could not fetch the jars; the message says what to do."""


def find_java(environ: Mapping[str, str]) -> Path:
    """Java, new enough: JAVA_HOME's, else the path's. Raises ToolMissing."""
    home = environ.get("JAVA_HOME")
    named = Path(home, "bin", "java") if home else None
    found = str(named) if named and named.is_file() else shutil.which("java", path=environ.get("PATH"))
    if found is None:
        raise ToolMissing(f"Kafka needs Java {JAVA_NEEDED} or newer and there is none. {_INSTALL_JAVA}.")
    major = java_major(_version_of(found))
    if major is None:
        raise ToolMissing(f"{found} does not run (a stub without Java behind it?). {_INSTALL_JAVA}.")
    if major < JAVA_NEEDED:
        raise ToolMissing(
            f"Kafka needs Java {JAVA_NEEDED} or newer, but {found} is Java {major}. {_INSTALL_JAVA}."
        )
    return Path(found)


def _version_of(java: str) -> str:
    try:
        answer = subprocess.run([java, "-version"], capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    # It writes to stderr; some builds to stdout.
    return answer.stderr + answer.stdout


def java_major(said: str) -> int | None:
    """17 of `openjdk version "17.0.15"`, 8 of `java version "1.8.0_292"`, 21 of `"21-ea"`; None if it says none."""
    match = re.search(r'version "(?:1\.)?(\d+)', said)
    return int(match.group(1)) if match else None


def kafka_version(pom: Path = POM) -> str:
    """The version of Kafka that the pom names."""
    match = re.search(r"<artifactId>kafka_[\d.]+</artifactId>\s*<version>([^<]+)<", pom.read_text("utf-8"))
    if match is None:
        raise ValueError(f"{pom} names no version of Kafka")
    return match.group(1)


def ensure_jars(environ: Mapping[str, str], pom: Path = POM) -> Path:
    """The folder with the jars of this pom; Maven fills it the first time. Raises ToolMissing."""
    digest = hashlib.sha256(pom.read_bytes()).hexdigest()[:8]
    libs = _cache(environ) / f"kafka-{kafka_version(pom)}-{digest}"
    if not libs.is_dir():
        _resolve(pom, libs, environ=environ)
    return libs


def _cache(environ: Mapping[str, str]) -> Path:
    root = environ.get("XDG_CACHE_HOME")
    return (Path(root) if root else Path.home() / ".cache") / "throughline"


def _resolve(pom: Path, libs: Path, *, environ: Mapping[str, str]) -> None:
    maven = shutil.which("mvn", path=environ.get("PATH"))
    if maven is None:
        raise ToolMissing(f"Kafka's jars are fetched with Maven, and there is no mvn. {_INSTALL_MAVEN}.")
    libs.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=libs.parent, prefix="fetching-") as folder:
        # In a folder of its own and then moved: a half-filled one never counts, whoever else fetches meanwhile.
        fetched = Path(folder, "libs")
        _run_maven(maven, pom, fetched=fetched, environ=environ)
        try:
            os.replace(fetched, libs)
        except OSError:
            if not libs.is_dir():
                raise


def _run_maven(maven: str, pom: Path, *, fetched: Path, environ: Mapping[str, str]) -> None:
    words = [maven, "-q", "-B", "-f", str(pom), "dependency:copy-dependencies", "-DincludeScope=runtime"]
    try:
        ran = subprocess.run(
            [*words, f"-DoutputDirectory={fetched}"],
            capture_output=True,
            text=True,
            timeout=_RESOLVE_S,
            check=False,
            env=dict(environ),
        )
    except subprocess.TimeoutExpired:
        raise ToolMissing(f"Maven did not fetch Kafka's jars within {_RESOLVE_S:g} s; try again.") from None
    if ran.returncode or not any(fetched.glob("kafka_*.jar")):
        said = [line for line in (ran.stdout + ran.stderr).splitlines() if "ERROR" in line]
        reason = said[0] if said else f"exit code {ran.returncode}"
        raise ToolMissing(f"Maven could not fetch Kafka's jars: {reason}. Try: {' '.join(words)}")
