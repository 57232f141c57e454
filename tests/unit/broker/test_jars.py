"""Java and Maven: found, or said what to install. No Java needed."""

from __future__ import annotations

from pathlib import Path

import pytest

from streams.broker.jars import POM, ToolMissing, ensure_jars, find_java, java_major, kafka_version
from tests.conftest import REPOSITORY


def program(folder: Path, name: str, *, script: str) -> Path:
    """A shell script in a folder that can stand as the PATH."""
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    path.chmod(0o755)
    return path


@pytest.mark.parametrize(
    ("said", "major"),
    [
        ('openjdk version "17.0.15" 2025-04-15', 17),
        ('java version "1.8.0_292"', 8),
        ('openjdk version "21-ea" 2023-09-19', 21),
        ("The operation couldn’t be completed. Unable to locate a Java Runtime.", None),
        ("", None),
    ],
)
def test_the_major_version_is_read_from_what_java_says(said: str, major: int | None) -> None:
    """Old numbering, early access and the macOS stub that is no Java."""
    assert java_major(said) == major


def test_no_java_says_what_to_install(tmp_path: Path) -> None:
    """Without Java the message names the version and the packages."""
    with pytest.raises(ToolMissing, match=r"Java 17 or newer and there is none\. Debian.*openjdk-17"):
        find_java({"PATH": str(tmp_path)})


def test_old_java_is_named_with_its_version(tmp_path: Path) -> None:
    """Java 11 is refused before Kafka fails with a class file version."""
    program(tmp_path, "java", script="echo 'openjdk version \"11.0.20\"' >&2")
    with pytest.raises(ToolMissing, match=f"{tmp_path}/java is Java 11"):
        find_java({"PATH": str(tmp_path)})


def test_java_home_wins_over_the_path(tmp_path: Path) -> None:
    """Who sets JAVA_HOME means it."""
    for folder, major in (("home/bin", 21), ("path", 17)):
        (tmp_path / folder).mkdir(parents=True)
        program(tmp_path / folder, "java", script=f"echo 'openjdk version \"{major}.0.1\"' >&2")
    environ = {"PATH": str(tmp_path / "path"), "JAVA_HOME": str(tmp_path / "home")}
    assert find_java(environ) == tmp_path / "home/bin/java"
    assert find_java({"PATH": environ["PATH"]}) == tmp_path / "path/java"


def test_no_maven_says_what_to_install(tmp_path: Path) -> None:
    """Without Maven, and only where the jars are not there yet, the message names the packages."""
    environ = {"PATH": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    with pytest.raises(ToolMissing, match=r"there is no mvn\. Debian, Ubuntu: apt install maven"):
        ensure_jars(environ)


def test_jars_are_fetched_once(tmp_path: Path) -> None:
    """The first start asks Maven, every later one finds the folder."""
    script = f'echo asked >> {tmp_path}/asked; for word; do d="${{word#-DoutputDirectory=}}"; done; '
    script += '/bin/mkdir -p "$d"; : > "$d/kafka_2.13-4.3.0.jar"'
    program(tmp_path, "mvn", script=script)
    environ = {"PATH": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    folders = {ensure_jars(environ) for _ in range(3)}
    assert [path.name for folder in folders for path in folder.iterdir()] == ["kafka_2.13-4.3.0.jar"]
    assert (tmp_path / "asked").read_text() == "asked\n"


def test_a_failed_fetch_leaves_nothing_behind(tmp_path: Path) -> None:
    """Maven's first error is shown, and the next start fetches again."""
    program(tmp_path, "mvn", script="echo '[ERROR] Unknown host'; exit 1")
    environ = {"PATH": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    with pytest.raises(ToolMissing, match=r"\[ERROR\] Unknown host"):
        ensure_jars(environ)
    assert list((tmp_path / "cache" / "throughline").iterdir()) == []


def test_deploy_shows_the_files_that_are_used() -> None:
    """One copy: what lies under deploy/kafka is what the package starts with."""
    for name in ("pom.xml", "server.properties"):
        assert (REPOSITORY / "deploy" / "kafka" / name).samefile(POM.with_name(name))
    assert kafka_version().startswith("4.")
