"""What is installed is whole: files beside the code travel with it."""

from __future__ import annotations

import tomllib
from fnmatch import fnmatch

from tests.conftest import REPOSITORY

PACKAGES = ("schemas", "streams", "sinks")
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))


def test_every_file_beside_the_code_is_package_data() -> None:
    """A schema, query or configuration that works from a clone works from a wheel."""
    patterns = PROJECT["tool"]["setuptools"]["package-data"]["*"]
    left_out = [
        str(path.relative_to(REPOSITORY))
        for package in PACKAGES
        for path in (REPOSITORY / package).rglob("*")
        if path.is_file() and path.suffix not in (".py", ".pyc", ".so") and "__pycache__" not in path.parts
        if not any(fnmatch(path.name, pattern) for pattern in patterns)
    ]
    assert left_out == []
