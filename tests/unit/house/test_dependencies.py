"""What is installed is what is pinned, and what is pinned is what is needed."""

from __future__ import annotations

import re
from importlib.metadata import distribution

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.conftest import REPOSITORY

PINS: dict[str, str] = {
    canonicalize_name(name): version
    for line in (REPOSITORY / "constraints.txt").read_text().splitlines()
    if not line.startswith("#")
    for name, _, version in [line.partition("==")]
}


def needed() -> set[str]:
    """Everything that `throughline[dev]` brings into this environment, with all that it brings along."""
    found: set[str] = set()
    ahead = [("throughline", frozenset({"dev"}))]
    while ahead:
        name, extras = ahead.pop()
        for line in distribution(name).requires or []:
            requirement = Requirement(line)
            marker = requirement.marker
            wanted = marker is None or any(marker.evaluate({"extra": extra}) for extra in extras | {""})
            if wanted and canonicalize_name(requirement.name) not in found:
                found.add(canonicalize_name(requirement.name))
                ahead.append((requirement.name, frozenset(requirement.extras)))
    return found


def test_every_dependency_is_pinned() -> None:
    """Two installations of one commit get the same versions of everything, transitive or not."""
    assert needed() - PINS.keys() == set()


def test_every_pin_is_needed() -> None:
    """A pin that nothing needs is a dependency somebody forgot to declare, or to remove."""
    # Needed under other versions of Python or on other machines than this one.
    conditional = {"async-timeout", "backports-zstd", "typing-extensions", "tzdata", "importlib-metadata"}
    assert PINS.keys() - needed() - conditional == set()


def test_the_installed_set_is_the_pinned_one() -> None:
    """What the tests prove, they prove of the pinned versions."""
    installed = {name: distribution(name).version for name in needed()}
    assert installed == {name: PINS.get(name) for name in installed}


def test_pins_are_names_and_versions_only() -> None:
    """Where packages come from is the installer's business: no addresses, no hashes."""
    lines = (REPOSITORY / "constraints.txt").read_text().splitlines()
    odd = [line for line in lines if not re.fullmatch(r"#.*|[A-Za-z0-9._-]+==[A-Za-z0-9.+!]+", line)]
    assert odd == []
