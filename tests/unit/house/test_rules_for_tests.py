"""The rules every test stands on, held against tests made to break them."""

from __future__ import annotations

import ast

import pytest

from tests.conftest import REPOSITORY, require


def test_a_missing_part_is_a_skip_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nobody insists, what is not there is skipped, and says so."""
    monkeypatch.setenv("THROUGHLINE_REQUIRE", "data")
    with pytest.raises(pytest.skip.Exception, match="kafka: no Java"):
        require("kafka", "no Java")


def test_a_required_part_that_is_missing_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where CI insists, the same test fails: a green run means that it ran."""
    monkeypatch.setenv("THROUGHLINE_REQUIRE", "data, kafka")
    with pytest.raises(pytest.fail.Exception, match="no Java"):
        require("kafka", "no Java")


def outcomes_of(pytester: pytest.Pytester, source: str) -> dict[str, int]:
    """How many of the tests in source passed, failed, …, under our conftest."""
    pytester.makeconftest((REPOSITORY / "tests" / "conftest.py").read_text())
    pytester.makepyfile(source)
    return pytester.runpytest_subprocess("-p", "no:cacheprovider").parseoutcomes()


def test_an_unexpected_error_log_fails_the_test(pytester: pytest.Pytester) -> None:
    """ERROR means that data is lost or a person is needed: no test passes over it."""
    source = "import logging\ndef test_it():\n    logging.getLogger('worker').error('lost 3 records')\n"
    assert outcomes_of(pytester, source) == {"passed": 1, "errors": 1}


def test_an_expected_error_log_is_taken_by_the_test(pytester: pytest.Pytester) -> None:
    """A test that provokes an ERROR takes it from the list."""
    source = (
        "import logging\ndef test_it(error_log):\n"
        "    logging.getLogger('worker').error('lost %d records', 3)\n"
        "    assert error_log.pop() == 'worker: lost 3 records'\n"
    )
    assert outcomes_of(pytester, source) == {"passed": 1}


def test_every_test_says_the_law_it_proves() -> None:
    """The docstring of a test is the law, so none goes without."""
    silent = [
        f"{path.relative_to(REPOSITORY)}::{node.name}"
        for path in sorted((REPOSITORY / "tests").rglob("test_*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name.startswith("test_")
        and not ast.get_docstring(node)
    ]
    assert silent == []
